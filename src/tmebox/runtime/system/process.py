"""Calls about the process: its end, its identity, its limits, random bytes, memory it gives back."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tmebox import abi
from tmebox.runtime.system.calls import (
    U64,
    Abort,
    Assertion,
    Discards,
    Exit,
    GuestMemory,
    failure,
)
from tmebox.shown import printable

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

OWNER = 1000
"""The user and group that a guest believes to be, and that it sees all files owned by."""
RANDOM_MAX = 1 << 16
INFINITY = U64
RLIMIT_STACK, RLIMIT_NOFILE, RLIMIT_COUNT = 3, 7, 16
MADV_DONTNEED = 4
UTSNAME_FIELD = 65
TEXT_MAX = 4096
"""Bytes of an assertion's expression, or of a name, that are looked at."""
SHOWN_MAX = 300
I32 = (1 << 31) - 1


def exit_group(_system: System, _memory: GuestMemory, status: int) -> int:
    raise Exit(status)


def tkill(system: System, _memory: GuestMemory, _thread: int, signal: int) -> int:
    """The guest's libc calls this for a signal whose default is to end the process, and for nothing else."""
    words = system.last_words
    if words is None and system.exhausted_bytes:
        words = f"abort() after an allocation of {system.exhausted_bytes:,} bytes failed at the memory limit"
    raise Abort(signal & 0x7F, system.failed_assertion, words)


def memory_exhausted(system: System, _memory: GuestMemory, size_bytes: int) -> int:
    system.exhausted_bytes = size_bytes & U64
    return 0


def assertion_failed(
    system: System, memory: GuestMemory, expression: int, file: int, line: int, function: int
) -> int:
    """Kept until the next system call, which is tkill() unless the program handles SIGABRT."""
    system.failed_assertion = Assertion(
        _shown(memory, expression), _shown(memory, file), _shown(memory, function), min(line & U64, I32)
    )
    return 0


def abort_message(system: System, memory: GuestMemory, text: int) -> int:
    """Why the guest's C++ library is about to call abort(). Kept as an assertion is."""
    system.last_words = _shown(memory, text)
    return 0


def _shown(memory: GuestMemory, offset: int) -> str:
    """A text of the guest's, which may be anything, as far as it can be shown."""
    try:
        data = memory.string(offset & U64, TEXT_MAX)
    except IndexError:
        return "?"
    text = data.decode("utf-8", "replace")
    return printable(text, longest=SHOWN_MAX)


def madvise(_system: System, memory: GuestMemory, offset: int, size_bytes: int, advice: int) -> int:
    if advice != MADV_DONTNEED or offset % abi.PAGE_SIZE or size_bytes % abi.PAGE_SIZE:
        raise failure(errno.EINVAL)
    if not isinstance(memory, Discards):
        raise failure(errno.ENOSYS)
    memory.discard(offset & U64, size_bytes & U64)
    return 0


def getrandom(system: System, memory: GuestMemory, buffer: int, size_bytes: int, _flags: int) -> int:
    data = system.random(min(size_bytes & U64, RANDOM_MAX))
    memory.write(buffer, data)
    return len(data)


def uname(_system: System, memory: GuestMemory, result: int) -> int:
    fields = ("Linux", "tmebox", "6.1.0", "tmebox", "x86_64", "")
    memory.write(result, b"".join(field.encode().ljust(UTSNAME_FIELD, b"\0") for field in fields))
    return 0


def _words(memory: GuestMemory, *offsets: int) -> Iterator[int]:
    """Words of the control page, which says what the sandbox has."""
    return (int.from_bytes(memory.read(offset, 8), "little") for offset in offsets)


def _limit(system: System, memory: GuestMemory, resource: int) -> tuple[int, int]:
    """(soft, hard)"""
    if not 0 <= resource < RLIMIT_COUNT:
        raise failure(errno.EINVAL)
    low, top = _words(memory, abi.CONTROL_STACK_LOW, abi.CONTROL_STACK_TOP)
    own = {RLIMIT_NOFILE: system.descriptors.most, RLIMIT_STACK: top - low}
    hard = own.get(resource, INFINITY)
    return system.limits.get(resource, (hard, hard))


def prlimit64(system: System, memory: GuestMemory, process: int, resource: int, new: int, old: int) -> int:
    """Limits may be lowered, and the soft one raised again. Only that of open files has an effect."""
    if process not in (0, 1):
        raise failure(errno.ESRCH)
    before = _limit(system, memory, resource)
    if new:
        soft, hard = struct.unpack("<2Q", memory.read(new & U64, 16))
        if soft > hard:
            raise failure(errno.EINVAL)
        if hard > before[1]:
            raise failure(errno.EPERM)
        system.limits[resource] = (soft, hard)
        if resource == RLIMIT_NOFILE:
            system.limit_descriptors(soft)
    if old:
        memory.write(old & U64, struct.pack("<2Q", *before))
    return 0


def setrlimit(system: System, memory: GuestMemory, resource: int, new: int) -> int:
    return prlimit64(system, memory, 0, resource, new, 0)


def getrlimit(system: System, memory: GuestMemory, resource: int, old: int) -> int:
    return prlimit64(system, memory, 0, resource, 0, old)


def sysinfo(system: System, memory: GuestMemory, result: int) -> int:
    """All memory that the sandbox may have counts as free; what is used malloc() knows."""
    uptime_s = system.clock.monotonic_ns() // 1_000_000_000
    heap_end, first, end = _words(
        memory, abi.CONTROL_HEAP_END, abi.CONTROL_UPPER_START, abi.CONTROL_UPPER_END
    )
    size = heap_end - abi.IMAGE_START + end - first
    memory.write(
        result, struct.pack("<q3Q6QHH4xQQI4x", uptime_s, 0, 0, 0, size, size, 0, 0, 0, 0, 1, 0, 0, 0, 1)
    )
    return 0


def sched_getaffinity(_system: System, memory: GuestMemory, _process: int, size_bytes: int, mask: int) -> int:
    if size_bytes & U64 < 8:
        raise failure(errno.EINVAL)
    memory.write(mask, struct.pack("<Q", 1))
    return 8


def getgroups(_system: System, _memory: GuestMemory, room: int) -> int:
    """A guest is in no group beside its own."""
    if room & (I32 + 1):
        raise failure(errno.EINVAL)
    return 0


def umask(system: System, _memory: GuestMemory, mask: int) -> int:
    before, system.umask = system.umask, mask & 0o777
    return before
