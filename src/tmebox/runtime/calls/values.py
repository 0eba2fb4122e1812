"""C values in memory: packing and unpacking them by their layout."""

from __future__ import annotations

import keyword
import struct
import unicodedata
import weakref
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tmebox import _native
from tmebox.listing import encoded
from tmebox.modulefile.prototypes import (
    Array,
    CType,
    Function,
    Integer,
    Opaque,
    Pointer,
    Struct,
    StructField,
    Vector,
    Void,
    size_of,
)
from tmebox.runtime import host_pointers
from tmebox.runtime.attributes import is_attribute
from tmebox.runtime.calls.extents import MOST_EMPTY, can_be_read, items_can_be_read
from tmebox.runtime.calls.items import takes_text
from tmebox.runtime.calls.lasting import one_for_each
from tmebox.runtime.calls.remembered import remembered
from tmebox.runtime.calls.scalars import (
    Owner,
    given,
    item_format,
    pack_scalar,
    range_of,
    require_own,
    to_bool,
    to_integer,
    unpack_scalar,
)
from tmebox.shown import some_of

Unpacker = Callable[[bytes, "_native.Instance | None"], Any]


class Stored:
    """A struct that is in a sandbox's memory: given where one by value is wanted, it is copied."""

    __slots__ = ("_struct",)
    _struct: Struct
    _space: Any
    _read_bytes: Callable[[], bytes]
    _place_in: Callable[[_native.Instance, CType, str], int]


def _require_pointers_of(value: Any, owner: Owner, what: str) -> None:
    """Raise TypeError for what is given for a struct or an array, and leads into another sandbox."""
    if isinstance(value, _native.Pointer):
        require_own(value, owner, what)
    elif isinstance(value, Record) and "_of" in value.__dict__:
        _require_same(value._of(), owner.instance, f"{what}: a {value._layout}")
    elif isinstance(value, Stored) and has_pointers(value._struct):
        _require_same(value._space.instance, owner.instance, f"{what}: a {value._struct}")


def _require_same(other: _native.Instance | None, instance: _native.Instance, what: str) -> None:
    if other is not instance:
        whose = f"the sandbox at {other.base:#x}" if other is not None else "a sandbox that is gone"
        raise TypeError(
            f"{what} of {whose} has pointers, which lead nowhere in the sandbox at {instance.base:#x}"
        )


@remembered
def has_pointers(ctype: CType) -> bool:
    """Whether pointers are in a value, not only behind others."""
    match ctype:
        case Struct():
            return any(has_pointers(field.type) for field in ctype.fields)
        case Array():
            return has_pointers(ctype.element)
    return isinstance(ctype, Pointer)


def with_texts(ctype: CType, value: Any, place: Callable[[Any, Pointer, str], Any], what: str) -> Any:
    """The value with pointers to copies of the texts that are given for pointers to characters, and to
    functions of the host. place(text or function, type, what): makes one."""
    if isinstance(ctype, Array) and isinstance(value, (list, tuple)):
        return [with_texts(ctype.element, item, place, f"{what}[{i}]") for i, item in enumerate(value)]
    if isinstance(ctype, Struct) and type(value) in (tuple, list) and len(value) == len(ctype.fields):
        pairs = zip(ctype.fields, value, strict=True)
        return tuple(with_texts(f.type, item, place, f"{what}.{f.name}") for f, item in pairs)
    if isinstance(ctype, Struct) and isinstance(value, dict):
        types = {field.name: field.type for field in ctype.fields}
        return {
            name: with_texts(types.get(name, Void()), item, place, f"{what}.{name}")
            for name, item in list(value.items())  # which a key that is compared may change
        }
    if isinstance(ctype, Pointer) and isinstance(value, (str, bytes)) and takes_text(ctype.target):
        return place(value, ctype, what)
    if isinstance(ctype, Pointer) and isinstance(ctype.target, Function) and callable(value):
        return place(value, ctype, what)
    return value


class Record:
    """What stands for a struct or union in Python: a named tuple that also knows the bytes it was made from,
    so that it can be passed back as it came; to the sandbox that it came from, if pointers are in it. Members
    of anonymous members are attributes of it, too. A member whose name begins with an underscore has its
    place instead, as `_0`."""

    _layout: Struct
    _data: bytes
    _of: weakref.ref[_native.Instance]

    def __getattr__(self, name: str) -> Any:
        if is_attribute(name) and "_data" in self.__dict__:
            for field, value in zip(self._layout.fields, self, strict=True):
                if not field.name and isinstance(value, Record):
                    try:
                        return getattr(value, name)
                    except AttributeError:
                        continue
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> Any:
        if "_data" in self.__dict__:
            return _rebuild, (self._layout, self._data)
        return _refill, (self._layout, tuple(self))


def _rebuild(layout: Struct, data: bytes) -> Any:
    return unpack(layout, data)


def _refill(layout: Struct, values: tuple[Any, ...]) -> Any:
    return record_type(layout)(*values)


@remembered
@one_for_each
def record_type(ctype: Struct) -> Any:
    """The named tuple that stands for a struct in Python."""
    name = ctype.name.split()[-1] if ctype.name else "Struct"
    name = name if name.isidentifier() and not keyword.iskeyword(name) else "Struct"
    # As Python reads names: two that are one then, or have a meaning, would be an error in what this writes.
    names = [unicodedata.normalize("NFKC", field.name) for field in ctype.fields]
    plain = namedtuple(name, names, rename=True)  # type: ignore[misc]
    return type(name, (Record, plain), {"_layout": ctype, "__doc__": plain.__doc__})


def as_mapping(record: Any) -> dict[str, Any]:
    """A record's members by name, those of anonymous members among them."""
    found: dict[str, Any] = {}
    for field, key, value in zip(record._layout.fields, record._fields, record, strict=True):
        if not field.name and isinstance(value, Record):
            found.update(as_mapping(value))
        else:
            found[field.name or key] = value
    return found


def pack(ctype: CType, value: Any, owner: Owner, what: str) -> bytes:
    """As `pack_whole`, where nothing has room behind it."""
    data = pack_whole(ctype, value, owner, what)
    if isinstance(ctype, Struct) and len(data) > ctype.size_bytes:
        raise TypeError(f"{what}: a {ctype} with items behind it is passed by pointer, or made by Box.new")
    return data


def pack_whole(ctype: CType, value: Any, owner: Owner, what: str) -> bytes:
    """Bytes of a C value for a sandbox. Structs are given as mappings, sequences in field order, records, or
    raw bytes of the exact size; unions as a mapping of one member. A last array without a size may go on
    behind it. Raises TypeError, OverflowError or BadReference naming `what`."""
    match ctype:
        case Struct():
            return _pack_struct(ctype, value, owner, what)
        case Array(element, count) | Vector(element, count, _):
            return _pack_items(ctype, element, count, value, owner, what)
        case Opaque():
            return _exact_bytes(ctype, value, what)
    return pack_scalar(ctype, value, owner, what)


def _pack_items(
    ctype: Array | Vector, element: CType, count: int, value: Any, owner: Owner, what: str
) -> bytes:
    _require_pointers_of(value, owner, what)
    size = size_of(ctype)
    if isinstance(value, str) and isinstance(element, Integer) and element.is_char:
        value = encoded(value, what)
    if isinstance(value, (bytes, bytearray)) and size_of(element) == 1:
        data = bytes(value)  # once: a bytearray may grow after its length was looked at
        if len(data) > count:
            raise TypeError(f"{what}: {len(data)} bytes do not fit into {ctype}")
        return data.ljust(size, b"\0")
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not hasattr(type(value), "__len__"):
        raise TypeError(f"{what}: expected a sequence of {count} items for {ctype}, got {given(value)}")
    if len(value) != count or len(items := list(value)) != count:  # nor does a list have to stay as long
        raise TypeError(f"{what}: expected {count} items, got {len(value)}")
    packed = b"".join(pack(element, item, owner, f"{what}[{index}]") for index, item in enumerate(items))
    return packed.ljust(size, b"\0")


def _exact_bytes(ctype: Struct | Opaque, value: Any, what: str) -> bytes:
    host_pointers.require_none(value, what)
    try:
        data = bytes(memoryview(value))
    except TypeError:
        kinds = "bytes" if isinstance(ctype, Opaque) else "a mapping, a sequence or bytes"
        raise TypeError(f"{what}: expected {kinds} for {ctype}, got {given(value)}") from None
    if len(data) != ctype.size_bytes:
        raise TypeError(f"{what}: {ctype} has {ctype.size_bytes} bytes, got {len(data)}")
    return data


def _pack_struct(ctype: Struct, value: Any, owner: Owner, what: str) -> bytes:
    _require_pointers_of(value, owner, what)
    if isinstance(value, Record) and "_data" in value.__dict__ and value._layout == ctype:
        return value._data
    if isinstance(value, Stored):
        if value._struct != ctype:
            raise TypeError(f"{what}: expected a {ctype}, got {value!r}")
        return value._read_bytes()
    if not isinstance(value, (Mapping, tuple, list)):
        return _exact_bytes(ctype, value, what)
    data = bytearray(ctype.size_bytes)
    flexible = flexible_member(ctype)
    for field, item in _chosen(ctype, value, what):
        if field is flexible and isinstance(field.type, Array) and isinstance(item, (tuple, list, bytes)):
            inner = pack(Array(field.type.element, len(item)), item, owner, f"{what}.{field.name}")
            data[field.offset : field.offset + len(inner)] = inner
            continue
        _put(data, field, item, owner, f"{what}.{field.name}" if field.name else what)
    return bytes(data)


def flexible_member(ctype: Struct) -> StructField | None:
    """The last member, if it is an array without a size, which goes on behind the struct."""
    last = ctype.fields[-1] if ctype.fields and not ctype.union else None
    is_flexible = last is not None and isinstance(last.type, Array) and not last.type.count
    return last if is_flexible else None


def _chosen(ctype: Struct, value: Any, what: str) -> list[tuple[StructField, Any]]:
    """The fields that a mapping or sequence gives, with their values."""
    names = member_names(ctype)
    if isinstance(value, Mapping):
        unknown = sorted(str(name) for name in set(value) - set(names))
        if unknown:
            raise TypeError(f"{what}: {ctype} has no field {unknown[0]!r} (fields: {some_of(names)})")
        items = [(field, value[field.name]) for field in ctype.fields if field.name and field.name in value]
        items += _anonymous(ctype, value)
        if ctype.union and len(items) > 1:
            given_names = some_of([str(name) for name in value])
            raise TypeError(f"{what}: {ctype} is a union: give one of its members, not {given_names}")
        return items
    if ctype.union:
        if len(value) == 1 and ctype.fields:
            return [(ctype.fields[0], value[0])]  # as in C
        example = f"{{{names[0]!r}: …}}" if names else "{}"
        raise TypeError(f"{what}: {ctype} is a union: give the member that is meant, like {example}")
    if len(value) != len(ctype.fields):
        raise TypeError(
            f"{what}: {ctype} has {len(ctype.fields)} fields ({some_of(names)}), got {len(value)}"
        )
    return list(zip(ctype.fields, value, strict=True))


def _anonymous(ctype: Struct, value: Mapping[Any, Any]) -> list[tuple[StructField, Any]]:
    """Anonymous members, each with what the mapping has for the members of it."""
    found: list[tuple[StructField, Any]] = []
    for field in ctype.fields:
        if not field.name and isinstance(field.type, Struct):
            inner = {name: value[name] for name in member_names(field.type) if name in value}
            if inner:
                found.append((field, inner))
    return found


def member_names(ctype: Struct) -> list[str]:
    """As C code would write them behind the dot."""
    names: list[str] = []
    for field in ctype.fields:
        if field.name:
            names.append(field.name)
        elif isinstance(field.type, Struct):
            names += member_names(field.type)
    return names


def _put(data: bytearray, field: StructField, value: Any, owner: Owner, what: str) -> None:
    if not field.bits:
        packed = pack(field.type, value, owner, what)
        data[field.offset : field.offset + len(packed)] = packed
        return
    number = _bit_field(field, value, owner, what) & ((1 << field.bits) - 1)
    size = -(-(field.bit + field.bits) // 8)
    place = slice(field.offset, field.offset + size)
    data[place] = (int.from_bytes(data[place], "little") | number << field.bit).to_bytes(size, "little")


def _bit_field(field: StructField, value: Any, owner: Owner, what: str) -> int:
    if isinstance(value, _native.Pointer):
        require_own(value, owner, what)
    if not isinstance(field.type, Integer):
        return to_bool(value, what)
    return to_integer(value, field.bits, field.type.signed, f"{field.type}:{field.bits}", what)


def _get_bits(data: bytes, field: StructField) -> int | bool:
    size = -(-(field.bit + field.bits) // 8)
    number = int.from_bytes(data[field.offset : field.offset + size], "little") >> field.bit
    number &= (1 << field.bits) - 1
    if not isinstance(field.type, Integer):
        return bool(number)
    _, high = range_of(field.bits, field.type.signed)
    return number - (1 << field.bits) if number > high else number


def unpack(ctype: CType, data: bytes, of: _native.Instance | None = None) -> Any:
    """The Python value of a C value's bytes: int, float, complex, bool, a record, or a tuple for arrays. of:
    whose memory pointers in it are about, if that is known. Raises TypeError for a type whose members share
    their memory so often that a value would take far more than its bytes."""
    return unpacker(ctype)(data, of)


@remembered
def unpacker(ctype: CType) -> Unpacker:
    """As `unpack`. Made once: what a value costs does not depend on how much there is to say of its type."""
    if not can_be_read(ctype):
        raise TypeError(
            f"members of {ctype} are too many, or share their memory too often: read them one by one"
        )
    return _unpacker_of(ctype)


def _unpacker_of(ctype: CType) -> Unpacker:
    match ctype:
        case Void():
            return lambda data, of: None
        case Opaque():
            return lambda data, of: data
        case Array(element, count) | Vector(element, count, _):
            return _items_unpacker(element, count)
        case Struct():
            return _struct_unpacker(ctype)
    return lambda data, of: unpack_scalar(ctype, data)


def unpack_items(element: CType, count: int, data: bytes, of: _native.Instance | None = None) -> Any:
    """As `unpack` of an array, which has no type of its own. Raises TypeError."""
    code = item_format(element)
    if code is not None:
        return struct.unpack_from(f"<{count}{code}", data)
    if not items_can_be_read(element, count):
        raise TypeError(f"{count} {element} have too many members: read them one by one")
    step, one = size_of(element), unpacker(element)
    return tuple(one(data[i * step : (i + 1) * step], of) for i in range(count if step else 0))


def _items_unpacker(element: CType, count: int) -> Unpacker:
    step = size_of(element)
    one = _unpacker_of(element)
    if not step:
        return lambda data, of: (one(b"", of),) * min(count, MOST_EMPTY)
    code = item_format(element)
    if code is not None:
        alike = struct.Struct(f"<{count}{code}")
        return lambda data, of: alike.unpack_from(data)
    return lambda data, of: tuple(one(data[i * step : (i + 1) * step], of) for i in range(count))


def _struct_unpacker(ctype: Struct) -> Unpacker:
    make, is_about_memory = record_type(ctype), has_pointers(ctype)
    members = [_member_unpacker(field) for field in ctype.fields]

    def unpack_struct(data: bytes, of: _native.Instance | None) -> Any:
        record = make(*[member(data, of) for member in members])
        record.__dict__["_data"] = bytes(data)
        if of is not None and is_about_memory:
            record.__dict__["_of"] = weakref.ref(of)
        return record

    return unpack_struct


def _member_unpacker(field: StructField) -> Unpacker:
    if field.bits:
        return lambda data, of: _get_bits(data, field)
    start, end, inner = field.offset, field.offset + size_of(field.type), _unpacker_of(field.type)
    return lambda data, of: inner(data[start:end], of)


def get_member(data: bytes, field: StructField) -> Any:
    """A bit-field's value, from the bytes that it is in."""
    return _get_bits(data, replace(field, offset=0))


def put_member(data: bytearray, field: StructField, value: Any, owner: Owner, what: str) -> None:
    """Set a bit-field in the bytes that it is in. Raises TypeError, OverflowError."""
    clear = int.from_bytes(data, "little") & ~(((1 << field.bits) - 1) << field.bit)
    data[:] = clear.to_bytes(len(data), "little")
    _put(data, replace(field, offset=0), value, owner, what)
