"""Which of the system's limits was met: the number of the error does not say."""

from __future__ import annotations

import errno
import resource
from pathlib import Path

from tmebox import abi

ADDRESSES_BYTES = 1 << 47
"""What a process has of them on x86-64."""
FEW_MAPPINGS = 16
"""With no more than so many left, it was they that were missing."""
ADDRESS_LIMITS = (("VmSize", resource.RLIMIT_AS, "ulimit -v"), ("VmData", resource.RLIMIT_DATA, "ulimit -d"))
NEVER_OVERCOMMIT = "2"
UNKNOWN = (
    "memory, the address space or the number of mappings: close sandboxes, or raise `ulimit -v`, `ulimit -d` "
    "or vm.max_map_count"
)


def limit_met(error: OSError, needed_bytes: int) -> str:
    """The limit, and how to raise it. needed_bytes: how much address space was asked for."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "the number of file descriptors: close some, or raise `ulimit -n`"
    try:
        used, most = mappings()
        sizes = _sizes("/proc/self/status")
        overcommit = Path("/proc/sys/vm/overcommit_memory").read_text().strip()
    except (OSError, MemoryError):
        return UNKNOWN
    if used + FEW_MAPPINGS > most:
        return f"the number of mappings: close sandboxes, or raise vm.max_map_count, now {most:,}"
    for field, kind, command in ADDRESS_LIMITS:
        most, _ = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY and sizes[f"{field}:"] + needed_bytes > most:
            return f"the address space: close sandboxes, or raise `{command}`, now {most // abi.KIB:,}"
    if overcommit == NEVER_OVERCOMMIT:
        return "memory: close sandboxes, give them less memory=, or set vm.overcommit_memory to 0"
    return "memory: close sandboxes, give them less memory=, or add memory"


def addresses_left(*, writable: bool) -> int:
    """Bytes of them that this process may still map, or map so that they can be written."""
    sizes = _sizes("/proc/self/status")
    left = [ADDRESSES_BYTES - sizes["VmSize:"]]
    for field, kind, _ in ADDRESS_LIMITS[: 1 + writable]:
        most, _ = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            left.append(most - sizes[f"{field}:"])
    return max(0, min(left))


def mappings() -> tuple[int, int]:
    """How many this process has, and may have."""
    used = 0
    with Path("/proc/self/maps").open("rb", buffering=0) as file:
        while piece := file.read(abi.PAGE_SIZE):  # there may be no memory for all of it
            used += piece.count(b"\n")
    return used, most_mappings()


def most_mappings() -> int:
    """That a process may have."""
    return int(Path("/proc/sys/vm/max_map_count").read_text())


def memory() -> tuple[int, int]:
    """Bytes of the machine, and those available."""
    sizes = _sizes("/proc/meminfo")
    return sizes["MemTotal:"], sizes["MemAvailable:"]


def _sizes(path: str) -> dict[str, int]:
    """The lines that say so many kB, in bytes."""
    rows = (line.split() for line in Path(path).read_text().splitlines())
    return {row[0]: int(row[1]) * abi.KIB for row in rows if len(row) == 3 and row[2] == "kB"}
