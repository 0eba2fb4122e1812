"""Shapes of arrays that live in sandboxes and shared heaps."""

from __future__ import annotations

import operator
from typing import Any


def sizes(shape: Any) -> tuple[int, ...]:
    """A shape in Python's integers: NumPy's wrap around where sizes are multiplied."""
    try:
        return (operator.index(shape),)
    except TypeError:
        try:
            return tuple(operator.index(size) for size in shape)
        except TypeError:
            raise TypeError(f"a shape is an integer or a tuple of integers, not {shape!r:.100}") from None
