"""Running a module's main() as a command: arguments, environment, files, output, exit code."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tmebox import abi
from tmebox.errors import LimitError, ModuleError
from tmebox.runtime.system import Directory, Exit, System

if TYPE_CHECKING:
    from tmebox.runtime.tenancy import Tenancy

Input = Any
Output = Any
DirectoryLike = Any

MAX_ARGUMENT_BYTES = 1 * abi.MIB
AT_NULL, AT_PAGESZ, AT_RANDOM = 0, 6, 25


@dataclass(frozen=True)
class Completed:
    """How a command ended. `stdout` and `stderr` are what it wrote, where they were captured."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


def directories(given: Sequence[DirectoryLike]) -> list[Directory]:
    """From "host:guest[:ro]", (host, guest), (host, guest, read_only) or Directory. Raises ValueError."""
    found = []
    for item in given:
        if isinstance(item, Directory):
            found.append(item)
        elif isinstance(item, str):
            host, _, rest = item.partition(":")
            guest, _, mode = rest.partition(":")
            if not host or not guest or mode not in ("", "ro", "rw"):
                raise ValueError(f"directory {item!r}: write HOST:GUEST or HOST:GUEST:ro")
            found.append(Directory(host, guest, mode == "ro"))
        else:
            found.append(Directory(*item))
    return found


class Capture:
    """Collects what a program writes, up to a limit."""

    def __init__(self, limit_bytes: int = 256 * abi.MIB) -> None:
        self._pieces: list[bytes] = []
        self._left = limit_bytes
        self._limit = limit_bytes

    def __call__(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise LimitError(
                f"the program wrote more than {self._limit:,} bytes; pass stdout= to stream its output"
            )
        self._pieces.append(bytes(data))

    def value(self) -> bytes:
        return b"".join(self._pieces)


def run(
    tenancy: Tenancy,
    argv: Sequence[str],
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
    library_system, tenancy.system = tenancy.system, make_system(captured[0] or stdout, captured[1] or stderr)
    strings = Strings(tenancy)
    tenancy.in_program, tenancy.call_timeout_s = True, timeout_s
    try:
        block = initial_stack(strings, list(argv), tenancy.system.environment())
        tenancy.instance.call(start, (), (), block, timeout_s)
        exit_code = 0
    except Exit as exit_request:
        exit_code = exit_request.code
    finally:
        strings.free()
        tenancy.in_program, tenancy.call_timeout_s = False, tenancy.timeout_s
        tenancy.system.close()
        tenancy.system = library_system
    return Completed(exit_code, *(capture.value() if capture else b"" for capture in captured))


class Strings:
    """NUL-terminated strings placed in a sandbox's memory for as long as a program runs."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._offsets: list[int] = []

    def place(self, values: list[bytes]) -> list[int]:
        data = b"".join(value + b"\0" for value in values)
        if any(b"\0" in value for value in values):
            raise ValueError("arguments and environment cannot contain NUL")
        if len(data) > MAX_ARGUMENT_BYTES:
            raise LimitError(
                f"arguments and environment take {len(data):,} bytes; at most {MAX_ARGUMENT_BYTES:,}"
            )
        offset = self._tenancy.scratch(len(data))
        self._offsets.append(offset)
        self._tenancy.memory.write(offset, data)
        places = []
        for value in values:
            places.append(offset)
            offset += len(value) + 1
        return places

    def free(self) -> None:
        for offset in self._offsets:
            self._tenancy.release_scratch(offset)


def initial_stack(strings: Strings, argv: list[str], environment: Mapping[str, str]) -> bytes:
    """argc, argv…, NULL, envp…, NULL, auxiliary vector, as the System V ABI has it (section 3.4.1)."""
    arguments = strings.place([value.encode("utf-8", "surrogateescape") for value in argv])
    variables = strings.place([f"{k}={v}".encode("utf-8", "surrogateescape") for k, v in environment.items()])
    auxiliary = [AT_PAGESZ, abi.PAGE_SIZE, AT_RANDOM, abi.STACK_RANDOM, AT_NULL, 0]
    words = [len(argv), *arguments, 0, *variables, 0, *auxiliary]
    return struct.pack(f"<{len(words)}Q", *words)
