"""What sandboxes take of the machine, and how much of it there is."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

from tmebox import _native, abi
from tmebox.memory.shortage import addresses_left, mappings, memory
from tmebox.memory.windows import WINDOWS

PAGE_TABLES = 2
"""Of a window that is in use: one page of each of the two lowest levels."""
VIEW_TABLES = 2
"""Of a window's view of a shared heap, which is far from the rest."""
PAGES_OF_A_TABLE = 512
"""More than these take another table."""
PLAIN_MAPPINGS = 8
"""Of one sandbox, where each has its own."""


@dataclass(frozen=True)
class Limit:
    """`used` of at most `most`; both estimates, for what other parts of the process take is not known.
    `advice` says how to raise it."""

    used: int
    most: int
    advice: str


@dataclass(frozen=True)
class Limits:
    """What ends the number of sandboxes: windows alive at once, bytes of memory, file descriptors, mappings.
    `substrate` is how their pages come and go, "userfault" or "plain"."""

    substrate: str
    windows: Limit
    memory: Limit
    descriptors: Limit
    mappings: Limit


@dataclass(frozen=True)
class Stats:
    """Windows reserved so far, with a sandbox (or a view that outlives it), and ready with the contents of a
    former one; bytes in memory for all of them (None where only the system knows), and, estimated, for their
    page tables; traps since the process began."""

    windows_reserved: int
    windows_live: int
    windows_recycled: int
    resident_bytes: int | None
    page_table_bytes: int
    traps: int


def stats() -> Stats:
    """Figures of this process, at this moment."""
    userfault = WINDOWS.substrate.name == "userfault"
    windows, pages = _native.resident_pages() if userfault else (WINDOWS.live, 0)
    return Stats(
        windows_reserved=WINDOWS.reserved,
        windows_live=WINDOWS.live,
        windows_recycled=WINDOWS.recycled,
        resident_bytes=pages * abi.PAGE_SIZE if userfault else None,
        page_table_bytes=(
            windows * PAGE_TABLES + _native.heap_views() * VIEW_TABLES + pages // PAGES_OF_A_TABLE
        )
        * abi.PAGE_SIZE,
        traps=_native.trap_count(),
    )


def limits() -> Limits:
    """How far sandboxes can go on this machine, and what to do about it."""
    substrate = WINDOWS.substrate.name
    used_mappings, most_mappings = mappings()
    windows = WINDOWS.reserved + addresses_left(writable=substrate == "userfault") // abi.WINDOW_SIZE
    if substrate == "plain":
        windows = min(windows, WINDOWS.live + max(0, most_mappings - used_mappings) // PLAIN_MAPPINGS)
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    total, available = memory()
    return Limits(
        substrate,
        Limit(WINDOWS.live, windows, f"the limit is {WINDOWS.substrate.windows_limit}"),
        Limit(total - available, total, "close sandboxes, give them less memory=, or add memory"),
        Limit(len(os.listdir("/proc/self/fd")), descriptors, "ulimit -n, for sandboxes with directories"),
        Limit(used_mappings, most_mappings, "sysctl vm.max_map_count"),
    )
