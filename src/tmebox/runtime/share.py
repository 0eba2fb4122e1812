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
