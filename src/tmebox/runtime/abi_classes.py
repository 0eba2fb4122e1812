"""How the x86-64 System V ABI passes a C type: in which registers, or in memory."""

from __future__ import annotations

from tmebox.prototypes import Array, Bool, CType, Float, Integer, Pointer, Struct, Void, size_of

INTEGER = "integer"
SSE = "sse"
MEMORY = "memory"


def classify(ctype: CType) -> tuple[str, ...]:
    """One class per eightbyte, or ("memory",); () for void. System V ABI, section 3.2.3."""
    match ctype:
        case Void():
            return ()
        case Integer(128, _, _):
            return (INTEGER, INTEGER)
        case Integer() | Bool() | Pointer():
            return (INTEGER,)
        case Float(bits):
            return (SSE,) if bits <= 64 else (MEMORY,)
        case Struct():
            return _classify_struct(ctype)
        case Array():
            return (INTEGER,)  # decays to a pointer
    raise TypeError(f"not a C type: {ctype!r}")


def _classify_struct(struct: Struct) -> tuple[str, ...]:
    if struct.size_bytes > 16 or not struct.size_bytes or not struct.fields:
        return (MEMORY,)
    classes: list[str | None] = [None] * -(-struct.size_bytes // 8)
    for offset, leaf in _leaves(struct, 0):
        size = size_of(leaf)
        if not 0 < size <= 8 or offset % size:
            return (MEMORY,)
        index = offset // 8
        kind = SSE if isinstance(leaf, Float) else INTEGER
        classes[index] = INTEGER if INTEGER in (classes[index], kind) else kind
    return tuple(kind or SSE for kind in classes)


def _leaves(ctype: CType, offset: int) -> list[tuple[int, CType]]:
    match ctype:
        case Struct():
            return [leaf for field in ctype.fields for leaf in _leaves(field.type, offset + field.offset)]
        case Array(element, count):
            step = size_of(element)
            return [leaf for index in range(count) for leaf in _leaves(element, offset + index * step)]
        case _:
            return [(offset, ctype)]
