"""one_for_each: a class made when it is needed, and the same one for as long as anybody has it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary, ref

Key = TypeVar("Key", bound=Hashable)


def one_for_each(make: Callable[[Key], type]) -> Callable[[Key], type]:
    """A function that makes a class of a key, once for equal keys as long as that class lives: whoever wants
    it to stay keeps it, as `remembered` does. A cache that forgets would make a second one beside the first,
    which is in what others keep. One that does not would keep what nobody has.

    No lock, which a child forked meanwhile would wait for: of what two threads make, the first stays.
    """
    living: WeakKeyDictionary[Key, ref[type]] = WeakKeyDictionary()

    @wraps(make)
    def one(key: Key) -> type:
        known = living.get(key)
        lives = known() if known is not None else None
        if lives is not None:
            return lives
        made = make(key)
        made.__made_of__ = key  # type: ignore[attr-defined]  # so that the key lives as long
        if known is not None:
            living.pop(key, None)
        mine = ref(made)
        found = living.setdefault(key, mine)()
        if found is None:  # it dies just now
            living.pop(key, None)
            living[key] = mine
            return made
        return found

    return one
