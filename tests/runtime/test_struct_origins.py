"""A struct with pointers belongs to the sandbox that its pointers lead into: another one does not take it."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tmebox

SOURCE = r"""
struct link { struct link *next; long number; };
struct chain { struct link first, rest[2]; };
struct point { int x, y; };
struct big { struct link *next; long words[40]; };
union either { struct link *next; long number; };
struct link fetch(void);
struct link same(struct link l) { return l; }
struct chain whole(struct chain c) { return c; }
struct big large(struct big b) { return b; }
struct point swap(struct point p) { struct point q = {p.y, p.x}; return q; }
long number(const struct link *l) { return l->number; }
long numbers(const struct chain *c) { return c->rest[1].number; }
long both(const union either *e) { return e->number; }
long fetched(void) { return fetch().number; }
"""
LINK = {"next": 0x30000, "number": 7}


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def two(request: pytest.FixtureRequest, module: tmebox.Module) -> Iterator[tuple[Any, Any]]:
    given: list[Any] = [None]
    imports = {"fetch": lambda: given[0]}
    with request.param(module, imports=imports) as a, request.param(module, imports=imports) as b:
        a.given = b.given = given
        yield a, b


def fetched(a: Any, b: Any) -> Any:
    a.given[0] = a.same(LINK)
    return b.fetched()


PASSED: dict[str, Callable[[Any, Any], Any]] = {
    "by value": lambda a, b: b.same(a.same(LINK)),
    "by value, large": lambda a, b: b.large(a.large({"next": 5})),
    "by keyword": lambda a, b: b.same(l=a.same(LINK)),
    "by pointer": lambda a, b: b.number(a.same(LINK)),
    "within a struct": lambda a, b: b.whole({"first": a.same(LINK)}),
    "within an array": lambda a, b: b.numbers({"rest": [a.same(LINK), LINK]}),
    "out of a struct": lambda a, b: b.same(a.whole({"first": LINK}).first),
    "out of an array": lambda a, b: b.same(a.whole({"rest": [LINK, LINK]}).rest[1]),
    "in a list": lambda a, b: b.number([a.same(LINK)]),
    "returned by the host": fetched,
}
OF_BOXES: dict[str, Callable[[Any, Any], Any]] = {
    "made of it": lambda a, b: b.new("struct link", a.same(LINK)),
    "read": lambda a, b: b.same(a.new("struct link", LINK).read()),
    "set": lambda a, b: b.new("struct chain").__setattr__("first", a.same(LINK)),
    "an item that is set": lambda a, b: b.new("struct link[2]").__setitem__(1, a.same(LINK)),
    "where it lies": lambda a, b: b.same(a.new("struct link", LINK)[0]),
    "where it lies, in a struct": lambda a, b: b.whole({"first": a.new("struct link", LINK)[0]}),
    "a union": lambda a, b: b.both(a.new("union either", {"number": 3}).read()),
}
WAYS = {**PASSED, **OF_BOXES}
each_way = pytest.mark.parametrize(
    ("two", "way"),
    [*((tmebox.Sandbox, way) for way in PASSED), *((tmebox.Box, way) for way in WAYS)],
    indirect=["two"],
)


@each_way
def test_another_sandbox_refuses_it_and_says_whose_it_is(two: tuple[Any, Any], way: str) -> None:
    a, b = two
    with pytest.raises(TypeError) as caught:
        WAYS[way](a, b)
    said = str(caught.value)
    assert f"of the sandbox at {a.base:#x} has pointers" in said
    assert f"in the sandbox at {b.base:#x}" in said


@each_way
def test_its_own_sandbox_takes_it(two: tuple[Any, Any], way: str) -> None:
    a, _ = two
    WAYS[way](a, a)


@pytest.mark.parametrize("two", [tmebox.Sandbox, tmebox.Box], indirect=True)
def test_a_struct_without_pointers_is_a_value(two: tuple[Any, Any]) -> None:
    a, b = two
    record = a.swap((1, 2))
    assert b.swap(record) == (1, 2)
    assert b.swap(pickle.loads(pickle.dumps(record))) == (1, 2)


def test_a_record_does_not_keep_its_sandbox(module: tmebox.Module) -> None:
    fetch = {"fetch": lambda: None}
    record = tmebox.Sandbox(module, imports=fetch).same(LINK)
    gc.collect()
    with (
        tmebox.Sandbox(module, imports=fetch) as other,
        pytest.raises(TypeError, match="of a sandbox that is gone has pointers"),
    ):
        other.same(record)


def test_a_sandbox_says_its_class(module: tmebox.Module) -> None:
    class Linked(tmebox.Box):
        pass

    fetch = {"fetch": lambda: None}
    for kind, name in ((tmebox.Sandbox, "tmebox.Sandbox"), (tmebox.Box, "tmebox.Box")):
        with kind(module, imports=fetch) as made:
            assert repr(made).startswith(f"<{name} idle, window ")
    with Linked(module, imports=fetch) as made:
        assert repr(made).startswith(f"<{__name__}.test_a_sandbox_says_its_class.<locals>.Linked idle")
