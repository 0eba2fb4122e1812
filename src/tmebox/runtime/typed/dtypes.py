"""C types as NumPy has them, for views of a sandbox's memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from tmebox.modulefile.prototypes import (
    Array,
    Bool,
    Complex,
    CType,
    Float,
    Integer,
    Pointer,
    Struct,
    Vector,
    size_of,
)

_FLOATS = {16: "<f2", 32: "<f4", 64: "<f8", 80: "g"}
_COMPLEX = {32: "<c8", 64: "<c16", 80: "G"}


def dtype_of(ctype: CType) -> np.dtype[Any]:
    """A NumPy type of the same layout. Pointers are offsets, of 64 bits. Members that NumPy has no type for,
    such as bit-fields, are left out; a type that is nothing else is bytes."""
    match ctype:
        case Integer(bits, signed, _, _) if bits <= 64:
            return np.dtype(f"<{'i' if signed else 'u'}{bits // 8}")
        case Bool():
            return np.dtype(np.bool_)
        case Float(bits) if bits in _FLOATS:
            return np.dtype(_FLOATS[bits])
        case Complex(bits):
            return np.dtype(_COMPLEX[bits])
        case Pointer():
            return np.dtype("<u8")
        case Array(element, count):
            return np.dtype((dtype_of(element), (count,)))
        case Vector(element, count, size_bytes) if size_of(element) * count == size_bytes:
            return np.dtype((dtype_of(element), (count,)))
        case Struct():
            return _of_struct(ctype)
    return np.dtype(f"V{size_of(ctype)}")


def _of_struct(struct: Struct) -> np.dtype[Any]:
    names, formats, offsets = [], [], []
    for field in struct.fields:
        if not field.bits and field.name:
            names.append(field.name)
            formats.append(dtype_of(field.type))
            offsets.append(field.offset)
        elif not field.bits and isinstance(field.type, Struct):  # members of an anonymous member
            inner = dtype_of(field.type)
            for name in inner.names or ():
                names.append(name)
                formats.append(inner.fields[name][0])  # type: ignore[index]
                offsets.append(field.offset + inner.fields[name][1])  # type: ignore[index]
    if not names:
        return np.dtype(f"V{struct.size_bytes}")
    layout = {"names": names, "formats": formats, "offsets": offsets, "itemsize": struct.size_bytes}
    return np.dtype(layout)  # type: ignore[call-overload, no-any-return]
