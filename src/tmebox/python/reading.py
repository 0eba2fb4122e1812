"""Bytes from a sandbox to values of the host. The bytes are hostile."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tmebox.python import wire
from tmebox.python.collisions import require_spread
from tmebox.python.values import COST_OF_ARRAY, COST_OF_ITEM, KEYS, Malformed, room

_SIZE = struct.Struct("<I")
_PLACE = struct.Struct("<IQ")
_INT = struct.Struct("<q")
_FLOAT = struct.Struct("<d")
_NUMBERS = {wire.INT: _INT, wire.FLOAT: _FLOAT}
_CONSTANTS = (None, False, True)


def value_of(data: bytes, budget: int, view: Callable[..., np.ndarray[Any, Any]]) -> Any:
    """One value, as `Reader` has it; the smallest in less time. Raises Malformed, ValueError."""
    size = len(data)
    if size == 9 and data[0] in _NUMBERS:
        return _NUMBERS[data[0]].unpack_from(data, 1)[0]
    if size == 1 and data[0] <= wire.TRUE:
        return _CONSTANTS[data[0]]
    return Reader(data, budget, view).value()


class Reader:
    """Reads one value, at a cost to the host of at most about `budget` bytes."""

    def __init__(self, data: bytes, budget: int, view: Callable[..., np.ndarray[Any, Any]]) -> None:
        """view(known_by, generation, first, dtype, shape, strides): an array that lives in the sandbox."""
        self._data = data
        self._at = 0
        self._left = budget
        self._view = view

    def value(self) -> Any:
        """Raises Malformed."""
        try:
            value = self._read(0)
        except (IndexError, struct.error):  # of numbers and tags; all else takes what was found to be there
            raise Malformed("a value is cut short") from None
        if self._at != len(self._data):
            raise Malformed("there is more than one value")
        return value

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise Malformed("a value is cut short")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _pay(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise Malformed("the value is too large for the sandbox's limit on memory")

    def _size(self) -> int:
        size: int = _SIZE.unpack(self._take(4))[0]
        return size

    def _bytes(self) -> bytes:
        size = self._size()
        self._pay(size)
        return self._take(size)

    def _text(self) -> str:
        data = self._bytes()
        text = data.decode("utf-8", "replace")
        if not text.isascii():  # a character may take four bytes where it was one of the guest's
            self._pay(max(sys.getsizeof(text) - len(data), 0))
        return text

    def _count(self, least_bytes: int) -> int:
        """Of items that take at least so many bytes each."""
        count = self._size()
        if count * least_bytes > len(self._data) - self._at:
            raise Malformed("a value is cut short")
        return count

    def _read(self, depth: int) -> Any:
        self._pay(COST_OF_ITEM)
        if depth > wire.DEEPEST:
            raise Malformed("the value is nested too deeply")
        at = self._at
        tag = self._data[at]
        if tag == wire.STR:
            self._at = at + 1
            return self._text()
        if tag in _NUMBERS:
            self._at = at + 9
            return _NUMBERS[tag].unpack_from(self._data, at + 1)[0]
        self._at = at + 1
        if tag <= wire.TRUE:
            return _CONSTANTS[tag]
        read = _READ.get(tag)
        if read is None:
            raise Malformed(f"no value begins with {tag}")
        return read(self, depth)

    def _big(self, depth: int) -> int:
        data = self._bytes()
        if not data:
            raise Malformed("a number is cut short")
        magnitude = int.from_bytes(data[1:], "little")
        return -magnitude if data[0] else magnitude

    def _list(self, depth: int) -> list[Any]:
        return [self._read(depth + 1) for _ in range(self._count(1))]

    def _dict(self, depth: int) -> dict[Any, Any]:
        keys: list[Any] = []
        values: list[Any] = []
        for _ in range(self._count(2)):
            key = self._read(depth + 1)
            if not isinstance(key, KEYS) or (isinstance(key, int) and key.bit_length() > 60):
                raise Malformed(
                    "keys that leave the sandbox are texts, bytes, floats and integers of 60 bits"
                )
            keys.append(key)
            values.append(self._read(depth + 1))
        require_spread(keys)
        return dict(zip(keys, values, strict=True))

    def _array(self, depth: int) -> np.ndarray[Any, Any]:
        known_by, generation = _PLACE.unpack(self._take(_PLACE.size))
        self._pay(COST_OF_ARRAY)
        dtype, dimensions = self._element()
        first = self._size()
        numbers = struct.unpack(f"<{2 * dimensions}q", self._take(16 * dimensions))
        return self._view(known_by, generation, first, dtype, numbers[::2], numbers[1::2])

    def _contents(self, depth: int) -> np.ndarray[Any, Any]:
        dtype, dimensions = self._element()
        size = self._size()
        shape = struct.unpack(f"<{dimensions}q", self._take(8 * dimensions))
        require_shape(shape, dtype, size)
        self._pay(COST_OF_ARRAY + room(shape, dtype))
        elements = np.frombuffer(self._take(size), dtype)
        if dtype.kind == "b":
            elements = elements.view(np.uint8) != 0  # others than 0 and 1 are no booleans
        contents: np.ndarray[Any, Any] = elements.reshape(shape).copy()
        return contents

    def _element(self) -> tuple[np.dtype[Any], int]:
        element, dimensions = self._take(2)
        if element >= len(wire.ELEMENTS) or dimensions > wire.MOST_DIMENSIONS:
            raise Malformed("no array is like that")
        return np.dtype(wire.ELEMENTS[element]), dimensions


def require_shape(shape: Sequence[int], dtype: np.dtype[Any], size: int) -> None:
    """Raises Malformed unless the array has exactly `size` bytes."""
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != size:
        raise Malformed("an array's shape does not fit its contents")


_READ: dict[int, Callable[[Reader, int], Any]] = {
    wire.BIG: Reader._big,
    wire.BYTES: lambda reader, depth: reader._bytes(),
    wire.BYTEARRAY: lambda reader, depth: bytearray(reader._bytes()),
    wire.LIST: Reader._list,
    wire.TUPLE: lambda reader, depth: tuple(reader._list(depth)),
    wire.DICT: Reader._dict,
    wire.ARRAY: Reader._array,
    wire.DATA: Reader._contents,
}
