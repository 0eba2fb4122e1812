"""Structs whose members the core converts by itself."""

from __future__ import annotations

from tmebox import _native
from tmebox.modulefile.prototypes import Array, Bool, CType, Float, Integer, Pointer, Struct, size_of
from tmebox.runtime.calls.classes import SSE, Unpassable, argument
from tmebox.runtime.calls.codes import type_code
from tmebox.runtime.calls.kinds import kind_of
from tmebox.runtime.calls.values import record_type

LARGEST_BYTES = 256
MOST_MEMBERS = 64
MOST_ALIGNED = 64
"""Bytes; as everything is that a sandbox is given."""
Member = tuple[str, "str | _native.StructLayout", int, "str | None", int]


def layout_of(struct: Struct, deepest: int = 4) -> _native.StructLayout | None:
    """None where a member is something else than a number, a pointer, a struct of those or an array of such,
    or has no name of its own; and for unions and large structs. Those are packed by `values.pack`."""
    names = {field.name for field in struct.fields}
    if (
        struct.union
        or not 0 < struct.size_bytes <= LARGEST_BYTES
        or struct.align > MOST_ALIGNED
        or not 0 < len(names) == len(struct.fields) <= MOST_MEMBERS
        or "" in names
    ):
        return None
    members: list[Member] = []
    end = 0
    for field in struct.fields:
        what: str | _native.StructLayout | None = None
        inner, count = (
            (field.type.element, field.type.count) if isinstance(field.type, Array) else (field.type, 0)
        )
        if field.bits or field.offset < end or (isinstance(field.type, Array) and not count):
            return None
        end = field.offset + size_of(field.type)
        if end > struct.size_bytes:
            return None
        if isinstance(inner, Struct):
            what = layout_of(inner, deepest - 1) if deepest else None
        elif isinstance(inner, Integer | Bool | Float | Pointer):
            what = type_code(inner)
        if what is None:
            return None
        kind = kind_of(inner.target) if isinstance(inner, Pointer) else None
        members.append((field.name, what, field.offset, kind, count))
    return _native.StructLayout(struct.size_bytes, tuple(members), _passing(struct), record_type(struct))


def _passing(struct: Struct) -> str:
    """How it is passed by value, in the core's letters; empty where Python has to see to it."""
    try:
        passing = argument(struct)
    except Unpassable:
        return ""
    if passing.in_memory:
        return "m" if passing.align <= 8 else ""
    if len(passing.words) < -(-struct.size_bytes // 8):  # a word of padding, which takes no register
        return ""
    return "".join("x" if kind == SSE else "i" for kind, _ in passing.words)


def value_layout(ctype: CType) -> _native.StructLayout | None:
    """Of a struct that the core passes by value."""
    layout = layout_of(ctype) if isinstance(ctype, Struct) else None
    return layout if layout is not None and _passing(ctype) else None  # type: ignore[arg-type]


def parameter_layout(ctype: CType) -> _native.StructLayout | None:
    """Of the structs that a parameter points to, if it does and they have one."""
    target = (
        ctype.target if isinstance(ctype, Pointer) else ctype.element if isinstance(ctype, Array) else None
    )
    return layout_of(target) if isinstance(target, Struct) else None
