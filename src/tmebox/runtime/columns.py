"""Columns: Arrow's and NumPy's arrays in a sandbox's memory, as plain pointers and lengths to its code."""

from __future__ import annotations

import operator
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from tmebox import _native, abi
from tmebox.memory.windows import WINDOWS
from tmebox.runtime.arrow import BITS, FIXED, TEXTS, arrow_array, exported
from tmebox.runtime.sandbox_memory import BadPointer
from tmebox.runtime.shared_heap import all_heaps
from tmebox.shown import Fact, Shown

FORMATS = {np.dtype(name): format for format, name in FIXED.items() if len(format) == 1}
"""Arrow's format of a NumPy type."""
_Numbers = np.ndarray[Any, Any]


class Column(Shown):
    """A column whose memory is in a sandbox. Its parts are NumPy arrays, and passing one copies nothing.

    `values`: the items; the bytes of texts one after the other; or eight booleans a byte. `validity`: a bit
    for each item that is there, from the lowest of each byte on; None: all are. `offsets`: where each text
    begins in `values`, and where the last one ends; None for what is no text. Sandboxed code may change all
    of it at any time: what comes back is untrusted. Made by `Sandbox.column`, `empty_column` and `column_at`;
    the memory is free once the column is closed and all arrays that were got from it are gone."""

    def __init__(
        self, format: str, length: int, values: _Numbers, validity: _Numbers | None, offsets: _Numbers | None
    ) -> None:
        self.format = format
        self._length = length
        self._parts: tuple[_Numbers, _Numbers | None, _Numbers | None] | None = values, validity, offsets

    def _open(self) -> tuple[_Numbers, _Numbers | None, _Numbers | None]:
        if self._parts is None:
            raise ValueError("the column was closed")
        return self._parts

    @property
    def values(self) -> _Numbers:
        return self._open()[0]

    @property
    def validity(self) -> _Numbers | None:
        return self._open()[1]

    @property
    def offsets(self) -> _Numbers | None:
        return self._open()[2]

    def __len__(self) -> int:
        return self._length

    def to_numpy(self) -> _Numbers:
        """`values` of a column of numbers, not copied; with a mask, which is a copy, if items may be missing.
        Raises TypeError for texts and booleans, which NumPy has in another form."""
        values, validity, offsets = self._open()
        if offsets is not None or self.format == BITS:
            raise TypeError("texts and booleans are no NumPy array of the same memory: use to_arrow()")
        if validity is None:
            return values
        there = np.unpackbits(validity, count=self._length, bitorder="little")
        masked: _Numbers = np.ma.MaskedArray(values, mask=there == 0)
        return masked

    def to_arrow(self) -> Any:
        """A pyarrow array. Numbers and bytes are not copied. What Arrow relies on, sandboxed code must not
        change afterwards, so it is checked and copied: bitmaps, where texts begin, and the bytes of texts
        that have to be UTF-8. Raises ValueError for what is no array, ImportError without pyarrow."""
        values, validity, offsets = self._open()
        if validity is not None:
            validity = np.array(validity)
        if self.format == BITS:
            values = np.array(values)
        if offsets is not None:
            offsets = _checked_offsets(np.array(offsets), len(values))
        if self.format in "uU":
            values = np.array(values)
        made = arrow_array(self.format, self._length, values, validity, offsets)
        if self.format in "uU":
            made.validate(full=True)
        return made

    def close(self) -> None:
        """Idempotent. Arrays that were got from it stay."""
        self._parts = None

    def __enter__(self) -> Column:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a column is not copied or pickled: to_numpy() and to_arrow() give its contents")

    def _facts(self) -> Any:
        facts: tuple[Fact, ...] = (("format", self.format), ("items", self._length))
        return facts

    def __repr__(self) -> str:
        state = "closed" if self._parts is None else f"{self._length:,} items"
        return f"<tmebox.Column {self.format!r}, {state}>"


def _checked_offsets(offsets: _Numbers, size_bytes: int) -> _Numbers:
    ends_inside = len(offsets) and offsets[0] >= 0 and offsets[-1] <= size_bytes
    if not ends_inside or bool(np.any(offsets[1:] < offsets[:-1])):
        raise ValueError("texts of the column begin or end where there are none: its offsets do not ascend")
    return offsets


class _Holder(Protocol):
    _tenancy: Any


class Columnar:
    """What a sandbox does with columns."""

    def column(self: _Holder, array: Any) -> Column:
        """A column of a NumPy array, of one dimension, or of any array with Arrow's C data interface:
        pyarrow's, polars's. What lies in the sandbox, or in its shared heap, stays there; else it is copied,
        once, and can then be passed as often as wanted. A slice is what it shows. Raises TypeError,
        LimitError, SandboxClosed."""
        if not hasattr(array, "__arrow_c_array__"):
            values = np.asarray(array)
            if values.ndim != 1 or values.dtype not in FORMATS:
                raise TypeError(
                    "a column has one dimension and items that are numbers, not "
                    f"{values.ndim} and {values.dtype}"
                )
            return Column(FORMATS[values.dtype], len(values), _inside(self._tenancy, values), None, None)
        tenancy = self._tenancy
        parts = exported(array, _is_shared)
        values, validity, offsets = parts.values, parts.validity, parts.offsets
        if validity is not None:
            validity = _from_bit(validity, parts.first_bit, parts.length)
        if parts.format == BITS:
            values = _from_bit(values, parts.first_bit, parts.length)
        if offsets is not None and offsets[0]:
            offsets = offsets - offsets[0]
        return Column(
            parts.format,
            parts.length,
            _inside(tenancy, values),
            None if validity is None else _inside(tenancy, validity),
            None if offsets is None else _inside(tenancy, offsets),
        )

    def empty_column(self: _Holder, length: int, dtype: DTypeLike, *, nullable: bool = False) -> Column:
        """Room for results: zeros, of which none is missing. Raises TypeError, ValueError, LimitError."""
        item, count = np.dtype(dtype), operator.index(length)
        if item not in FORMATS:
            raise TypeError(f"a column's items are numbers, not {item}")
        if count < 0:
            raise ValueError(f"a column of {count} items")
        values = _room(self._tenancy, count, item)
        values.fill(0)
        validity = None
        if nullable:
            validity = _room(self._tenancy, -(-count // 8), np.dtype(np.uint8))
            validity.fill(0xFF)
        return Column(FORMATS[item], count, values, validity, None)

    def column_at(
        self: _Holder,
        values: int,
        length: int,
        type: DTypeLike,
        *,
        validity: int = 0,
        offsets: int = 0,
    ) -> Column:
        """A column that sandboxed code made, by the offsets that it gave: nothing is copied, and nothing of
        it can be written. type: a NumPy type; or "utf8", "binary", "large_utf8" or "large_binary" with
        `offsets`, or "bool" for bits. Whatever the numbers are, only the sandbox's own memory is read. Raises
        BadPointer, ValueError (offsets of texts that do not ascend, at this moment), TypeError."""
        tenancy, count = self._tenancy, operator.index(length)
        if not 0 <= count < abi.WINDOW_SIZE:
            raise BadPointer(f"a column of {count} items")
        format = NAMES.get(type) if isinstance(type, str) else None
        if format is None:
            item = np.dtype(type)
            if item not in FORMATS:
                raise TypeError(f"a column's items are numbers, texts or booleans, not {item}")
            format, size = FORMATS[item], count
        else:
            item, size = np.dtype(np.uint8), -(-count // 8)
        begins = None
        if format in TEXTS:
            begins = _shown(tenancy, offsets, count + 1, np.dtype(TEXTS[format]))
            size = int(_checked_offsets(np.array(begins), abi.WINDOW_SIZE)[-1])
        elif offsets:
            raise TypeError("only texts have offsets")
        bits = _shown(tenancy, validity, -(-count // 8), np.dtype(np.uint8)) if validity else None
        return Column(format, count, _shown(tenancy, values, size, item), bits, begins)


NAMES = {"utf8": "u", "binary": "z", "large_utf8": "U", "large_binary": "Z", "bool": BITS}


def _from_bit(bits: _Numbers, first: int, count: int) -> _Numbers:
    """`count` bits from the one with number `first` on, a copy unless it is the first."""
    if not first:
        return bits
    return np.packbits(np.unpackbits(bits, bitorder="little")[first : first + count], bitorder="little")


def _room(tenancy: Any, count: int, item: np.dtype[Any]) -> _Numbers:
    size_bytes = count * item.itemsize
    region: _native.Region = tenancy.allocate(max(size_bytes, 1))
    return np.frombuffer(memoryview(region), np.uint8)[:size_bytes].view(item)


def _is_shared(address: int) -> bool:
    """Whether sandboxed code may change what is there: this sandbox's or that of any other one."""
    return WINDOWS.holds(address) or any(
        0 <= address - heap.host_address < heap.size_bytes for heap in all_heaps()
    )


def _inside(tenancy: Any, array: _Numbers) -> _Numbers:
    """The array itself, if sandboxed code can reach it as it is, else a copy that it can."""
    window = tenancy.hold()
    address, base = array.ctypes.data, window.base
    dense = array.strides == (array.itemsize,) or not len(array)
    there = base <= address <= address + array.nbytes <= base + abi.WINDOW_SIZE
    if dense and len(array) and (there or tenancy.shared_offset(address, array.nbytes) is not None):
        return array
    copy = _room(tenancy, len(array), array.dtype)
    np.copyto(copy, array)
    return copy


def _shown(tenancy: Any, offset: int, count: int, item: np.dtype[Any]) -> _Numbers:
    """The sandbox's own memory. Raises BadPointer."""
    place = operator.index(offset)
    if place % item.itemsize:
        raise BadPointer(f"{place:#x} is not aligned to {item.itemsize} bytes, as {item} has to be")
    if not count:
        return np.zeros(0, item)
    view: memoryview = tenancy.memory.view(place, count * item.itemsize)
    return np.frombuffer(view, item)
