"""Memory with C types: what `Box.new` makes, what libraries give, and what of it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tmebox

SOURCE = r"""
#include <stdlib.h>
#include <string.h>
typedef struct point { int x, y; } point;
struct other { double d; };
union number { int i; float f; };
struct rich {
    unsigned a : 3, b : 7; struct point p; union number u; char name[8]; const char *text;
    struct rich *next; int (*f)(int); struct { int inner; }; double v[3]; struct point *pair;
};
int sum(const struct point *p) { return p->x + p->y; }
int sum_of(const point *p, int n) { int s = 0; for (int i = 0; i < n; i++) s += sum(&p[i]); return s; }
void move(point *p, int by) { p->x += by; }
point *make(int x, int y) { point *p = malloc(sizeof *p); if (p) *p = (point){x, y}; return p; }
void drop(point *p) { free(p); }
int other(const struct other *o) { return (int)o->d; }
long rich(struct rich *r)
{
    r->a = 5;
    return r->b + r->p.x + (r->text ? strlen(r->text) : 0) + r->inner + (r->f ? r->f(2) : 0) + (long)r->v[2];
}
int joined(const char *const *words) { int n = 0; for (; *words; words++) n += strlen(*words); return n; }
long total(const int *values, int n) { long s = 0; for (int i = 0; i < n; i++) s += values[i]; return s; }
void *any(void *p) { return p; }
const point *fixed(void) { static const point p = {7, 8}; return &p; }
void fill(unsigned char *to, int n) { memset(to, 7, n); }
"""
NAMES = "sum sum_of move make drop other rich joined total any fixed fill malloc free"


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, exports=NAMES.split())


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[tmebox.Box]:
    with tmebox.Box(module, memory="8MiB") as box:
        yield box


def test_a_struct_made_in_python_is_passed_read_and_written(box: tmebox.Box) -> None:
    p = box.new("struct point", x=1, y=2)
    assert (p.x, p[0].y, box.sum(p), p.read()) == (1, 2, 3, (1, 2))
    p.x = 10
    box.move(p, 5)
    assert (p.x, box.sum(p), len(p)) == (15, 17, 1)
    assert box.new("point").read() == (0, 0)


def test_what_a_library_gives_is_typed(box: tmebox.Box) -> None:
    q = box.make(3, 4)
    assert (q.type, q.x, q.y, box.sum(q)) == ("point *", 3, 4, 7)
    assert box.any(None) is None and box.any(q).type == "void *" and box.any(q) == q
    again = box.cast("point *", box.any(q))
    assert again is not None and again.y == 4
    with pytest.raises(TypeError, match="not known"):
        len(q)
    box.drop(q)


def test_arrays_of_structs_are_numpy_records_of_the_same_memory(box: tmebox.Box) -> None:
    points = box.new("point[3]", [(1, 2), {"x": 3}, (5, 6)])
    assert ([p.x for p in points], box.sum_of(points, 3)) == ([1, 3, 5], 17)
    points.array()["x"] += 100
    assert (points[2].x, (points + 2).x, points + 2 - points) == (105, 105, 2)
    points[1] = {"x": -1, "y": -2}
    assert points.array()["y"].tolist() == [2, -2, 6] and points.read()[1] == (-1, -2)
    values = box.new("int[100]")
    values.array()[:] = np.arange(100)
    assert box.total(values, 100) == 4950 and values[99] == 99
    assert box.fixed().array(1)["x"].tolist() == [7]


def test_members_of_every_kind(box: tmebox.Box) -> None:
    r = box.new("struct rich", b=7, p=(1, 2), name=b"abc", text="hello", inner=4, v=[1, 2, 3])
    assert (r.b, r.a, r.p.x, r.name.string(), r.text.string(), r.inner, r.v[2]) == (
        7, 0, 1, b"abc", b"hello", 4, 3.0,
    )  # fmt: skip
    assert (r.next, r.f, box.rich(r), r.a) == (None, None, 20, 5)
    r.f = box.callback(lambda value: value * 100, "struct rich.f")
    assert box.rich(r) == 220 and r.f(3) == 300
    r.a, r.b = 2, 100
    assert (r.a, r.b, r.p.x) == (2, 100, 1)
    r.u.f = 1.5
    assert r.u.i == 0x3FC00000
    r.next = r
    r.next.next.p.y = 9
    assert r.p.y == 9 and r.next == r
    r.pair = box.new("struct point", x=5)
    assert "inner" not in dir(r[0]) and "next" in dir(r[0])


def test_members_hide_methods_of_their_names() -> None:
    source = """
    struct all { int type, offset, kind, freed, count, string, read; };
    int sum(struct all *a) { return a->type + a->offset + a->kind + a->freed + a->count + a->string +
    a->read; }
    """
    with tmebox.Box(tmebox.compile(source_text=source)) as box:
        p: Any = box.new("struct all", type=1, offset=2, kind=3, freed=4, count=5, string=6, read=7)
        members = [p.type, p.offset, p.kind, p.freed, p.count, p.string, p.read]
        assert members == [1, 2, 3, 4, 5, 6, 7] and box.sum(p) == 28
        p.freed, p.offset = 10, 20
        assert box.sum(p) == 52 and tmebox.Pointer.read(p).offset == 20
        p.free()
        with pytest.raises(ValueError, match="freed"):
            box.sum(p)


def test_lists_are_passed_for_arrays_of_texts_structs_and_numbers(box: tmebox.Box) -> None:
    assert box.joined(["ab", b"cde", ""]) == 5 and box.joined([]) == 0
    assert box.total([1, 2, 3], 3) == 6 and box.sum_of([(1, 2), {"x": 3}], 2) == 6
    words = box.new("char *[3]", ["one", b"three", None])
    assert box.joined(words) == 8 and words[1].string() == b"three"
    for refused in ([1.5], ["x"], [1 << 40]):
        with pytest.raises((TypeError, OverflowError), match=r"\[0\]"):
            box.total(refused, 1)
    with pytest.raises(TypeError, match="got list"):
        box.fill([1, 2], 2)
    with pytest.raises(TypeError, match="expected a text"):
        box.joined([1.5])


def test_the_librarys_own_heap(box: tmebox.Box) -> None:
    numbers = box.malloc(400, "int")
    assert numbers is not None
    numbers[99] = 7
    assert box.total(numbers + 99, 1) == 7
    box.free(numbers)
    with pytest.raises(ValueError, match="freed"):
        box.total(numbers, 1)
    box.free(None)
    assert box.malloc(1 << 30) is None


WRONG: dict[str, Callable[[Any], Any]] = {
    "TypeError: expected a struct point": lambda box: box.sum(box.new("struct other", d=1)),
    "TypeError: into another sandbox": lambda box: box.sum(tmebox.Box(box.module).new("point")),
    "IndexError: item 3 of 3": lambda box: box.new("int[3]")[3],
    "IndexError: item -1 of 3": lambda box: box.new("int[3]")[-1],
    "IndexError: lies outside": lambda box: box.make(1, 2)[1 << 40],
    "IndexError: outside the sandbox": lambda box: box.make(1, 2) + (1 << 40),
    "IndexError: 13 bytes": lambda box: box.new("int[3]").tobytes(13),
    "IndexError: 16 bytes": lambda box: box.new("int[3]").array(4),
    "BadPointer: not the sandbox": lambda box: box.make(1, 2).array(1 << 26),
    "AttributeError: no member 'z'": lambda box: box.new("point").z,
    "AttributeError: no attribute 'x'": lambda box: box.new("int").x,
    "TypeError: no field 'z'": lambda box: box.new("point", z=1),
    "TypeError: no type 'struct nope'": lambda box: box.new("struct nope"),
    "TypeError: how large": lambda box: box.new("void"),
    "TypeError: write types like": lambda box: box.new("int[3]*"),
    "TypeError: not both": lambda box: box.new("point", (1, 2), x=1),
    "OverflowError: does not fit int": lambda box: setattr(box.new("point"), "x", 1 << 40),
    "OverflowError: does not fit unsigned int:3": lambda box: setattr(box.new("struct rich"), "a", 8),
    "OverflowError: more than a sandbox": lambda box: box.new("int[99999999999]"),
    "LimitError: no room": lambda box: box.new("int[100000000]"),
    "BadPointer: is not the sandbox's memory": lambda box: box.cast("point *", 16).x,
    "BadPointer: read-only": lambda box: setattr(box.fixed(), "x", 1),
    "TypeError: expected a struct point \\*": lambda box: setattr(
        box.new("struct rich"), "pair", box.new("struct other")
    ),
    "TypeError: stored as a callback": lambda box: setattr(box.new("struct rich"), "f", print),
    "TypeError: cast\\(\\) makes pointers": lambda box: box.cast("int", 5),
    "TypeError: expected an offset": lambda box: box.cast("int *", 65536.9),
    "OverflowError: is not an offset": lambda box: box.cast("int *", 2**64 + box.fixed()._offset),
    "OverflowError: 0x.* is not an offset": lambda box: box.cast("int *", box.fixed()._offset - 2**64),
    "TypeError: not subtracted": lambda box: box.new("int") - box.new("point"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_is_an_exception_that_says_why(box: tmebox.Box, wrong: str) -> None:
    kind, _, words = wrong.partition(": ")
    known = {"BadPointer": tmebox.BadPointer, "LimitError": tmebox.LimitError}
    expected = known.get(kind) or getattr(__import__("builtins"), kind)
    with pytest.raises(expected, match=words):
        WRONG[wrong](box)
    assert box.sum(box.new("point", x=1)) == 1


def test_memory_is_there_until_the_last_pointer_to_it_is_gone(box: tmebox.Box) -> None:
    member = box.new("struct rich", p=(3, 4)).p
    for _ in range(100):
        box.new("struct rich", p=(8, 8))
    assert (member.x, member.y) == (3, 4)
    for _ in range(3000):  # far more than there is memory for at once
        box.new("char[100000]")
    with box.new("point", x=1) as p:
        pass
    for use in ("p.x", "p[0].x", "box.sum(p)", "p.read()", "p.array()"):
        with pytest.raises(ValueError, match="freed"):
            eval(use, {"box": box, "p": p})


def test_a_pointer_outlives_its_sandbox_and_reads_nothing(module: tmebox.Module) -> None:
    with tmebox.Box(module) as box:
        p = box.new("point", x=1)
        view = p.array()
    with pytest.raises(tmebox.SandboxClosed):
        p.x  # noqa: B018
    with pytest.raises(tmebox.SandboxClosed):
        box.new("point")
    assert view["x"].tolist() == [0]


def test_memory_without_a_type_is_an_array_of_bytes(box: tmebox.Box) -> None:
    room = box.malloc(16)
    assert room is not None
    box.fill(room.offset, 3)
    view = room.array(4)
    assert view.dtype == np.uint8 and list(view[:3]) == [7, 7, 7]


def test_a_text_that_does_not_fit_says_so(box: tmebox.Box) -> None:
    assert box.new("struct rich", name="12345678")[0].name.string() == b"12345678"
    for text in ("123456789", b"123456789", bytearray(9)):
        with pytest.raises(TypeError, match=r"name: 9 bytes do not fit into char\[8\]"):
            box.new("struct rich", name=text)
