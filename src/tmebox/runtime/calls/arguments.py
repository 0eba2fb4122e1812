"""Python values to C arguments: one converter per parameter, chosen once per function.

A converter appends to a `CallFrame`; what it allocated or must copy back is undone or done by the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tmebox import _native
from tmebox.listing import encoded
from tmebox.memory.windows import Window
from tmebox.modulefile.prototypes import (
    Array,
    CType,
    Float,
    Function,
    Integer,
    Opaque,
    Pointer,
    Struct,
    Vector,
    Void,
    size_of,
)
from tmebox.runtime.calls.buffers import Buffers, In, InOut, Out
from tmebox.runtime.calls.classes import (
    INTEGER,
    INTEGER_REGISTERS,
    VECTOR,
    Passing,
    Unpassable,
    argument,
)
from tmebox.runtime.calls.extents import MOST_IN_CALL, objects_in
from tmebox.runtime.calls.handles import Handle
from tmebox.runtime.calls.items import Items, takes_bytes, takes_text
from tmebox.runtime.calls.kinds import kind_of
from tmebox.runtime.calls.layouts import layout_of
from tmebox.runtime.calls.scalars import (
    Callables,
    Owner,
    given,
    is_number,
    pack_scalar,
    require_own,
    to_integer,
    to_offset,
)
from tmebox.runtime.calls.values import (
    Stored,
    as_mapping,
    pack,
    pack_whole,
    unpacker,
    with_texts,
)
from tmebox.shown import some_of

__all__ = ["CallFrame", "Converter", "In", "InOut", "Out", "Space", "check_count", "converter", "describe"]

U64 = (1 << 64) - 1


class References(Callables, Protocol):
    """What sandboxed code has of the host: functions by pointer, and handles."""

    def code_address(self, value: Any, ctype: Function, what: str) -> int:
        """Where sandboxed code calls a function of the host, or one of its own. Raises TypeError,
        BadReference, LimitError."""

    handles: dict[int, Any]

    def function_at(self, host: Any, address: int, ctype: Function) -> Any:
        """What sandboxed code has at an address, to be called from Python. Raises BadReference."""


class Space(Protocol):
    """What converters need of a sandbox."""

    instance: _native.Instance

    def hold(self) -> Window: ...
    def scratch(self, size_bytes: int) -> _native.Extent: ...
    def lend_text_room(self) -> None: ...
    def shared_offset(self, address: int, size_bytes: int) -> int | None:
        """Where memory of the host lies in the sandbox's shared heap, if it does."""

    def hold_block(self, block: _native.Block, what: str) -> tuple[int, object]:
        """Its offset, and what keeps it there. Raises TypeError unless the block can be passed."""

    @property
    def callbacks(self) -> References: ...


class CallFrame:
    """Registers, stack arguments and temporary memory of one call. Holds the window, since converting an
    argument may run any Python code, and other threads run as well."""

    def __init__(self, space: Space, by_clang: bool) -> None:
        """by_clang: see `Passing.is_wide`."""
        self.space = space
        self._integer_registers = INTEGER_REGISTERS
        self._by_clang = by_clang
        self.window = space.hold()
        self.integers: list[int] = []
        self.vectors: list[int] = []
        self.needs_whole_registers = False
        self.stack = bytearray()
        self._scratch: list[object] = []  # what lives as long as the call
        self._buffers: Buffers | None = None
        self._records: dict[int, tuple[Any, Struct, int]] = {}
        self._after: list[tuple[int, int, Callable[[bytes], None]]] = []
        self._objects_left = MOST_IN_CALL

    def integer(self, value: int) -> None:
        if len(self.integers) < self._integer_registers:
            self.integers.append(value & U64)
        else:
            self.stack += (value & U64).to_bytes(8, "little")

    def put(self, passing: Passing, data: bytes, what: str) -> None:
        """A value by its bytes: all of it in registers, or all of it on the stack."""
        if passing.is_nothing:
            return
        if passing.fits(self._integer_registers - len(self.integers), len(self.vectors)):
            data = data.ljust(passing.stack_bytes, b"\0")
            for kind, index in passing.words:
                size = 16 if kind == VECTOR else 8
                word = int.from_bytes(data[8 * index : 8 * index + size], "little")
                (self.integers if kind == INTEGER else self.vectors).append(word)
            self.needs_whole_registers |= passing.needs_whole_registers
            return
        if passing.is_wide and self._by_clang:
            self._integer_registers = len(self.integers)
        try:
            place = passing.stack_place(len(self.stack))
        except Unpassable as error:
            raise TypeError(f"{what}: {error}") from None
        self.stack += bytes(place - len(self.stack)) + data.ljust(passing.stack_bytes, b"\0")

    def later(self) -> Callable[[int], None]:
        """Keep the place of an integer; what is returned fills it in."""
        if len(self.integers) < self._integer_registers:
            index, integers = len(self.integers), self.integers
            integers.append(0)
            return lambda value: integers.__setitem__(index, value)
        start, stack = len(self.stack), self.stack
        stack += bytes(8)

        def fill(value: int) -> None:
            stack[start : start + 8] = value.to_bytes(8, "little")

        return fill

    @property
    def buffers(self) -> Buffers:
        if self._buffers is None:
            self._buffers = Buffers(self.window, self, self.space.shared_offset)
        return self._buffers

    def record(self, value: Any, target: Struct, what: str) -> None:
        """Pass a pointer to a copy of a mapping or tuple. One that is passed twice is one struct. Once there
        is room for texts, the core passes small ones by itself."""
        known = self._records.get(id(value))
        if known is not None and known[1] == target:
            self.integer(known[2])
            return
        if known is not None:
            raise TypeError(f"{what}: the same {type(value).__name__} is passed as a {known[1]}, too")
        self.space.lend_text_room()
        offset = self.reserve(target.size_bytes)  # first: a struct may be larger than the sandbox
        data = self.packed(target, value, what, pack_whole)
        if len(data) > target.size_bytes:  # items behind it, as many as were given
            offset = self.reserve(len(data))
        if data:
            _native.write(self.window.base + offset, data)
        self.integer(offset)
        if isinstance(value, dict):
            self._records[id(value)] = (value, target, offset)

    def packed(
        self, ctype: CType, value: Any, what: str, how: Callable[[CType, Any, Owner, str], bytes] = pack
    ) -> bytes:
        """A struct, with copies of its texts for the call."""
        return how(ctype, with_texts(ctype, value, self._place, what), self.space, what)

    def _place(self, text: Any, ctype: Pointer, what: str) -> int:
        if isinstance(ctype.target, Function):
            return self.space.callbacks.code_address(text, ctype.target, what)
        data = encoded(text, what) if isinstance(text, str) else text
        return self.copy_in(data + b"\0", len(data) + 1)

    def count(self, objects: int, target: Struct, what: str) -> None:
        """Raise TypeError where the structs that come back have too many members: a module says how many."""
        self._objects_left -= objects
        if self._objects_left < 0:
            raise TypeError(
                f"{what}: {target} has too many members to be read back in one call; pass a buffer, or what "
                "Box.new makes"
            )

    def updates(self, value: dict[str, Any], target: Struct) -> None:
        """What the sandbox changes in a struct that `record` passed is put into the dict. Texts stay that
        are still pointed to."""
        address = self.window.base + self._records[id(value)][2]
        members = unpacker(target)
        texts = {name for name, item in value.items() if isinstance(item, (str, bytes))}
        texts &= {field.name for field in target.fields if isinstance(field.type, Pointer)}
        before = _native.read(address, target.size_bytes) if texts else b""

        def update(data: bytes) -> None:
            after = as_mapping(members(data, self.space.instance))
            passed = as_mapping(members(before, None)) if texts else {}
            value.update({k: v for k, v in after.items() if k not in texts or v != passed[k]})

        self._after.append((address, target.size_bytes, update))

    def copy_in(self, data: Any, size_bytes: int) -> int:
        offset = self.reserve(size_bytes)
        if size_bytes:
            _native.write(self.window.base + offset, data)
        return offset

    def block(self, block: _native.Block, what: str) -> None:
        """Pass a block of the shared heap, which nobody moves meanwhile."""
        offset, held = self.space.hold_block(block, what)
        self._scratch.append(held)
        self.integer(offset)

    def text(self, data: bytes) -> None:
        """Pass a string. Once there is room for texts, the core passes those of moderate size by itself."""
        self.space.lend_text_room()
        self.integer(self.copy_in(data + b"\0", len(data) + 1))

    def reserve(self, size_bytes: int) -> int:
        room = self.space.scratch(size_bytes)
        self._scratch.append(room)
        return room.start

    def ready(self) -> None:
        """All arguments are known: copy buffers in."""
        if self._buffers is not None:
            self._buffers.copy_in()

    def finish(self) -> None:
        """Copy results back; call after a call that returned. Raises SandboxClosed if the memory went
        meanwhile: what was copied may be zeros. All is read before Python code can run because of it."""
        if self._buffers is not None:
            self._buffers.copy_back()
        copies = [_native.read(address, size_bytes) for address, size_bytes, _ in self._after]
        self.space.hold()
        for data, (_, _, update) in zip(copies, self._after, strict=True):
            update(data)

    def close(self) -> None:
        if self._buffers is not None:
            self._buffers.let_go()
            self._buffers = None  # they refer to this, and both to the window
        self._scratch.clear()


Converter = Callable[[Any, CallFrame], None]


def converter(ctype: CType, what: str) -> Converter:
    """`what` names the parameter in error messages: "argument 2 (int count)". Raises Unpassable."""
    match ctype:
        case Integer(bits, signed, name) if bits <= 64:
            return lambda value, frame: frame.integer(to_integer(value, bits, signed, name, what))
        case Pointer(Function() as function, _):
            return _function_converter(function, what)
        case Pointer(target, const):
            return _pointer_converter(target, const, what)
        case Array(element, _):
            return _pointer_converter(element, False, what)
        case Void():
            raise Unpassable("void is no value")
    passing = argument(ctype)
    layout = layout_of(ctype) if isinstance(ctype, Struct) else None
    if layout is not None:
        exact = layout.pack
        return lambda value, frame: frame.put(passing, exact(value) or frame.packed(ctype, value, what), what)
    if isinstance(ctype, Struct):
        return lambda value, frame: frame.put(passing, frame.packed(ctype, value, what), what)
    make = pack if isinstance(ctype, Opaque | Vector) else pack_scalar
    return lambda value, frame: frame.put(passing, make(ctype, value, frame.space, what), what)


DOUBLE = Float(64)


def variadic_converter(value: Any, frame: CallFrame, what: str) -> None:
    """Default promotions for an argument behind the `...`: integers become long, floats double, str and bytes
    char *."""
    if isinstance(value, (bool, np.bool_)) or is_number(value):
        number = int(value)
        frame.integer(to_integer(number, 64, number < 0, "long", what))
    elif isinstance(value, (float, np.floating)):
        if isinstance(value, np.longdouble):
            raise TypeError(
                f"{what}: a {type(value).__name__} behind `...`: pass a float, which becomes a double"
            )
        frame.put(argument(DOUBLE), pack_scalar(DOUBLE, value, frame.space, what), what)
    elif isinstance(value, (complex, np.complexfloating, Mapping)) or (
        isinstance(value, tuple) and hasattr(value, "_fields")
    ):
        raise TypeError(
            f"{what}: behind `...`, numbers, texts and pointers can be passed, got {given(value)}"
        )
    else:
        _pointer_converter(Void(), True, what)(value, frame)


ALL_ONES = -1
"""As a function pointer, such as SQLITE_TRANSIENT, or a void *, such as MAP_FAILED: C libraries give it a
meaning of their own. No memory is there."""


def _function_converter(function: Function, what: str) -> Converter:
    def convert(value: Any, frame: CallFrame) -> None:
        if value is None or is_number(value):
            frame.integer(U64 if value == ALL_ONES else to_offset(value, what))
        else:
            frame.integer(frame.space.callbacks.code_address(value, function, what))

    return convert


def _pointer_converter(target: CType, const: bool, what: str) -> Converter:
    items = Items(target, what)
    text = takes_text(target)
    size = size_of(target)
    kind = kind_of(target)
    objects = objects_in(target) if isinstance(target, Struct) and not const else 0

    def convert(value: Any, frame: CallFrame) -> None:
        if value is None or is_number(value):
            all_ones = isinstance(target, Void) and value == ALL_ONES
            frame.integer(U64 if all_ones else to_offset(value, what))
        elif isinstance(value, Handle):
            if not isinstance(target, Void):
                raise TypeError(f"{what}: a handle is a void *")
            frame.integer(frame.space.callbacks.word_of(value, what))
        elif isinstance(value, _native.Pointer):
            frame.integer(_pointed(value, frame, kind, target, what))
        elif isinstance(value, Stored):
            frame.integer(value._place_in(frame.space.instance, target, what))
        elif isinstance(value, list):
            frame.integer(_copied_list(value, frame, target, const, what))
        elif isinstance(value, _native.Block):
            frame.block(value, what)
        elif isinstance(value, str):
            if not text:
                raise TypeError(
                    f"{what}: expected a buffer, an offset or None, got str; texts are passed for pointers "
                    "to char, and bytes (str.encode) for any"
                )
            frame.text(encoded(value, what))
        elif isinstance(value, (bool, np.generic)):
            raise TypeError(
                f"{what}: expected a buffer, an offset or None, got {type(value).__name__}; "
                "one value is passed as an array of one"
            )
        elif isinstance(value, bytes):
            _pass_bytes(value, const, target, size, frame, what)
        elif isinstance(target, Struct) and isinstance(value, (Mapping, tuple)):
            if const or not isinstance(value, dict):
                frame.record(value, target, what)
            else:
                frame.count(objects, target, what)
                frame.record(value, target, what)
                frame.updates(value, target)
        elif isinstance(value, (In, Out, InOut)):
            frame.buffers.add(value.buffer, type(value), True, items, frame.later(), what)
        else:
            frame.buffers.add(value, In if const else InOut, False, items, frame.later(), what)

    return convert


def _pointed(value: _native.Pointer, frame: CallFrame, kind: str | None, target: CType, what: str) -> int:
    """The offset of a typed pointer. Raises TypeError, ValueError."""
    if value._freed:
        raise ValueError(f"{what}: {value!r} was freed")
    require_own(value, frame.space, what)
    if kind is not None and value._kind != kind:
        raise TypeError(f"{what}: expected a {Pointer(target)}, got {value!r}; cast() it if it is meant")
    return value._offset


def _copied_list(value: list[Any], frame: CallFrame, target: CType, const: bool, what: str) -> int:
    """Room with a copy of a list, for the call: numbers or structs, or texts with NULL behind the last."""
    value = value.copy()  # what is asked for its number may change it
    if isinstance(target, Pointer) and takes_bytes(target.target):
        words = []
        offset = frame.reserve(8 * len(value) + 8)
        for index, item in enumerate(value):
            if item is None or isinstance(item, (int, _native.Pointer)):
                words.append(
                    int.from_bytes(pack_scalar(target, item, frame.space, f"{what}[{index}]"), "little")
                )
            elif isinstance(item, (str, bytes)):
                data = encoded(item, f"{what}[{index}]") if isinstance(item, str) else item
                words.append(frame.copy_in(data + b"\0", len(data) + 1))
            else:
                raise TypeError(f"{what}[{index}]: expected a text or None, got {given(item)}")
        packed = b"".join(word.to_bytes(8, "little") for word in [*words, 0])
    elif const and not isinstance(target, Void | Function | Opaque):
        offset = frame.reserve(len(value) * size_of(target))  # first: they may be larger than the sandbox
        packed = b"".join(frame.packed(target, item, f"{what}[{index}]") for index, item in enumerate(value))
    else:
        raise TypeError(
            f"{what}: expected a buffer, an offset or None, got list; make an array of it, as by "
            f"numpy.array or "
            "sandbox.array"
        )
    if packed:
        _native.write(frame.window.base + offset, packed)
    return offset


def _pass_bytes(value: bytes, const: bool, target: CType, size: int, frame: CallFrame, what: str) -> None:
    if not const:
        raise TypeError(f"{what} is not const: pass a writable buffer, or In(...) to drop what is written")
    if size > 1 and len(value) % size:
        raise ValueError(f"{what}: {len(value)} bytes are not a whole number of {target} ({size} bytes each)")
    if isinstance(target, Struct) and size and not value:
        raise ValueError(
            f"{what}: no bytes, where a {target} of {size} bytes is expected; None is no pointer"
        )
    frame.text(value)


def describe(index: int, name: str, ctype: CType) -> str:
    gap = "" if str(ctype).endswith("*") else " "
    return f"argument {index + 1} ({ctype}{gap}{name})".replace(" )", ")")


def check_count(function: str, names: Sequence[str], given_count: int, variadic: bool) -> None:
    """TypeError in the words Python users know when the number of arguments is wrong."""
    if given_count == len(names) or (variadic and given_count > len(names)):
        return
    listed = f" ({some_of(names)})" if names else ""
    least = "at least " if variadic else ""
    plural = "" if len(names) == 1 else "s"
    raise TypeError(f"{function}() takes {least}{len(names)} argument{plural}{listed}, {given_count} given")
