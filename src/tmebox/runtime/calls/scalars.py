"""Single C values from Python objects, checked: what C would not convert without a diagnostic is an error.

`what` names the place in error messages: "argument 2 (int count)".
"""

from __future__ import annotations

import math
import operator
import struct
from typing import Any, Protocol

import numpy as np

from tmebox import _native, abi
from tmebox.modulefile.prototypes import Bool, Complex, CType, Float, Function, Integer, Pointer, Void
from tmebox.runtime.calls.handles import Handle
from tmebox.runtime.calls.kinds import kind_of


class Callables(Protocol):
    """What a sandbox's code knows the host's functions and objects by."""

    def stored_address(self, value: Any, ctype: Function, what: str) -> int:
        """What is stored for a callback, or a function of the sandbox. Raises TypeError, BadReference."""

    def word_of(self, handle: Handle, what: str) -> int:
        """Raises TypeError, BadReference."""


class Owner(Protocol):
    """The sandbox that a value is for: nothing of another one's is stored in it."""

    @property
    def instance(self) -> _native.Instance: ...
    @property
    def callbacks(self) -> Callables: ...


FLOAT_FORMATS = {16: "<e", 32: "<f", 64: "<d"}
LONG_DOUBLE_BYTES = 10
"""Of the 16 that one takes; the others are padding."""


ITEM_FORMATS = {8: "bB", 16: "hH", 32: "iI", 64: "qQ"}
"""Of integers with and without a sign."""


def item_format(ctype: CType) -> str | None:
    """The letter by which `struct` unpacks many of them at once, or None."""
    match ctype:
        case Integer(bits, signed) if bits in ITEM_FORMATS:
            return ITEM_FORMATS[bits][not signed]
        case Bool():
            return "?"
        case Float(bits) if bits in FLOAT_FORMATS:
            return FLOAT_FORMATS[bits][1]
    return None


def given(value: Any) -> str:
    """A value's type, for messages."""
    name = type(value).__name__
    dtype = getattr(value, "dtype", None)
    return f"{name} of {dtype}" if isinstance(value, np.ndarray) else name


def is_number(value: Any) -> bool:
    """A Python or NumPy integer, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def range_of(bits: int, signed: bool) -> tuple[int, int]:
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def to_integer(value: Any, bits: int, signed: bool, name: str, what: str) -> int:
    """Raises TypeError, OverflowError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: expected an integer, got {given(value)}") from None
    low, high = range_of(bits, signed)
    if not low <= number <= high:
        raise OverflowError(f"{what}: {number} does not fit {name} ({low} to {high})")
    return number


def to_bool(value: Any, what: str) -> bool:
    if isinstance(value, (bool, np.bool_)) or (is_number(value) and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{what}: expected a bool, got {value!r:.100}")


def to_float(value: Any, bits: int, what: str) -> float:
    """The nearest float of that many bits. Raises OverflowError for a finite number beyond them."""
    kind = type(value)
    if isinstance(value, (str, bytes, bytearray, np.ndarray)) or not (
        hasattr(kind, "__float__") or hasattr(kind, "__index__")
    ):
        raise TypeError(f"{what}: expected a float, got {given(value)}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{what}: expected a float, got {given(value)}") from None
    except OverflowError:
        raise OverflowError(f"{what}: the number does not fit {Float(bits)}") from None
    if bits < 64 and not math.isinf(number) and _rounds_to_infinity(number, bits):
        raise OverflowError(f"{what}: {number!r} does not fit {Float(bits)}")
    return number


def _rounds_to_infinity(number: float, bits: int) -> bool:
    try:
        struct.pack(FLOAT_FORMATS[bits], number)
    except OverflowError:
        return True
    return False


def to_complex(value: Any, what: str) -> complex:
    if isinstance(value, (str, bytes, bytearray, np.ndarray)) or not isinstance(
        value, (complex, float, int, np.number)
    ):
        raise TypeError(f"{what}: expected a complex number, got {given(value)}")
    return complex(value)


def to_offset(value: Any, what: str) -> int:
    """A pointer that is given as an offset or None."""
    if value is None:
        return 0
    if not is_number(value):
        raise TypeError(f"{what}: expected an offset in the sandbox (an int) or None, got {given(value)}")
    offset = operator.index(value)
    if not 0 <= offset < abi.WINDOW_SIZE:
        raise OverflowError(f"{what}: {offset:#x} is not an offset in the sandbox's window")
    return offset


def require_own(pointer: _native.Pointer, owner: Owner, what: str) -> None:
    """Raise TypeError for a pointer into another sandbox."""
    if pointer._instance is not owner.instance:
        raise TypeError(f"{what}: {pointer!r} is a pointer into another sandbox")


def to_word(value: Any, ctype: Pointer, owner: Owner, what: str) -> int:
    """What is stored for a pointer: an offset, a typed pointer's, a callback's address or a handle."""
    if isinstance(value, _native.Pointer):
        require_own(value, owner, what)
        kind = kind_of(ctype.target)
        if value._freed or (kind is not None and value._kind != kind):
            raise TypeError(f"{what}: expected a {ctype}, got {value!r}")
        return value._offset
    if isinstance(value, Handle) and isinstance(ctype.target, Void):
        return owner.callbacks.word_of(value, what)
    if isinstance(ctype.target, Function) and not (value is None or is_number(value)):
        return owner.callbacks.stored_address(value, ctype.target, what)
    return to_offset(value, what)


def pack_scalar(ctype: CType, value: Any, owner: Owner, what: str) -> bytes:
    """Its bytes in memory."""
    if isinstance(value, _native.Pointer):  # which is an integer, too
        require_own(value, owner, what)
    match ctype:
        case Integer(bits, signed, name):
            return to_integer(value, bits, signed, name, what).to_bytes(bits // 8, "little", signed=signed)
        case Bool():
            return bytes([to_bool(value, what)])
        case Float(80):
            return _pack_long_double(value, what)
        case Float(bits) if bits in FLOAT_FORMATS:
            return struct.pack(FLOAT_FORMATS[bits], to_float(value, bits, what))
        case Complex(bits):
            number = value if isinstance(value, np.clongdouble) and bits == 80 else to_complex(value, what)
            return b"".join(
                pack_scalar(Float(bits), part, owner, what) for part in (number.real, number.imag)
            )
        case Pointer():
            return to_word(value, ctype, owner, what).to_bytes(8, "little")
    raise TypeError(f"{what}: a {ctype} cannot be made from Python")


def _pack_long_double(value: Any, what: str) -> bytes:
    number = value if isinstance(value, np.longdouble) else np.longdouble(to_float(value, 64, what))
    return number.tobytes()[:LONG_DOUBLE_BYTES].ljust(16, b"\0")


def unpack_scalar(ctype: CType, data: bytes) -> Any:
    match ctype:
        case Integer(bits, signed, _):
            return int.from_bytes(data[: bits // 8], "little", signed=signed)
        case Bool():
            return data[0] != 0
        case Float(80):
            return np.frombuffer(data[:16], np.longdouble)[0]
        case Float(bits):
            return struct.unpack_from(FLOAT_FORMATS[bits], data)[0] if bits in FLOAT_FORMATS else data
        case Complex(bits):
            step = len(data) // 2
            real, imag = unpack_scalar(Float(bits), data[:step]), unpack_scalar(Float(bits), data[step:])
            return complex(real, imag) if bits < 80 else np.clongdouble(real) + np.clongdouble(1j) * imag
        case Pointer():
            return int.from_bytes(data[:4], "little")
    raise TypeError(f"not a scalar C type: {ctype!r}")
