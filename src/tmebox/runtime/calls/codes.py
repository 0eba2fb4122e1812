"""The core's letters for C types that it converts by itself."""

from __future__ import annotations

from tmebox.modulefile.prototypes import Array, Bool, CType, Float, Integer, Pointer, Void

INTEGER_CODES = {(8, True): "b", (8, False): "B", (16, True): "h", (16, False): "H",
                 (32, True): "i", (32, False): "I", (64, True): "l", (64, False): "L"}  # fmt: skip


def type_code(ctype: CType) -> str | None:
    """The core's code for a type it can convert by itself, or None."""
    match ctype:
        case Void():
            return "v"
        case Bool():
            return "?"
        case Integer(bits, signed, _, _):
            return INTEGER_CODES.get((bits, signed))
        case Float(32):
            return "f"
        case Float(64):
            return "d"
        case Pointer(_, const):
            return "P" if const else "p"
        case Array():
            return "p"
    return None
