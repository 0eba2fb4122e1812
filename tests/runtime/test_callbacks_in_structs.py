"""Callbacks, functions and handles in structs and lists: those of this sandbox that are open, and of the type
that is wanted there. With another sandbox's, sandboxed code would call some other function, and nobody would
know."""

from __future__ import annotations

from collections import UserDict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import tmebox

SOURCE = r"""
typedef int (*op)(int);
struct ops { op op; void *user; int *number; };
struct large { struct ops ops; long more[40]; };
static struct ops kept;
struct ops fetch(void);
op fetch_op(void);
void *fetch_user(void);
void see(void *user);
int twice(int x) { return 2 * x; }
long wide(long x) { return x; }
int by_value(struct ops o, int x) { see(o.user); return o.op(x); }
int by_pointer(const struct ops *o, int x) { see(o->user); return o->op(x); }
int large(struct large l, int x) { see(l.ops.user); return l.ops.op(x); }
int in_list(op const *ops, int x) { return ops[1](x); }
int users_in_list(void *const *users) { see(users[1]); return 7; }
int numbers_in_list(int *const *numbers) { return *numbers[1]; }
int fetched(int x) { struct ops o = fetch(); see(o.user); return o.op(x); }
int fetched_op(int x) { return fetch_op()(x); }
int fetched_user(void) { see(fetch_user()); return 7; }
int answered(op f) { return f(1) == 0; }
int answered_by(void *(*f)(int)) { see(f(1)); return 7; }
struct ops *point(void) { return &kept; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


class World:
    """Two boxes, what their imports give, and what the code showed of its handles."""

    def __init__(self, module: tmebox.Module) -> None:
        self.given: Any = None
        self.seen: list[Any] = []
        imports: dict[str, Callable[..., Any]] = {"see": self.seen.append}
        imports.update(dict.fromkeys(("fetch", "fetch_op", "fetch_user"), lambda: self.given))
        self.box, self.other = (tmebox.Box(module, imports=imports, timeout=20.0) for _ in range(2))

    def with_given(self, given: Any) -> tmebox.Box:
        self.given = given
        return self.box


@pytest.fixture
def world(module: tmebox.Module) -> Iterator[World]:
    made = World(module)
    with made.box, made.other:
        yield made


def kept(world: World, **members: Any) -> Any:
    return world.box.by_pointer(world.box.new("struct ops", **members), 21)


def after(world: World, name: str, value: Any) -> Any:
    made = world.box.new("struct ops", op=world.box.twice)
    setattr(made, name, value)
    return world.box.by_pointer(made, 21)


def item_after(world: World, value: Any) -> Any:
    made = world.box.new("struct ops[2]")
    made[0] = value
    return world.box.by_pointer(made, 21)


WITH_FUNCTIONS: dict[str, Callable[[World, Any], Any]] = {
    "a dict by value": lambda w, op: w.box.by_value({"op": op}, 21),
    "a tuple by value": lambda w, op: w.box.by_value((op, None, None), 21),
    "some mapping": lambda w, op: w.box.by_value(UserDict(op=op), 21),
    "a dict by pointer": lambda w, op: w.box.by_pointer({"op": op}, 21),
    "a list of structs": lambda w, op: w.box.by_pointer([{"op": op}], 21),
    "a large struct": lambda w, op: w.box.large({"ops": {"op": op}}, 21),
    "a list": lambda w, op: w.box.in_list([None, op], 21),
    "memory": lambda w, op: kept(w, op=op),
    "memory for two": lambda w, op: w.box.in_list(w.box.new("op[2]", deque([None, op])), 21),
    "a member": lambda w, op: after(w, "op", op),
    "an item": lambda w, op: item_after(w, {"op": op}),
    "a result": lambda w, op: w.with_given({"op": op}).fetched(21),
    "a result by itself": lambda w, op: w.with_given(op).fetched_op(21),
}
WITH_HANDLES: dict[str, Callable[[World, Any], Any]] = {
    "a dict by value": lambda w, user: w.box.by_value({"op": w.box.twice, "user": user}, 21),
    "a dict by pointer": lambda w, user: w.box.by_pointer({"op": w.box.twice, "user": user}, 21),
    "a large struct": lambda w, user: w.box.large({"ops": {"op": w.box.twice, "user": user}}, 21),
    "a list": lambda w, user: w.box.users_in_list([None, user]),
    "memory": lambda w, user: kept(w, op=w.box.twice, user=user),
    "a member": lambda w, user: after(w, "user", user),
    "an item": lambda w, user: item_after(w, (w.box.twice, user, None)),
    "a result": lambda w, user: w.with_given({"op": w.box.twice, "user": user}).fetched(21),
    "a result by itself": lambda w, user: w.with_given(user).fetched_user(),
    "a result of a callback": lambda w, user: w.box.answered_by(lambda x: user),
    "what a callback gives for an error": lambda w, user: w.box.answered_by(
        w.box.callback(lambda x: 1 // 0, "answered_by.f", on_error=user)
    ),
}


@pytest.mark.parametrize("way", WITH_FUNCTIONS)
def test_only_an_open_function_of_this_sandbox_and_of_that_type_is_stored(world: World, way: str) -> None:
    use, box, other = WITH_FUNCTIONS[way], world.box, world.other
    assert use(world, box.callback(lambda x: 2 * x, "op")) == use(world, box.twice) == 42

    class Lookalike:
        address = box.twice.address

    closed = box.callback(lambda x: x, "op")
    closed.close()
    for op in (other.callback(lambda x: -1, "op"), other.twice):
        with pytest.raises(TypeError, match="another sandbox"):
            use(world, op)
    with pytest.raises(tmebox.BadReference, match="closed"):
        use(world, closed)
    with pytest.raises(TypeError, match=r"expected a function of type int \(int\)"):
        use(world, box.wide)
    for wrong in (Lookalike(), "text", 1.5):
        with pytest.raises(TypeError, match="expected a callback, an address or None"):
            use(world, wrong)


@pytest.mark.parametrize("way", WITH_HANDLES)
def test_only_an_open_handle_of_this_sandbox_is_stored(world: World, way: str) -> None:
    use, thing = WITH_HANDLES[way], object()
    handle = world.box.handle(thing)
    with suppress(ZeroDivisionError):  # the callback's, when its call is over
        use(world, handle)
    assert world.seen.pop() is thing
    handle.close()
    with pytest.raises(tmebox.BadReference, match="closed"):
        use(world, handle)
    with pytest.raises(TypeError, match="another sandbox"):
        use(world, world.other.handle(thing))
    assert not world.seen


def test_pointers_of_another_sandbox_are_refused_in_whatever_holds_them(world: World) -> None:
    box, elsewhere = world.box, world.other.new("int")
    for value in ({"number": elsewhere}, UserDict(number=elsewhere), (box.twice, None, elsewhere)):
        with pytest.raises(TypeError, match="another sandbox"):
            box.by_value(value, 1)
    for items in ([None, elsewhere], deque([None, elsewhere]), (None, elsewhere)):
        with pytest.raises(TypeError, match="another sandbox"):
            box.new("int *[2]", items)
    with pytest.raises(TypeError, match="another sandbox"):
        box.new("long[40]", [elsewhere] * 40)
    with pytest.raises(TypeError, match="another sandbox"):
        world.with_given({"op": box.twice, "number": elsewhere}).fetched(1)
    with pytest.raises(TypeError, match="another sandbox"):
        world.with_given(world.other.new("struct ops")).fetched_user()


def test_the_end_of_a_sandbox_closes_handles_and_callbacks(module: tmebox.Module) -> None:
    world = World(module)
    handle, callback = world.box.handle(world), world.box.callback(lambda x: x, "op")
    for box in (world.box, world.other):
        box.close()
    assert (handle.closed, callback.closed, callback.function) == (True, True, None)
    with pytest.raises(tmebox.BadReference, match="closed"):
        _ = handle.target
