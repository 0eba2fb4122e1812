"""What a window holds when a sandbox starts in it: the same thing for a module and for a snapshot."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Offsets of one sandbox's parts. The image and the heap together have `heap_end - IMAGE_START` bytes.

    The stack is [stack_low, STACK_TOP), the control page follows, then the image up to `heap_start` and the
    heap up to `heap_end`. `read_only` are page-aligned (start, end) inside the image. `memory_bytes` is the
    limit that was asked for: on image and heap, and on host arrays.
    """

    stack_low: int
    heap_start: int
    heap_end: int
    read_only: tuple[tuple[int, int], ...]
    memory_bytes: int


@dataclass(frozen=True)
class Contents:
    """`data` are ascending, disjoint (offset, bytes) in the image and the heap; everything else is zero.

    The control page is not part of it: it is made anew in every window. `initialized`: the library start-up
    has run, its effects are in `data`.
    """

    layout: Layout
    data: tuple[tuple[int, bytes], ...]
    initialized: bool = False
