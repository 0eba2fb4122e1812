"""Structs by value and what `Box.new` makes: the core does what converts exactly, Python all else, alike."""

from __future__ import annotations

import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tmebox import _native
from tmebox.runtime.calls.functions import careful_call, plan

SOURCE = r"""
#include <string.h>
struct point { int x, y; };
struct wide { double v[3]; long n; };
struct pair { double a; long b; };
struct small { unsigned char c[3]; };
struct line { struct point from, to; };
struct lines { struct point p[2]; char name[8]; };
struct link { struct link *next; const char *text; };
struct huge { long words[40]; };
void interlude(int depth);
int sum(struct point p) { return p.x + 10 * p.y; }
struct point swap(struct point p) { struct point q = {p.y, p.x}; return q; }
struct wide widen(struct wide w, int by) { for (int i = 0; i < 3; i++) w.v[i] += by; w.n++; return w; }
struct pair both(struct pair p, struct pair q) { struct pair r = {p.a + q.a, p.b + q.b}; return r; }
struct small letters(struct small s) { s.c[0]++; return s; }
struct line turn(struct line l) { struct line r = {l.to, l.from}; return r; }
struct lines mark(struct lines l) { l.p[1].x = 7; l.name[0] = 'Z'; return l; }
struct link same(struct link l) { return l; }
struct huge large(struct huge h) { h.words[39]++; return h; }
long many(struct pair a, struct pair b, struct pair c, struct wide w,
          struct pair d, struct pair e, struct pair f)
{ return a.b + b.b * 10 + c.b * 100 + d.b * 1000 + e.b * 10000 + f.b * 100000 + w.n * 1000000; }
struct wide during(struct wide w, int depth) { interlude(depth); w.n = depth; return w; }
int read_x(const struct point *p) { return p->x; }
struct wide with_text(const char *t, struct wide w) { w.n = (long)strlen(t); return w; }
struct wide fill(struct point *p, struct wide w) { p->x = 5; w.n = p->y; return w; }
"""
WIDE = {"v": (1.0, 2.0, 3.0), "n": 4}
PAIR = {"a": 0.5, "b": 3}


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[tmebox.Box]:
    with tmebox.Box(module, memory="4MiB", imports={"interlude": lambda depth: None}) as made:
        yield made


def carefully(box: tmebox.Box, name: str, *arguments: Any) -> Any:
    """The same by Python's path."""
    prototype = box.module.exports[name]
    assert prototype is not None
    address = box.module.address_of(name)
    return careful_call(box._tenancy, plan(prototype), address, arguments, {}, -1.0)


CALLS: list[tuple[Any, ...]] = [
    ("sum", {"x": 1, "y": 2}),
    ("sum", (1, 2)),
    ("sum", {"y": -1}),
    ("swap", {"x": -(2**31), "y": 2**31 - 1}),
    ("widen", WIDE, 1),
    ("widen", ([0.0, float("inf"), -1.5], -5), 0),
    ("both", PAIR, (1.5, -4)),
    ("letters", {"c": b"ab"}),
    ("letters", ((1, 2, 255),)),
    ("turn", {"from": (1, 2), "to": {"x": 3}}),
    ("mark", {"p": ((1, 2), {"y": 4}), "name": b"name"}),
    ("same", {"next": None, "text": 4096}),
    ("large", {"words": tuple(range(40))}),
    ("many", PAIR, PAIR, (0.0, 1), WIDE, PAIR, PAIR, (0.0, 7)),
    ("with_text", "four", WIDE),
    ("fill", {"x": 1, "y": 2}, WIDE),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_the_core_and_python_agree(box: tmebox.Box, call: tuple[Any, ...]) -> None:
    name, *arguments = call
    wanted = carefully(box, name, *arguments)
    for _ in range(3):  # once there is room, the core does it
        got = getattr(box, name)(*arguments)
        assert got == wanted
        assert type(got) is type(wanted)
        assert getattr(got, "_data", None) == getattr(wanted, "_data", None)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (({"x": 1, "z": 2},), TypeError),
        (((1,),), TypeError),
        (((1, 2, 3),), TypeError),
        (({"x": 2**31},), OverflowError),
        (("ab",), TypeError),
        ((None,), TypeError),
        ((5,), TypeError),
        ((b"1234567",), TypeError),
        (({"x": 1.0},), TypeError),
    ],
)
def test_what_is_no_such_struct_is_refused(
    box: tmebox.Box, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"struct point|argument 1"):
        box.sum(*arguments)


def test_items_of_arrays_are_checked(box: tmebox.Box) -> None:
    for wrong in ((1.0, 2.0), (1.0, 2.0, "3"), (1.0,) * 4, b"abc"):
        with pytest.raises(TypeError, match="argument 1"):
            box.widen({"v": wrong, "n": 1}, 1)
    with pytest.raises(TypeError, match="argument 1"):
        box.letters({"c": b"abcd"})


def test_a_record_is_passed_back_as_it_came(box: tmebox.Box) -> None:
    record = box.widen(WIDE, 1)
    assert box.widen(record, 1).v == (3.0, 4.0, 5.0)
    assert box.widen(record._replace(n=9), 0).n == 10
    assert pickle.loads(pickle.dumps(record)) == record
    changed = box.swap((1, 2))
    vars(changed)["_data"] = b"short"
    assert box.sum(changed) == 2 + 10 * 1
    vars(changed)[type("Key", (str,), {})("other")] = 1
    assert box.sum(changed) == 12
    vars(changed).clear()
    assert box.sum(changed) == 12
    assert box.read_x(box.swap((1, 2))) == 2


def test_a_typed_pointer_is_no_struct_and_its_members_are(box: tmebox.Box) -> None:
    with box.new("struct point", x=1, y=2) as p:
        assert box.sum(p[0]) == 21
        assert box.sum(p.read()) == 21
        with pytest.raises(TypeError, match="argument 1"):
            box.sum(p)
    with pytest.raises(TypeError, match="argument 1"):
        box.sum(box.new("struct wide")[0])


def test_pointers_in_structs_are_of_this_sandbox_and_type(module: tmebox.Module, box: tmebox.Box) -> None:
    link = box.new("struct link")
    assert box.same({"next": link}).next == link
    with pytest.raises(TypeError, match="next"):
        box.same({"next": box.new("struct point")})
    freed = box.new("struct link")
    freed.free()
    with pytest.raises(TypeError, match="next"):
        box.same({"next": freed})
    with tmebox.Box(module, imports={"interlude": lambda depth: None}) as other:
        elsewhere = other.new("struct link")
        with pytest.raises(TypeError, match="another sandbox"):
            box.same({"next": elsewhere})
        with pytest.raises(TypeError, match="another sandbox"):
            box.new("struct link", next=elsewhere)


def test_calls_inside_each_other_have_results_of_their_own(module: tmebox.Module) -> None:
    def interlude(depth: int) -> None:
        if depth:
            inner = found[0].during(((-1.0, -2.0, -3.0), 0), depth - 1)
            assert inner == ((-1.0, -2.0, -3.0), depth - 1)

    found: list[tmebox.Box] = []
    with tmebox.Box(module, imports={"interlude": interlude}) as box:
        found.append(box)
        for _ in range(2):
            assert box.during(((1.0, 2.0, 3.0), 0), 60) == ((1.0, 2.0, 3.0), 60)


def test_new_gives_its_memory_back(box: tmebox.Box) -> None:
    first = box.new("struct point", x=1, y=2)
    extents = box._tenancy.arena.extents
    out = extents.out
    places = {box.new("struct point", x=i)._offset for i in range(1000)}
    assert len(places) == 1
    assert extents.out == out
    kept = [box.new("struct point", x=i) for i in range(5000)]
    assert [p.x for p in kept] == list(range(5000))
    assert len({p._offset for p in kept}) == 5000
    assert first.x == 1
    del kept
    gc.collect()
    assert extents.out == out


def test_new_of_what_is_wrong_says_what(box: tmebox.Box) -> None:
    for _ in range(2):
        box.new("struct point")
        with pytest.raises(TypeError, match="no field 'z'"):
            box.new("struct point", z=1)
        with pytest.raises(OverflowError, match=r"struct point\.x"):
            box.new("struct point", x=2**40)
        with pytest.raises(TypeError, match="not both"):
            box.new("struct point", {"x": 1}, y=2)
        with pytest.raises(TypeError, match="no type"):
            box.new("struct pint")


def test_new_in_a_sandbox_that_is_gone_or_reset(module: tmebox.Module) -> None:
    box = tmebox.Box(module, imports={"interlude": lambda depth: None})
    kept = box.new("struct point", x=1, y=2)
    assert box.new("struct point", x=1, y=2).y == 2
    box.reset()
    assert box.new("struct point", x=3, y=4).y == 4
    box.close()
    with pytest.raises(tmebox.SandboxClosed):
        box.new("struct point", x=1, y=2)
    with pytest.raises(tmebox.SandboxClosed):
        box.sum({"x": 1})
    with pytest.raises(tmebox.SandboxClosed):
        kept.read()


def test_new_while_another_thread_runs_it_is_refused(module: tmebox.Module) -> None:
    inside, done = threading.Event(), threading.Event()

    def interlude(depth: int) -> None:
        if depth == 1:
            inside.set()
            done.wait(20)

    with tmebox.Box(module, imports={"interlude": interlude}) as box:
        box.new("struct point")
        thread = threading.Thread(target=box.during, args=(WIDE, 1))
        thread.start()
        assert inside.wait(20)
        for _ in range(3):
            with pytest.raises(tmebox.SandboxBusy):
                box.new("struct point", x=1, y=2)
        done.set()
        thread.join()
        assert box.new("struct point", x=1, y=2).x == 1


def test_new_in_a_forked_child_is_refused(box: tmebox.Box) -> None:
    box.new("struct point", x=1)
    box.new("struct point", x=1)

    def child() -> str:
        try:
            box.new("struct point", x=1)
        except tmebox.SandboxClosed:
            return "refused"
        return "made"

    assert run_forked(child).result() == "refused"


def test_layouts_of_nonsense_are_refused() -> None:
    def wrong(*arguments: Any) -> Callable[[], Any]:
        return lambda: _native.StructLayout(*arguments)

    class Loose(tuple[int, ...]):
        pass

    class Tight(tuple[int, ...]):
        __slots__ = ()

    member = ("a", "i", 0, None)
    assert _native.StructLayout(8, (member,), "i", Loose)
    for make in (
        wrong(8, (member,), "ii"),
        wrong(24, (member,), "iii"),
        wrong(8, (member,), "q"),
        wrong(8, (member,), "i", Tight),
        wrong(8, (member,), "i", int),
        wrong(8, (("a", "i", 0, None, 3),)),
        wrong(8, (("a", "i", 4, None, 2),)),
        wrong(8, (("a", "i", 0, None, 2**32 - 1),)),
        wrong(8, (("a", "i", 0, None, 2**30 + 1),)),
    ):
        with pytest.raises(ValueError, match="struct"):
            make()
    with pytest.raises(ValueError, match="8 bytes"):
        _native.StructLayout(8, (member,), "i", Loose).unpack(b"short")
    with pytest.raises(SystemError):
        _native.StructLayout(8, (member,)).unpack(bytes(8))
