"""Values that cross between host and sandbox, as bytes. What comes out of a sandbox is hostile.

`encode` is for the guest. `Decoder` believes nothing: each size is held against what is there, nesting is
bounded, and so is what a value costs the host. Keys of dictionaries are of types of which few have the same
hash; that few meet in a table, `collisions` sees to."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tmebox.python import wire
from tmebox.python.errors import PythonError

_SIZE = struct.Struct("<BI")
_TWO = struct.Struct("<BIBI")
_INT = struct.Struct("<Bq")
_FLOAT = struct.Struct("<Bd")
_ARRAY = struct.Struct("<BIQBB")
_DATA = struct.Struct("<BBBI")
_RAW_SIZE = struct.Struct("<I")
_RAW_INT = struct.Struct("<q")
_RAW_FLOAT = struct.Struct("<d")

LEAST, MOST = -(1 << 63), (1 << 63) - 1
KEYS = (str, int, float, bool, bytes, type(None))
_NONE = bytes([wire.NONE])
COST_OF_ITEM = 72
"""Bytes that one value, of the smallest kind, takes at most on the host; with its place in a list or dict."""

COST_OF_ARRAY = 120
"""What an array takes beside that and its elements."""

Place = tuple[int, int, int]
"""Of an array that lives in the sandbox: the offset that it is known by, the generation, and its first
element."""

Emit = Callable[[Any, list[bytes], "Encoder", int], None]


class Uncrossable(TypeError):
    """A value that cannot enter the sandbox."""


class Malformed(ValueError):
    """Bytes from a sandbox that are no value, or one that would cost the host too much."""


class Encoder:
    """`place(array)`: where an array lives in the sandbox; None: its contents are copied in."""

    def __init__(self, place: Callable[[np.ndarray[Any, Any]], Place | None]) -> None:
        self.place = place

    def encode(self, value: Any) -> bytes:
        """Raises Uncrossable (a TypeError), ValueError, OverflowError."""
        kind = type(value)
        if kind is int and LEAST <= value <= MOST:
            return _INT.pack(wire.INT, value)
        if value is None:
            return _NONE
        pieces: list[bytes] = []
        self.put(value, pieces, 0)
        return b"".join(pieces)

    def put(self, value: Any, pieces: list[bytes], depth: int) -> None:
        if depth > wire.DEEPEST:
            raise ValueError(f"the value is nested more than {wire.DEEPEST} levels deep")
        emit = _EMIT.get(type(value))
        if emit is None:
            emit = _by_kind(value)
        emit(value, pieces, self, depth)


def _by_kind(value: Any) -> Emit:
    """For subclasses, and for what only behaves like a known type."""
    if isinstance(value, np.ndarray):
        return _array
    if isinstance(value, np.generic):
        return _scalar
    for kind in (bool, int, float, str, bytes, bytearray, list, tuple):
        if isinstance(value, kind):
            return _EMIT[kind]
    if isinstance(value, Mapping):
        return _dict
    if isinstance(value, memoryview):
        return _view
    raise Uncrossable(
        f"a {type(value).__name__} cannot enter the sandbox: only None, bool, int, float, str, bytes, list, "
        "tuple, dict and NumPy arrays can"
    )


def _none(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces.append(_NONE)


def _bool(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces.append(bytes([wire.TRUE if value else wire.FALSE]))


def _int(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    if LEAST <= value <= MOST:
        pieces.append(_INT.pack(wire.INT, value))
    else:
        magnitude = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "little")
        pieces.append(_SIZE.pack(wire.BIG, len(magnitude) + 1) + bytes([value < 0]) + magnitude)


def _float(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces.append(_FLOAT.pack(wire.FLOAT, value))


def encoded(text: str, name: str) -> bytes:
    """In UTF-8. Raises ValueError for a surrogate alone, which is no character."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name}: no text of Unicode: character {error.start} of it is a surrogate alone"
        ) from None


def encoded_source(source: str, filename: str) -> bytes:
    """(source, filename) for the sandbox. Raises TypeError, PythonError (SyntaxError)."""
    if not isinstance(source, str):
        raise TypeError(f"source text is str, not {type(source).__name__}")
    try:
        text, name = source.encode(), filename.encode(errors="backslashreplace")
    except UnicodeEncodeError as error:  # a surrogate alone, as JSON can have it
        raise PythonError("SyntaxError", f"the source is no text of Unicode: {error}") from None
    return b"".join(
        (_TWO.pack(wire.TUPLE, 2, wire.STR, len(text)), text, _SIZE.pack(wire.STR, len(name)), name)
    )


def _str(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    data = encoded(value, "a text for the sandbox")
    pieces.append(_SIZE.pack(wire.STR, len(data)) + data)


def _bytes(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces += _SIZE.pack(wire.BYTES, len(value)), value


def _bytearray(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces += _SIZE.pack(wire.BYTEARRAY, len(value)), bytes(value)


def _view(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    _bytes(bytes(value), pieces, encoder, depth)


def _list(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces.append(_SIZE.pack(wire.LIST, len(value)))
    for item in value:
        encoder.put(item, pieces, depth + 1)


def _tuple(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces.append(_SIZE.pack(wire.TUPLE, len(value)))
    for item in value:
        encoder.put(item, pieces, depth + 1)


def _dict(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    pieces.append(_SIZE.pack(wire.DICT, len(value)))
    for key, item in value.items():
        if not isinstance(key, KEYS):
            raise Uncrossable(f"a key of type {type(key).__name__} cannot enter the sandbox")
        encoder.put(key, pieces, depth + 1)
        encoder.put(item, pieces, depth + 1)


def _scalar(value: Any, pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    plain = value.item()
    if isinstance(plain, np.generic):
        raise Uncrossable(f"a {type(value).__name__} cannot enter the sandbox")
    encoder.put(plain, pieces, depth)


def _array(value: np.ndarray[Any, Any], pieces: list[bytes], encoder: Encoder, depth: int) -> None:
    element = element_of(value.dtype)
    if value.ndim > wire.MOST_DIMENSIONS:
        raise Uncrossable(
            f"arrays in the sandbox have at most {wire.MOST_DIMENSIONS} dimensions, not {value.ndim}"
        )
    place = encoder.place(value)
    if place is not None:
        known_by, generation, first = place
        pieces.append(_ARRAY.pack(wire.ARRAY, known_by, generation, element, value.ndim))
        pieces.append(_RAW_SIZE.pack(first))
        for length, stride in zip(value.shape, value.strides, strict=True):
            pieces.append(struct.pack("<qq", length, stride))
        return
    data = np.ascontiguousarray(value).tobytes()
    if len(data) > wire_limit():
        raise OverflowError("the array is too large to copy: make it with python.array()")
    pieces.append(_DATA.pack(wire.DATA, element, value.ndim, len(data)))
    pieces.append(struct.pack(f"<{value.ndim}q", *value.shape))
    pieces.append(data)


def room(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Bytes of an array, where a length of 0 counts as 1: a sum along such an axis, say, takes as much."""
    return math.prod(length or 1 for length in shape) * dtype.itemsize


def wire_limit() -> int:
    return (1 << 31) - 1


def element_of(dtype: np.dtype[Any]) -> int:
    """Its number on the wire. Raises Uncrossable."""
    if dtype.isnative and dtype.kind in "biuf":
        for number, code in enumerate(wire.ELEMENTS):
            if np.dtype(code).kind == dtype.kind and np.dtype(code).itemsize == dtype.itemsize:
                return number
    raise Uncrossable(
        f"arrays of {dtype} cannot enter the sandbox: bool, integers and floats up to 64 bits can"
    )


_EMIT: dict[type, Emit] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    bytes: _bytes,
    bytearray: _bytearray,
    list: _list,
    tuple: _tuple,
    dict: _dict,
}
