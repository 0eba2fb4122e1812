"""What members of structs can be: arrays without a size, functions, handles, structs inside others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tmebox

SOURCE = r"""
#include <stdlib.h>
typedef int (*visit)(void *user, int n);
struct flex { unsigned char n; short items[]; };
struct pair { int a, b; };
struct node { struct node *next; visit call; visit table[2]; void *user; struct pair inner; };
struct odd { struct pair one; };
int sum(const struct flex *f) { int s = 0; for (int i = 0; i < f->n; i++) s += f->items[i]; return s; }
struct flex *make(int n) { struct flex *f = malloc(sizeof *f + n * sizeof(short)); f->n = n;
    for (int i = 0; i < n; i++) f->items[i] = i * i; return f; }
int by_value(struct flex f) { return f.n; }
int call(struct node *n, int which)
{ return which < 0 ? n->call(n->user, which) : n->table[which](n->user, which); }
int pair(const struct pair *p) { return p->a * 10 + p->b; }
int odd(const struct odd *o) { return o->one.a; }
int anything(const void *p) { return *(const int *)p; }
void *same(void *user) { return user; }
void *forged(unsigned long word) { return (void *)word; }
const char *name(int which) { return which ? "na\xefve\0hidden" : 0; }
visit pick(struct node *n) { return n->call; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[Any]:
    with tmebox.Box(module, memory="4MiB") as made:
        yield made


def call(box: Any, *arguments: Any) -> Any:
    return box.exports["call"](*arguments)


def test_an_array_without_a_size_is_as_long_as_what_is_given(box: Any) -> None:
    for count in (0, 1, 3, 200):
        items = list(range(count))
        assert box.sum({"n": count, "items": items}) == sum(items)
        made = box.new("struct flex", n=count, items=items)
        assert box.sum(made) == sum(items)
        assert [made.items[i] for i in range(count)] == items
    with pytest.raises(OverflowError, match=r"items\[1\]"):
        box.new("struct flex", n=2, items=[1, 70_000])
    with pytest.raises(TypeError, match="items"):
        box.new("struct flex", n=2, items=5)
    assert box.sum((3, [1, 2, 3])) == 6


def test_one_of_the_librarys_is_read_as_far_as_memory_goes(box: Any) -> None:
    found = box.make(5)
    assert [found.items[i] for i in range(found.n)] == [0, 1, 4, 9, 16]
    found.items[1] = 7
    assert box.sum(found) == 0 + 7 + 4 + 9 + 16
    with pytest.raises((tmebox.BadPointer, IndexError)):
        found.items[2**30]
    with pytest.raises((tmebox.BadPointer, IndexError)):
        found.items[-(2**28)]
    with pytest.raises(TypeError, match="how many items"):
        len(found.items)


def test_by_value_nothing_goes_behind_a_struct(box: Any) -> None:
    for given in ({"n": 7}, {"n": 7, "items": [1, 2]}):  # clang passes it in memory, others may not
        with pytest.raises(TypeError, match="compilers differ in how struct flex is passed"):
            box.by_value(given)
    with pytest.raises(TypeError, match="items behind it"):
        box.make(1)[0] = {"n": 7, "items": [1, 2]}
    with pytest.raises(TypeError, match="items behind it"):
        box.new("struct flex[2]", [{"n": 7, "items": [1, 2]}, {}])


def test_functions_are_members_for_a_call_or_as_callbacks(box: Any) -> None:
    assert call(box, {"call": lambda user, n: n - 5}, -1) == -6
    assert call(box, {"table": [None, lambda user, n: n + 5]}, 1) == 6
    with box.callback(lambda user, n: 9, "visit") as callback:
        node = box.new("struct node", call=callback, table=[callback, None])
        assert call(box, node, -1) == call(box, node, 0) == 9
        assert node.call(None, 3) == 9
        assert box.pick(node) is callback.function
    with pytest.raises(tmebox.BadReference):
        call(box, node, -1)
    with pytest.raises(TypeError, match=r"box\.callback"):
        box.new("struct node", call=lambda user, n: 1)
    with pytest.raises(TypeError, match=r"box\.callback"):
        node.call = lambda user, n: 1


def test_a_handle_comes_back_as_its_object(box: Any) -> None:
    target = object()
    with box.handle(target) as handle:
        assert box.same(handle) is target
        node = box.new("struct node", user=handle)
        assert node.user is target
        assert call(box, {"user": handle, "call": lambda user, n: int(user is target)}, -1) == 1
        word = handle.word
        assert box.forged(word) is target  # it is the sandbox's to keep and to give
    assert (
        not isinstance(box.forged(word), object if False else type(target)) or box.forged(word) is not target
    )
    assert node.user is not target
    for guess in (word ^ 1, word + 1, 2**64 - 1, 2**63, 1 << 32):
        found = box.forged(guess)
        assert found is None or isinstance(found, tmebox.Pointer)


def test_a_struct_inside_another_is_passed_by_its_place(box: Any, module: tmebox.Module) -> None:
    node = box.new("struct node", inner=(1, 2))
    assert box.pair(node.inner) == 12
    assert box.anything(node.inner) == 1
    assert box.pair(box.new("struct odd", one=(3, 4)).one) == 34
    with pytest.raises(TypeError, match="expected a struct pair"):
        box.pair(box.new("struct odd", one=(3, 4))[0])
    inner = node.inner
    node.free()
    with pytest.raises(ValueError, match="freed"):
        box.pair(inner)
    with tmebox.Box(module) as other, pytest.raises(TypeError, match="another sandbox"):
        box.pair(other.new("struct node").inner)


def test_what_new_made_lies_where_a_call_may_have_it(box: Any) -> None:
    kept = [box.new("struct pair", a=i) for i in range(20)]
    assert all(p._offset % 64 == 0 for p in kept)
    assert box.sum({"n": 1, "items": [2]}) == 2  # which takes room as well
    assert box.pair({"a": 1, "b": 2}) == 12
    assert len({p._offset for p in kept}) == 20


def test_a_text_comes_back_as_what_is_asked_for(box: Any) -> None:
    assert (box.name(1), box.name(0)) == ("na\ufffdve", None)
    for _ in range(2):
        assert box.returning("name", bytes)(1) == b"na\xefve"
        assert box.returning("name", bytes)(0) is None
        assert box.returning("name", str)(1) == "na\ufffdve"
        found = box.returning("name", tmebox.Pointer)(which=1)
        assert found.tobytes(12) == b"na\xefve\0hidden"[:12]
    with pytest.raises(TypeError, match="returns no const char"):
        box.returning("pair", bytes)
    with pytest.raises(TypeError, match="as str, bytes or"):
        box.returning("name", int)
