"""Template: contents made ready for windows, and the used windows that hold them again."""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from collections.abc import Callable

from tmebox import _native, abi
from tmebox.memory.contents import Contents

PAGE = abi.PAGE_SIZE
SHARED_AT_LEAST = 64 * abi.KIB
"""Smaller read-only data is copied, where it is used."""
F_ADD_SEALS = 1033
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE = 1, 2, 4, 8


class Template:
    """What windows of one kind hold at first. Shared by all that start so; made by the window pool.

    `parked` are (base, pages present) of windows without an owner that hold exactly this.
    """

    def __init__(
        self,
        contents: Contents,
        native: _native.Template | None,
        drain: Callable[[list[tuple[int, int]]], None],
    ) -> None:
        """native: None where windows are filled by copying. drain: takes the parked windows at the end."""
        self.contents = contents
        self.native = native
        self.parked: list[tuple[int, int]] = []
        self._drain = drain

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._drain(self.parked)


def native_template(contents: Contents) -> _native.Template:
    """The contents as whole pages, which the fault handler can install one by one."""
    layout = contents.layout
    end = max((offset + len(data) for offset, data in contents.data), default=abi.IMAGE_START)
    pages = -(-(end - abi.IMAGE_START) // PAGE)
    present = bytearray(-(-pages // 8))
    for offset, data in contents.data:
        start = offset - abi.IMAGE_START
        for page in range(start // PAGE, -(-(start + len(data)) // PAGE)):
            present[page // 8] |= 1 << page % 8
    shared = any(stop - start >= SHARED_AT_LEAST for start, stop in layout.read_only)
    make = _shared_image if shared else _private_image
    image = make(contents, pages * PAGE) if pages else b""
    return _native.Template(
        layout.stack_low, layout.heap_start, layout.heap_end, layout.read_only, image, bytes(present), shared
    )


def _private_image(contents: Contents, size_bytes: int) -> mmap.mmap:
    """Anonymous memory: what lies between the data takes none."""
    image = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset, data in contents.data:
        start = offset - abi.IMAGE_START
        image[start : start + len(data)] = data
    return image


def _shared_image(contents: Contents, size_bytes: int) -> mmap.mmap:
    """Pages that can be mapped into every window, and that nobody can write any more. Raises OSError."""
    file = os.memfd_create("tmebox-image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(file, size_bytes)
        for offset, data in contents.data:
            view, place = memoryview(data), offset - abi.IMAGE_START
            while view:
                written = os.pwrite(file, view, place)
                view, place = view[written:], place + written
        fcntl.fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
        return mmap.mmap(file, size_bytes, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    finally:
        os.close(file)


def blank_template(contents: Contents) -> _native.Template:
    """The same layout with nothing in it."""
    layout = contents.layout
    return _native.Template(layout.stack_low, layout.heap_start, layout.heap_end, layout.read_only, b"", b"")
