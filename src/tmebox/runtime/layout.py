"""Where stack, control page, image and heap go for the sandboxes of a module."""

from __future__ import annotations

import operator
import re
import struct

from tmebox import abi
from tmebox.errors import LimitError
from tmebox.memory.contents import Contents, Layout
from tmebox.modulefile.snapshot import Pages
from tmebox.runtime.module import Module

DEFAULT_MEMORY = "64MiB"
DEFAULT_STACK = "8MiB"
UNITS = {"": 1, "b": 1, "k": abi.KIB, "kb": 1000, "kib": abi.KIB, "m": abi.MIB, "mb": 10**6, "mib": abi.MIB,
         "g": abi.GIB, "gb": 10**9, "gib": abi.GIB}  # fmt: skip
LARGEST_STACK = abi.SHARED_END - abi.SHARED_START
"""A stack above the arena, and all that can be there. No shared heap is then."""
LARGEST_PRIVATE_STACK = abi.PRIVATE_END - abi.GUARD - 80 * abi.MIB
"""What is left of the private part is for the module's data and the beginning of its heap."""
LARGEST_LOW_STACK = abi.STACK_TOP - abi.STACK_LOWEST
SMALLEST_LOWER_HEAP = abi.MIB
"""What the guest's C library keeps at the heap's beginning: which pages are in use."""
LARGEST_MEMORY = abi.PRIVATE_END - abi.IMAGE_START + abi.SHARED_END - abi.UPPER_LOWEST
UPPER_ROOM = abi.SHARED_END - abi.UPPER_LOWEST
SMALLEST_ARRAYS = 8 * abi.MIB
SMALLEST_STACK = 16 * abi.KIB
PAGE = abi.PAGE_SIZE


def parse_size(size: int | str, what: str) -> int:
    """Bytes from 4096, "64MiB", "1 GB" and the like. Raises ValueError or TypeError naming `what`."""
    if not isinstance(size, str):
        if isinstance(size, bool) or not hasattr(type(size), "__index__"):
            raise TypeError(f"{what} is a number of bytes or a size like '64MiB', not {size!r}")
        return operator.index(size)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", size)
    if not match or match[2].lower() not in UNITS:
        raise ValueError(f"{what}: {size!r} is not a size; write 65536, '64KiB', '64MiB' or '1GiB'")
    return int(float(match[1]) * UNITS[match[2].lower()])


def lay_out(module: Module, memory_bytes: int, stack_bytes: int) -> Layout:
    """Raises LimitError when the sizes are impossible."""
    image_bytes = module.image_end - abi.IMAGE_START
    if not 0 < memory_bytes <= LARGEST_MEMORY:
        raise LimitError(
            f"memory={memory_bytes:,} bytes: a sandbox has between 1 byte and {LARGEST_MEMORY:,} bytes"
        )
    if image_bytes > memory_bytes:
        raise LimitError(
            f"memory={memory_bytes:,} bytes: the module's own data takes {image_bytes:,} bytes, so raise it"
        )
    if not SMALLEST_STACK <= stack_bytes <= LARGEST_STACK:
        raise LimitError(
            f"stack={stack_bytes:,} bytes: between {SMALLEST_STACK:,} and {LARGEST_STACK:,} bytes"
        )
    stack_bytes = stack_bytes // PAGE * PAGE
    stack_top, heap_end, upper_start, upper_end, arrays_bytes = _place(module, memory_bytes, stack_bytes)
    read_only = []
    for segment in module.segments:
        if not segment.writable and segment.size_bytes:
            read_only.append((segment.offset, segment.offset + -(-segment.size_bytes // PAGE) * PAGE))
    return Layout(
        stack_top - stack_bytes,
        module.image_end,
        heap_end,
        tuple(read_only),
        memory_bytes,
        stack_top,
        upper_start,
        upper_end,
        arrays_bytes,
    )


def _place(module: Module, memory_bytes: int, stack_bytes: int) -> tuple[int, int, int, int, int]:
    """(stack_top, heap_end, upper_start, upper_end, arrays_bytes)"""
    if stack_bytes <= _most_private_stack(module):
        twice = 2 * stack_bytes + 2 * abi.GUARD + SMALLEST_LOWER_HEAP
        fits_twice = twice <= abi.PRIVATE_END - module.image_end
        if module.arrays is None or fits_twice:
            return _in_private_part(module, memory_bytes, stack_bytes)
        try:
            return _above(module, memory_bytes, stack_bytes)
        except LimitError:
            return _in_private_part(module, memory_bytes, stack_bytes)
    return _above(module, memory_bytes, stack_bytes)


def _most_private_stack(module: Module) -> int:
    """What the private part has room for, beside the module's data."""
    arrays = abi.GUARD + SMALLEST_ARRAYS if module.arrays is not None else 0
    return min(LARGEST_PRIVATE_STACK, abi.PRIVATE_END - abi.GUARD - module.image_end - arrays)


def _wanted_arrays(module: Module, stack_bytes: int) -> int:
    """For arrays of variable size as much as for the stack, where a module has any that are not on it."""
    return stack_bytes if module.arrays is not None else 0


def _arrays(wanted_bytes: int, room_bytes: int) -> int:
    """What they get, if so much is left."""
    return max(0, min(wanted_bytes, room_bytes // PAGE * PAGE))


def _wanted_end(module: Module, memory_bytes: int) -> int:
    """Where the heap would end in one piece."""
    return max(module.image_end, (abi.IMAGE_START + memory_bytes) // PAGE * PAGE)


def _in_private_part(module: Module, memory_bytes: int, stack_bytes: int) -> tuple[int, int, int, int, int]:
    """(stack_top, heap_end, upper_start, upper_end, arrays_bytes): what of the heap has no room is at the
    window's end."""
    stack_top, private_end, arrays_bytes = abi.STACK_TOP, abi.PRIVATE_END, _wanted_arrays(module, stack_bytes)
    with_arrays = stack_bytes + (arrays_bytes + abi.GUARD if arrays_bytes else 0)
    wanted_end = _wanted_end(module, memory_bytes)
    if with_arrays > LARGEST_LOW_STACK:
        stack_top = abi.PRIVATE_END
        private_end = stack_top - stack_bytes - abi.GUARD
        least_end = max(module.image_end + SMALLEST_LOWER_HEAP, wanted_end - UPPER_ROOM)
        arrays_bytes = _arrays(arrays_bytes, private_end - abi.GUARD - least_end)
        private_end -= arrays_bytes + abi.GUARD if arrays_bytes else 0
    heap_end = min(wanted_end, private_end)
    upper_bytes = wanted_end - heap_end
    _require_room(memory_bytes, stack_bytes, upper_bytes, UPPER_ROOM)
    return (
        stack_top,
        heap_end,
        abi.SHARED_END - upper_bytes if upper_bytes else 0,
        abi.SHARED_END if upper_bytes else 0,
        arrays_bytes,
    )


def _above(module: Module, memory_bytes: int, stack_bytes: int) -> tuple[int, int, int, int, int]:
    """The stack is at the window's end. As much of the heap as can be is below it, since stacks of threads
    have to be in the upper half, too: there rsp stays. Arrays have what that leaves."""
    stack_low = abi.SHARED_END - stack_bytes
    upper_end = max(abi.SHARED_START, stack_low - abi.GUARD)
    heap_bytes = (wanted_end := _wanted_end(module, memory_bytes)) - module.image_end
    upper_bytes = max(0, min(heap_bytes - SMALLEST_LOWER_HEAP, upper_end - abi.SHARED_START))
    _require_room(memory_bytes, stack_bytes, wanted_end - abi.PRIVATE_END, upper_bytes)
    room_bytes = upper_end - abi.SHARED_START - (upper_bytes + abi.GUARD if upper_bytes else 0)
    arrays_bytes = _arrays(_wanted_arrays(module, stack_bytes), room_bytes)
    upper_end -= arrays_bytes + abi.GUARD if arrays_bytes else 0
    if not upper_bytes:
        return abi.SHARED_END, wanted_end, 0, 0, arrays_bytes
    return abi.SHARED_END, wanted_end - upper_bytes, upper_end - upper_bytes, upper_end, arrays_bytes


def _require_room(memory_bytes: int, stack_bytes: int, needed_bytes: int, room_bytes: int) -> None:
    if needed_bytes > room_bytes:
        raise LimitError(
            f"memory={memory_bytes:,} bytes: with a stack of {stack_bytes:,} bytes it is at most "
            f"{memory_bytes - needed_bytes + room_bytes:,} bytes"
        )


def first_contents(module: Module, memory_bytes: int, stack_bytes: int) -> Contents:
    """What a new sandbox of a module holds. Raises LimitError when the sizes are impossible."""
    layout = lay_out(module, memory_bytes, stack_bytes)
    data = [(segment.offset, segment.data) for segment in module.segments if segment.data]
    if (place := module.arrays) is not None:
        words = struct.pack("<2Q", layout.arrays_end, layout.arrays_low)
        data = [(offset, _with(part, place - offset, words)) for offset, part in data]
    return Contents(layout, tuple(sorted(data)))


def _with(data: bytes, place: int, words: bytes) -> bytes:
    """Where it is in there."""
    inside = 0 <= place <= len(data) - len(words)
    return data[:place] + words + data[place + len(words) :] if inside else data


def later_contents(module: Module, layout: Layout, pages: Pages) -> Contents:
    """What a sandbox of a module held when its data and heap were `pages`."""
    constants = [(part.offset, part.data) for part in module.segments if part.data and not part.writable]
    return Contents(layout, tuple(sorted([*constants, *pages])), initialized=True)
