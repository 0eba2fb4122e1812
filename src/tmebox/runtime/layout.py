"""Filling a window: where stack, control page, image and heap go for one sandbox, and mapping them."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.windows import Window
from tmebox.runtime.module import Module

UNITS = {"": 1, "b": 1, "k": abi.KIB, "kb": 1000, "kib": abi.KIB, "m": abi.MIB, "mb": 10**6, "mib": abi.MIB,
         "g": abi.GIB, "gb": 10**9, "gib": abi.GIB}  # fmt: skip
LARGEST_STACK = abi.STACK_TOP - abi.STACK_LOWEST
SMALLEST_STACK = 16 * abi.KIB
READ_WRITE = _native.PROT_READ | _native.PROT_WRITE


def parse_size(size: int | str, what: str) -> int:
    """Bytes from 4096, "64MiB", "1 GB" and the like. Raises ValueError or TypeError naming `what`."""
    if isinstance(size, bool) or not isinstance(size, (int, str)):
        raise TypeError(f"{what} is a number of bytes or a size like '64MiB', not {size!r}")
    if isinstance(size, int):
        return size
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", size)
    if not match or match[2].lower() not in UNITS:
        raise ValueError(f"{what}: {size!r} is not a size; write 65536, '64KiB', '64MiB' or '1GiB'")
    return int(float(match[1]) * UNITS[match[2].lower()])


@dataclass(frozen=True)
class Layout:
    """Offsets of one sandbox's parts. The image and the heap together have `memory_bytes`."""

    stack_low: int
    heap_start: int
    heap_end: int
    read_only: tuple[tuple[int, int], ...]


def plan_layout(module: Module, memory_bytes: int, stack_bytes: int) -> Layout:
    """Raises LimitError when the sizes are impossible."""
    image_bytes = module.image_end - abi.IMAGE_START
    largest = abi.PRIVATE_END - abi.IMAGE_START
    if not 0 < memory_bytes <= largest:
        raise LimitError(f"memory={memory_bytes:,} bytes: a sandbox has between 1 byte and {largest:,} bytes")
    if image_bytes > memory_bytes:
        raise LimitError(
            f"memory={memory_bytes:,} bytes: the module's own data takes {image_bytes:,} bytes, so raise it"
        )
    if not SMALLEST_STACK <= stack_bytes <= LARGEST_STACK:
        raise LimitError(
            f"stack={stack_bytes:,} bytes: between {SMALLEST_STACK:,} and {LARGEST_STACK:,} bytes"
        )
    page = abi.PAGE_SIZE
    heap_end = max(module.image_end, (abi.IMAGE_START + memory_bytes) // page * page)
    read_only = [(abi.CONTROL_PAGE, abi.CONTROL_PAGE + page)]
    for segment in module.segments:
        if not segment.writable and segment.size_bytes:
            read_only.append((segment.offset, segment.offset + -(-segment.size_bytes // page) * page))
    return Layout(abi.STACK_TOP - stack_bytes // page * page, module.image_end, heap_end, tuple(read_only))


def fill_window(window: Window, module: Module, layout: Layout) -> None:
    """Map and initialise everything: fresh zeros, then the image, then read-only parts made so."""
    window.map(layout.stack_low, layout.heap_end - layout.stack_low, READ_WRITE)
    base = window.base
    control = struct.pack(
        "<5Q", base, layout.heap_start, layout.heap_end, layout.stack_low, abi.STACK_TOP
    ) + os.urandom(16)
    _native.write(base + abi.CONTROL_PAGE, control)
    for segment in module.segments:
        if segment.data:
            _native.write(base + segment.offset, segment.data)
    for start, end in layout.read_only:
        window.protect(start, end - start, _native.PROT_READ)
