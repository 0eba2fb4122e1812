"""Typed pointers into a sandbox's memory: what C code writes as `p[i]`, `p->x` and `*p`."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tmebox import _native, abi
from tmebox.modulefile import prototypes as p
from tmebox.runtime.attributes import is_attribute, listed_attributes
from tmebox.runtime.calls.kinds import kind_of
from tmebox.runtime.calls.lasting import one_for_each
from tmebox.runtime.calls.named import names_of
from tmebox.runtime.calls.remembered import remembered
from tmebox.runtime.calls.scalars import is_number
from tmebox.runtime.calls.values import (
    Stored,
    get_member,
    member_names,
    pack,
    put_member,
    unpack,
    unpack_items,
)
from tmebox.runtime.typed.dtypes import dtype_of
from tmebox.shown import some_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from tmebox.runtime.tenancy import Tenancy


class Pointer(_native.Pointer):
    """A pointer to values of one C type in a sandbox.

    `p[i]` is an item, `p[i] = value` sets it, `p.x` is a member of the struct that it points to, as C's `->`;
    a member hides a method of its name, which is `Pointer.read(p)` then. A member whose name begins with an
    underscore, which is no attribute, is `p["_x"]`, as any member may be called. What `Box.new` made knows
    how many items there are, and others raise IndexError; of what a library gave nothing is known, and where
    no memory is BadPointer is raised. Everything that is read is as untrusted as the code that wrote it.
    """

    __slots__ = ()  # the core has them, so that it can make pointers by itself
    _keeps: Any
    _space: Tenancy
    _target: p.CType
    _count: int | None

    def __new__(
        cls, space: Tenancy, offset: int, target: p.CType, count: int | None = None, keeps: object = None
    ) -> Self:
        its_class: Any = _class_of(target) if cls is Pointer else cls
        kind = kind_of(target)
        made: Self = super().__new__(its_class, space.instance, offset, kind, space, target, count, keeps)
        return made

    @property
    def type(self) -> str:
        """Of the pointer, as C writes it."""
        return _type_of(self)

    def _place(self, index: int) -> int:
        """Offset of an item. Raises IndexError, ValueError."""
        if self._freed:
            raise ValueError(f"the {self._target} was freed")
        number = operator.index(index)
        if self._count is not None and not 0 <= number < self._count:
            raise IndexError(f"item {number} of {self._count}")
        offset = self._offset
        if number:
            offset += number * _step(self._target)
        if not 0 <= offset < abi.WINDOW_SIZE:
            raise IndexError(
                f"item {number} of a {_type_of(self)} at {self._offset:#x} lies outside the sandbox"
            )
        return offset

    def __getitem__(self, index: int | str) -> Any:
        if isinstance(index, str):
            return _member_at(self._space, self._place(0), _with_member(self._target, index), index, self)
        return value_at(self._space, self._place(index), self._target, self)

    def __setitem__(self, index: int | str, value: Any) -> None:
        if isinstance(index, str):
            _set_member_at(self._space, self._place(0), _with_member(self._target, index), index, value)
        else:
            _put_at(self._space, self._place(index), self._target, value, f"{self._target}")

    def __getattr__(self, name: str) -> Any:
        _require_attribute(name)
        if not isinstance(self._target, p.Struct):
            raise AttributeError(f"a {_type_of(self)} has no attribute {name!r}")
        return _member_at(self._space, self._place(0), self._target, name, self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_freed":
            super().__setattr__(name, value)
            return
        _require_attribute(name)
        if isinstance(self._target, p.Struct):
            _set_member_at(self._space, self._place(0), self._target, name, value)
        else:
            raise AttributeError(f"a {_type_of(self)} has no member {name!r}: write p[0] = value")

    def __len__(self) -> int:
        if self._count is None:
            raise TypeError(f"how many items a {_type_of(self)} of a library has is not known")
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __add__(self, number: int) -> Pointer:
        offset = self._offset + operator.index(number) * _step(self._target)
        if not 0 <= offset < abi.WINDOW_SIZE:
            raise IndexError(f"{_type_of(self)} {number:+} lies outside the sandbox")
        left = None if self._count is None else max(self._count - number, 0)
        return Pointer(self._space, offset, self._target, left, self)

    def __sub__(self, other: int | Pointer) -> Any:
        if not isinstance(other, Pointer):
            return self + -operator.index(other)
        if other._kind != self._kind or other._instance is not self._instance:
            raise TypeError(
                f"a {_type_of(other)} is not subtracted from a {_type_of(self)}, nor what is elsewhere"
            )
        return (self._offset - other._offset) // _step(self._target)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _native.Pointer):
            return self._offset == other._offset and self._instance is other._instance
        return bool(is_number(other) and self._offset == other)

    def __hash__(self) -> int:
        return hash(self._offset)

    def __bool__(self) -> bool:
        return True

    def __index__(self) -> int:
        return self._offset

    def read(self) -> Any:
        """The whole value in Python: a number, a named tuple, or a tuple of items."""
        if self._count is None or self._count == 1:
            return unpack(self._target, Pointer.tobytes(self, _step(self._target)), self._instance)
        return unpack_items(self._target, self._count, Pointer.tobytes(self), self._instance)

    def tobytes(self, size: int | None = None) -> bytes:
        """A copy of so many bytes; default: all items. Raises BadPointer."""
        return self._space.memory.read(self._place(0), self._size(size))

    def string(self, limit: int = abi.MIB) -> bytes:
        """The bytes up to a NUL. Raises BadPointer if there is none within the limit."""
        return self._space.memory.string(self._place(0), limit)

    def array(self, count: int | None = None) -> NDArray[Any]:
        """The items as a NumPy array, without a copy; structs as records, and bytes of what has no size, as
        void. Writable where it is memory that Python made. Raises BadPointer."""
        number = self._count if count is None else operator.index(count)
        if number is None:
            raise TypeError(f"how many items a {_type_of(self)} of a library has is not known: array(count)")
        size = self._size(number * _step(self._target))
        view = self._space.memory.view(self._place(0), size)
        dtype = dtype_of(self._target) if p.size_of(self._target) else np.dtype(np.uint8)
        found: NDArray[Any] = np.frombuffer(view, dtype.base if dtype.subdtype else dtype)
        return found.reshape(number, *dtype.shape)

    def _size(self, size: int | None) -> int:
        whole = None if self._count is None else self._count * _step(self._target)
        wanted = whole if size is None else operator.index(size)
        if wanted is None:
            raise TypeError(f"how many items a {_type_of(self)} of a library has is not known: give a size")
        if wanted < 0 or (whole is not None and wanted > whole):
            raise IndexError(f"{wanted} bytes, where there are {whole}")
        return wanted

    def free(self) -> None:
        """Give back what `Box.new` made. Idempotent; no pointer to it can be used any more."""
        if not self._freed:
            self._freed = True
            _set(self, "_keeps", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        Pointer.free(self)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a pointer into a sandbox is not copied or pickled: read() gives the value")

    def __repr__(self) -> str:
        items = "" if self._count in (None, 1) else f", {self._count} items"
        return f"<{_type_of(self)} at {self._offset:#x}{items}{' (freed)' * self._freed}>"


class StructView(Stored):
    """A struct or union in a sandbox's memory: its members are attributes, read and written there. One whose
    name begins with an underscore is no attribute, but `view["_x"]`, as any member may be called."""

    __slots__ = ("_keeps", "_offset", "_space")
    _keeps: Any
    _offset: int
    _space: Tenancy

    def __init__(self, space: Tenancy, offset: int, struct: p.Struct, keeps: Any) -> None:
        for name, value in (("_space", space), ("_offset", offset), ("_struct", struct), ("_keeps", keeps)):
            object.__setattr__(self, name, value)

    def __getitem__(self, name: str) -> Any:
        return _member_at(self._space, self._start(), _with_member(self._struct, name), name, self._keeps)

    def __setitem__(self, name: str, value: Any) -> None:
        _set_member_at(self._space, self._start(), _with_member(self._struct, name), name, value)

    def __getattr__(self, name: str) -> Any:
        _require_attribute(name)
        return _member_at(self._space, self._start(), self._struct, name, self._keeps)

    def __setattr__(self, name: str, value: Any) -> None:
        _require_attribute(name)
        _set_member_at(self._space, self._start(), self._struct, name, value)

    def _start(self) -> int:
        """Where it is. Raises ValueError if it was freed."""
        if isinstance(self._keeps, Pointer):
            Pointer._place(self._keeps, 0)
        return self._offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StructView) and self._read() == other._read()

    __hash__ = None  # type: ignore[assignment]

    def _read(self) -> Any:
        return unpack(self._struct, self._read_bytes())

    def _place_in(self, instance: _native.Instance, target: p.CType, what: str) -> int:
        """Where it is, for a pointer to it. Raises TypeError, ValueError."""
        if self._space.instance is not instance:
            raise TypeError(f"{what}: {self!r} is in another sandbox")
        if isinstance(target, p.Void) or kind_of(target) == kind_of(self._struct):
            return self._start()
        raise TypeError(f"{what}: expected a {p.Pointer(target)}, got {self!r}")

    def _read_bytes(self) -> bytes:
        return self._space.memory.read(self._start(), self._struct.size_bytes)

    def __dir__(self) -> list[str]:
        return listed_attributes(field.name for field in self._struct.fields)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a struct in a sandbox is not copied or pickled: read() of its pointer gives it")

    def __repr__(self) -> str:
        return f"<{self._struct} at {self._offset:#x}>"


_set = object.__setattr__


def _require_attribute(name: str) -> None:
    if not is_attribute(name):
        raise AttributeError(f"no attribute {name!r}: a member whose name begins with _ is pointer[{name!r}]")


def _with_member(target: p.CType, name: str) -> p.Struct:
    """The target, a struct with such a member. Raises TypeError, KeyError."""
    if not isinstance(target, p.Struct) or not isinstance(name, str):
        raise TypeError(f"{target}[{name!r}]: only structs have members, which are called by their names")
    if name not in member_names(target):
        raise KeyError(name)
    return target


def _type_of(pointer: Pointer) -> str:
    return str(p.Pointer(pointer._target))


def _class_of(target: p.CType) -> type[Pointer]:
    return _class_for(target) if isinstance(target, p.Struct) else Pointer


@remembered
def _class_for(struct: p.Struct) -> type[Pointer]:
    return _with_members(struct) if _hidden(struct) else Pointer


def _hidden(struct: p.Struct) -> set[str]:
    """Members that are called like methods of pointers."""
    names = member_names(struct)
    own = {name for name in names if name in vars(Pointer) and not name.startswith("_")}
    return own | {"offset", "kind", "instance", "freed"}.intersection(names)


@remembered
def maker(target: p.CType) -> _native.PointerMaker:
    """Makes pointers to a type in any sandbox: maker(instance, space, offset, count, keeps)."""
    return _native.PointerMaker(_class_of(target), kind_of(target), target)


def maker_in(space: Tenancy, target: p.CType) -> _native.PointerMaker:
    """Makes pointers to a type in one sandbox: maker(offset)."""
    return _native.PointerMaker(_class_of(target), kind_of(target), target, space.instance, space)


@one_for_each
def _with_members(struct: p.Struct) -> type[Pointer]:
    """Pointers to this struct, whose members are not hidden by methods."""

    def member(name: str) -> property:
        return property(lambda self: getattr(self[0], name))

    return type("Pointer", (Pointer,), {"__slots__": (), **{name: member(name) for name in _hidden(struct)}})


def value_at(space: Tenancy, offset: int, ctype: p.CType, keeps: Any) -> Any:
    """What is at an offset, as its type has it: structs and arrays stay where they are. keeps: as long as
    what is returned is there. Raises BadPointer."""
    if isinstance(ctype, p.Integer):  # most are, and everything else takes longer anyway
        data = space.memory.read(offset, ctype.bits // 8)
        return int.from_bytes(data, "little", signed=ctype.signed)
    match ctype:
        case p.Struct():
            return StructView(space, offset, ctype, keeps)
        case p.Array(element, count):  # without a size, it goes on as far as its owner says
            return Pointer(space, offset, element, count or None, keeps)
        case p.Pointer(p.Function() as function, _):
            word = int.from_bytes(space.memory.read(offset, 8), "little")
            return space.callbacks.function_at(space, word & 0xFFFF_FFFF, function)
        case p.Pointer():
            word = int.from_bytes(space.memory.read(offset, 8), "little")
            if word >> 32 and word in space.callbacks.handles and isinstance(ctype.target, p.Void):
                return space.callbacks.handles[word]
            return pointer(space, word & 0xFFFF_FFFF, ctype)
    return unpack(ctype, space.memory.read(offset, p.size_of(ctype)))


def pointer(space: Tenancy, offset: int, ctype: p.Pointer) -> Pointer | None:
    """None for NULL."""
    return Pointer(space, offset, names_of(space.module).full(ctype.target)) if offset else None


def _step(target: p.CType) -> int:
    """Of void and of types that are not known, bytes are counted."""
    return p.size_of(target) or 1


def _member_at(space: Tenancy, offset: int, struct: p.Struct, name: str, keeps: Any) -> Any:
    """A member of the struct at an offset, as `value_at` has it. Raises AttributeError."""
    start, field = _find(struct, name, offset)
    if field.bits:
        return get_member(space.memory.read(start, _bit_bytes(field)), field)
    return value_at(space, start, field.type, keeps)


def _set_member_at(space: Tenancy, offset: int, struct: p.Struct, name: str, value: Any) -> None:
    """Raises AttributeError, TypeError, OverflowError."""
    start, field = _find(struct, name, offset)
    what = f"{struct}.{name}"
    if field.bits:
        data = bytearray(space.memory.read(start, _bit_bytes(field)))
        put_member(data, field, value, space, what)
        space.memory.write(start, data)
    else:
        _put_at(space, start, field.type, value, what)


LARGE = 1 << 16
"""Bytes of a value for which there may be no room, whoever says how large it is."""


def _put_at(space: Tenancy, offset: int, ctype: p.CType, value: Any, what: str) -> None:
    """Raises TypeError, OverflowError, BadPointer."""
    if isinstance(ctype, (p.Struct, p.Array)) and p.size_of(ctype) > LARGE:
        space.memory.require(offset, p.size_of(ctype))
    space.memory.write(offset, pack(ctype, value, space, what))


def _find(struct: p.Struct, name: str, start: int) -> tuple[int, p.StructField]:
    """(offset, member) in a struct at `start`, those of anonymous members among them. Raises
    AttributeError."""
    for field in struct.fields:
        if field.name == name:
            return start + field.offset, field
    for field in struct.fields:
        if not field.name and isinstance(field.type, p.Struct) and name in member_names(field.type):
            return _find(field.type, name, start + field.offset)
    names = [field.name for field in struct.fields if field.name]
    raise AttributeError(f"{struct} has no member {name!r} (members: {some_of(names)})")


def _bit_bytes(field: p.StructField) -> int:
    return -(-(field.bit + field.bits) // 8)
