"""What typed pointers are compared by: the type that one points to, whatever name it goes by."""

from __future__ import annotations

from sys import intern

from tmebox.modulefile.prototypes import (
    Array,
    Bool,
    Complex,
    CType,
    Float,
    Integer,
    Opaque,
    Pointer,
    Struct,
    Vector,
    Void,
)
from tmebox.runtime.calls.remembered import remembered


@remembered
def kind_of(target: CType) -> str | None:
    """None for void and functions: pointers to those are not told apart here. Interned, since the core
    compares kinds by their identity."""
    match target:
        case Integer(8, _):
            return "char"  # the three of C, and bytes
        case Integer(bits, signed):
            return intern(f"{'i' if signed else 'u'}{bits}")
        case Bool():
            return "bool"
        case Float(bits):
            return intern(f"f{bits}")
        case Complex(bits):
            return intern(f"c{bits}")
        case Pointer(inner, _):
            return intern(f"{kind_of(inner) or 'void'} *")
        case Array(element, _):
            return kind_of(element)
        case Vector(element, count, _):
            return intern(f"{kind_of(element)}x{count}")
        case Struct() | Opaque():
            return intern(target.tag or target.name)
        case Void():
            return None
    return None


def parameter_kind(ctype: CType) -> str | None:
    """Which pointers a parameter takes."""
    if isinstance(ctype, Pointer):
        return kind_of(ctype.target)
    return kind_of(ctype.element) if isinstance(ctype, Array) else None
