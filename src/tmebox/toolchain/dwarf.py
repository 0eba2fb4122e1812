"""Function prototypes out of DWARF 5: what the host checks each call against.

A reader of our own: only exports and imports are wanted out of units with hundreds of thousands of entries,
so entries are skipped at the cost of one table look-up each. It reads what clang writes; where anything is
not as expected the function has no prototype, which callers must handle anyway.
"""

from __future__ import annotations

import struct
from collections.abc import Set
from typing import Any

from tmebox import prototypes as p
from tmebox.toolchain.debug_entries import Entry, Unit, units
from tmebox.toolchain.linked import Elf

_BASE, _TYPEDEF, _POINTER, _STRUCT, _UNION, _ARRAY, _ENUM = 0x24, 0x16, 0x0F, 0x13, 0x17, 0x01, 0x04
_CONST, _VOLATILE, _RESTRICT, _ATOMIC, _SUBROUTINE, _UNSPECIFIED = 0x26, 0x35, 0x37, 0x47, 0x15, 0x3B
_FUNCTION, _PARAMETER, _ELLIPSIS, _MEMBER, _SUBRANGE, _VARIABLE = 0x2E, 0x05, 0x18, 0x0D, 0x21, 0x34
_NAME, _TYPE, _SIZE, _ENCODING, _COUNT, _UPPER, _OFFSET, _LINKAGE, _EXTERNAL, _LOW_PC, _ALIGN = (
    0x03, 0x49, 0x0B, 0x3E, 0x37, 0x2F, 0x38, 0x6E, 0x3F, 0x11, 0x88,
)  # fmt: skip
_BIT_SIZE, _PROTOTYPED, _VECTOR = 0x0D, 0x27, 0x2107
_ENCODING_BOOL, _ENCODING_COMPLEX, _ENCODING_FLOAT, _ENCODING_SIGNED = 2, 3, 4, (5, 6, 0x0D)

MAX_TYPES = 400
"""Types that one prototype may spell out, before pointers in it become opaque: nesting can be exponential."""


def prototypes(executable: Elf, names: Set[str]) -> dict[str, p.Prototype]:
    """Prototypes of the functions `names`, as far as the debug information has them.

    A definition wins over a declaration, and what is visible to others over what is static.
    """
    found: dict[str, tuple[tuple[bool, bool], p.Prototype | None]] = {}
    try:
        for unit in units(executable) if names else ():
            for entry in unit.find(_FUNCTION, names):
                rank = (_EXTERNAL in entry.values, _LOW_PC in entry.values)
                if entry.name in found and found[entry.name][0] >= rank:
                    continue
                found[entry.name] = (rank, _prototype(unit, entry))
    except (IndexError, ValueError, KeyError, struct.error):
        pass  # written by another producer: its functions have no prototypes
    return {name: prototype for name, (_, prototype) in found.items() if prototype is not None}


def _prototype(unit: Unit, entry: Entry) -> p.Prototype | None:
    """Spelled out as far as it is of reasonable size; None if it has types that cannot be passed."""
    for depth in (1, 0):
        try:
            return _Types(unit).prototype(entry, depth)
        except _TooLarge:
            continue
        except (_Unspellable, RecursionError):
            break
    return None


class _TooLarge(Exception):
    """More than MAX_TYPES."""


class _Unspellable(Exception):
    """A type that `tmebox.prototypes` has no words for."""


class _Types:
    """Types of one unit."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._count = 0

    def prototype(self, entry: Entry, depth: int) -> p.Prototype | None:
        """`depth`: how many pointers to structs deep fields are spelled out."""
        parameters = []
        variadic = False
        for child in self._unit.children(entry):
            if child.tag == _PARAMETER:
                parameters.append(p.Parameter(child.name, self._type(child, depth)))
            elif child.tag == _ELLIPSIS:
                variadic = True
        if not parameters and not {_PROTOTYPED, _LOW_PC} & entry.values.keys():
            return None  # a declaration `int f();` says nothing about its parameters; a definition does
        return p.Prototype(entry.name, self._type(entry, depth), tuple(parameters), variadic)

    def _type(self, entry: Entry, depth: int) -> p.CType:
        """The type that `entry` refers to; absent means void."""
        reference = entry.values.get(_TYPE)
        if reference is None:
            return p.Void()
        return self._spell(self._unit.entry(int(reference)), depth, "")

    def _spell(self, entry: Entry, depth: int, alias: str) -> p.CType:
        self._count += 1
        if self._count > MAX_TYPES:
            raise _TooLarge
        tag, size = entry.tag, int(entry.values.get(_SIZE, 0))
        if tag == _TYPEDEF:
            return self._typedef(entry, depth, alias)
        if tag in (_CONST, _VOLATILE, _RESTRICT, _ATOMIC):
            reference = entry.values.get(_TYPE)
            return (
                p.Void() if reference is None else self._spell(self._unit.entry(int(reference)), depth, alias)
            )
        if tag == _POINTER:
            return self._pointer(entry, depth)
        if tag == _BASE:
            return self._base(entry, alias or entry.name, size)
        if tag == _ENUM:
            return self._enum(entry, depth, alias or f"enum {entry.name}".strip(), size)
        if tag in (_STRUCT, _UNION):
            keyword = "struct" if tag == _STRUCT else "union"
            return self._struct(entry, depth, alias or f"{keyword} {entry.name}".strip(), size)
        if tag == _ARRAY and _VECTOR not in entry.values:
            return self._array(entry, depth)
        if tag in (_SUBROUTINE, _UNSPECIFIED):
            return p.Void()
        raise _Unspellable(f"tag {tag:#x}")

    def _typedef(self, entry: Entry, depth: int, alias: str) -> p.CType:
        reference = entry.values.get(_TYPE)
        if reference is None:
            return p.Void()
        return self._spell(self._unit.entry(int(reference)), depth, alias or entry.name)

    def _pointer(self, entry: Entry, depth: int) -> p.CType:
        reference = entry.values.get(_TYPE)
        const = False
        while reference is not None:
            target = self._unit.entry(int(reference))
            if target.tag not in (_CONST, _VOLATILE, _RESTRICT, _ATOMIC, _TYPEDEF):
                break
            const |= target.tag == _CONST
            if target.tag == _TYPEDEF:
                break
            reference = target.values.get(_TYPE)
        if reference is None:
            return p.Pointer(p.Void(), const)
        return p.Pointer(self._spell(self._unit.entry(int(reference)), depth - 1, ""), const)

    def _base(self, entry: Entry, name: str, size: int) -> p.CType:
        encoding = int(entry.values.get(_ENCODING, 0))
        if encoding == _ENCODING_BOOL:
            return p.Bool()
        if encoding == _ENCODING_FLOAT:
            bits = 80 if entry.name == "long double" else size * 8
            return p.Float(bits)
        if encoding == _ENCODING_COMPLEX or size not in (1, 2, 4, 8, 16):
            raise _Unspellable(entry.name)
        return p.Integer(size * 8, encoding in _ENCODING_SIGNED, name)

    def _enum(self, entry: Entry, depth: int, name: str, size: int) -> p.CType:
        underlying = self._type(entry, depth)
        signed = isinstance(underlying, p.Integer) and underlying.signed
        return p.Integer(size * 8 or 32, signed, name)

    def _struct(self, entry: Entry, depth: int, name: str, size: int) -> p.CType:
        fields: list[p.StructField] = []
        aligns = [int(entry.values.get(_ALIGN, 0)) or 1]
        has_bit_fields = False
        for child in self._unit.children(entry) if depth >= 0 else ():
            if child.tag == _MEMBER:
                ctype = self._type(child, depth)
                fields.append(p.StructField(child.name, int(child.values.get(_OFFSET, 0)), ctype))
                aligns.append(align_of(ctype))
                has_bit_fields |= _BIT_SIZE in child.values
        # Bit-fields have no offset in bytes, so such a struct is stored as if it were opaque.
        return p.Struct(name, size, max(aligns), () if has_bit_fields else tuple(fields))

    def _array(self, entry: Entry, depth: int) -> p.CType:
        element = self._type(entry, depth)
        for child in reversed(list(self._unit.children(entry))):
            if child.tag == _SUBRANGE:
                count: Any = child.values.get(_COUNT)
                if count is None:
                    upper = child.values.get(_UPPER)
                    count = 0 if upper is None else int(upper) + 1
                element = p.Array(element, int(count))
        return element


def align_of(ctype: p.CType) -> int:
    """Alignment in bytes, as the x86-64 System V ABI has it."""
    if isinstance(ctype, p.Array):
        return align_of(ctype.element)
    if isinstance(ctype, p.Struct):
        return ctype.align
    return max(p.size_of(ctype), 1)
