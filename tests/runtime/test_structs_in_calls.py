"""Structs that are made in Python for one call: the core packs what converts exactly, Python all else."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox import _native
from tmebox.modulefile.prototypes import Array, Bool, Float, Integer, Pointer, Struct, StructField
from tmebox.runtime.calls import functions
from tmebox.runtime.calls.layouts import layout_of

SOURCE = r"""
#include <stdbool.h>
#include <string.h>
typedef struct point { int x, y; } point;
struct mixed {
    signed char c; unsigned char uc; short s; unsigned short us; int i; unsigned u; long l; unsigned long ul;
    float f; double d; bool b; const char *text; struct point *at; void *any; int (*call)(int);
};
struct line { struct point from, to; double width; };
struct large { long words[64]; };
struct edge { struct { int inner; }; int outer; };
union number { int i; float f; };
struct bits { unsigned a : 3, b : 5; };
struct aligned { int x; } __attribute__((aligned(64)));
void interlude(int depth);
int sum(const point *p) { return p->x + p->y; }
int move(point *p) { p->x += 10; return p->y; }
point *give(point *p) { p->x += 1; return p; }
void copy(const struct mixed *from, unsigned char *to) { memcpy(to, from, sizeof *from); }
void touch(struct mixed *m) { (void)*(volatile char *)m; }
void scribble(struct mixed *m) { memset(m, 0xff, sizeof *m); }
double length(const struct line *l) { return l->to.x - l->from.x + l->width; }
double grow(struct line *l) { l->to.x += 5; return l->width; }
int two(point *a, const point *b, const char *text) { a->x = b->y; return a == b ? -1 : (int)strlen(text); }
int many(point *a, point *b, point *c, point *d, point *e)
{ a->x++; b->x++; c->x++; d->x++; e->x++; return a->x + e->y; }
int during(point *p, int depth) { interlude(depth); p->x *= 2; return p->y; }
long first(const struct large *l) { return l->words[0]; }
int inner(const struct edge *e) { return e->inner + e->outer; }
int as_int(const union number *n) { return n->i; }
int low(const struct bits *b) { return b->a + 10 * b->b; }
long place(const struct aligned *a) { return (long)a % 64 + a->x; }
int by_value(point p) { return p.x * 10 + p.y; }
typedef void (*handler)(void *user, point *p, const char **names);
int each(handler h, int n)
{
    static const char *names[] = {"a", "b", 0};
    point p = {1, 2};
    for (int i = 0; i < n; i++) h(0, i % 2 ? 0 : &p, names);
    return p.x;
}
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


Interlude = list[Callable[[int], None]]


@pytest.fixture
def interlude() -> Interlude:
    return [lambda depth: None]


@pytest.fixture
def box(module: tmebox.Module, interlude: Interlude) -> Iterator[tmebox.Box]:
    def call(depth: int) -> None:
        interlude[0](depth)

    with tmebox.Box(module, memory="8MiB", imports={"interlude": call}) as box:
        box.sum((0, 0))  # lends the room
        yield box


@pytest.fixture
def by_the_core_alone(box: tmebox.Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("this call went through Python")

    monkeypatch.setattr(functions, "careful_call", refuse)


@pytest.mark.usefixtures("by_the_core_alone")
def test_the_core_packs_and_reads_back_small_structs(box: tmebox.Box) -> None:
    assert box.sum({"x": 1, "y": 2}) == box.sum((1, 2)) == box.sum({"y": 2, "x": 1}) == 3
    assert box.sum({"y": 5}) == box.sum({}) + 5 == 5
    point = {"x": 1, "y": 2}
    assert (box.move(point), point) == (2, {"x": 11, "y": 2})
    given: dict[str, int] = {"y": 7}
    assert (box.move(given), given) == (7, {"x": 10, "y": 7})
    assert box.move((1, 4)) == 4
    assert box.length({"from": (1, 0), "to": {"x": 5}, "width": 0.5}) == 4.5
    assert box.length(((1, 0), (5, 0), 1)) == 5.0
    assert box.place((3,)) == 3
    a = {"x": 1}
    assert box.two(a, {"y": 9}, "abc") == 3 and a == {"x": 9, "y": 0}


class Slow(dict[str, Any]):
    """What the core leaves to Python."""


WHOLE = {
    "c": -5, "uc": 250, "s": -30000, "us": 60000, "i": -(2**31), "u": 2**32 - 1, "l": -(2**63),
    "ul": 2**64 - 1,
    "f": 1.5, "d": -0.0, "b": True, "text": 4096, "at": None, "any": 0, "call": None,
}  # fmt: skip
OTHERS: list[dict[Any, Any]] = [
    {}, WHOLE, {"c": 127}, {"c": 128}, {"c": -129}, {"uc": -1}, {"uc": 256}, {"s": 2**15},
    {"us": -1}, {"i": 2**31},
    {"u": -1}, {"u": 2**32}, {"l": 2**63}, {"l": -(2**63) - 1}, {"ul": -1}, {"ul": 2**64}, {"i": 1.0},
    {"i": "1"},
    {"i": None}, {"i": True}, {"i": np.int64(5)}, {"ul": np.uint64(2**64 - 1)}, {"f": 1e300}, {"f": -1e39},
    {"f": 3.4028235e38}, {"f": 3.4028236e38}, {"f": math.inf}, {"d": math.inf}, {"d": 10**400}, {"d": 2**70},
    {"f": 10**30}, {"f": np.float32(0.1)}, {"d": np.float64(0.1)}, {"d": "1"}, {"d": 1j}, {"d": None},
    {"b": 0},
    {"b": 1},
    {"b": 2}, {"b": False}, {"b": None}, {"b": np.True_}, {"text": -1}, {"text": 2**32}, {"text": 2**32 - 1},
    {"text": True}, {"text": "text"}, {"any": 1.5}, {"any": -1}, {"call": 8}, {"call": -1}, {"call": print},
    {"none": 1}, {"i": 1, "none": 1}, {1: 2}, {"i": 1, None: 2}, {"i": []}, {"i": {}}, {"at": {"x": 1}},
]  # fmt: skip


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: ascii(value)[:40])
def test_what_the_core_packs_is_what_python_does(box: tmebox.Box, value: dict[Any, Any]) -> None:
    def packed(made: type[dict[Any, Any]]) -> Any:
        to = bytearray(box.sizeof("struct mixed"))
        return outcome(lambda: box.copy(made(value), to)), to

    def back(name: str, made: type[dict[Any, Any]]) -> Any:
        changed = made(value)
        return outcome(lambda: getattr(box, name)(changed)), repr(dict(changed))

    assert packed(dict) == packed(Slow) == packed(OrderedDict)
    for name in ("touch", "scribble"):
        assert back(name, dict) == back(name, Slow)


def test_tuples_and_other_mappings_are_what_they_were(box: tmebox.Box) -> None:
    for wrong, match in (
        ((1,), "has 2 fields"),
        ((1, 2, 3), "has 2 fields"),
        ((1, "2"), r"p\).y: expected an int"),
    ):
        with pytest.raises(TypeError, match=match):
            box.sum(wrong)
    with pytest.raises(OverflowError, match=r"argument 1 \(const point \*p\).x: 2147483648 does not fit int"):
        box.sum({"x": 2**31, "y": 0})
    with pytest.raises(TypeError, match="no field 'z'"):
        box.sum({"x": 1, "z": 0})
    record = box.new("point", x=4, y=5).read()
    assert box.sum(record) == 9 and box.sum(p=(1, 2)) == 3
    assert box.inner({"inner": 1, "outer": 2}) == 3 and box.as_int({"i": 5}) == 5
    assert box.low({"a": 3, "b": 4}) == 43 and box.first({"words": range(64)}) == 0
    assert box.by_value((1, 2)) == box.by_value({"x": 1, "y": 2}) == box.by_value(Slow(x=1, y=2)) == 12
    with pytest.raises(OverflowError, match=r"\(point p\).x"):
        box.by_value((2**31, 0))
    assert box.new("point", x=True).read() == (1, 0)
    with pytest.raises(OverflowError, match=r"point.x: 4294967296 does not fit"):
        box.new("point", x=2**32)
    for _ in range(3):
        line = {"to": {"x": 1}, "width": 2.0}  # inner structs come back as records
        assert box.grow(line) == 2.0 and line["to"] == (6, 0) and line["from"] == (0, 0)


def test_pointers_are_checked_as_in_python(box: tmebox.Box, module: tmebox.Module) -> None:
    to, size = bytearray(box.sizeof("struct mixed")), box.sizeof("struct mixed")
    at, freed, wrong = box.new("point"), box.new("point"), box.new("double")
    freed.free()
    with tmebox.Box(module, imports={"interlude": print}) as other:
        for value in (at, freed, wrong, other.new("point")):
            results = [(outcome(partial(box.copy, made(at=value), to)), bytes(to)) for made in (dict, Slow)]
            assert results[0] == results[1] and len(to) == size
    assert outcome(lambda: box.copy({"at": wrong}, to))[0] is TypeError


def test_one_dict_passed_twice_is_one_struct(box: tmebox.Box) -> None:
    point = {"x": 1, "y": 2}
    assert box.two(point, point, "") == -1 and point == {"x": 2, "y": 2}
    both = (1, 2)
    assert box.two(both, both, "ab") == 2


def test_more_structs_than_the_core_takes_in_one_call(box: tmebox.Box) -> None:
    points = [{"x": i, "y": i} for i in range(5)]
    assert box.many(*points) == 5 and [p["x"] for p in points] == [1, 2, 3, 4, 5]


def test_calls_inside_each_other_have_structs_of_their_own(box: tmebox.Box, interlude: Interlude) -> None:
    """More of them than there is room for."""

    def deeper(depth: int) -> None:
        assert box.move(other := {"x": depth, "y": 0}) == 0 and other["x"] == depth + 10
        if depth:
            down(depth - 1)
        assert box.sum((1000, depth)) == 1000 + depth

    def down(depth: int) -> None:
        point = {"x": depth, "y": 7}
        assert (box.during(point, depth), point) == (7, {"x": 2 * depth, "y": 7})

    interlude[0] = deeper
    down(90)
    assert box._tenancy.instance.has_text_room


def test_an_exception_leaves_the_dict_as_it_was(box: tmebox.Box, interlude: Interlude) -> None:
    def fail(depth: int) -> None:
        raise KeyError("no")

    interlude[0] = fail
    point = {"x": 1, "y": 2}
    for _ in range(3000):  # more than the room holds, were it not given back
        with pytest.raises(KeyError):
            box.during(point, 0)
    assert point == {"x": 1, "y": 2} and box.sum(point) == 3


class Evil:
    """A key that is as good as "x", until it is compared."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act

    def __hash__(self) -> int:
        return hash("x")

    def __eq__(self, other: object) -> bool:
        self.act()
        return False


def test_keys_that_run_code_when_they_are_compared(box: tmebox.Box, module: tmebox.Module) -> None:
    value: dict[Any, Any] = {}

    def act() -> None:
        assert box.sum((3, 4)) == 7
        value.clear()
        gc.collect()

    value.update({Evil(act): object(), "y": object()})
    assert outcome(lambda: box.sum(value))[0] is TypeError and value == {}
    inner: dict[Any, Any] = {"width": 1.0}
    inner["to"] = {Evil(inner.clear): 1, "y": 2}
    outcome(lambda: box.length(inner))
    assert inner == {}

    def raising() -> None:
        raise RuntimeError("compared")

    with pytest.raises(RuntimeError, match="compared"):
        box.sum({Evil(raising): 1})
    doomed = tmebox.Box(module, imports={"interlude": print})
    doomed.sum((0, 0))
    sum_of, evil = doomed.sum, {Evil(doomed.close): 1}
    for _ in range(2):
        with pytest.raises((TypeError, tmebox.SandboxClosed)):
            sum_of(evil)


def test_what_the_dict_drops_may_call_the_sandbox(box: tmebox.Box) -> None:
    seen: list[int] = []

    class Old(int):
        def __del__(self) -> None:
            seen.append(box.sum({"x": 100, "y": 200}))

    point: dict[str, Any] = {"x": Old(1), "y": Old(2)}
    assert box.move(point) == 2
    assert (point, seen) == ({"x": 11, "y": 2}, [300, 300])


def test_pointers_that_calls_return_beside_a_struct(box: tmebox.Box) -> None:
    point = {"x": 1, "y": 2}
    given = box.give(point)
    assert given is not None and given.type == "point *" and point == {"x": 2, "y": 2}
    assert box.give({"x": 5}) == box.give(box.give({"x": 5}))


def test_another_thread_does_not_get_at_a_struct(box: tmebox.Box, interlude: Interlude) -> None:
    found: list[Any] = []

    def elsewhere() -> None:
        mine = {"x": 500, "y": 600}
        found.append((outcome(lambda: box.move(mine))[0], mine))

    def call(depth: int) -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    interlude[0] = call
    point = {"x": 21, "y": 2}
    assert (box.during(point, 0), point["x"]) == (2, 42)
    assert found == [(tmebox.SandboxBusy, {"x": 500, "y": 600})]


def test_a_reset_sandbox_lends_the_room_again(box: tmebox.Box) -> None:
    for _ in range(3):
        box.reset()
        point = {"x": 1, "y": 2}
        assert (box.move(point), box.move(point), point["x"]) == (2, 2, 21)


def test_pointers_that_callbacks_get(box: tmebox.Box) -> None:
    got: list[Any] = []

    def handler(user: Any, p: Any, names: Any) -> None:
        got.append((user, None if p is None else (p.type, p.x, p.y), names.type, names[0].string()))
        if p is not None:
            p.x += 1

    assert box.each(handler, 2) == 2
    assert got == [(0, ("point *", 1, 2), "const char **", b"a"), (0, None, "const char **", b"a")]


def test_a_box_with_callbacks_that_get_pointers_is_collected(module: tmebox.Module) -> None:
    def make() -> weakref.ref[_native.Instance]:
        box = tmebox.Box(module, imports={"interlude": print})
        kept: list[Any] = []
        box.callback(lambda user, p, names: kept.append(box.sum(p)), "handler")
        box.each(lambda user, p, names: kept.append(names), 1)
        assert kept[0].type == "const char **"
        return weakref.ref(box._tenancy.instance)

    gone = make()
    gc.collect()
    assert gone() is None


def test_a_long_chain_of_pointers_is_dropped(box: tmebox.Box) -> None:
    p = box.new("char[8]")
    for _ in range(200_000):
        p = p + 0
    del p
    assert box.sum((1, 1)) == 2


INT = Integer(32, True, "int")
INNER = Struct("struct i", 4, 4, (StructField("a", 0, INT),))


@pytest.mark.parametrize(
    "struct",
    [
        Struct("struct s", 0, 1),
        Struct("struct s", 8, 4, (StructField("a", 0, INT), StructField("a", 4, INT))),
        Struct("struct s", 8, 4, (StructField("a", 6, INT),)),
        Struct("struct s", 8, 4, (StructField("a", 2**40, INT),)),
        Struct("struct s", 8, 4, (StructField("a", 0, INT), StructField("b", 2, INT))),
        Struct("struct s", 8, 4, (StructField("a", 0, INT, bits=3),)),
        Struct("struct s", 4, 4, (StructField("", 0, INNER),)),
        Struct("struct s", 4, 4, (StructField("a", 0, INT),), union=True),
        Struct("struct s", 264, 4, (StructField("a", 0, INT),)),
        Struct("struct s", 128, 128, (StructField("a", 0, INT),)),
        Struct("struct s", 16, 16, (StructField("a", 0, Float(80)),)),
        Struct("struct s", 8, 4, (StructField("a", 0, Array(Array(INT, 1), 2)),)),
        Struct("struct s", 8, 4, (StructField("a", 0, Array(INT, 0)), StructField("b", 0, INT))),
        Struct("struct s", 8, 4, (StructField("a", 0, Array(INT, 3)),)),
        Struct("struct s", 256, 1, tuple(StructField(f"m{i}", i, Bool()) for i in range(65))),
    ],
)
def test_structs_that_are_left_to_python(struct: Struct) -> None:
    assert layout_of(struct) is None


def test_layouts_and_makers_that_cannot_be() -> None:
    deep: Any = INNER
    for _ in range(9):
        deep = Struct("struct d", 4, 4, (StructField("d", 0, deep),))
    assert layout_of(deep) is None and layout_of(deep.fields[0].type.fields[0].type) is None
    good = layout_of(Struct("struct p", 8, 8, (StructField("p", 0, Pointer(INT)),)))
    assert good is not None and good.pack({"p": 5}) == b"\5" + bytes(7) and good.pack([5]) is None
    make: Any = _native.StructLayout
    for members in (
        (("a", "i", 5, None),),
        (("a", "i", 2**32 - 2, None),),
        (("a", "v", 0, None),),
        (("a", "\0", 0, None),),
        (("a", "ii", 0, None),),
        (("a", "é", 0, None),),
        (("a", None, 0, None),),
        (("a", "i", 0, 7),),
        (("a", "i", 0),),
        (5,),
        tuple((f"m{i}", "b", 0, None) for i in range(65)),
    ):
        with pytest.raises((ValueError, TypeError)):
            make(8, members)
    for size in (0, 257, -1, 2**32):
        with pytest.raises((ValueError, OverflowError)):
            make(size, ())
    layout: Any = make(4, (("a", "i", 0, None),))
    for _ in range(8):
        layout = make(4, (("a", layout, 0, None),))
    with pytest.raises(ValueError, match="member"):
        make(4, (("a", layout, 0, None),))


def test_makers_refuse_what_they_cannot_make(box: tmebox.Box) -> None:
    space: Any = box._tenancy
    maker: Any = _native.PointerMaker(tmebox.Pointer, "i32", INT)
    assert maker(space.instance, space, 0) is None and maker(space.instance, space, 64).offset == 64
    bound: Any = _native.PointerMaker(tmebox.Pointer, "i32", INT, space.instance, space)
    assert bound(64) == maker(space.instance, space, 64, 3) and bound(64).kind == "i32"
    for wrong in (lambda: maker(5), lambda: maker(None, None, 5), lambda: bound(1, 2, 3), lambda: bound("x"),
                  lambda: bound(2**32), lambda: bound(-1), lambda: bound(offset=5),
                  lambda: _native.PointerMaker(int, None, INT),  # type: ignore[arg-type]
                  lambda: _native.PointerMaker(tmebox.Pointer, 5, INT),  # type: ignore[arg-type]
                  lambda: _native.PointerMaker(tmebox.Pointer, None, INT, space.instance)):  # fmt: skip
        with pytest.raises((TypeError, ValueError, OverflowError)):
            wrong()
