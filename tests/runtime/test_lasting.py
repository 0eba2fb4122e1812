"""Classes made for structs: the same one for as long as anybody has it, and no longer."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import tmebox
from tmebox.runtime.calls.lasting import one_for_each

MANY = 266

SOURCE = """
struct point { double v[3]; long x; };
struct named { int kind; };
struct point turned(struct point p) { p.v[0] = -p.v[0]; return p; }
struct named *same(struct named *p) { return p; }
"""


def many_structs() -> str:
    return "\n".join(
        f"struct s{i} {{ int a{i}, kind; }}; struct s{i} f{i}(struct s{i} s) {{ return s; }}"
        f"struct s{i} *g{i}(struct s{i} *s) {{ return s; }}"
        for i in range(MANY)
    )


def test_records_and_pointers_keep_their_class_while_others_are_made() -> None:
    """The core keeps a class with a function's plan, Python asks for it at each call."""
    module, others = tmebox.compile(source_text=SOURCE), tmebox.compile(source_text=many_structs())
    with tmebox.Box(module) as box, tmebox.Box(module) as later, tmebox.Box(others) as other:
        point, pointer = box.turned(((1, 2, 3), 4)), box.new("struct named", {"kind": 5})
        for i in range(MANY):
            other.exports[f"f{i}"]((i, 2))
            other.exports[f"g{i}"](other.new(f"struct s{i}", (i, 2)))
        assert type(later.turned(point)) is type(point)  # a sandbox's first call is Python's
        assert type(box.turned({"x": 1})) is type(point)
        assert type(box.same(pointer)) is type(pointer)
        assert box.same(pointer).kind == 5


@dataclass(frozen=True)
class Key:
    number: int


def made(key: Key) -> type:
    return type(f"made{key.number}", (), {})


def test_one_that_somebody_has_is_never_made_again() -> None:
    keys: list[Key] = []

    def counted(key: Key) -> type:
        keys.append(key)
        return made(key)

    one = one_for_each(counted)
    first = one(Key(-1))
    for number in range(MANY):
        one(Key(number))
    assert one(Key(-1)) is first
    assert keys.count(Key(-1)) == 1


def test_those_that_nobody_has_go() -> None:
    one = one_for_each(made)
    seen = [weakref.ref(one(Key(number))) for number in range(MANY)]
    gc.collect()
    assert not any(ref() is not None for ref in seen)
    again = one(Key(0))
    assert again.__name__ == "made0"
    assert one(Key(0)) is again


def test_threads_get_the_same() -> None:
    start = threading.Barrier(4)

    def slowly(key: Key) -> type:
        start.wait()
        return made(key)

    one = one_for_each(slowly)
    got: list[type] = []
    threads = [threading.Thread(target=lambda: got.append(one(Key(1)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert len(got) == 4


USED = """
struct small { int x; const char *text; };
struct named { int offset, kind; struct small small[2]; };
struct big { long words[60]; union { int i; float f; }; unsigned low:4; int (*op)(struct small); };
struct opaque;
struct small turn(struct small s) { s.x = -s.x; return s; }
struct big grow(struct big b) { b.i++; return b; }
int change(struct big *b) { return b->low++; }
int first(const struct small *s) { return s->x; }
struct named *same(struct named *p) { return p; }
struct opaque *hide(struct named *p) { return (struct opaque *)p; }
int tell(struct small s, struct big b);
int go(int (*f)(struct small, struct named *)) {
    return f((struct small){1, "x"}, 0) + tell((struct small){2}, (struct big){});
}
"""


def types_of(ctype: Any) -> Iterator[Any]:
    """All that are in it."""
    yield ctype
    inside = [getattr(ctype, name, None) for name in ("target", "element", "result")]
    rows = [*getattr(ctype, "fields", ()), *getattr(ctype, "parameters", ())]
    for inner in (*filter(None, inside), *(row.type for row in rows)):
        yield from types_of(inner)


def used(data: bytes) -> list[weakref.ref[Any]]:
    """A module's types, after all was done with them that keeps something."""
    module = tmebox.Module.from_bytes(data)
    with tmebox.Box(module, imports={"tell": lambda small, big: small.x}) as box:
        small, big = box.turn({"x": 1, "text": "text"}), box.grow({"i": 3})
        assert (box.turn(small).x, box.grow(big).i, box.change({"low": 1}), box.first([small])) == (
            1,
            5,
            1,
            -1,
        )
        assert box.first({"x": 7}) == box.first({"x": 7}) == 7
        assert box.go(lambda small, named: small.x) == 3
        named = box.new("struct named[2]", [{"kind": 1}, {"offset": 2}])
        named.small[1] = small
        assert (box.same(named).kind, named.read()[1].offset, box.hide(named) == named) == (1, 2, True)
        assert (named.small[1].x, len(named.small.read()), box.same(named).read().kind) == (-1, 2, 1)
    prototypes = [*module.exports.values(), *module.imports.values()]
    return [weakref.ref(ctype) for prototype in prototypes for ctype in types_of(prototype)]


def test_types_of_a_module_go_with_it() -> None:
    data = tmebox.compile(source_text=USED).to_bytes()
    kept = used(data)
    for _ in range(2):  # what finalizers have had goes the second time
        gc.collect()
    assert len(kept) > 50
    assert [ref() for ref in kept if ref() is not None] == []


def test_what_is_remembered_of_a_type_is_no_part_of_it() -> None:
    module = tmebox.compile(source_text=USED)
    with tmebox.Box(module, imports={"tell": print}) as box:
        record = box.grow({"i": 1})
    assert pickle.loads(pickle.dumps(record)) == copy.deepcopy(record) == record
    export = module.exports["grow"]
    assert export is not None
    again = pickle.loads(pickle.dumps(export.result))
    assert (again, hash(again), repr(again)) == (export.result, hash(export.result), repr(export.result))
    assert set(vars(again)) == {field.name for field in fields(again)}
