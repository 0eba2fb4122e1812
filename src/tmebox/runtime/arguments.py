"""Python values to C arguments: one converter per parameter, chosen once per function.

A converter appends to a `CallFrame`; what it allocated or must copy back is undone or done by the frame.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tmebox import _native, abi
from tmebox.memory.windows import Window
from tmebox.prototypes import Array, Bool, CType, Float, Integer, Pointer, Struct, Void, size_of
from tmebox.runtime.abi_classes import MEMORY, SSE, classify
from tmebox.runtime.values import pack, record_type, unpack

U64 = (1 << 64) - 1


class Space(Protocol):
    """What converters need of a sandbox."""

    def hold(self) -> Window: ...
    def scratch(self, size_bytes: int) -> _native.Extent: ...
    def lend_text_room(self) -> None: ...


@dataclass(frozen=True)
class In:
    """Pass a copy of a buffer; changes the sandbox makes are dropped."""

    buffer: Any


@dataclass(frozen=True)
class Out:
    """Pass room of a writable buffer's size, zeroed; its contents are filled in after the call."""

    buffer: Any


@dataclass(frozen=True)
class InOut:
    """Pass a copy of a writable buffer; it is updated after the call."""

    buffer: Any


@dataclass
class CallFrame:
    """Registers, stack arguments and temporary memory of one call. Holds the window, since converting an
    argument may run any Python code, and other threads run as well."""

    space: Space
    window: Window = field(init=False)
    integers: list[int] = field(default_factory=list)
    vectors: list[int] = field(default_factory=list)
    stack: bytearray = field(default_factory=bytearray)
    _scratch: list[_native.Extent] = field(default_factory=list)
    _held: list[memoryview] = field(default_factory=list)
    _after: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.window = self.space.hold()

    def integer(self, value: int) -> None:
        if len(self.integers) < 6:
            self.integers.append(value & U64)
        else:
            self.stack += (value & U64).to_bytes(8, "little")

    def vector(self, bits: int) -> None:
        if len(self.vectors) < abi.VECTOR_ARGUMENT_COUNT:
            self.vectors.append(bits)
        else:
            self.stack += bits.to_bytes(8, "little")

    def aggregate(self, data: bytes, classes: tuple[str, ...]) -> None:
        """A struct by value: all of it in registers, or all of it on the stack."""
        data = data.ljust(-(-len(data) // 8) * 8, b"\0")
        vectors = classes.count(SSE)
        fits = len(self.integers) + len(classes) - vectors <= 6 and len(self.vectors) + vectors <= 8
        if MEMORY in classes or not fits:
            self.stack += data
            return
        for kind, (word,) in zip(classes, struct.iter_unpack("<Q", data), strict=True):
            (self.vectors if kind == SSE else self.integers).append(word)

    def copy_in(self, data: Any, size_bytes: int) -> int:
        offset = self.reserve(size_bytes)
        if size_bytes:
            _native.write(self.window.base + offset, data)
        return offset

    def text(self, data: bytes) -> None:
        """Pass a string. Once there is room for texts, the core passes those of moderate size by itself."""
        self.space.lend_text_room()
        self.integer(self.copy_in(data + b"\0", len(data) + 1))

    def reserve(self, size_bytes: int) -> int:
        room = self.space.scratch(size_bytes)
        self._scratch.append(room)
        return room.start

    def hold(self, view: memoryview) -> None:
        """Its memory stays where it is, and of its size, until the call is over."""
        self._held.append(view)

    def afterwards(self, action: Callable[[], None]) -> None:
        self._after.append(action)

    def finish(self) -> None:
        """Copy results back; call after a call that returned."""
        for action in self._after:
            action()

    def close(self) -> None:
        self._scratch.clear()
        self._held.clear()


Converter = Callable[[Any, CallFrame], None]


def converter(ctype: CType, what: str) -> Converter:
    """`what` names the parameter in error messages: "argument 2 (int count)"."""
    match ctype:
        case Bool():
            return lambda value, frame: frame.integer(_boolean(value, what))
        case Integer(bits, signed, _) if bits <= 64:
            return _integer_converter(bits, signed, str(ctype), what)
        case Integer():
            return lambda value, frame: _wide_integer(value, frame, what)
        case Float(32):
            return lambda value, frame: frame.vector(
                int.from_bytes(struct.pack("<f", _float(value, what)), "little")
            )
        case Float(64):
            return lambda value, frame: frame.vector(
                int.from_bytes(struct.pack("<d", _float(value, what)), "little")
            )
        case Pointer(target, const):
            return _pointer_converter(target, const, what)
        case Array(element, _):
            return _pointer_converter(element, False, what)
        case Struct():
            classes = classify(ctype)
            return lambda value, frame: frame.aggregate(pack(ctype, value, what), classes)
    raise TypeError(f"{what}: a {ctype} cannot be passed from Python")


def variadic_converter(value: Any, frame: CallFrame, what: str) -> None:
    """Default promotions for an argument behind the `...`: int → long, float → double, str/bytes → char *."""
    if isinstance(value, float):
        frame.vector(int.from_bytes(struct.pack("<d", value), "little"))
    elif isinstance(value, int):
        _integer_converter(64, value < 0, "long", what)(value, frame)
    else:
        _pointer_converter(Void(), True, what)(value, frame)


def _integer_converter(bits: int, signed: bool, name: str, what: str) -> Converter:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def convert(value: Any, frame: CallFrame) -> None:
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{what}: expected an integer, got {type(value).__name__}") from None
        if not low <= number <= high:
            raise OverflowError(f"{what}: {number} does not fit {name} ({low} to {high})")
        frame.integer(number)

    return convert


def _wide_integer(value: Any, frame: CallFrame, what: str) -> None:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: expected an integer, got {type(value).__name__}") from None
    if not -(1 << 127) <= number < 1 << 128:
        raise OverflowError(f"{what}: {number} does not fit 128 bits")
    frame.aggregate((number & ((1 << 128) - 1)).to_bytes(16, "little"), ("integer", "integer"))


def _boolean(value: Any, what: str) -> int:
    if isinstance(value, bool) or (hasattr(value, "dtype") and value.dtype == bool):
        return int(bool(value))
    if isinstance(value, int) and value in (0, 1):
        return value
    raise TypeError(f"{what}: expected a bool, got {value!r}")


def _float(value: Any, what: str) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{what}: expected a float, got {type(value).__name__}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{what}: expected a float, got {type(value).__name__}") from None


def _pointer_converter(target: CType, const: bool, what: str) -> Converter:
    def convert(value: Any, frame: CallFrame) -> None:
        if value is None:
            frame.integer(0)
        elif isinstance(value, int):
            if not 0 <= value < abi.WINDOW_SIZE:
                raise OverflowError(f"{what}: {value:#x} is not an offset in the sandbox's window")
            frame.integer(value)
        elif isinstance(value, str):
            frame.text(value.encode())
        elif isinstance(value, bytes):
            if not const:
                raise TypeError(
                    f"{what} is not const: pass a writable buffer, or In(...) to drop what is written"
                )
            frame.text(value)
        elif isinstance(target, Struct) and isinstance(value, (Mapping, tuple)):
            _pass_record(value, target, const, frame, what)
        elif isinstance(value, (In, Out, InOut)):
            _pass_buffer(value.buffer, type(value), target, frame, what)
        else:
            _pass_buffer(value, In if const else InOut, target, frame, what)

    return convert


def _pass_record(value: Any, target: Struct, const: bool, frame: CallFrame, what: str) -> None:
    offset = frame.copy_in(pack(target, value, what), target.size_bytes)
    frame.integer(offset)
    if not const and isinstance(value, dict):
        address = frame.window.base + offset

        def update() -> None:
            result = unpack(target, _native.read(address, target.size_bytes))
            value.update(zip(record_type(target)._fields, result, strict=True))

        frame.afterwards(update)


def _pass_buffer(value: Any, mode: type, target: CType, frame: CallFrame, what: str) -> None:
    try:  # once: what it says next time may be different
        view = memoryview(value)
        address, size_bytes, read_only = _native.buffer_address(view)
    except (BufferError, TypeError, ValueError) as error:
        detail = "must be C-contiguous" if isinstance(error, BufferError) else f"got {type(value).__name__}"
        raise TypeError(f"{what}: expected a C-contiguous buffer, an offset or None; {detail}") from None
    _check_items(value, target, what)
    _check_size(size_bytes, target, what)
    if mode is not In and read_only:
        raise TypeError(f"{what} is written to, but the {type(value).__name__} is read-only")
    frame.hold(view)
    base = frame.window.base
    if base <= address and address + size_bytes <= base + abi.WINDOW_SIZE:
        frame.integer(address - base)
        return
    if mode is Out:
        offset = frame.reserve(size_bytes)
        _native.write(base + offset, bytes(size_bytes))
    else:
        offset = frame.copy_in(view, size_bytes)
    frame.integer(offset)
    if mode is not In:
        frame.afterwards(lambda: _copy_back(view.cast("B"), base + offset, size_bytes))


def _copy_back(view: memoryview, address: int, size_bytes: int) -> None:
    view[:] = _native.read(address, size_bytes)


def _check_items(value: Any, target: CType, what: str) -> None:
    """A NumPy array's items must be what the pointer points to; bytes pass for anything."""
    dtype = getattr(value, "dtype", None)
    wanted = size_of(target)
    if dtype is None or wanted in (0, 1) or not isinstance(target, (Integer, Float)):
        return
    kinds = "f" if isinstance(target, Float) else "iub"
    if dtype.itemsize != wanted or dtype.kind not in kinds:
        raise TypeError(f"{what}: expected an array of {target} ({wanted} bytes an item), got dtype {dtype}")


def _check_size(size_bytes: int, target: CType, what: str) -> None:
    """A buffer holds whole items of what the pointer points to; how many, only the function knows."""
    item = size_of(target)
    if item > 1 and size_bytes % item:
        raise ValueError(f"{what}: {size_bytes} bytes are not a whole number of {target} ({item} bytes each)")


def describe(index: int, name: str, ctype: CType) -> str:
    gap = "" if str(ctype).endswith("*") else " "
    return f"argument {index + 1} ({ctype}{gap}{name})".replace(" )", ")")


def check_count(function: str, names: Sequence[str], given: int, variadic: bool) -> None:
    """TypeError in the words Python users know when the number of arguments is wrong."""
    if given == len(names) or (variadic and given > len(names)):
        return
    listed = f" ({', '.join(names)})" if names else ""
    least = "at least " if variadic else ""
    plural = "" if len(names) == 1 else "s"
    raise TypeError(f"{function}() takes {least}{len(names)} argument{plural}{listed}, {given} given")
