"""`Box.checked`: what a library returned becomes what a program may use, or an exception.

A library that was taken over returns what its attacker likes: lengths beyond buffers, negative indexes,
pointers to anywhere in its sandbox. Reading through those cannot leave the sandbox. What the program does
with its own memory by such a number is the program's to check.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Sized
from enum import Enum, Flag
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from tmebox import abi
from tmebox.errors import BadResult
from tmebox.runtime.untrusted import Untrusted

if TYPE_CHECKING:
    from tmebox.runtime.sandbox_memory import SandboxMemory

_Member = TypeVar("_Member", bound=Enum)
_Value = TypeVar("_Value")
Number = int | Untrusted
Extent = int | Sized
"""How many items there are: a number of the program's own, or what has a length."""


class Checked:
    """Each function takes what a library returned, and the program's own idea of what it can be. Each raises
    BadResult for a value that it cannot be, and TypeError for what is no value of that kind at all. What is
    returned is a copy: the library cannot change it any more."""

    __slots__ = ("_memory",)

    def __init__(self, memory: SandboxMemory) -> None:
        self._memory = memory

    def index(self, value: Number, within: Extent) -> int:
        """The place of an item: from 0 on, and less than there are items."""
        number, count = _number(value), _extent(within)
        return number if 0 <= number < count else _refuse(number, f"an index below {count}")

    def length(self, value: Number, at_most: Extent) -> int:
        """How many there are: from 0 on, and at most so many."""
        number, most = _number(value), _extent(at_most)
        return number if 0 <= number <= most else _refuse(number, f"a length of at most {most}")

    def between(self, value: Number, least: int, most: int) -> int:
        """A number from `least` to `most`, both included."""
        number = _number(value)
        return number if least <= number <= most else _refuse(number, f"a number from {least} to {most}")

    def span(self, offset: Number, length: Number, within: Extent) -> slice[int, int, None]:
        """`data[checked.span(offset, length, data)]`: so many items from there on, all of which there are. No
        sum wraps round here, as it does in C."""
        start, count, most = _number(offset), _number(length), _extent(within)
        if start < 0 or count < 0 or start + count > most:
            _refuse((start, count), f"an offset and a length within {most}")
        return slice(start, start + count)

    def enum(self, value: Number, kind: type[_Member]) -> _Member:
        """The member of a Python enumeration that has this value. Of flags every bit must have a name."""
        number = _number(value)
        if issubclass(kind, Flag) and not 0 <= number == number & _bits(kind):
            _refuse(number, f"a {kind.__name__}")  # an IntFlag keeps what it does not know
        try:
            return kind(number)
        except ValueError:
            return _refuse(number, f"a {kind.__name__}")

    def one_of(self, value: Number, known: Collection[int]) -> int:
        """A value that is among the known ones: constants of a header, say."""
        number = _number(value)
        return number if number in known else _refuse(number, f"one of {len(known)} known values")

    def data(self, pointer: Any, length: Number, at_most: int) -> bytes:
        """A copy of so many bytes from a pointer on."""
        count = self.length(length, at_most)
        if count == 0:
            return b""
        place = self._place(pointer)
        try:
            return bytes(self._memory.read(place, count))
        except IndexError as error:  # BadPointer
            raise BadResult(f"{count} bytes are expected: {error}") from None

    def text(self, pointer: Any, at_most: int, encoding: str = "utf-8") -> str:
        """What is at a pointer up to a NUL, at most so many bytes, decoded; what is not in that encoding is
        refused, too."""
        if isinstance(pointer, str):  # which calls return for a const char *
            if len(pointer.encode("utf-8", "surrogateescape")) > at_most:
                _refuse(len(pointer), f"a text of at most {at_most} bytes")
            raw = pointer.encode("utf-8", "surrogateescape")
        else:
            raw = self._until_nul(self._place(pointer), at_most)
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            return _refuse(error.start, f"a text in {encoding}", "the byte at {value} is not")

    def _until_nul(self, place: int, at_most: int) -> bytes:
        try:
            raw = bytes(self._memory.string(place, at_most))
        except IndexError as error:  # BadPointer
            raise BadResult(f"a text of at most {at_most} bytes is expected: {error}") from None
        return raw if len(raw) <= at_most else _refuse(len(raw), f"a text of at most {at_most} bytes")

    def _place(self, pointer: Any) -> int:
        """Where a pointer or an offset points to. NULL is refused: what may be NULL is asked before."""
        if pointer is None:
            _refuse(0, "a pointer that is not NULL")
        place = operator.index(pointer)
        return place if 0 < place < abi.WINDOW_SIZE else _refuse(place, "a pointer into the sandbox")


def _bits(kind: type[Flag]) -> int:
    every = 0
    for member in kind.__members__.values():
        every |= member.value
    return every


def _number(value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    return operator.index(value)


def _extent(given: Extent) -> int:
    """Raises ValueError: the program's own idea must make sense."""
    count = len(given) if isinstance(given, Sized) else operator.index(given)
    if count < 0:
        raise ValueError(f"there are {count} items")
    return count


def _refuse(value: Any, expected: str, said: str = "the library returned {value}") -> NoReturn:
    raise BadResult(f"{expected} is expected: {said.format(value=value)}")
