"""What the core may do with a guest's descriptors without asking Python: see native/enter/datapath.h."""

from __future__ import annotations

from dataclasses import dataclass

READS, WRITES, SOCKET, FILE, EPOLL, APPENDS, WAITS = (1 << bit for bit in range(7))
"""SOCKET: moved with recv() and send(). FILE: a regular file. WAITS: what cannot be done now is Python's."""
NO_LIMIT = (1 << 63) - 1


@dataclass(frozen=True)
class DataPath:
    """host: a descriptor that stays what it is as long as its description is open. limit: bytes that a file
    may grow to."""

    host: int
    flags: int
    limit: int = NO_LIMIT
