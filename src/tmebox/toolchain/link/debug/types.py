"""C types out of DWARF: those that `modulefile.prototypes` has words for; for the rest, size and a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tmebox.modulefile import prototypes as p
from tmebox.records import replace
from tmebox.toolchain.link.debug.entries import Entry, Unit

_BASE, _TYPEDEF, _POINTER, _STRUCT, _UNION, _ARRAY, _ENUM = 0x24, 0x16, 0x0F, 0x13, 0x17, 0x01, 0x04
_CONST, _VOLATILE, _RESTRICT, _ATOMIC, _SUBROUTINE, _UNSPECIFIED = 0x26, 0x35, 0x37, 0x47, 0x15, 0x3B
_CLASS, _REFERENCE, _RVALUE_REFERENCE = 0x02, 0x10, 0x42
_MEMBER, _SUBRANGE, _INHERITANCE, _PARAMETER, _ELLIPSIS, _PROTOTYPED = 0x0D, 0x21, 0x1C, 0x05, 0x18, 0x27
_DEEPEST_FUNCTION = -2
"""Pointers to structs deep are counted down to 0; functions are spelled out somewhat deeper."""
_TYPE, _SIZE, _ENCODING, _COUNT, _UPPER, _OFFSET, _ALIGN, _DECLARATION, _VECTOR, _CONVENTION = (
    0x49, 0x0B, 0x3E, 0x37, 0x2F, 0x38, 0x88, 0x3C, 0x2107, 0x36,
)  # fmt: skip
_BIT_SIZE, _BIT_OFFSET, _DATA_BIT_OFFSET = 0x0D, 0x0C, 0x6B
_ENCODING_BOOL, _ENCODING_COMPLEX, _ENCODING_FLOAT = 2, 3, 4
_INTEGERS = {5: True, 6: True, 7: False, 8: False, 0x10: False}
"""Encodings of integers and characters; whether they are signed."""
_BY_REFERENCE = 4
"""The convention of a C++ class that a function of its own copies: it is passed as a pointer to a copy."""
_QUALIFIERS = (_CONST, _VOLATILE, _RESTRICT, _ATOMIC)
_FLOATS = {"float": 32, "double": 64, "_Float16": 16, "_Float32": 32, "_Float64": 64, "_Float32x": 64}
_PERIOD = p.ALIGNMENTS[-1]
_LONGEST = 200
"""Letters of a made-up name."""
_LARGEST_CERTAIN_ALIGN = 8
"""Arguments are aligned to that much in any case."""

MAX_TYPES = 400
"""Types that one prototype may spell out, before pointers in it become opaque: nesting can be exponential."""


class TooLarge(Exception):
    """More than MAX_TYPES."""


class Types:
    """Types of one unit, for one prototype."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._count = 0
        self._packable: list[p.Struct] = []

    def of(self, entry: Entry, depth: int) -> p.CType:
        """The type that `entry` refers to; absent means void. `depth`: how many pointers to structs deep
        fields are spelled out."""
        target = self._next(entry)
        return p.Void() if target is None else self._spell(target, depth, "")

    def _next(self, entry: Entry) -> Entry | None:
        reference = entry.values.get(_TYPE)
        return None if reference is None else self._unit.entry(int(reference))

    def _spell(self, entry: Entry, depth: int, alias: str) -> p.CType:
        self._count += 1
        if self._count > MAX_TYPES:
            raise TooLarge
        tag, size = entry.tag, int(entry.values.get(_SIZE, 0))
        if tag == _TYPEDEF or tag in _QUALIFIERS:
            return self._named(entry, depth, alias or (entry.name if tag == _TYPEDEF else ""))
        if tag in (_POINTER, _REFERENCE, _RVALUE_REFERENCE):
            return self._pointer(entry, depth, alias)
        if tag == _BASE:
            return _base(entry, alias, size)
        if tag == _ENUM:
            return self._enum(entry, depth, alias, size)
        if tag in (_STRUCT, _CLASS, _UNION):
            return self._struct(entry, depth, alias, size)
        if tag == _ARRAY:
            return self._vector(entry, depth) if _VECTOR in entry.values else self._array(entry, depth)
        if tag == _SUBROUTINE and depth >= _DEEPEST_FUNCTION:
            return self._function(entry, depth, f"{alias} *" if alias else "")
        if tag in (_SUBROUTINE, _UNSPECIFIED):
            return p.Void()
        return p.Opaque(alias or entry.name or "?", size, 1, "it is of a kind that C does not have")

    def _named(self, entry: Entry, depth: int, alias: str) -> p.CType:
        """What a typedef or a qualifier is about."""
        target = self._next(entry)
        ctype = p.Void() if target is None else self._spell(target, depth, alias)
        if entry.tag == _ATOMIC and isinstance(ctype, p.Struct | p.Array):
            return p.Opaque(f"_Atomic {ctype}", p.size_of(ctype), p.align_of(ctype), "it is atomic")
        return ctype

    def _function(self, entry: Entry, depth: int, name: str) -> p.CType:
        """Only with a prototype: `void (*)()` may take anything in C. In C++ every function has one."""
        if not self._unit.is_cxx and _PROTOTYPED not in entry.values:
            return p.Void()
        children = list(self._unit.children(entry))
        parameters = tuple(
            p.Parameter(child.name, _inside(self.of(child, depth)))
            for child in children
            if child.tag == _PARAMETER
        )
        variadic = any(child.tag == _ELLIPSIS for child in children)
        return p.Function(_inside(self.of(entry, depth)), parameters, variadic, name)

    def _pointer(self, entry: Entry, depth: int, alias: str) -> p.CType:
        target = self._behind(entry, _QUALIFIERS)
        ctype = p.Void() if target is None else self._spell(target, depth - 1, "")
        if isinstance(ctype, p.Function):
            ctype = _inside(replace(ctype, name=alias or ctype.name))
            return p.Pointer(ctype if isinstance(ctype, p.Function) else p.Void())
        return p.Pointer(_inside(ctype), self._is_const(entry))

    def _behind(self, entry: Entry, tags: Sequence[int]) -> Entry | None:
        """What `entry` refers to, beyond entries with these tags. References may lead round in a circle."""
        target = self._next(entry)
        for _ in range(MAX_TYPES):
            if target is None or target.tag not in tags:
                return target
            target = self._next(target)
        raise TooLarge

    def _is_const(self, pointer: Entry) -> bool:
        """Whether what it points to is const, be it by a typedef or as an array of such."""
        target = self._next(pointer)
        for _ in range(MAX_TYPES):
            if target is None or target.tag not in (*_QUALIFIERS, _TYPEDEF, _ARRAY):
                return False
            if target.tag == _CONST:
                return True
            target = self._next(target)
        raise TooLarge

    def _alignment(
        self, fields: list[p.StructField], aligns: list[int], explicit: int, size: int, is_union: bool
    ) -> tuple[int, bool]:
        """(alignment of a struct, whether it may be less, since it may be packed). Debug information does not
        tell, but it shows in members that are not where they would be otherwise."""
        whole = [(field, align) for field, align in zip(fields, aligns, strict=True) if not field.bits]
        known = [(f, align) for f, align in whole if not self._may_be_packed(f.type) or not f.offset % align]
        asked = [align for field, align in zip(fields, aligns, strict=True) if field.bits]
        natural = max([1, *asked, *(align for _, align in known)])
        if size % natural or any(field.offset % align for field, align in known):
            return explicit, False
        if natural <= explicit:
            return explicit, False
        ends = [field.offset + p.size_of(field.type) for field, _ in whole]
        starts = [field.offset for field, _ in whole]
        if is_union or len(whole) != len(fields):
            has_gaps = False  # bit-fields leave some in any case
        else:
            has_gaps = any(start > end for start, end in zip([*starts, size], [0, *ends], strict=True))
        lent = any(align == natural and self._may_be_packed(f.type) for f, align in whole)
        return natural, not has_gaps or lent

    def _enum(self, entry: Entry, depth: int, alias: str, size: int) -> p.CType:
        underlying = self.of(entry, depth)
        signed = isinstance(underlying, p.Integer) and underlying.signed
        name = f"enum {entry.name}".strip()
        if size not in (0, 1, 2, 4, 8, 16) or isinstance(underlying, p.Opaque):
            return p.Opaque(alias or name, size, 1, "its width is not in the debug information")
        return p.Integer(size * 8 or 32, signed, alias or name, name if alias else "")

    def _array(self, entry: Entry, depth: int) -> p.CType:
        element = self.of(entry, depth)
        for count in reversed(self._counts(entry)):
            element = p.Array(_inside(element), count)
        return element

    def _vector(self, entry: Entry, depth: int) -> p.CType:
        element = self.of(entry, depth)
        count = (self._counts(entry) or [0])[0]
        size = int(entry.values.get(_SIZE, 0)) or 1 << max(p.size_of(element) * count - 1, 0).bit_length()
        if not count or size not in p.ALIGNMENTS or p.size_of(element) * count > size:
            return p.Opaque(f"vector of {element}", size, 1, "it is a vector of an unusual kind")
        return p.Vector(_inside(element), count, size)

    def _counts(self, entry: Entry) -> list[int]:
        counts = []
        for child in self._unit.children(entry):
            if child.tag == _SUBRANGE:
                count: Any = child.values.get(_COUNT)
                if count is None:
                    upper = child.values.get(_UPPER)
                    count = 0 if upper is None else int(upper) + 1
                counts.append(int(count) if 0 <= int(count) < 1 << 31 else 0)
        return counts

    # -- structs ---------------------------------------------------------------------------------
    def _struct(self, entry: Entry, depth: int, alias: str, size: int) -> p.CType:
        keyword = {_STRUCT: "struct", _CLASS: "class"}.get(entry.tag, "union")
        name = alias or f"{keyword} {entry.name}".strip()
        if entry.values.get(_CONVENTION) == _BY_REFERENCE:
            return p.Opaque(name, size, 1, "it is a class with its own way to be copied; pass a pointer")
        explicit = int(entry.values.get(_ALIGN, 0)) or 1
        tag = f"{keyword} {entry.name}" if alias and entry.name else ""
        if not 0 <= size < 1 << 31 or explicit not in p.ALIGNMENTS:
            return p.Opaque(name, 0, 1, "its size or alignment is impossible, or 2 GiB or more", tag)
        if depth < 0 or _DECLARATION in entry.values:
            return p.Opaque(name, size, explicit, tag=tag)
        fields: list[p.StructField] = []
        aligns: list[int] = []
        for child in self._unit.children(entry):
            if child.tag == _INHERITANCE:
                return p.Opaque(name, size, explicit, "it has a base class; pass a pointer")
            if child.tag == _MEMBER:
                field, align = self._member(child, depth)
                fields.append(field)
                aligns.append(align)
                own = int(child.values.get(_ALIGN, 0))
                explicit = max(
                    explicit, own if own != align else 0
                )  # else it may be the type's, if not packed
        if not fields and self._unit.is_cxx:
            return p.Opaque(name, size, explicit, "it has no fields, which C++ does not pass")
        align, packable = self._alignment(fields, aligns, explicit, size, entry.tag == _UNION)
        certain = not packable or align <= _LARGEST_CERTAIN_ALIGN
        struct = p.Struct(name, size, align, tuple(fields), entry.tag == _UNION, certain, tag)
        if packable:
            self._packable.append(struct)
        return struct

    def _may_be_packed(self, ctype: p.CType) -> bool:
        while isinstance(ctype, p.Array):
            ctype = ctype.element
        return any(ctype is struct for struct in self._packable)

    def _member(self, entry: Entry, depth: int) -> tuple[p.StructField, int]:
        """The field, and the alignment that its type asks for."""
        ctype = self.of(entry, depth)
        values = entry.values
        bits = int(values.get(_BIT_SIZE, 0))
        if bits:
            place = _bit_place(values, p.size_of(ctype), bits)
            if isinstance(ctype, p.Opaque) or bits > 8 * p.size_of(ctype):
                ctype = p.Opaque(f"{ctype}:{bits}", p.size_of(ctype), 1, f"{ctype} is not known exactly")
            return p.StructField(entry.name, place // 8, _inside(ctype), bits, place % 8), p.align_of(ctype)
        offset = int(values.get(_OFFSET, 0))
        natural, declared = p.align_of(ctype), self._declared_align(entry)
        if declared and declared != natural and (offset % natural or offset % declared):
            reason = "a typedef in it has an alignment of its own; pass a pointer"
            ctype = p.Opaque(str(ctype), p.size_of(ctype), 1, reason)
        elif offset % natural and self._may_be_packed(ctype) and not self._is_misaligned(ctype, {offset}):
            reason = f"whether {ctype} in it is packed is not known, which decides how; pass a pointer"
            ctype = p.Opaque(str(ctype), p.size_of(ctype), 1, reason)
        return p.StructField(entry.name, offset, _inside(ctype)), declared or natural

    def _is_misaligned(self, ctype: p.CType, offsets: set[int]) -> bool:
        """Whether a scalar in it would be at one of these, so that it is passed in memory, whoever is packed.
        All items of arrays in arrays are looked at together: there may be very many."""
        match ctype:
            case p.Struct():
                self._unit.work.spend(len(offsets) * len(ctype.fields))
                return any(
                    self._is_misaligned(f.type, {(offset + f.offset) % _PERIOD for offset in offsets})
                    for f in ctype.fields
                    if not f.bits
                )
            case p.Array(element, count):
                step, count = p.size_of(element), min(count, 16)
                self._unit.work.spend(len(offsets) * count)
                items = {(offset + i * step) % _PERIOD for offset in offsets for i in range(count)}
                return self._is_misaligned(element, items)
        align = p.align_of(ctype)
        return any(offset % align for offset in offsets)

    def _declared_align(self, entry: Entry) -> int:
        """The alignment that a typedef gives the type, or the array's items; 0: none."""
        target = self._next(entry)
        for _ in range(MAX_TYPES):
            if target is None or target.tag not in (*_QUALIFIERS, _TYPEDEF, _ARRAY):
                return 0
            if target.tag == _TYPEDEF and _ALIGN in target.values:
                return int(target.values[_ALIGN])
            target = self._next(target)
        raise TooLarge


def _base(entry: Entry, alias: str, size: int) -> p.CType:
    encoding = int(entry.values.get(_ENCODING, 0))
    name = alias or entry.name
    if encoding == _ENCODING_BOOL and size == 1:
        return p.Bool()
    if encoding == _ENCODING_FLOAT:
        if entry.name == "long double" and size in (8, 16):
            return p.Float(80 if size == 16 else 64)
        if _FLOATS.get(entry.name) == 8 * size:
            return p.Float(8 * size)
    elif encoding == _ENCODING_COMPLEX:
        if size in (8, 16):
            return p.Complex(4 * size)
        if size == 32 and entry.name == "complex long double":
            return p.Complex(80)
        if size == 32:
            reason = "the debug information does not tell long double from __float128 here; pass a pointer"
            return p.Opaque(name, size, 16, reason)
    elif "_BitInt" in entry.name:
        reason = "the debug information does not have its width; use an integer of a standard width"
        return p.Opaque(f"{entry.name}(?)", size, min(max(size & -size, 1), 8), reason)
    elif encoding in _INTEGERS and size in (1, 2, 4, 8, 16):
        return p.Integer(size * 8, _INTEGERS[encoding], name, entry.name if alias else "")
    reason = f"{entry.name} is a type that Python values are not converted to; pass a pointer"
    return p.Opaque(name, size, max(size & -size, 1), reason)


def _bit_place(values: dict[int, int], type_bytes: int, bits: int) -> int:
    """Number of a bit-field's first bit, from the struct's start. Before DWARF 5 it is counted from the other
    end of the unit that the field is in."""
    if _DATA_BIT_OFFSET in values:
        return int(values[_DATA_BIT_OFFSET])
    start = 8 * int(values.get(_OFFSET, 0))
    if _BIT_OFFSET not in values:
        return start
    from_top = int(values[_BIT_OFFSET])
    from_top -= 1 << 64 if from_top >= 1 << 63 else 0
    return start + 8 * (int(values.get(_SIZE, 0)) or type_bytes) - from_top - bits


def _inside(ctype: p.CType) -> p.CType:
    """A type as part of another one: where it nests so deeply that no module file may have it, its size."""
    if _height(ctype) < p.MAX_DEPTH:
        return ctype
    return p.Opaque(str(ctype)[:_LONGEST], p.size_of(ctype), p.align_of(ctype), "it nests too deeply")


def _height(ctype: p.CType) -> int:
    """How many types deep it is spelled out."""
    match ctype:
        case p.Pointer(inner) | p.Array(inner) | p.Vector(inner):
            return 1 + _height(inner)
        case p.Function():
            return 1 + max(_height(inner) for inner in (ctype.result, *(x.type for x in ctype.parameters)))
        case p.Struct():
            return 1 + max((_height(field.type) for field in ctype.fields), default=0)
    return 0
