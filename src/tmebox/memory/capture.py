"""Finding what a sandbox has written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tmebox import _native, abi
from tmebox.memory.contents import Contents, Layout

PAGE = abi.PAGE_SIZE
ZEROS = bytes(PAGE)
PAGEMAP = Path("/proc/self/pagemap")
PRESENT_OR_SWAPPED = np.uint64(3 << 62)
"""Bits 63 and 62 of an entry; any process sees these of its own."""


def written_pages(base: int, contents: Contents) -> tuple[tuple[int, bytes], ...]:
    """(offset, page) of the writable image and the heap that hold anything but zeros, ascending. Nobody may
    be running in the window."""
    pages: list[tuple[int, bytes]] = []
    untouched = {offset // PAGE * PAGE for offset in _data_pages(contents)}
    for start, end in _writable(contents.layout):
        places = {*_present(base, start, end), *(page for page in untouched if start <= page < end)}
        for offset in sorted(places):
            data = _native.read(base + offset, PAGE)
            if data != ZEROS:
                pages.append((offset, data))
    return tuple(pages)


def resident_bytes(base: int, layout: Layout) -> int:
    """How much memory a sandbox's image, heap and stack have."""
    return sum(len(_present(base, start, end)) for start, end in layout.parts) * PAGE


def _data_pages(contents: Contents) -> list[int]:
    """Pages that have first contents: they may not have been touched, and count all the same."""
    return [
        page
        for offset, data in contents.data
        for page in range(offset // PAGE * PAGE, offset + len(data), PAGE)
    ]


def _writable(layout: Layout) -> list[tuple[int, int]]:
    """The image and the heap without what is read-only."""
    parts, start = [], abi.IMAGE_START
    for read_only_start, read_only_end in sorted(layout.read_only):
        if start < read_only_start:
            parts.append((start, read_only_start))
        start = max(start, read_only_end)
    parts.append((start, layout.heap_end))
    if layout.upper_end:
        parts.append((layout.upper_start, layout.upper_end))
    return parts


def _present(base: int, start: int, end: int) -> list[int]:
    """Offsets of the pages in [start, end) that are in memory or swapped out; all, if nobody says."""
    count = (end - start) // PAGE
    try:
        with PAGEMAP.open("rb", buffering=0) as file:
            file.seek((base + start) // PAGE * 8)
            entries = np.frombuffer(file.read(8 * count), np.uint64)
    except OSError:
        entries = np.zeros(0, np.uint64)
    if len(entries) < count:
        return list(range(start, end, PAGE))
    return [start + int(index) * PAGE for index in np.flatnonzero(entries & PRESENT_OR_SWAPPED)]
