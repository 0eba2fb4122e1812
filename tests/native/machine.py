"""A text of hand-written functions, and sandboxes to run them in, without compiler, verifier or runtime."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from tmebox import _native, abi
from tmebox.errors import BadReference as Reference
from tmebox.errors import LimitError
from tmebox.errors import SandboxBusy as Busy
from tmebox.errors import SandboxClosed as Closed
from tmebox.memory.code_region import CODE_REGION, Slot
from tmebox.memory.contents import Contents, Layout
from tmebox.memory.windows import WINDOWS

SOURCE = Path(__file__).with_name("native_guest.s")
READ_WRITE = _native.PROT_READ | _native.PROT_WRITE
STACK_SIZE_BYTES = 1 * abi.MIB
DATA = abi.IMAGE_START
DATA_SIZE_BYTES = 64 * abi.KIB


@dataclass
class Trapped(Exception):
    """What `make_trap` was told."""

    signal: int
    code: int
    fault_address: int
    instruction_address: int
    access: int
    rsp: int
    registers: bytes
    owner: int
    outcome: int
    outcome_key: int
    stack_top: int

    def register(self, index: int) -> int:
        """Index in the order rax rcx rdx rbx rsp rbp rsi rdi r8 …"""
        return int.from_bytes(self.registers[8 * index : 8 * index + 8], "little")


@dataclass(frozen=True)
class Text:
    addresses: dict[str, int]
    slot: Slot


@cache
def text() -> Text:
    """Assembles, links at a slot of the code region, and publishes the text with its target map."""
    with tempfile.TemporaryDirectory() as folder:
        slot = CODE_REGION.allocate(abi.TEXT_ALIGN)
        objects, linked = Path(folder, "guest.o"), Path(folder, "guest.elf")
        zig = [sys.executable, "-m", "ziglang"]
        target = ["-target", "x86_64-linux-musl", "-mavx512f"]
        subprocess.run([*zig, "clang", *target, "-c", str(SOURCE), "-o", str(objects)], check=True)
        names = {
            "MAP": abi.TARGET_MAP,
            "CONTROL": abi.CONTROL_WINDOW_BASE,
            "gate_hostcall": abi.GATE_HOSTCALL,
        }
        symbols = [f"--defsym={name}={value:#x}" for name, value in names.items()]
        place = [f"-Ttext={slot.address:#x}", "-e0", "-o", str(linked), str(objects)]
        subprocess.run([*zig, "ld.lld", *symbols, *place], check=True)
        with linked.open("rb") as stream:
            elf = ELFFile(stream)
            section = elf.get_section_by_name(".text")
            code = section.data()
            table = elf.get_section_by_name(".symtab")
            addresses = {
                s.name: s["st_value"] for s in table.iter_symbols() if s.name and s.name not in names
            }
    target_map = bytearray(len(code))
    for name, address in addresses.items():
        if re.match(r"site_\d+$", name):
            target_map[address - slot.address] |= abi.TARGET_RETURN << abi.TARGET_R15_SHIFT
    CODE_REGION.place(slot, code, bytes(target_map), uses_x87=True)
    return Text(addresses, slot)


class Machine:
    """One instance in one window: control page, a stack of 1 MiB and 64 KiB of data at `DATA`."""

    def __init__(self, imports: Any = (), timeout_s: float = 0.0, base_in_r15: bool = False) -> None:
        self.stack_low = abi.STACK_TOP - STACK_SIZE_BYTES
        layout = Layout(self.stack_low, DATA + DATA_SIZE_BYTES, DATA + DATA_SIZE_BYTES, (), DATA_SIZE_BYTES)
        self.window = WINDOWS.acquire(WINDOWS.template(Contents(layout, ())))
        self.base = self.window.base
        _native.configure(busy=Busy, closed=Closed, limit=LimitError, reference=Reference)
        self.instance = _native.Instance(
            self.base,
            self.base + self.stack_low,
            self.base + abi.STACK_TOP,
            Trapped,
            base_in_r15=base_in_r15,
        )
        self.instance.timeout_s = timeout_s
        self.instance.set_imports(imports)

    def address(self, name: str) -> int:
        return text().addresses[name]

    def call(self, name: str, *integers: int, stack: bytes = b"", timeout_s: float = -1.0) -> int:
        """rax of a call with integer arguments."""
        return self.instance.call(self.address(name), integers, (), stack, timeout_s)[0]

    def function(
        self, name: str, arguments: str = "", result: str = "v", slow: Callable[..., Any] | None = None
    ) -> _native.Function:
        def careful(_host: object, *args: Any, **kwargs: Any) -> Any:
            return (slow or refused)(*args, **kwargs)

        export = _native.Export(self.address(name), name, arguments, result, careful, {})
        return export.bind(self.instance, None, None)

    def read(self, offset: int, size_bytes: int) -> bytes:
        return _native.read(self.base + offset, size_bytes)

    def words(self, offset: int, count: int) -> list[int]:
        data = self.read(offset, 8 * count)
        return [int.from_bytes(data[i : i + 8], "little") for i in range(0, 8 * count, 8)]


class Refused(Exception):
    """The fast path did not take the arguments."""


def refused(*args: Any, **kwargs: Any) -> Any:
    raise Refused(args, kwargs)


def cpu_has(*names: str) -> bool:
    features = _native.cpu_features()
    return all(features[name] for name in names)
