"""What a window holds when a sandbox starts in it: the same thing for a module and for a snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox import abi
from tmebox.once import once


@dataclass(frozen=True)
class Layout:
    """Offsets of one sandbox's parts.

    The stack is [stack_low, stack_top): right below the control page; at the end of the private part if it
    has no room there; above the arena if it has no room in the private part. The image follows the control
    page, up to `heap_start`, and the heap up to `heap_end`. Where frames have constant sizes, arrays that do
    not are [arrays_low, arrays_end), below the stack, and a guard apart that is mapped, too.
    What of the heap has no room in the private part is [upper_start, upper_end). `read_only` are page-aligned
    (start, end) inside the image. `memory_bytes` is the limit that was asked for: on image and heap, and on
    host arrays.
    """

    stack_low: int
    heap_start: int
    heap_end: int
    read_only: tuple[tuple[int, int], ...]
    memory_bytes: int
    stack_top: int = abi.STACK_TOP
    upper_start: int = 0
    upper_end: int = 0
    arrays_bytes: int = 0

    @property
    def arrays_low(self) -> int:
        """The stack's beginning, where there are no arrays."""
        return self.arrays_end - self.arrays_bytes

    @property
    def arrays_end(self) -> int:
        return self.stack_low - (abi.GUARD if self.arrays_bytes else 0)

    @property
    def stack_bytes(self) -> int:
        return self.stack_top - self.stack_low

    @property
    def rsp_start(self) -> int:
        """The offset from which on the stack pointer stays, as far as `rsp_mask`."""
        return abi.UPPER_RSP_START if self.stack_low >= abi.UPPER_RSP_START else 0

    @property
    def rsp_mask(self) -> int:
        return abi.UPPER_RSP_MASK if self.rsp_start else abi.RSP_MASK

    @property
    def upper_part(self) -> tuple[int, int]:
        """(start, end) of all that lies above the arena: of the heap, and the stack. (0, 0): nothing."""
        if self.rsp_start:
            return self.upper_start or self.arrays_low, self.stack_top
        return self.upper_start, self.upper_end

    @once
    def parts(self) -> tuple[tuple[int, int], ...]:
        """(start, end) of all that the sandbox has but its arena, ascending."""
        parts: tuple[tuple[int, int], ...]
        if self.stack_top == abi.STACK_TOP:
            parts = ((self.arrays_low, self.heap_end),)
        else:
            random_page = abi.STACK_TOP - abi.PAGE_SIZE
            parts = ((random_page, self.heap_end), (self.arrays_low, self.stack_top))
        return tuple(sorted((*parts, (self.upper_start, self.upper_end)))) if self.upper_end else parts

    @property
    def heap_parts(self) -> tuple[tuple[int, int], ...]:
        """(start, end) of the heap, ascending."""
        lower = self.heap_start, self.heap_end
        return (lower, (self.upper_start, self.upper_end)) if self.upper_end else (lower,)

    @once
    def data_parts(self) -> tuple[tuple[int, int], ...]:
        """(start, end) of image and heap, ascending."""
        return ((abi.IMAGE_START, self.heap_end), *self.heap_parts[1:])

    @once
    def data_bytes(self) -> int:
        """What image and heap may have together."""
        return sum(end - start for start, end in self.data_parts)

    @property
    def arena_end(self) -> int:
        """How far the arena may grow."""
        return self.upper_start - abi.GUARD if 0 < self.upper_start < abi.SHARED_START else abi.ARENA_END


@dataclass(frozen=True)
class Contents:
    """`data` are ascending, disjoint (offset, bytes) in the image and the heap; everything else is zero.

    The control page is not part of it: it is made anew in every window. `initialized`: the library start-up
    has run, its effects are in `data`. threads: of each that stands, by number from 1 on, its
    stack's offsets and what its control stack holds. callbacks: there may be pointers in `data` to callbacks
    with lower numbers than this, of a sandbox that had them.
    """

    layout: Layout
    data: tuple[tuple[int, bytes], ...]
    initialized: bool = False
    threads: tuple[tuple[int, int, bytes] | None, ...] = ()
    callbacks: int = 0
