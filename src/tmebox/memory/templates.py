"""Template: contents made ready for windows, and the used windows that hold them again."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from tmebox import _native, abi
from tmebox.memory.contents import Contents, Layout
from tmebox.once import once

PAGE = abi.PAGE_SIZE
NO_RESERVE = 0x4000
"""MAP_NORESERVE: a large heap is sparse."""
SHARED_AT_LEAST = 64 * abi.KIB
"""Smaller read-only data is copied, where it is used."""


class Template:
    """What windows of one kind hold at first. Shared by all that start so; made by the window pool.

    `parked` are the windows without an owner that hold exactly this; each weighs as much as it has pages.
    """

    def __init__(
        self,
        contents: Contents,
        prepare: Callable[[Contents], _native.Template | None],
        parked: _native.Shelf[Any],
        drain: Callable[[Template], None],
        generation: int,
    ) -> None:
        """prepare: makes `native`. drain: takes parked windows at the end. generation: of the process that
        these are in, which a fork makes another one."""
        self.contents = contents
        self.parked = parked
        self._prepare = prepare
        self._drain = drain
        self.generation = generation

    @once
    def native(self) -> _native.Template | None:
        """The contents as the core has them; None where windows are filled by copying. Raises LimitError."""
        return self._prepare(self.contents)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("what sandboxes start with is not copied or pickled: a snapshot has to_bytes()")

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """At the interpreter's end, when this file's globals may be gone already, nothing."""
        if not is_finalizing():
            self._drain(self)


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
    return _make(layout, image, bytes(present), shared)


def _private_image(contents: Contents, size_bytes: int) -> mmap.mmap:
    """Anonymous memory: what lies between the data takes none."""
    image = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
    _fill(image, contents)
    return image


def _shared_image(contents: Contents, size_bytes: int) -> mmap.mmap:
    """Pages that can be mapped into every window, where nobody can write them. No file that has a number:
    others could close it, and have another file there, before it is filled. Raises OSError."""
    image = mmap.mmap(-1, size_bytes, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    _fill(image, contents)
    _native.protect(_native.buffer_address(image)[0], size_bytes, _native.PROT_READ)
    return image


def _fill(image: mmap.mmap, contents: Contents) -> None:
    for offset, data in contents.data:
        start = offset - abi.IMAGE_START
        image[start : start + len(data)] = data


def blank_template(contents: Contents) -> _native.Template:
    """The same layout with nothing in it."""
    return _make(contents.layout, b"", b"", False)


def _make(layout: Layout, image: bytes | mmap.mmap, present: bytes, shared: bool) -> _native.Template:
    return _native.Template(
        layout.arrays_low, layout.heap_start, layout.heap_end, layout.read_only, image, present, shared,
        layout.stack_top, layout.upper_start, layout.upper_end, layout.stack_low,
    )  # fmt: skip
