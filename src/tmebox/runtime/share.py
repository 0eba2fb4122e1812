"""What a sandbox may own of a shared heap."""

from __future__ import annotations

from typing import Any, Protocol

from tmebox import abi
from tmebox.errors import LimitError
from tmebox.memory.contents import Layout
from tmebox.runtime.layout import LARGEST_PRIVATE_STACK, parse_size
from tmebox.runtime.option_types import Size
from tmebox.runtime.shared_heap import SharedHeap

NO_LIMIT = 1 << 48
"""Bytes, more than any shared heap has."""


Share = tuple[SharedHeap, int]
"""The heap, and at most so many bytes of it. A plain tuple: one is made for each sandbox."""


def share_of(heap: Any, limit: Size | None) -> Share:
    """Of what a user gave as `heap` and `heap_limit`. Raises TypeError, ValueError."""
    if heap is None:
        raise ValueError(f"heap_limit={limit!r}: of which shared heap? Pass heap=, too")
    if not isinstance(heap, SharedHeap):
        raise TypeError(f"heap={heap!r:.100}: a tmebox.SharedHeap, or None")
    if limit is None:
        return heap, NO_LIMIT
    limit_bytes = parse_size(limit, "heap_limit")
    if limit_bytes < 0:
        raise ValueError(f"heap_limit={limit!r}: not negative")
    return heap, min(limit_bytes, NO_LIMIT)


def require_room(layout: Layout, heap: SharedHeap) -> None:
    """Raises LimitError where a sandbox's own heap would be in the shared one's place."""
    if layout.rsp_start:
        most = LARGEST_PRIVATE_STACK // 2 if layout.arrays_bytes else LARGEST_PRIVATE_STACK
        raise LimitError(
            f"stack={layout.stack_bytes:,} bytes: beside a shared heap at most "
            f"{most:,}, less what the module's own data has beyond 16 MiB"
        )
    if 0 < layout.upper_start < abi.SHARED_START + heap.size_bytes:
        most = layout.heap_end - abi.IMAGE_START + abi.SHARED_END - abi.SHARED_START - heap.size_bytes
        raise LimitError(
            f"memory={layout.memory_bytes:,} bytes: beside a shared heap of {heap.size_bytes:,} bytes, at "
            f"most {most:,} are left in a sandbox's window"
        )


class _Sharer(Protocol):
    """What `Sharing` needs of a sandbox. Not as annotations of the class: it has no attribute more for it."""

    _share: Share | None
    _tenancy: Any


class Sharing:
    """What a sandbox says of its part in a shared heap."""

    @property
    def heap(self: _Sharer) -> SharedHeap | None:
        """The shared heap that it was given."""
        return None if self._share is None else self._share[0]

    @property
    def key_id(self: _Sharer) -> int:
        """What names it as the owner of lines in its shared heap, 1 to 32,767, while it lives; 0: it has
        none."""
        key_id: int = self._tenancy.instance.key_id
        return key_id
