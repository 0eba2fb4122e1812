"""Arrow's C data interface, as far as columns need it: what an array of another library consists of.

The producer is the host's own library, and believed. Nothing is copied: the capsule owns the memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

FIXED = {
    "c": "i1", "C": "u1", "s": "i2", "S": "u2", "i": "i4", "I": "u4", "l": "i8", "L": "u8",
    "e": "f2", "f": "f4", "g": "f8", "tdD": "i4", "tdm": "i8", "tts": "i4", "ttm": "i4", "ttu": "i8",
    "ttn": "i8", "tDs": "i8", "tDm": "i8", "tDu": "i8", "tDn": "i8",
}  # fmt: skip
"""Formats of values of one size, and NumPy's types for them. Dates and times are integers."""
TEXTS = {"u": "i4", "z": "i4", "U": "i8", "Z": "i8"}
"""Formats of texts and bytes, and the types of their offsets."""
BITS = "b"


class _Schema(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p),
        ("flags", ctypes.c_int64), ("n_children", ctypes.c_int64), ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p), ("release", ctypes.c_void_p), ("private_data", ctypes.c_void_p),
    )  # fmt: skip


class _Array(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)), ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p), ("release", ctypes.c_void_p), ("private_data", ctypes.c_void_p),
    )  # fmt: skip


class Memory:
    """Memory that somebody else owns, for NumPy, which keeps the owner."""

    def __init__(self, address: int, count: int, dtype: np.dtype[Any], owner: object) -> None:
        self.owner = owner
        self.__array_interface__ = {
            "data": (address, True), "shape": (count,), "typestr": dtype.str, "version": 3,
        }  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """An array's buffers, as NumPy arrays without what a slice leaves out. `format` is Arrow's. `values` of
    texts are their bytes, of booleans their bits, from bit `first_bit` on, as those of `validity` are."""

    format: str
    length: int
    values: np.ndarray[Any, Any]
    validity: np.ndarray[Any, Any] | None
    offsets: np.ndarray[Any, Any] | None
    first_bit: int


def exported(array: Any, is_shared: Callable[[int], bool]) -> Parts:
    """is_shared: whether sandboxed code may write at an address. Raises TypeError for types that no column
    has, and for texts whose offsets it may write: how many bytes there are, nothing else says."""
    capsules = array.__arrow_c_array__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    schema = _Schema.from_address(pointer(capsules[0], b"arrow_schema"))
    found = _Array.from_address(pointer(capsules[1], b"arrow_array"))
    format = (schema.format or b"").decode()
    key = format.split(":")[0]
    if (
        schema.dictionary
        or schema.n_children
        or not (key in FIXED or key in TEXTS or key[:2] == "ts" or key == BITS)
    ):
        raise TypeError(
            f"an Arrow array of format {format!r}: columns are of numbers, dates and times, booleans, "
            "texts and bytes; decode dictionaries and flatten structs first"
        )

    def part(index: int, start: int, count: int, dtype: str) -> np.ndarray[Any, Any]:
        item = np.dtype(dtype)
        address = found.buffers[index] or 0
        if not count or not address:
            return np.zeros(count, item)
        return np.asarray(Memory(address + start * item.itemsize, count, item, capsules))

    start, length = found.offset, found.length
    bits = slice(start // 8, -(-(start + length) // 8))
    has_nulls = found.null_count != 0 and bool(found.buffers[0])
    validity = part(0, bits.start, bits.stop - bits.start, "u1") if has_nulls else None
    if key in TEXTS:
        if is_shared(found.buffers[1] or 0):
            raise TypeError(
                "the offsets of these texts are in a sandbox's memory, where they can become any number: "
                "make the array from a copy of them"
            )
        offsets = part(1, start, length + 1, TEXTS[key])
        first, last = int(offsets[0]), int(offsets[-1])
        return Parts(format, length, part(2, first, last - first, "u1"), validity, offsets, start % 8)
    if key == BITS:
        return Parts(
            format, length, part(1, bits.start, bits.stop - bits.start, "u1"), validity, None, start % 8
        )
    values = part(1, start, length, FIXED.get(key, "i8"))
    return Parts(format, length, values, validity, None, start % 8)


def arrow_type(format: str) -> Any:
    """pyarrow's type of a format. Raises ImportError without pyarrow."""
    import pyarrow

    schema, name = _Schema(), format.encode()
    keep = ctypes.c_char_p(name)
    schema.format = keep.value
    schema.name = b""
    schema.flags = 2

    def release(given: Any) -> None:
        given.contents.release = None

    released = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))(release)
    schema.release = ctypes.cast(released, ctypes.c_void_p).value
    return pyarrow.DataType._import_from_c(ctypes.addressof(schema))


def arrow_array(
    format: str,
    length: int,
    values: np.ndarray[Any, Any],
    validity: np.ndarray[Any, Any] | None,
    offsets: np.ndarray[Any, Any] | None,
) -> Any:
    """A pyarrow array over the memory of NumPy arrays."""
    import pyarrow

    buffers = [None if part is None else pyarrow.py_buffer(part) for part in (validity, offsets, values)]
    if offsets is None:
        del buffers[1]
    return pyarrow.Array.from_buffers(arrow_type(format), length, buffers)
