"""System calls on descriptors: reading, writing, seeking, status, duplicates."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from tmebox.runtime.system.calls import U64, GuestMemory, failure, transfer_size
from tmebox.runtime.system.descriptors import Description
from tmebox.runtime.system.files import O_LARGEFILE, HostFile, pack_status
from tmebox.runtime.system.kernel_objects import KernelObject
from tmebox.runtime.system.sockets import Stream

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

IOVEC_MAX = 1024
TIOCGWINSZ = 0x5413
FIONBIO, FIONREAD, FIOASYNC = 0x5421, 0x541B, 0x5452
"""The last asks for a signal; a guest that has it is told nothing by it."""
F_OFD_GETLK, F_OFD_SETLK = 36, 37
FLOCK = struct.Struct("<2h4x2qi4x")
LOCK_PAUSE_NS = 2_000_000
LOCKS_MAX = 256
"""Record locks of one open file. The kernel has no limit, keeps each, and looks at all at each call."""
MUTABLE_FLAGS = os.O_APPEND | os.O_NONBLOCK


def read(system: System, memory: GuestMemory, descriptor: int, buffer: int, size_bytes: int) -> int:
    return _read(memory, system.descriptors[descriptor], [(buffer & U64, transfer_size(size_bytes))])


def _read(memory: GuestMemory, description: Description, parts: list[tuple[int, int]]) -> int:
    """What cannot be put at a bad address stays in a socket or pipe."""
    put, size_bytes = into(memory, parts), sum(size for _, size in parts)
    if isinstance(description, Stream):
        return description.deliver((0, size_bytes), 0, put).result
    data = description.read(size_bytes)
    put(0, data)
    return len(data)


def write(system: System, memory: GuestMemory, descriptor: int, buffer: int, size_bytes: int) -> int:
    system.descriptors[descriptor]  # EBADF comes before EFAULT
    return system.descriptors.write(descriptor, memory.read(buffer & U64, transfer_size(size_bytes)))


def pread(
    system: System, memory: GuestMemory, descriptor: int, buffer: int, size_bytes: int, position: int
) -> int:
    data = system.descriptors[descriptor].pread(transfer_size(size_bytes), position)
    memory.write(buffer & U64, data)
    return len(data)


def pwrite(
    system: System, memory: GuestMemory, descriptor: int, buffer: int, size_bytes: int, position: int
) -> int:
    description = system.descriptors[descriptor]
    return description.pwrite(memory.read(buffer & U64, transfer_size(size_bytes)), position)


def vectors(memory: GuestMemory, rows: int, count: int) -> list[tuple[int, int]]:
    """(offset, size) of each iovec, the sizes cut so that their sum is one transfer."""
    if not 0 <= count <= IOVEC_MAX:
        raise failure(errno.EINVAL)
    found = []
    left = transfer_size(-1)
    for offset, size_bytes in struct.iter_unpack(
        "<2Q", memory.read(rows & U64, 16 * count) if count else b""
    ):
        found.append((offset, min(size_bytes, left)))
        left -= found[-1][1]
    return found


def readv(system: System, memory: GuestMemory, descriptor: int, rows: int, count: int) -> int:
    return _read(memory, system.descriptors[descriptor], vectors(memory, rows, count))


def writev(system: System, memory: GuestMemory, descriptor: int, rows: int, count: int) -> int:
    system.descriptors[descriptor]
    return system.descriptors.write(descriptor, gather(memory, vectors(memory, rows, count)))


def preadv(system: System, memory: GuestMemory, descriptor: int, rows: int, count: int, position: int) -> int:
    parts = vectors(memory, rows, count)
    data = system.descriptors[descriptor].pread(sum(size for _, size in parts), position)
    scatter(memory, parts, data)
    return len(data)


def pwritev(
    system: System, memory: GuestMemory, descriptor: int, rows: int, count: int, position: int
) -> int:
    description = system.descriptors[descriptor]
    return description.pwrite(gather(memory, vectors(memory, rows, count)), position)


def scatter(memory: GuestMemory, parts: list[tuple[int, int]], data: bytes) -> None:
    position = 0
    for offset, size_bytes in parts:
        piece = data[position : position + size_bytes]
        if piece:
            memory.write(offset, piece)
        position += size_bytes


def into(memory: GuestMemory, parts: list[tuple[int, int]]) -> Callable[[int, bytes], None]:
    """put(position, data), which raises IndexError. position: counted from the first part's beginning."""

    def put(position: int, data: bytes) -> None:
        left = []
        for offset, size_bytes in parts:
            skipped = min(position, size_bytes)
            position -= skipped
            left.append((offset + skipped, size_bytes - skipped))
        scatter(memory, left, data)

    return put


def gather(memory: GuestMemory, parts: list[tuple[int, int]]) -> bytes:
    return b"".join([memory.read(offset, size) for offset, size in parts if size])


def close(system: System, _memory: GuestMemory, descriptor: int) -> int:
    system.descriptors.remove(descriptor)
    return 0


def lseek(system: System, _memory: GuestMemory, descriptor: int, offset: int, whence: int) -> int:
    return system.descriptors[descriptor].seek(offset, whence)


def fstat(system: System, memory: GuestMemory, descriptor: int, result: int) -> int:
    description = system.descriptors[descriptor]
    number = description.mount_number if isinstance(description, HostFile) else 0
    memory.write(result & U64, pack_status(description.status(), number))
    return 0


def getdents64(system: System, memory: GuestMemory, descriptor: int, buffer: int, size_bytes: int) -> int:
    data = system.descriptors[descriptor].entries(transfer_size(size_bytes))
    memory.write(buffer & U64, data)
    return len(data)


def ftruncate(system: System, _memory: GuestMemory, descriptor: int, size_bytes: int) -> int:
    system.descriptors[descriptor].truncate(size_bytes)
    return 0


def fsync(system: System, _memory: GuestMemory, descriptor: int) -> int:
    system.descriptors[descriptor].sync()
    return 0


def fadvise64(
    system: System, _memory: GuestMemory, descriptor: int, _start: int, _size: int, _advice: int
) -> int:
    system.descriptors[descriptor]
    return 0


def fchmod(system: System, _memory: GuestMemory, descriptor: int, mode: int) -> int:
    os.fchmod(system.descriptors[descriptor].writable_file(), mode & 0o777)
    return 0


def dup(system: System, _memory: GuestMemory, descriptor: int) -> int:
    return system.descriptors.add(system.descriptors[descriptor])


def dup2(system: System, _memory: GuestMemory, descriptor: int, number: int) -> int:
    description = system.descriptors[descriptor]
    return number if descriptor == number else system.descriptors.replace(number, description)


def dup3(system: System, _memory: GuestMemory, descriptor: int, number: int, flags: int) -> int:
    description = system.descriptors[descriptor]
    if descriptor == number or flags & ~os.O_CLOEXEC:
        raise failure(errno.EINVAL)
    return system.descriptors.replace(number, description, close_on_exec=bool(flags))


def ioctl(system: System, memory: GuestMemory, descriptor: int, request: int, argument: int) -> int:
    description = system.descriptors[descriptor]
    if isinstance(description, KernelObject):
        return _control(system, description, memory, request & 0xFFFFFFFF, argument)
    size = description.terminal_size()
    if size is None:
        raise failure(errno.ENOTTY)
    if request & 0xFFFFFFFF != TIOCGWINSZ:
        raise failure(errno.EINVAL)
    memory.write(argument & U64, struct.pack("<4H", size.lines, size.columns, 0, 0))
    return 0


def _control(
    system: System, description: KernelObject, memory: GuestMemory, request: int, argument: int
) -> int:
    if request == FIONBIO:
        waits = not any(memory.read(argument & U64, 4))
        description.status_flags = description.status_flags & ~os.O_NONBLOCK | (0 if waits else os.O_NONBLOCK)
        system.descriptors.refresh(description)
    elif request == FIONREAD and isinstance(description, Stream):
        memory.write(argument & U64, description.unread_bytes().to_bytes(4, "little"))
    elif request != FIOASYNC:
        raise failure(errno.ENOTTY)
    return 0


def fcntl_(system: System, memory: GuestMemory, descriptor: int, command: int, argument: int) -> int:
    table = system.descriptors
    description = table[descriptor]
    match command:
        case fcntl.F_DUPFD | fcntl.F_DUPFD_CLOEXEC:
            keeps = command == fcntl.F_DUPFD
            return table.add(description, lowest=argument, close_on_exec=not keeps)
        case fcntl.F_GETFD:
            return int(table.is_close_on_exec(descriptor))
        case fcntl.F_SETFD:
            table.set_close_on_exec(descriptor, bool(argument & 1))
            return 0
        case fcntl.F_GETFL:
            large = O_LARGEFILE if description.host_descriptor() is not None else 0
            return description.status_flags | large
        case fcntl.F_SETFL:
            return _set_flags(system, description, argument)
        case fcntl.F_GETLK | fcntl.F_SETLK | fcntl.F_SETLKW:
            return _lock(system, memory, description, command, argument)
    raise failure(errno.EINVAL)


def _set_flags(system: System, description: Description, flags: int) -> int:
    """O_APPEND is real for files, and O_NONBLOCK for what has to be waited for."""
    if isinstance(description, KernelObject):
        kept = description.status_flags & ~os.O_NONBLOCK
        description.status_flags = kept | flags & os.O_NONBLOCK
    elif isinstance(description, HostFile):
        kept = description.status_flags & ~MUTABLE_FLAGS
        number = description.host_descriptor()
        if number is not None:
            host = fcntl.fcntl(number, fcntl.F_GETFL)
            fcntl.fcntl(number, fcntl.F_SETFL, host & ~os.O_APPEND | flags & os.O_APPEND)
        description.status_flags = kept | flags & MUTABLE_FLAGS
    system.descriptors.refresh(description)
    return 0


def _lock(system: System, memory: GuestMemory, description: Description, command: int, argument: int) -> int:
    """Record locks, as locks of the open file, since all sandboxes of a process share its process locks.

    Waiting for one answers -EINTR, upon which the guest asks again. Who may only read holds nobody up: a
    shared lock is had if nobody excludes it, and is not kept. A process that holds one has no number here: 0,
    as the kernel tells of those outside of one's PID namespace. -1 is an open file.
    """
    number, lockable = description.host_descriptor(), description.lockable_file()
    if number is None:
        raise failure(errno.EINVAL)
    kind, whence, start, length, _ = FLOCK.unpack(memory.read(argument & U64, FLOCK.size))
    request = FLOCK.pack(kind, whence, start, length, 0)
    if command != fcntl.F_GETLK:
        if lockable is None:
            return _without_locking(system, number, command, request)
        _require_few_locks(description, number, kind)
    try:
        result = fcntl.fcntl(number, F_OFD_GETLK if command == fcntl.F_GETLK else F_OFD_SETLK, request)
    except (BlockingIOError, PermissionError):
        raise _locked(system, command == fcntl.F_SETLKW) from None
    if command == fcntl.F_GETLK:
        *lock, owner = FLOCK.unpack(result)
        memory.write(argument & U64, FLOCK.pack(*lock, min(owner, 0)))
    return 0


def _require_few_locks(description: Description, number: int, kind: int) -> None:
    """Raises ENOLCK. One call makes up to two more. Giving back a part of a lock makes two of it, too, and
    goes on for a while longer."""
    if description.uncounted_locks > 0:
        description.uncounted_locks -= 1
        return
    with open(f"/proc/self/fdinfo/{number}", "rb") as lines:
        count = sum(line.startswith(b"lock:") for line in lines)
    if count >= LOCKS_MAX * (2 if kind == fcntl.F_UNLCK else 1):
        raise failure(errno.ENOLCK)
    description.uncounted_locks = (LOCKS_MAX - count) // 2 - 1


def _locked(system: System, waits: bool) -> OSError:
    """Whoever waits for a lock asks again after a while."""
    if waits:
        system.clock.sleep(LOCK_PAUSE_NS)
    return failure(errno.EINTR if waits else errno.EAGAIN)


def _without_locking(system: System, number: int, command: int, request: bytes) -> int:
    kind = FLOCK.unpack(request)[0]
    if kind == fcntl.F_UNLCK:
        return 0
    if kind != fcntl.F_RDLCK:
        raise failure(errno.EBADF)
    if FLOCK.unpack(fcntl.fcntl(number, F_OFD_GETLK, request))[0] != fcntl.F_UNLCK:
        raise _locked(system, command == fcntl.F_SETLKW)
    return 0


def flock(system: System, _memory: GuestMemory, descriptor: int, operation: int) -> int:
    """As record locks, but nothing tells whether one could be had: who may only read has a shared one."""
    number = system.descriptors[descriptor].lockable_file()
    waits = not operation & fcntl.LOCK_NB
    wanted = operation & ~fcntl.LOCK_NB
    if wanted not in (fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN):
        raise failure(errno.EINVAL)
    if number is None:
        if wanted == fcntl.LOCK_EX:
            raise failure(errno.EBADF)
        return 0
    try:
        fcntl.flock(number, wanted | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _locked(system, waits) from None
    return 0
