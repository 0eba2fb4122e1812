"""Classes made for structs: the same one for as long as anybody has it, and no longer."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import tmebox
from tmebox.runtime.calls.lasting import KEPT, one_for_each

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
        for i in range(KEPT + 10)
    )


def test_records_and_pointers_keep_their_class_while_others_are_made() -> None:
    """The core keeps a class with a function's plan, Python asks for it at each call."""
    module, others = tmebox.compile(source_text=SOURCE), tmebox.compile(source_text=many_structs())
    with tmebox.Box(module) as box, tmebox.Box(module) as later, tmebox.Box(others) as other:
        point, pointer = box.turned(((1, 2, 3), 4)), box.new("struct named", {"kind": 5})
        for i in range(KEPT + 10):
            other.exports[f"f{i}"]((i, 2))
            other.exports[f"g{i}"](other.new(f"struct s{i}", (i, 2)))
        assert type(later.turned(point)) is type(point)  # a sandbox's first call is Python's
        assert type(box.turned({"x": 1})) is type(point)
        assert type(box.same(pointer)) is type(pointer)
        assert box.same(pointer).kind == 5


def made(key: Any) -> type:
    return type(f"made{key}", (), {})


def test_one_that_somebody_has_is_never_made_again() -> None:
    keys: list[int] = []

    def counted(key: int) -> type:
        keys.append(key)
        return made(key)

    one = one_for_each(counted)
    first = one(-1)
    for key in range(3 * KEPT):
        one(key)
    assert one(-1) is first
    assert keys.count(-1) == 1


def test_those_that_nobody_has_go() -> None:
    one = one_for_each(made)
    seen = [weakref.ref(one(key)) for key in range(3 * KEPT)]
    gc.collect()
    assert sum(ref() is not None for ref in seen) == KEPT
    again = one(0)
    assert again.__name__ == "made0"
    assert one(0) is again


def test_threads_get_the_same() -> None:
    start = threading.Barrier(4)

    def slowly(key: int) -> type:
        start.wait()
        return made(key)

    one = one_for_each(slowly)
    got: list[type] = []
    threads = [threading.Thread(target=lambda: got.append(one(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert len(got) == 4
