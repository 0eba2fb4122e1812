"""The addresses of the code region and of its target map. They are reserved when tmebox is imported, before
other libraries can have them, or the growing heap of a host that is not position-independent.

Imported with tmebox itself, so it imports next to nothing.
"""

from __future__ import annotations

from contextlib import suppress

from tmebox import _native, abi

MAP_SIZE = abi.TARGET_MAP_END - abi.GATE_BASE
"""Every address above the code that a check may read, and the gates: without all of it nothing can run."""
CODE = "the code region's addresses (1 to 2 GiB)"
_reserved: list[int] = []


def reserve() -> int:
    """The lowest address of the region that is ours; those from there up to GATE_BASE are, too. Idempotent.
    Raises LimitError."""
    try:
        return _reserve()
    except OSError as error:
        from tmebox.errors import LimitError  # not at the import of tmebox: it brings much with it

        raise LimitError(
            f"{error.filename} could not be reserved ({error.strerror}), neither when tmebox was imported "
            "nor now: import it before libraries that map low addresses, use a Python that is "
            "position-independent, and check `ulimit -v`"
        ) from error


def reserve_early() -> None:
    """At the import. What is missing now may be there when a module is loaded, and is asked for again."""
    with suppress(OSError):
        _reserve()


def _reserve() -> int:
    """Raises OSError, with what is not to be had as its file name."""
    if not _reserved:
        try:
            _native.reserve(abi.GATE_BASE, MAP_SIZE)
        except OSError as error:
            error.filename = f"host addresses {abi.GATE_BASE:#x}-{abi.TARGET_MAP_END:#x}"
            raise
        low = abi.GATE_BASE
        try:
            low = _reserve_code()
            _native.install_gates()
        except OSError as error:
            error.filename = CODE
            _native.unmap(low, abi.TARGET_MAP_END - low)
            raise
        _reserved.append(low)
    return _reserved[0]


def _reserve_code() -> int:
    """Reserve up to GATE_BASE from as low as is free: the heap of a host that is not position-independent may
    reach into the region's lower end."""
    low = abi.CODE_BASE
    while True:
        try:
            return _native.reserve(low, abi.GATE_BASE - low)
        except FileExistsError:
            end = -(-_highest_mapping_end(abi.GATE_BASE) // abi.TEXT_ALIGN) * abi.TEXT_ALIGN
            low = max(low, end) + abi.TEXT_ALIGN
            if low >= abi.GATE_BASE:
                raise


def _highest_mapping_end(below: int) -> int:
    ends = [0]
    with open("/proc/self/maps") as file:
        for line in file:
            start, end = (int(part, 16) for part in line.split(maxsplit=1)[0].split("-"))
            if start < below:
                ends.append(min(end, below))
    return max(ends)
