"""How the x86-64 System V ABI passes a C type: in which registers, or in memory.

Section 3.2.3 of the ABI, in three steps: the class of each eightbyte (`classify`), what that means for an
argument or a result (`argument`, `result`), and where the next argument goes (`Passing`). Both directions,
calls into a sandbox and calls of host functions, use the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    align_of,
    size_of,
)
from tmebox.runtime.calls.extents import is_moderate
from tmebox.runtime.calls.remembered import remembered

NO_CLASS = "no class"
INTEGER = "integer"
SSE = "sse"
SSE_UP = "sse up"
VECTOR = "vector"
"""Of a word of a `Passing`: 16 bytes in one vector register."""
X87 = "x87"
X87_UP = "x87 up"
COMPLEX_X87 = "complex x87"
MEMORY = "memory"

INTEGER_REGISTERS = 6
VECTOR_REGISTERS = 8
MOST_IN_REGISTERS = 16
"""Bytes. Larger values are passed in registers only if they are vectors."""
STACK_ALIGN = 16
LARGEST_BYTES = 64 * 1024
"""Of a value that is passed as it is; far less than the guard below the stack."""


class Unpassable(TypeError):
    """A type that cannot be passed, and why."""


@dataclass(frozen=True)
class Passing:
    """How an argument or a result travels.

    words: (`INTEGER`, `SSE` or `VECTOR`, index of the eightbyte), in the order in which they take registers;
    empty if the value is nothing, like an empty struct. x87: how many x87 registers a result takes.
    in_memory: on the stack; for a result, where the caller wants it. align: on the stack. is_wide: a 128-bit
    integer. Where one does not fit into registers, the ABI and gcc give the last integer register to the next
    argument; clang leaves it empty, for good.
    """

    words: tuple[tuple[str, int], ...]
    in_memory: bool
    size_bytes: int
    align: int = 8
    align_certain: bool = True
    is_wide: bool = False
    x87: int = 0

    @property
    def is_nothing(self) -> bool:
        return not self.words and not self.in_memory and not self.x87

    @property
    def needs_whole_registers(self) -> bool:
        """Which the core does not pass by itself."""
        return bool(self.x87) or any(kind == VECTOR for kind, _ in self.words)

    def fits(self, integers_left: int, vectors_used: int) -> bool:
        """Whether all of it goes into registers: never a part of it."""
        if self.in_memory:
            return False
        vectors = sum(kind in (SSE, VECTOR) for kind, _ in self.words)
        integers = len(self.words) - vectors
        return not (
            (integers and integers > integers_left) or (vectors and vectors_used + vectors > VECTOR_REGISTERS)
        )

    def stack_place(self, end_bytes: int) -> int:
        """Where it starts behind `end_bytes` of stack arguments. Raises Unpassable if that is not known."""
        place = -(-end_bytes // self.align) * self.align
        if place != end_bytes and not self.align_certain:
            raise Unpassable(
                "it goes on the stack, and whether it is packed, which decides where, is not known; "
                "pass a pointer"
            )
        return place

    @property
    def stack_bytes(self) -> int:
        return -(-self.size_bytes // 8) * 8


@remembered
def argument(ctype: CType) -> Passing:
    """Raises Unpassable."""
    if isinstance(ctype, Array):  # a pointer to its first element
        ctype = Pointer(ctype.element)
    classes = classify(ctype)
    size, align = size_of(ctype), align_of(ctype)
    if size > LARGEST_BYTES:
        raise Unpassable(f"it has {size:,} bytes; pass a pointer")
    in_memory = not {MEMORY, X87, X87_UP, COMPLEX_X87}.isdisjoint(classes)
    if align > STACK_ALIGN:
        raise Unpassable(f"it is aligned to {align} bytes; pass a pointer")
    is_certain = ctype.align_certain if isinstance(ctype, Struct) else True
    is_wide = isinstance(ctype, Integer) and ctype.bits == 128
    return Passing(() if in_memory else _words(classes), in_memory, size, max(align, 8), is_certain, is_wide)


@remembered
def result(ctype: CType) -> Passing:
    """Raises Unpassable."""
    if isinstance(ctype, Array):
        raise Unpassable("no C function returns an array")
    classes = classify(ctype)
    size, align = size_of(ctype), align_of(ctype)
    if size > LARGEST_BYTES:
        raise Unpassable(f"it has {size:,} bytes; let the function fill it through a pointer")
    if align > 64:
        raise Unpassable(f"it is aligned to {align} bytes; let the function fill it through a pointer")
    if classes in ((X87, X87_UP), (COMPLEX_X87,)):
        return Passing((), False, size, align, x87=2 if COMPLEX_X87 in classes else 1)
    if not {X87, COMPLEX_X87}.isdisjoint(classes):
        raise Unpassable("it is returned partly in x87 registers; let the function fill it through a pointer")
    in_memory = MEMORY in classes
    return Passing(() if in_memory else _words(classes), in_memory, size, align)


def _words(classes: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    words: list[tuple[str, int]] = []
    for index, kind in enumerate(classes):
        if kind == SSE_UP and words and words[-1] == (SSE, index - 1):
            words[-1] = VECTOR, index - 1
        elif kind != NO_CLASS:
            words.append((SSE if kind == SSE_UP else kind, index))
    return tuple(words)


def classify(ctype: CType) -> tuple[str, ...]:
    """One class per eightbyte, or (MEMORY,); () for what has no size. Raises Unpassable."""
    _require_known(ctype)
    if not is_moderate(ctype):
        raise Unpassable("its members share their memory too often; pass a pointer")
    size = size_of(ctype)
    if size > MOST_IN_REGISTERS:
        return (COMPLEX_X87,) if isinstance(ctype, Complex) else (MEMORY,)
    classes = [NO_CLASS] * -(-size // 8)
    for bit, bits, kinds in _leaves(ctype, 0):
        if kinds == (MEMORY,):
            return kinds
        first = bit // 64
        for index in range(first, (bit + bits - 1) // 64 + 1):
            classes[index] = _merge(classes[index], kinds[min(index - first, len(kinds) - 1)])
    if MEMORY in classes or any(kind == X87_UP and X87 not in classes[:i] for i, kind in enumerate(classes)):
        return (MEMORY,)
    return tuple(classes)


def _merge(one: str, other: str) -> str:
    """Two classes of one eightbyte: rules (a) to (f) of step 4, in their order."""
    if other in (one, NO_CLASS):
        return one
    for strongest in (MEMORY, INTEGER):
        if strongest in (one, other):
            return strongest
    if one == NO_CLASS:
        return other
    return MEMORY if {X87, X87_UP, COMPLEX_X87} & {one, other} else SSE


def _leaves(ctype: CType, offset: int) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(first bit, number of bits, classes of its eightbytes) of each scalar in at most 16 bytes; (MEMORY,)
    for what is not aligned. Bounded by what fits there, whatever a module file says."""
    match ctype:
        case Struct():
            for field in ctype.fields:
                if field.bits:
                    yield 8 * (offset + field.offset) + field.bit, field.bits, (INTEGER,)
                elif (offset + field.offset) % align_of(field.type):
                    yield 0, 1, (MEMORY,)
                else:
                    yield from _leaves(field.type, offset + field.offset)
        case Array(element, count):
            step = size_of(element)
            for index in range(count if step else 0):
                yield from _leaves(element, offset + index * step)
        case Complex(bits):
            step = size_of(Float(bits))
            yield from _leaves(Float(bits), offset)
            yield from _leaves(Float(bits), offset + step)
        case Integer() | Bool() | Pointer():
            yield 8 * offset, 8 * size_of(ctype), (INTEGER,)
        case Vector(_, _, 16):
            yield 8 * offset, 128, (SSE, SSE_UP)
        case Vector(_, _, size_bytes):
            yield 8 * offset, 8 * size_bytes, (SSE if size_bytes == 8 else INTEGER,)
        case Float(80):
            yield 8 * offset, 128, (X87, X87_UP)
        case Float(bits):
            yield 8 * offset, bits, (SSE,)


def _require_known(ctype: CType) -> None:
    """Raise Unpassable if there is something in it that has no place in registers that the core passes, or of
    which nothing is known but the size."""
    match ctype:
        case Vector(_, _, size_bytes) if size_bytes > MOST_IN_REGISTERS:
            raise Unpassable(f"how {ctype} is passed depends on the compiler's options; pass a pointer")
        case Vector(element, count, size_bytes) if count == 1 or size_of(element) * count != size_bytes:
            raise Unpassable(f"compilers differ in how {ctype} is passed; pass a pointer")
        case Float(128):
            raise Unpassable(f"neither Python nor NumPy has a type for a {ctype}; pass a pointer")
        case Opaque():
            raise Unpassable(ctype.reason or f"what is in {ctype} is not known; pass a pointer")
        case Array(element, _):
            _require_known(element)
        case Struct():
            last = ctype.fields[-1].type if ctype.fields else None
            if isinstance(last, Array) and not last.count and size_of(last.element):
                raise Unpassable(f"compilers differ in how {ctype} is passed, whose last array has no size")
            for field in ctype.fields:
                _require_known(field.type)
