"""Structs whose members the core converts by itself."""

from __future__ import annotations

from functools import lru_cache

from tmebox import _native
from tmebox.modulefile.prototypes import Array, Bool, CType, Float, Integer, Pointer, Struct, size_of
from tmebox.runtime.calls.codes import type_code
from tmebox.runtime.calls.kinds import kind_of

LARGEST_BYTES = 256
MOST_MEMBERS = 64
MOST_ALIGNED = 64
"""Bytes; as everything is that a sandbox is given."""
Member = tuple[str, "str | _native.StructLayout", int, "str | None"]


def layout_of(struct: Struct, deepest: int = 4) -> _native.StructLayout | None:
    """None where a member is something else than a number, a pointer or a struct of those, or has no name of
    its own; and for unions and large structs. Those are packed by `values.pack`."""
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
        if field.bits or field.offset < end:
            return None
        end = field.offset + size_of(field.type)
        if end > struct.size_bytes:
            return None
        if isinstance(field.type, Struct):
            what = layout_of(field.type, deepest - 1) if deepest else None
        elif isinstance(field.type, Integer | Bool | Float | Pointer):
            what = type_code(field.type)
        if what is None:
            return None
        kind = kind_of(field.type.target) if isinstance(field.type, Pointer) else None
        members.append((field.name, what, field.offset, kind))
    return _native.StructLayout(struct.size_bytes, tuple(members))


@lru_cache(maxsize=1024)
def parameter_layout(ctype: CType) -> _native.StructLayout | None:
    """Of the structs that a parameter points to, if it does and they have one."""
    target = (
        ctype.target if isinstance(ctype, Pointer) else ctype.element if isinstance(ctype, Array) else None
    )
    return layout_of(target) if isinstance(target, Struct) else None
