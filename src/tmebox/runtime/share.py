"""What a sandbox may own of a shared heap."""

from __future__ import annotations

from typing import Any, NamedTuple

from tmebox.runtime.layout import parse_size
from tmebox.runtime.option_types import Size
from tmebox.runtime.shared_heap import SharedHeap

NO_LIMIT = 1 << 48
"""Bytes, more than any shared heap has."""


class Share(NamedTuple):
    """The heap, and at most so many bytes of it."""

    heap: SharedHeap
    limit_bytes: int


def share_of(heap: Any, limit: Size | None) -> Share:
    """Of what a user gave as `heap` and `heap_limit`. Raises TypeError, ValueError."""
    if not isinstance(heap, SharedHeap):
        raise TypeError(f"heap={heap!r:.100}: a tmebox.SharedHeap, or None")
    limit_bytes = NO_LIMIT if limit is None else parse_size(limit, "heap_limit")
    if limit_bytes < 0:
        raise ValueError(f"heap_limit={limit!r}: not negative")
    return Share(heap, min(limit_bytes, NO_LIMIT))


class Sharing:
    """What a sandbox says of its part in a shared heap."""

    _share: Share | None
    _tenancy: Any

    @property
    def heap(self) -> SharedHeap | None:
        """The shared heap that it was given."""
        return None if self._share is None else self._share.heap

    @property
    def key_id(self) -> int:
        """What names it as the owner of lines in its shared heap, 1 to 32,767, while it lives; 0: it has
        none."""
        key_id: int = self._tenancy.instance.key_id
        return key_id
