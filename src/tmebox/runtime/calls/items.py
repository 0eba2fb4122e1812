"""Whether a buffer's items are what a pointer points to.

A pointer to characters or to void takes any buffer for its bytes. Bytes without a type of their own (`bytes`,
`bytearray`, `mmap`, a memoryview of bytes) pass for anything of which they hold a whole number. For every
other pointer the items must have its type: size, kind, sign and byte order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import numpy as np

from tmebox.modulefile.prototypes import (
    Array,
    Bool,
    Complex,
    CType,
    Float,
    Integer,
    Opaque,
    Struct,
    Vector,
    Void,
    size_of,
)
from tmebox.runtime import host_pointers

RAW = frozenset({"B", "c", "b"})
MOST_LEAVES = 4096
"""Scalars of a struct that are compared; the rest is taken to be alike."""
Leaf = tuple[int, str, int]
"""Offset, kind and size in bytes. Kinds are NumPy's: i, u, f, c, b (bool); e is an enum, of either sign."""

CODES = {("i", 2): "h", ("u", 2): "H", ("i", 4): "i", ("u", 4): "I", ("i", 8): "l", ("u", 8): "L",
         ("f", 4): "f", ("f", 8): "d", ("b", 1): "?"}  # fmt: skip
ANY, BYTES, UNCERTAIN = "*", "c", "-"
"""What the core needs to know of a pointer: takes any buffer; any, and texts; only Python can tell."""


def takes_text(target: CType) -> bool:
    return isinstance(target, Void) or takes_bytes(target)


def takes_bytes(target: CType) -> bool:
    return isinstance(target, Integer) and target.bits == 8


def item_code(target: CType) -> str:
    """For the core, so that it passes buffers which lie in the sandbox by itself."""
    if takes_bytes(target):
        return BYTES
    if isinstance(target, Void):
        return ANY
    if isinstance(target, Integer | Bool | Float) and not (isinstance(target, Integer) and target.is_enum):
        kind, size = scalar_kind(target)
        return CODES.get((kind, size), UNCERTAIN)
    return UNCERTAIN


def scalar_kind(ctype: CType) -> tuple[str, int]:
    match ctype:
        case Integer(_, signed, _, _):
            kind = "e" if ctype.is_enum else "i" if signed else "u"
        case Bool():
            kind = "b"
        case Float():
            kind = "f"
        case Complex():
            kind = "c"
        case _:
            kind = "e"  # a pointer: an offset, of either sign
    return kind, size_of(ctype)


class Items:
    """What buffers one pointer parameter takes. Types that were looked at are remembered."""

    def __init__(self, target: CType, what: str) -> None:
        self._target = target
        self._what = what
        self._size = size_of(target)
        self._seen: dict[Any, bool] = {}

    def check(self, value: Any, view: memoryview) -> None:
        """Raises TypeError or ValueError."""
        dtype = getattr(value, "dtype", None)
        key = (
            dtype
            if isinstance(dtype, np.dtype)
            else (view.format, view.itemsize, type(value), type(view.obj))
        )
        if key not in self._seen:
            self._look(value, view)
            if len(self._seen) < 64:
                self._seen[key] = True
        if self._size > 1 and view.nbytes % self._size:
            raise ValueError(
                f"{self._what}: {view.nbytes} bytes are not a whole number of {self._target} "
                f"({self._size} bytes each)"
            )

    def _look(self, value: Any, view: memoryview) -> None:
        found = type_of(value, view)
        if found is None or found.hasobject:
            raise TypeError(
                f"{self._what}: the {type(value).__name__} holds Python objects or host pointers "
                f"(items {view.format!r}), which mean nothing in a sandbox"
            )
        target = self._target
        if (
            isinstance(target, Void)
            or takes_bytes(target)
            or (self._size == 0 and isinstance(target, Opaque))
        ):
            return
        if _is_raw(value, view) or (isinstance(target, Struct | Opaque) and found == np.uint8):
            return
        if not _matches(target, found):
            raise TypeError(
                f"{self._what}: expected items of {target} ({self._size} bytes each), got "
                f"{_described(found)}; convert the array, or pass its bytes if they are meant as they are"
            )


def _described(dtype: np.dtype[Any]) -> str:
    order = "" if dtype.isnative else ", in the other byte order"
    return f"dtype {dtype}{order}"


def _is_raw(value: Any, view: memoryview) -> bool:
    return view.format in RAW and not hasattr(value, "dtype") and not hasattr(value, "typecode")


def type_of(value: Any, view: memoryview) -> np.dtype[Any] | None:
    """None for what holds host pointers."""
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype
    if host_pointers.are_in(view):
        return None
    try:
        return np.asarray(view).dtype
    except (ValueError, TypeError, RuntimeError):
        return None


def _matches(target: CType, dtype: np.dtype[Any]) -> bool:
    if not dtype.isnative:
        return False
    if isinstance(target, Opaque):
        return False
    wanted = list(islice(_leaves(target, 0), MOST_LEAVES))
    size = size_of(target)
    if dtype.names is None and dtype.subdtype is None:
        if not dtype.itemsize or size % dtype.itemsize:
            return False
        count = min(size // dtype.itemsize, MOST_LEAVES)
        got = [(index * dtype.itemsize, *_kind(dtype)) for index in range(count)]
    elif dtype.itemsize != size or _overlap(wanted):
        return dtype.itemsize == size  # of a union's members none is known to be meant
    else:
        got = list(islice(_leaves_of(dtype, 0), MOST_LEAVES))
    return len(got) == len(wanted) and all(map(_alike, wanted, got))


def _overlap(leaves: list[Leaf]) -> bool:
    ordered = sorted(leaves)
    return any(one[0] + one[2] > other[0] for one, other in pairwise(ordered))


def _alike(wanted: Leaf, got: Leaf) -> bool:
    return (wanted[0], wanted[2]) == (got[0], got[2]) and (
        wanted[1] == got[1] or (wanted[1] == "e" and got[1] in "iu") or (got[1] == "U" and wanted[1] in "iue")
    )


def _kind(dtype: np.dtype[Any]) -> tuple[str, int]:
    return dtype.kind, dtype.itemsize


def _leaves(ctype: CType, offset: int) -> Iterator[Leaf]:
    """The scalars of a C type, in order of their fields. Bytes are of either sign."""
    match ctype:
        case Struct():
            for field in ctype.fields:
                if field.bits:
                    yield offset + field.offset, "bit-field", -(-(field.bit + field.bits) // 8)
                else:
                    yield from _leaves(field.type, offset + field.offset)
        case Array(element, count) | Vector(element, count, _):
            step = size_of(element)
            inside = list(islice(_leaves(element, 0), MOST_LEAVES)) if count and step else []
            for index in range(count if inside else 0):  # never a loop in which nothing is found
                for place, kind, size in inside:
                    yield offset + index * step + place, kind, size
        case Void() | Opaque():
            yield offset, "opaque", size_of(ctype)
        case _:
            kind, size = scalar_kind(ctype)
            yield offset, "e" if size == 1 and kind in "iu" else kind, size


def _leaves_of(dtype: np.dtype[Any], offset: int) -> Iterator[Leaf]:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        for index in range(int(np.prod(shape))):
            yield from _leaves_of(base, offset + index * base.itemsize)
    elif dtype.names is not None and dtype.fields is not None:
        for name in dtype.names:
            inner, place = dtype.fields[name][:2]
            yield from _leaves_of(inner, offset + place)
    elif dtype.kind == "S":  # characters
        for index in range(dtype.itemsize):
            yield offset + index, "i", 1
    else:
        yield (offset, *_kind(dtype))
