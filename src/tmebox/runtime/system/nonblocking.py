"""Reading and writing on descriptors of the host's without ever waiting.

O_NONBLOCK belongs to the open file, which other processes and the host's own code share, so it is not
touched. A socket takes it with each operation. A pipe or a terminal is opened anew, for the length of one
operation, which gives an open file of our own. For what is left, poll() says whether to go on.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import stat
from contextlib import suppress

from tmebox import _native
from tmebox.runtime.system.calls import failure

RECEIVE_MAX = SEND_MAX = 1 << 16
POLLED_MAX = select.PIPE_BUF
"""Bytes that are written to what has to be polled: a pipe that is ready takes so many."""
PTMX = os.makedev(5, 2)
"""Opened anew, it is another terminal."""

NEVER_WAIT = frozenset(os.makedev(1, minor) for minor in (3, 5, 7, 9))
"""/dev/null, zero, full and urandom, by device number."""

_libc = ctypes.CDLL(None, use_errno=True)


def read(descriptor: int, size_bytes: int) -> bytes | None:
    """At most so many bytes, none at the end; None if there is nothing now. Raises OSError."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or not _is_open_for(descriptor, os.O_RDONLY):
        return os.read(descriptor, size_bytes)
    if stat.S_ISSOCK(mode):
        return _receive(descriptor, min(size_bytes, RECEIVE_MAX))
    own = reopened(descriptor, os.O_RDONLY)
    if own is None and not ready(descriptor, select.POLLIN):
        return None
    try:
        return os.read(descriptor if own is None else own, size_bytes)
    except BlockingIOError:
        return None
    finally:
        if own is not None:
            os.close(own)


def write(descriptor: int, data: memoryview) -> int | None:
    """How many bytes were written; None if there is no room now. Raises OSError."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or not _is_open_for(descriptor, os.O_WRONLY):
        return os.write(descriptor, data)
    if stat.S_ISSOCK(mode):
        return _send(descriptor, data)
    own = reopened(descriptor, os.O_WRONLY)
    if own is None:
        if not ready(descriptor, select.POLLOUT):
            return None
        data = data[:POLLED_MAX]
    try:
        return _native.write_quietly(descriptor if own is None else own, data)
    except (BlockingIOError, InterruptedError):
        return None
    finally:
        if own is not None:
            os.close(own)


def ready(descriptor: int, events: int, wait_ms: float = 0) -> bool:
    """Whether it can be read or written now, or would fail, after at most so long a wait."""
    poll = select.poll()
    poll.register(descriptor, events)
    return bool(poll.poll(wait_ms))


def may_wait(descriptor: int) -> bool:
    """Whether reading or writing can have to wait for somebody. What was closed does not."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    never = stat.S_ISCHR(status.st_mode) and status.st_rdev in NEVER_WAIT
    return not never and not stat.S_ISREG(status.st_mode)


def _is_open_for(descriptor: int, access: int) -> bool:
    """Otherwise the kernel refuses at once; but it would open the other end of a pipe anew."""
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE in (access, os.O_RDWR)


def reopened(descriptor: int, access: int) -> int | None:
    """The same pipe or terminal, in an open file that does not wait; None where that cannot be had. Raises
    OSError for what is not open."""
    status = os.fstat(descriptor)
    terminal = stat.S_ISCHR(status.st_mode) and status.st_rdev != PTMX and os.isatty(descriptor)
    if not stat.S_ISFIFO(status.st_mode) and not terminal:
        return None
    with suppress(OSError):
        flags = access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    return None


def _receive(descriptor: int, size_bytes: int) -> bytes | None:
    buffer = ctypes.create_string_buffer(size_bytes)
    count = _libc.recv(descriptor, buffer, ctypes.c_size_t(size_bytes), socket.MSG_DONTWAIT)
    return None if _would_wait(count) else buffer.raw[:count]


def _send(descriptor: int, data: memoryview) -> int | None:
    flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
    piece = bytes(data[:SEND_MAX])
    count: int = _libc.send(descriptor, piece, ctypes.c_size_t(len(piece)), flags)
    return None if _would_wait(count) else count


def _would_wait(result: int) -> bool:
    if result >= 0:
        return False
    error = failure(ctypes.get_errno())
    if isinstance(error, BlockingIOError):
        return True
    raise error
