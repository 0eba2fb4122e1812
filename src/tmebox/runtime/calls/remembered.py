"""remembered: what is worked out of a C type, once for each type."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Type = TypeVar("Type")
Made = TypeVar("Made")

_NOTHING: Any = object()


def remembered(make: Callable[[Type], Made]) -> Callable[[Type], Made]:
    """A function of a C type that keeps its results in the type itself: they go with the module whose type it
    is, and nothing is hashed to find them. A cache beside it would keep types of modules that are gone, and
    count them, however large modules make them. Two threads may both work a result out; the first one stays.
    """
    key = f"{make.__module__}.{make.__qualname__}"  # no name of a field

    @wraps(make)
    def known(ctype: Type) -> Made:
        kept = ctype.__dict__
        found: Made = kept.get(key, _NOTHING)
        return kept.setdefault(key, make(ctype)) if found is _NOTHING else found

    return known
