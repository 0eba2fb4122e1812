"""C values in memory: packing and unpacking scalars and structs by their layout."""

from __future__ import annotations

import keyword
import operator
import struct
from collections import namedtuple
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tmebox import abi
from tmebox.prototypes import Array, Bool, CType, Float, Integer, Pointer, Struct, Void, size_of

INTEGER_FORMATS = {(8, True): "b", (8, False): "B", (16, True): "h", (16, False): "H",
                   (32, True): "i", (32, False): "I", (64, True): "q", (64, False): "Q"}  # fmt: skip


@lru_cache(maxsize=256)
def record_type(ctype: Struct) -> Any:
    """The named tuple that stands for a struct in Python."""
    name = ctype.name.split()[-1] if ctype.name else "Struct"
    name = name if name.isidentifier() and not keyword.iskeyword(name) else "Struct"
    return namedtuple(name, [field.name for field in ctype.fields], rename=True)


def pack(ctype: CType, value: Any, what: str) -> bytes:
    """Bytes of a C value. Structs are given as mappings, sequences in field order, or raw bytes of the exact
    size. Raises TypeError or OverflowError naming `what`."""
    match ctype:
        case Struct():
            return _pack_struct(ctype, value, what)
        case Array(element, count):
            if isinstance(value, (bytes, bytearray)) and size_of(element) == 1 and len(value) <= count:
                return bytes(value).ljust(count, b"\0")
            if len(value) != count:
                raise TypeError(f"{what}: expected {count} items, got {len(value)}")
            return b"".join(pack(element, item, f"{what}[{index}]") for index, item in enumerate(value))
    return _pack_scalar(ctype, value, what)


def _pack_scalar(ctype: CType, value: Any, what: str) -> bytes:
    try:
        match ctype:
            case Integer(128, _, _):
                return (operator.index(value) & ((1 << 128) - 1)).to_bytes(16, "little")
            case Integer(bits, signed, _):
                return struct.pack("<" + INTEGER_FORMATS[bits, signed], operator.index(value))
            case Bool():
                return struct.pack("<?", bool(value))
            case Float(bits) if bits in (32, 64):
                return struct.pack("<f" if bits == 32 else "<d", value)
            case Pointer():
                offset = 0 if value is None else operator.index(value)
                if not 0 <= offset < abi.WINDOW_SIZE:
                    raise OverflowError(f"{what}: {offset:#x} is not an offset in the sandbox's window")
                return struct.pack("<Q", offset)
    except struct.error:
        raise OverflowError(f"{what}: {value!r} does not fit {ctype}") from None
    except TypeError:
        raise TypeError(f"{what}: expected {ctype}, got {type(value).__name__}") from None
    raise TypeError(f"{what}: a {ctype} cannot be made from Python")


def _pack_struct(ctype: Struct, value: Any, what: str) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        if len(value) != ctype.size_bytes:
            raise TypeError(f"{what}: {ctype} has {ctype.size_bytes} bytes, got {len(value)}")
        return bytes(value)
    if not isinstance(value, (Mapping, tuple, list)):
        try:
            return _pack_struct(ctype, bytes(memoryview(value)), what)
        except TypeError:
            raise TypeError(
                f"{what}: expected a mapping, a sequence or bytes for {ctype}, got {type(value).__name__}"
            ) from None
    names = [field.name for field in ctype.fields]
    if isinstance(value, Mapping):
        unknown = sorted(set(value) - set(names))
        if unknown:
            raise TypeError(f"{what}: {ctype} has no field {unknown[0]!r} (fields: {', '.join(names)})")
        items = [(field, value[field.name]) for field in ctype.fields if field.name in value]
    else:
        if len(value) != len(names):
            raise TypeError(f"{what}: {ctype} has {len(names)} fields ({', '.join(names)}), got {len(value)}")
        items = list(zip(ctype.fields, value, strict=True))
    data = bytearray(ctype.size_bytes)
    for field, item in items:
        packed = pack(field.type, item, f"{what}.{field.name}")
        data[field.offset : field.offset + len(packed)] = packed
    return bytes(data)


def unpack(ctype: CType, data: bytes) -> Any:
    """The Python value of a C value's bytes: int, float, bool, named tuple, or a tuple for arrays."""
    match ctype:
        case Void():
            return None
        case Integer(bits, signed, _):
            return int.from_bytes(data[: bits // 8], "little", signed=signed)
        case Bool():
            return data[0] != 0
        case Float(32):
            return struct.unpack_from("<f", data)[0]
        case Float(64):
            return struct.unpack_from("<d", data)[0]
        case Float():
            return data[: size_of(ctype)]
        case Pointer():
            return int.from_bytes(data[:4], "little")
        case Array(element, count):
            step = size_of(element)
            return tuple(unpack(element, data[i * step : (i + 1) * step]) for i in range(count))
        case Struct():
            if not ctype.fields:
                return data
            parts = [data[f.offset : f.offset + size_of(f.type)] for f in ctype.fields]
            return record_type(ctype)(*(unpack(f.type, p) for f, p in zip(ctype.fields, parts, strict=True)))
    raise TypeError(f"not a C type: {ctype!r}")
