"""one_for_each: a class made when it is needed, and the same one for as long as anybody has it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import TypeVar
from weakref import ref

Key = TypeVar("Key", bound=Hashable)

KEPT = 256
"""Classes that stay though nobody has them."""


def one_for_each(make: Callable[[Key], type]) -> Callable[[Key], type]:
    """A function that makes a class of a key, once for equal keys as long as that class lives. A cache that
    only forgets would make a second one beside the first, which is in what others keep.

    No lock, which a child forked meanwhile would wait for: of what two threads make, the first stays.
    """
    living: dict[Key, ref[type]] = {}

    @lru_cache(maxsize=KEPT)
    @wraps(make)
    def one(key: Key) -> type:
        known = living.get(key)
        lives = known() if known is not None else None
        if lives is not None:
            return lives
        made = make(key)

        def forget(gone: ref[type]) -> None:
            if living.get(key) is gone:
                del living[key]

        mine = ref(made, forget)
        found = living.setdefault(key, mine)()
        if found is None:  # it dies just now
            living[key] = mine
            return made
        return found

    return one
