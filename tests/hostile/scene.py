"""A hostile sandbox, what stands around it, and a witness who tells whether anything there was touched.

Each attack runs in a forked child. In there, before it starts: an innocent sandbox lives in a window on
either side of the attacker's; pages of random bytes lie directly behind the attacker's window and below
the guard in front of it; the host holds secrets; text, target map and gates are as they are. Afterwards
all of that must be the same, the neighbours must still work, the host's arithmetic must be in order,
a trapped sandbox must refuse to go on, and a new one must run.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox import _native, abi
from tmebox.abi import Base
from tmebox.memory.windows import WINDOWS
from tmebox.toolchain.compile.gcc import gcc

SOURCES = Path(__file__).parent / "sources"
SECRET = b"the host's secret. " * 1000
LOW_OFFSET_OF_SECRET = 0x6000_0000
"""Low half of the secret's address: an offset where no sandbox here has memory."""

MAP_FIXED_NOREPLACE = 0x100000

INNOCENT = """
static unsigned char memory[65536];
static unsigned long seed;
unsigned long where(void) { return (unsigned long)memory; }
void plant(unsigned long value) {
  seed = value;
  for (int i = 0; i < 65536; i++) memory[i] = (unsigned char)(value = value * 6364136223846793005 + 1);
}
int intact(void) {
  unsigned long value = seed;
  for (int i = 0; i < 65536; i++)
    if (memory[i] != (unsigned char)(value = value * 6364136223846793005 + 1)) return 0;
  return 1;
}
double third(double x) { return x / 3; }
"""


@dataclass(frozen=True)
class Ending:
    """How an attack ended: with a value, or with an exception and what it says."""

    value: Any = None
    exception: str | None = None
    message: str = ""
    kind: str | None = None
    offset: int | None = None
    access: str | None = None
    function: str | None = None
    line: int | None = None
    trap: bool = False
    note: Any = None
    damage: tuple[str, ...] = field(default=())


@functools.cache
def hostile(name: str, base: Base = "gs") -> tmebox.Module:
    """The module of sources/NAME.c. Skips where there is no gcc, which r15 needs."""
    if base == "r15":
        try:
            gcc()
        except tmebox.CompileError as error:
            pytest.skip(str(error))
    return tmebox.compile(SOURCES / f"{name}.c", base=base)


@functools.cache
def innocent() -> tmebox.Module:
    return tmebox.compile(source_text=INNOCENT)


Act = Callable[[tmebox.Sandbox], Any]


def attack(
    module: tmebox.Module, act: Act, *, note: Act | None = None, timeout_s: float = 30.0, **options: Any
) -> Ending:
    """Run `act` on a new sandbox of `module` in a forked child; AssertionError if it did any damage.

    `note` is asked first, of the same sandbox: the ending keeps the answer. `options` are the sandbox's.
    """
    innocent()  # compiled once, out here
    ending: Ending = run_forked(lambda: _play(module, act, note, options), timeout_s=timeout_s).result()
    assert not ending.damage, f"{ending.damage}, after {ending}"
    return ending


def _play(module: tmebox.Module, act: Act, note: Act | None, options: dict[str, Any]) -> Ending:
    WINDOWS._free.clear()  # so that the next ones come from a new piece, where windows lie side by side
    before = tmebox.Sandbox(innocent())
    sandbox = tmebox.Sandbox(module, **options)
    after = tmebox.Sandbox(innocent())
    witness = Witness(sandbox, (before, after))
    noted = note(sandbox) if note else None
    try:
        ending: dict[str, Any] = {"value": act(sandbox)}
    except BaseException as error:
        ending = _describe(error)
    damage = witness.damage()
    if ending.get("trap"):
        damage += _still_callable(sandbox)
    damage += _cannot_close(sandbox)
    damage += _cannot_start_again(module, options)
    return Ending(**ending, note=noted, damage=tuple(damage))


def _describe(error: BaseException) -> dict[str, Any]:
    names = ("kind", "offset", "access", "function", "line")
    trap = isinstance(error, tmebox.Trap)
    return {
        "exception": type(error).__name__,
        "message": str(error),
        "trap": trap,
        **({name: getattr(error, name) for name in names} if trap else {}),
    }


def _still_callable(sandbox: tmebox.Sandbox) -> list[str]:
    try:
        sandbox.call_raw(next(iter(sandbox.module.exports)))
    except tmebox.SandboxClosed:
        return []
    except Exception as error:
        return [f"a call after the trap raised {error!r}"]
    return ["the sandbox could be called after its trap"]


def _cannot_close(sandbox: tmebox.Sandbox) -> list[str]:
    try:
        sandbox.close()
    except Exception as error:
        return [f"closing raised {error!r}"]
    return []


def _cannot_start_again(module: tmebox.Module, options: dict[str, Any]) -> list[str]:
    with tmebox.Sandbox(module, **options) as again:
        if "alive" in module.exports and again.call_raw("alive") != 42:
            return ["a new sandbox of the module does not work"]
    return []


class Witness:
    """Remembers everything around a sandbox; `damage()` lists what has changed."""

    def __init__(self, sandbox: tmebox.Sandbox, neighbours: tuple[tmebox.Sandbox, ...]) -> None:
        self._neighbours = neighbours
        for number, neighbour in enumerate(neighbours):
            neighbour.plant(number + 12345)
        self._memories = [neighbour_memory(neighbour) for neighbour in neighbours]
        behind, front = sandbox.base + abi.WINDOW_SIZE, sandbox.base - abi.GUARD - abi.MIB
        # Stack accesses near the window's start may touch the guard in front, never what is before it.
        self._canaries = {address: os.urandom(abi.MIB) for address in (behind, front)}
        for address, data in self._canaries.items():
            # First a mapping of its own, without a userfaultfd.
            _native.map_zero(address, len(data), _native.PROT_NONE)
            _native.map_zero(address, len(data), _native.PROT_READ | _native.PROT_WRITE)
            _native.write(address, data)
        self._secret = host_secret()
        self._code = code_and_map()
        self._floats = host_arithmetic()

    def damage(self) -> list[str]:
        checks = {
            "a canary page beside the window": lambda: all(
                _native.read(address, len(data)) == data for address, data in self._canaries.items()
            ),
            "the host's secret": lambda: bytes(self._secret) == SECRET,
            "text, target map or gates": lambda: code_and_map() == self._code,
            "the host's floating-point state": lambda: host_arithmetic() == self._floats,
            "a neighbour's memory": lambda: [neighbour_memory(n) for n in self._neighbours] == self._memories,
            "a neighbour's ability to work": lambda: all(
                n.intact() == 1 and n.third(1.0) == 1.0 / 3 for n in self._neighbours
            ),
        }
        return [f"{what} was changed" for what, intact in checks.items() if not intact()]  # type: ignore[no-untyped-call]


def control_field(sandbox: tmebox.Sandbox, field: int) -> int:
    """A field of the control page, which tells a sandbox its layout."""
    return int.from_bytes(sandbox.memory.read(field, 8), "little")


def neighbour_memory(neighbour: tmebox.Sandbox) -> bytes:
    return neighbour.memory.read(neighbour.where(), 65536)


def host_memory(low_half: int, contents: bytes) -> ctypes.Array[ctypes.c_char]:
    """Host memory, readable and writable, at an address whose low half is `low_half`."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    protection, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    page = low_half & -abi.PAGE_SIZE
    size_bytes = len(contents) + abi.PAGE_SIZE
    for high in range(0x100, 0x7000, 0x111):
        address = (high << 32) + page
        if libc.mmap(address, size_bytes, protection, flags | MAP_FIXED_NOREPLACE, -1, 0) == address:
            memory = (ctypes.c_char * len(contents)).from_address((high << 32) + low_half)
            memory[:] = contents  # type: ignore[call-overload]
            return memory
    raise AssertionError(f"no free host address ends in {low_half:#x}")


@functools.cache
def host_secret() -> ctypes.Array[ctypes.c_char]:
    return host_memory(LOW_OFFSET_OF_SECRET, SECRET)


def address_of_secret() -> int:
    return ctypes.addressof(host_secret())


def code_and_map() -> bytes:
    """Every mapped byte of the code region, the gates and the target map."""
    found = []
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps.read().splitlines():
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            readable = line.split()[1].startswith("r")
            if readable and start >= abi.CODE_BASE and end <= abi.TARGET_MAP_END:
                memory.seek(start)
                found.append(f"{line.split(maxsplit=2)[:2]}".encode() + memory.read(end - start))
    return b"".join(found)


def host_arithmetic() -> list[str]:
    """Results that depend on rounding, denormals and masked exceptions in SSE and in the x87."""
    one, three, tiny, zero = (float(text) for text in ("1", "3", "5e-324", "0"))
    with np.errstate(all="ignore"):
        wide = np.longdouble(one) / np.longdouble(three)
        singles = np.arange(64, dtype=np.float32) / np.float32(three)
        results = [
            one / three,
            -one / three,
            tiny * one,
            tiny + zero,
            one + 2.0**-53,
            round(2.5) + one,
            float(np.float64(one) / np.float64(zero)),
            float(singles.sum()),
        ]
        stack = [np.longdouble(i) / np.longdouble(7) for i in range(12)]
        return [value.hex() for value in results] + [
            repr(wide),
            repr(sum(stack)),
            repr(np.sqrt(np.longdouble(2))),
        ]
