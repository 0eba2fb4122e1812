"""Arguments that are lists. A string is a sequence too, of letters, which is never what was meant."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")
Text = str | bytes | os.PathLike[str]


def listed(given: Iterable[T], name: str) -> tuple[T, ...]:
    """The items of an argument. Raises TypeError for a single string, bytes or path, or for what has none."""
    if isinstance(given, (str, bytes, bytearray, os.PathLike)):
        raise TypeError(f"{name}={given!r} is one item, where a list is expected: {name}=[{given!r}]")
    try:
        return tuple(given)
    except TypeError:
        raise TypeError(f"{name}={given!r} is {_kind(given)}, where a list is expected") from None


def texts(given: Iterable[Text], name: str) -> tuple[str, ...]:
    """Items that are text for the system: str, bytes or paths. Raises TypeError, ValueError."""
    return tuple(text(item, f"{name}[{index}]") for index, item in enumerate(listed(given, name)))


def text(given: Text, name: str) -> str:
    """As os.fsdecode, for what cannot contain NUL. Raises TypeError, ValueError."""
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise TypeError(f"{name}={given!r} is {_kind(given)}, where str, bytes or a path is expected")
    found = os.fsdecode(given)
    if "\0" in found:
        raise ValueError(f"{name}={given!r} contains NUL, which ends a string")
    encoded(found, name, "surrogateescape")
    return found


def encoded(given: str, name: str, errors: str = "strict") -> bytes:
    """In UTF-8. Raises ValueError for a surrogate alone, as JSON can have it, which is no character."""
    try:
        return given.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        near = given[max(error.start - 10, 0) : error.start + 10]
        raise ValueError(
            f"{name}: no text of Unicode: character {error.start} of it is a surrogate alone (in {near!a})"
        ) from None


def _kind(value: object) -> str:
    return type(value).__name__
