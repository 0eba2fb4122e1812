"""A module file says what its types are. What they cost the host is bounded by the file's size and by that of
the values, however members share their memory and whatever numbers are in it."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox.modulefile import codec
from tmebox.modulefile.prototypes import (
    Array,
    CType,
    Integer,
    Opaque,
    Parameter,
    Pointer,
    Prototype,
    Struct,
    StructField,
    Void,
    type_from_json,
    type_to_json,
)
from tmebox.runtime.calls.classes import Unpassable, argument, result
from tmebox.runtime.calls.items import Items
from tmebox.runtime.calls.values import unpack

CHAR, INT = Integer(8, True, "char"), Integer(32, True, "int")
LARGE = 1 << 16
MANY = (1 << 31) - 1
NOTHING = Struct("nothing", 1, 1)


def overlapping(count: int, member: CType, size: int = LARGE, union: bool = False) -> Struct:
    return Struct("s", size, 1, tuple(StructField(f"m{i}", 0, member) for i in range(count)), union)


def nested(depth: int) -> CType:
    """Each with twice as many copies of the next."""
    inner: CType = Struct("s", LARGE, 1)
    for _ in range(depth):
        inner = overlapping(3, inner)
    return inner


TOO_MANY: dict[str, CType] = {
    "arrays": overlapping(30, Array(CHAR, LARGE)),
    "arrays of a union": overlapping(30, Array(CHAR, LARGE), union=True),
    "structs of arrays": overlapping(
        30, Struct("inner", LARGE, 1, (StructField("x", 0, Array(CHAR, LARGE)),))
    ),
    "an array of structs": Struct(
        "s", LARGE, 1, (StructField("x", 0, Array(overlapping(21, CHAR, 1), LARGE)),)
    ),
    "members without a size": overlapping(6000, Array(CHAR, 0), 8),
    "bytes": overlapping(400, Opaque("o", LARGE)),
    "structs without members": overlapping(400, Struct("inner", LARGE, 1)),
    "structs in structs": nested(6),
    "bit-fields": Struct("s", 8, 4, tuple(StructField("", 0, INT, 1) for _ in range(6000))),
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_values_of_far_more_than_their_bytes_are_neither_passed_nor_read(name: str) -> None:
    ctype = type_from_json(type_to_json(TOO_MANY[name]))
    for use in (argument, result):
        with pytest.raises(Unpassable):
            use(ctype)
    with pytest.raises(TypeError, match="share their memory"):
        unpack(ctype, bytes(LARGE))


def with_prototypes(module: tmebox.Module, **prototypes: Prototype) -> tmebox.Module:
    """A module file that says something else of its functions."""
    file = module.file
    exports = [replace(e, prototype=prototypes.get(e.name, e.prototype)) for e in file.exports]
    imports = [replace(i, prototype=prototypes.get(i.name, i.prototype)) for i in file.imports]
    return tmebox.Module.from_bytes(
        codec.encode(replace(file, exports=tuple(exports), imports=tuple(imports)))
    )


def test_a_bit_field_is_of_a_number() -> None:
    """Each was read as a number of as many bits as the module said."""
    wide = Opaque("wide", 1 << 20)
    for ctype, bits in ((wide, 8 << 20), (wide, 1), (Opaque("o", 17), 1), (INT, 33), (CHAR, 9)):
        with pytest.raises(tmebox.ModuleError, match="bit-field"):
            type_from_json(type_to_json(Struct("s", 1 << 20, 1, (StructField("x", 0, ctype, bits),))))


SOURCE = r"""
#include <tmebox.h>
struct big { char x[65536]; };
TMEBOX_IMPORT void tell(struct big b);
TMEBOX_IMPORT int count(const char *format, ...);
static struct big zeros;
TMEBOX_EXPORT struct big give(void) { return zeros; }
TMEBOX_EXPORT int change(struct big *b) { b->x[0] = 1; return 1; }
TMEBOX_EXPORT int take(float *p) { return 1; }
TMEBOX_EXPORT void go(void) { tell(zeros); }
TMEBOX_EXPORT int point(void) { return count("text"); }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


BOMB = TOO_MANY["arrays"]
IMPORTS: dict[str, Any] = {"tell": lambda b: None, "count": int}


def test_a_call_that_would_give_such_a_value_is_refused(module: tmebox.Module) -> None:
    forged = with_prototypes(
        module,
        give=Prototype("give", BOMB, ()),
        change=Prototype("change", INT, (Parameter("b", Pointer(BOMB)),)),
        tell=Prototype("tell", Void(), (Parameter("b", BOMB),)),
    )
    with tmebox.Box(forged, imports=IMPORTS) as box:
        with pytest.raises(TypeError, match="share their memory"):
            box.give()
        with pytest.raises(TypeError, match="share their memory"):
            box.go()
        with pytest.raises(TypeError, match="too many members"):
            box.change({"m0": b"x"})
        with box.new("s") as made, pytest.raises(TypeError, match="share their memory"):
            made.read()


ONE = Struct("one", 1, 1, (StructField("c", 0, CHAR),))
CHEAP = Struct("cheap", LARGE, 1, (StructField("x", 0, Array(CHAR, LARGE)),))
HUGE = Struct(
    "huge", 1 << 30, 8, (StructField("x", 0, INT), StructField("rest", 8, Array(CHAR, (1 << 30) - 8)))
)


def host_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_values_of_one_call_count_together(module: tmebox.Module) -> None:
    """What goes by value to a function of the host, and dicts that come back."""
    got: list[int] = []

    def tell(*given: Any) -> None:
        got.append(len(given))

    for count in (3, 5):
        forged = with_prototypes(
            module,
            tell=Prototype("tell", Void(), (Parameter("b", CHEAP),) * count),
            change=Prototype("change", INT, (Parameter("b", Pointer(CHEAP)),) * count),
        )
        with tmebox.Sandbox(forged, imports={**IMPORTS, "tell": tell}) as box:
            if count == 3:
                box.go()
                assert got == [3]
                box.change(*({"x": b""} for _ in range(count)))
                continue
            with pytest.raises(TypeError, match="too many values in one call"):
                box.go()
            with pytest.raises(TypeError, match="too many members to be read back in one call"):
                box.change(*({"x": b""} for _ in range(count)))
            buffers = [np.zeros(LARGE, np.uint8) for _ in range(count)]
            assert box.change(*buffers) == 1
            assert buffers[0][0] == 1


def test_what_the_host_asks_for_has_a_limit_too(module: tmebox.Module) -> None:
    """The memory is there; a hundred times as much of the host's need not be."""
    large = Struct("large", 8 << 20, 1, (StructField("x", 0, Array(ONE, 8 << 20)),))
    forged = with_prototypes(module, take=Prototype("take", INT, (Parameter("p", Pointer(large)),)))
    with (
        tmebox.Box(forged, imports=IMPORTS) as box,
        box.new("large") as made,
        box.new("char[8388608]") as text,
    ):
        with pytest.raises(TypeError, match="too many"):
            made.read()
        with pytest.raises(TypeError, match="too many"):
            made.x.read()
        assert (made.x[8388607].c, sum(text.read())) == (0, 0)


def give_huge(box: tmebox.Box, name: str) -> None:
    with box.new("int") as made:
        pointer: Any = box.cast("struct huge *", made)
        if name == "item":
            pointer[0] = {"x": 1}
        else:
            pointer.rest = b"x"


HUGE_VALUES: dict[str, Any] = {
    "dict": lambda box: box.take({"x": 1}),
    "tuple": lambda box: box.take((1, b"x")),
    "list": lambda box: box.take([{"x": 1}] * 2),
    "dict that comes back": lambda box: box.change({"x": 1}),
    "new": lambda box: box.new("struct huge", x=1),
    "new, zeroed": lambda box: box.new("struct huge"),
    "item": lambda box: give_huge(box, "item"),
    "member": lambda box: give_huge(box, "member"),
}


@pytest.mark.parametrize("way", HUGE_VALUES)
def test_no_value_is_made_for_which_there_is_no_room(module: tmebox.Module, way: str) -> None:
    huge = replace(HUGE, name="struct huge")
    forged = with_prototypes(
        module,
        take=Prototype("take", INT, (Parameter("p", Pointer(huge, True)),)),
        change=Prototype("change", INT, (Parameter("b", Pointer(huge)),)),
    )
    with tmebox.Box(forged, imports=IMPORTS, memory="4MiB") as box:
        before = host_memory()
        with pytest.raises((tmebox.LimitError, tmebox.BadPointer, TypeError)):
            HUGE_VALUES[way](box)
        assert host_memory() - before < 64 << 20


def test_an_array_that_a_host_function_takes_is_a_pointer(module: tmebox.Module) -> None:
    """Whatever it says how long it is."""
    prototype = Prototype("count", INT, (Parameter("text", Array(CHAR, MANY)),), variadic=True)
    with tmebox.Sandbox(with_prototypes(module, count=prototype), imports=IMPORTS) as box:
        assert box.memory.string(box.point()) == b"text"


EMPTY_HANDED: dict[str, CType] = {
    "of nothing": NOTHING,
    "of members without a size": Struct("s", 1, 1, (StructField("x", 0, Array(CHAR, 0)),)),
    "of nothing and one": Struct(
        "s", 1, 1, (*(StructField("", 0, NOTHING),) * 20_000, StructField("x", 0, CHAR))
    ),
}


@pytest.mark.parametrize("name", EMPTY_HANDED)
def test_arrays_in_which_little_is_found_are_soon_compared(name: str) -> None:
    items = Items(Array(Array(EMPTY_HANDED[name], MANY), MANY), "argument 1")
    array: Any = np.zeros(4, np.float32)
    start = time.process_time()
    with pytest.raises(TypeError, match="expected items"):
        items.check(array, memoryview(array))
    assert time.process_time() - start < 2


UNIONS = r"""
#include <stdint.h>
union numbers { uint8_t b[16]; int8_t c[16]; uint16_t h[8]; uint32_t w[4]; uint64_t q[2]; double d[2]; };
struct flags { union { uint8_t all; struct { uint8_t a:1, b:1, c:1, d:1, e:1, f:1, g:1, h:1; }; }; };
struct many { struct flags flags[512]; };
struct large { char text[60000]; union { int i; float f; }; unsigned low:4, high:28; };
union numbers numbers(union numbers n) { n.b[0]++; return n; }
struct many many(struct many m) { m.flags[511].all = 0x81; return m; }
struct large large(struct large l) { l.text[59999] = 'x'; l.i = 7; l.high = 9; return l; }
"""


def test_unions_and_bit_fields_as_c_has_them_are_passed() -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=UNIONS)) as box:
        assert box.numbers({"q": (255, 0)}).w == (0, 0, 0, 0)
        last = box.many(bytes(512)).flags[511]
        assert (last.a, last.g, last.h, last.all) == (1, 0, 1, 0x81)
        large = box.large(bytes(60008))
        assert (large.text[59999], large.i, large.low, large.high) == (ord("x"), 7, 0, 9)


MEMBERS_IN_PADDING = r"""
struct nothing {};
struct wide { wide(); long a; char b; };
wide::wide() : a(1), b(2) {}
struct more { [[no_unique_address]] wide w; char c; [[no_unique_address]] nothing n, m; };
extern "C" long sum(const more *m) { return m->w.a + m->w.b + m->c; }
"""


def test_members_in_the_padding_of_others_as_cxx_has_them_are_read() -> None:
    module = tmebox.compile(source_text=MEMBERS_IN_PADDING, language="c++")
    with tmebox.Box(module) as box, box.new("struct more") as made:
        made.w.b, made.c = 3, 5
        assert box.sum(made) == 8
        assert (made.read().w.b, made.read().c) == (3, 5)


@pytest.mark.parametrize(
    "names",
    [("\ufb01", "fi"), ("\uff3f\uff3fdebug\uff3f\uff3f", "a"), ("\uff3fcls", "b"), ("\uff2eone", "c")],
)
def test_members_whose_names_python_reads_otherwise(names: tuple[str, str]) -> None:
    """Python's identifiers have a normal form, in which two may be one, or one a keyword."""
    int_ = Integer(32, True, "int")
    struct = Struct("struct odd", 8, 4, tuple(StructField(name, 4 * n, int_) for n, name in enumerate(names)))
    module = with_prototypes(
        tmebox.compile(source_text="int v[] = {1, 2}; int *p(void) { return v; } long s(void) { return 5; }"),
        p=Prototype("p", Pointer(struct), ()),
        s=Prototype("s", struct, ()),
    )
    box = tmebox.Box(module)
    assert tuple(box.p().read()) == (1, 2) and tuple(box.s()) == (5, 0)
    assert getattr(box.p(), names[0]) == 1 and len(set(box.s()._fields)) == 2
