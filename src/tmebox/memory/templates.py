"""Template: contents made ready for windows, and the used windows that hold them again."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable

from tmebox import _native, abi
from tmebox.memory.contents import Contents

PAGE = abi.PAGE_SIZE


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
    # Anonymous memory: what lies between the data takes none.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    image: mmap.mmap | bytes = mmap.mmap(-1, pages * PAGE, flags=flags) if pages else b""
    for offset, data in contents.data:
        start = offset - abi.IMAGE_START
        image[start : start + len(data)] = data  # type: ignore[index]
        for page in range(start // PAGE, -(-(start + len(data)) // PAGE)):
            present[page // 8] |= 1 << page % 8
    return _native.Template(
        layout.stack_low, layout.heap_start, layout.heap_end, layout.read_only, image, bytes(present)
    )


def blank_template(contents: Contents) -> _native.Template:
    """The same layout with nothing in it, all writable."""
    layout = contents.layout
    return _native.Template(layout.stack_low, layout.heap_start, layout.heap_end, (), b"", b"")
