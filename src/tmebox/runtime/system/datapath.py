"""What the core may do with a guest's descriptors without asking Python: see native/enter/datapath.h."""

from __future__ import annotations

from dataclasses import dataclass

READS, WRITES, SOCKET, FILE, EPOLL, APPENDS, WAITS, LISTENS, CONNECTION = (1 << bit for bit in range(9))
"""SOCKET: moved with recv() and send(). FILE: a regular file. WAITS: what cannot be done now is Python's.
LISTENS: a listening socket. CONNECTION: a TCP connection that was accepted."""
CLOEXEC, PLACED = 1024, 2048
"""PLACED: the guest may move and choose the position in it."""
NO_LIMIT = (1 << 63) - 1


@dataclass(frozen=True)
class DataPath:
    """host: a descriptor that stays what it is as long as its description is open. limit: bytes that a file
    may grow to. mount: the device that the guest sees a file on; 0: Python tells its status."""

    host: int
    flags: int
    limit: int = NO_LIMIT
    mount: int = 0
