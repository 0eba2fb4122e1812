"""How much of the host a value of a C type takes, however a module file lays out its members."""

from __future__ import annotations

from collections.abc import Iterable

from tmebox.modulefile.prototypes import Array, CType, Opaque, Struct, Vector, size_of
from tmebox.runtime.calls.remembered import remembered

MOST_EMPTY = 1024
"""Items without a size that an array shows, however many a module file says there are."""
RECORD = 4
"""A record, compared with a number."""
MOST_PER_BYTE = 24
"""For each byte of a value. A union of a byte and its bits, in a struct, is 21; a character in an array
is one."""
FEW = 4096
"""What any value may have."""
WORD_BYTES = 16
"""Of a copy of bytes that cost about as much as an object."""


MOST_IN_CALL = 1 << 18
"""For all values of one call together, whatever the module says how many and how large they are: a quarter of
a second and some megabytes of the host."""
MOST_AT_ONCE = 1 << 22
"""For a value that the host asks for."""


def objects_in(ctype: CType) -> int:
    """How many objects of Python stand for a value, with the bytes that are copied for them. Members may
    share their memory, in unions as a rule: there may be more of them than fit beside each other."""
    match ctype:
        case Struct():
            inside = sum(1 if field.bits else objects_in(field.type) for field in ctype.fields)
            return RECORD + ctype.size_bytes // WORD_BYTES + inside
        case Array(element, count) | Vector(element, count, _):
            if not size_of(element):
                return 1 + min(count, MOST_EMPTY) // WORD_BYTES + objects_in(element)
            return 1 + size_of(ctype) // WORD_BYTES + count * objects_in(element)
        case Opaque():
            return 1 + ctype.size_bytes // WORD_BYTES
    return 1


def is_moderate(ctype: CType) -> bool:
    """Whether a value can be taken apart as a whole. What it costs is then bounded by its size."""
    return objects_in(ctype) <= FEW + MOST_PER_BYTE * size_of(ctype)


def can_be_read(ctype: CType) -> bool:
    """Whether that costs little enough, too."""
    return is_moderate(ctype) and objects_in(ctype) <= MOST_AT_ONCE


_objects_of = remembered(objects_in)


def items_can_be_read(element: CType, count: int) -> bool:
    """As `can_be_read` of an array, which has no type of its own."""
    size_bytes = count * size_of(element)
    objects = 1 + size_bytes // WORD_BYTES + count * _objects_of(element)
    return objects <= min(FEW + MOST_PER_BYTE * size_bytes, MOST_AT_ONCE)


def fit_in_call(ctypes: Iterable[CType]) -> bool:
    """Whether values that are passed as they are can be made in one call. An array is passed as a pointer."""
    return sum(1 if isinstance(ctype, Array) else objects_in(ctype) for ctype in ctypes) <= MOST_IN_CALL
