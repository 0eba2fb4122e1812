"""Running a module's main() as a command: arguments, environment, files, output, exit code."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tmebox import _native, abi
from tmebox.errors import LimitError, ModuleError, SandboxBusy
from tmebox.listing import listed, text
from tmebox.runtime.option_types import DirectoryLike, Output
from tmebox.runtime.system import Directory, Exit, System

if TYPE_CHECKING:
    from tmebox.runtime.tenancy import Tenancy

MAX_ARGUMENT_BYTES = 1 * abi.MIB
MAX_ENTRIES = 32 * abi.KIB
AT_NULL, AT_PAGESZ, AT_RANDOM = 0, 6, 25


@dataclass(frozen=True)
class Completed:
    """How a command ended. `stdout` and `stderr` are what it wrote, where they were captured."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


MODES = {"ro": True, "rw": False, True: True, False: False}
"""How a directory's third part says whether it is read-only."""
DIRECTORY_FORMS = "write HOST:GUEST or HOST:GUEST:ro, (HOST, GUEST) or (HOST, GUEST, 'ro'), GUEST absolute"


def directories(given: Sequence[DirectoryLike]) -> list[Directory]:
    """From "host:guest[:ro]", (host, guest), (host, guest, "ro" or read_only) or Directory. Raises TypeError,
    ValueError."""
    return [_directory(item) for item in listed(given, "dirs")]


def _directory(item: DirectoryLike) -> Directory:
    if isinstance(item, Directory):
        parts: tuple[Any, ...] = (item.host_path, item.guest_path, item.read_only)
    elif isinstance(item, str):
        parts = tuple(item.split(":"))
    elif isinstance(item, (tuple, list)):
        parts = tuple(item)
    else:
        raise TypeError(f"directory {item!r}: {DIRECTORY_FORMS}")
    host, guest, mode = (*parts, "rw")[:3] if len(parts) in (2, 3) else ("", "", "")
    try:
        read_only = MODES.get(mode)
    except TypeError:  # not even hashable
        read_only = None
    if not host or not guest or read_only is None:
        raise ValueError(f"directory {item!r}: {DIRECTORY_FORMS}")
    names = item.names if isinstance(item, Directory) else ""
    return Directory(text(host, "dirs: host path"), text(guest, "dirs: guest path"), read_only, names)


def environment(given: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of names and values. Raises TypeError, ValueError."""
    found = {}
    for key, value in (given or {}).items():
        name = text(key, "env: name")
        if not name or "=" in name:
            raise ValueError(f"env: name={key!r} is not the name of a variable: it is empty or contains =")
        found[name] = text(value, f"env[{name!r}]")
    return found


class Capture:
    """Collects what a program writes, up to a limit."""

    def __init__(self, limit_bytes: int = 256 * abi.MIB) -> None:
        self._written = io.BytesIO()  # not a list of pieces, which take memory however small they are
        self._limit = limit_bytes

    def __call__(self, data: bytes) -> None:
        if self._written.tell() + len(data) > self._limit:
            raise LimitError(
                f"the program wrote more than {self._limit:,} bytes; pass stdout= to stream its output"
            )
        self._written.write(data)

    def value(self) -> bytes:
        return self._written.getvalue()


def run(
    tenancy: Tenancy,
    argv: tuple[str, ...],
    make_system: Callable[[Output, Output], System],
    stdout: Output,
    stderr: Output,
    timeout_s: float,
) -> Completed:
    """Enter the module's start-up code with a Linux process's initial stack. Raises traps."""
    start = tenancy.module.start
    if start is None:
        raise ModuleError("the module has no main(): call its exports instead of run()")
    captured = [Capture() if stream is None else None for stream in (stdout, stderr)]
    out, err = (
        stream if capture is None else capture
        for stream, capture in zip((stdout, stderr), captured, strict=True)
    )
    system = make_system(out, err)
    strings = Strings(tenancy)
    try:
        with tenancy.calling(timeout_s, system):
            block = initial_stack(strings, argv, system.environment())
            exit_code = _enter(tenancy, start, block, timeout_s, system.core)
    finally:
        strings.free()
        system.close()
    return Completed(exit_code, *(capture.value() if capture else b"" for capture in captured))


def _enter(
    tenancy: Tenancy, start: int, block: bytes, timeout_s: float, core: _native.GuestDescriptors
) -> int:
    """The program's exit code."""
    exit_code = 0
    try:
        tenancy.instance.call(start, (), (), block, timeout_s, core)
    except Exit as exit_request:
        exit_code = exit_request.code
    except SandboxBusy:  # it never began, and what is buffered is another call's
        raise
    except BaseException:  # a trap, or the host's: what it printed before is worth the more
        with suppress(Exception):  # a program may have closed its output: that ends no Ctrl-C
            tenancy.deliver_output()
        raise
    tenancy.drop_output()
    return exit_code


class Strings:
    """NUL-terminated strings placed in a sandbox's memory for as long as a program runs."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._rooms: list[_native.Extent] = []

    def place(self, values: list[bytes]) -> list[int]:
        data = b"".join(value + b"\0" for value in values)
        if len(data) > MAX_ARGUMENT_BYTES:
            raise LimitError(
                f"arguments and environment take {len(data):,} bytes; at most {MAX_ARGUMENT_BYTES:,}"
            )
        room = self._tenancy.scratch(len(data))
        self._rooms.append(room)
        offset = room.start
        self._tenancy.memory.write(offset, data)
        places = []
        for value in values:
            places.append(offset)
            offset += len(value) + 1
        return places

    def free(self) -> None:
        self._rooms.clear()


def initial_stack(strings: Strings, argv: tuple[str, ...], environment: Mapping[str, str]) -> bytes:
    """argc, argv…, NULL, envp…, NULL, auxiliary vector, as the System V ABI has it (section 3.4.1)."""
    arguments = strings.place([value.encode("utf-8", "surrogateescape") for value in argv])
    variables = strings.place([f"{k}={v}".encode("utf-8", "surrogateescape") for k, v in environment.items()])
    auxiliary = [AT_PAGESZ, abi.PAGE_SIZE, AT_RANDOM, abi.STACK_RANDOM, AT_NULL, 0]
    words = [len(argv), *arguments, 0, *variables, 0, *auxiliary]
    if len(words) > MAX_ENTRIES:
        raise LimitError(
            f"{len(argv):,} arguments and {len(environment):,} variables take {len(words):,} words of the "
            f"stack; at most {MAX_ENTRIES:,}"
        )
    return struct.pack(f"<{len(words)}Q", *words)
