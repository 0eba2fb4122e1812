"""A sandbox that nobody wants any more while its last call runs: the end of that call is its end, without the
garbage collector, whichever way it was called."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox import _native
from tmebox.memory.windows import WINDOWS

SOURCE = r"""
#include <unistd.h>
struct point { int x, y; };
void leave(void);
static long rounds;
void prepare(long n) { static int fds[2]; pipe(fds); rounds = n; }
static void spin(void) { for (volatile long i = 0; i < rounds; i++) {} }
void plain(void) { spin(); }
int integers(int a) { spin(); return a + 1; }
double numbers(double a) { spin(); return a + 1; }
int text(const char *a) { spin(); return a[0]; }
int change(struct point *p) { spin(); p->x = 7; return 1; }
struct point pair(int x) { spin(); struct point p = {x, 2}; return p; }
void trap(void) { spin(); *(volatile int *)8 = 1; }
int leaving(int a) { leave(); return a; }
"""


def changed(change: Any) -> Any:
    given = {"x": 1}
    return change(given), given


WAYS: dict[str, tuple[str, Callable[[Any], Any], Any]] = {
    "nothing": ("plain", lambda f: f(), None),
    "integers": ("integers", lambda f: f(4), 5),
    "numbers": ("numbers", lambda f: f(1.5), 2.5),
    "a text": ("text", lambda f: f("a"), ord("a")),
    "a struct": ("change", changed, (1, {"x": 7, "y": 0})),
    "a struct as result": ("pair", lambda f: f(9)[0], 9),
    "a trap": ("trap", lambda f: f(), tmebox.MemoryFault),
    "an array": ("text", lambda f: f(bytearray(b"abc")), tmebox.SandboxClosed),  # nothing to read it from
    "timed": ("plain", lambda f: _native.time_crossings(f, 1) > 0, True),
}


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


@pytest.fixture
def quiet() -> Iterator[Callable[[], tuple[int, int]]]:
    """What there is of windows and descriptors. The collector does not run."""
    gc.collect()
    gc.disable()
    yield lambda: (WINDOWS.live, len(os.listdir("/proc/self/fd")))
    gc.enable()


def prepared(sandbox: tmebox.Sandbox, name: str) -> Any:
    """A function that does not keep the sandbox, and lasts."""
    sandbox.text("x"), sandbox.change({"x": 0})  # now the core passes such by itself
    sandbox.prepare(100_000_000)
    getattr(sandbox, name)
    return getattr(sandbox, name)


def start(call: Callable[[Any], Any], function: Any, found: list[Any]) -> threading.Thread:
    def run() -> None:
        try:
            found.append(call(function))
        except Exception as error:
            found.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    while function.instance.state != _native.RUNNING and not found:
        time.sleep(0.0005)
    return thread


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ["dropped", "leased"])
def test_the_end_of_its_call_is_its_end(
    module: tmebox.Module, quiet: Callable[[], Any], way: str, how: str
) -> None:
    name, call, expected = WAYS[way]
    found: list[Any] = []
    options: dict[str, Any] = {"imports": {"leave": print}, "timeout": 20.0}
    with tmebox.SandboxPool(module, size=1, threads=1, **options) as pool:
        before = quiet()
        for _ in range(2):
            if how == "leased":
                with pool.lease() as sandbox:
                    function = prepared(sandbox, name)
                    thread = start(call, function, found)
                assert sandbox.closed
            else:
                sandbox = tmebox.Sandbox(module, **options)
                function = prepared(sandbox, name)
                thread = start(call, function, found)
            del sandbox
            thread.join()
            with pytest.raises(tmebox.SandboxClosed):
                call(function)
            assert quiet() == before
        assert found == [expected] * 2


def test_a_function_of_the_host_may_have_ended_it(module: tmebox.Module, quiet: Callable[[], Any]) -> None:
    leases: list[Any] = []

    def leave() -> None:
        leases.pop().__exit__(None, None, None)

    with tmebox.SandboxPool(module, size=1, imports={"leave": leave}) as pool:
        before = quiet()
        leases.append(pool.lease())
        sandbox = leases[0].__enter__()
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.leaving(3)
        assert quiet() == before and sandbox.closed


@pytest.mark.parametrize("argument", [b"x", bytearray(b"x"), np.zeros(3, np.uint8), "x" * 5000])
def test_no_call_leaves_what_keeps_the_window(
    module: tmebox.Module, quiet: Callable[[], Any], argument: Any
) -> None:
    before = quiet()
    for _ in range(2):
        with tmebox.Sandbox(module, imports={"leave": print}) as sandbox:
            sandbox.text(argument)
        assert quiet()[0] == before[0]


def test_what_was_given_back_does_not_begin_again(module: tmebox.Module) -> None:
    found: list[Any] = []
    with tmebox.SandboxPool(module, size=1, imports={"leave": print}) as pool:
        with pool.lease() as sandbox:
            thread = start(lambda f: f(), prepared(sandbox, "plain"), found)
        for attempt in (sandbox.reset, sandbox.close, sandbox.snapshot):
            with pytest.raises((tmebox.SandboxBusy, tmebox.SandboxClosed)):
                attempt()
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.memory.write(sandbox.memory._layout.heap_start, b"1")
        thread.join()
        for attempt in (sandbox.reset, sandbox.plain, sandbox.snapshot):
            with pytest.raises(tmebox.SandboxClosed):
                attempt()
        sandbox.close()
    assert found == [None]


def test_one_that_does_not_get_a_heap_leaves_nothing(module: tmebox.Module, quiet: Callable[[], Any]) -> None:
    heap = tmebox.SharedHeap("1MiB")
    heap.close()
    before = quiet()
    for _ in range(5):
        with pytest.raises(tmebox.SandboxClosed):
            tmebox.Sandbox(module, heap=heap, imports={"leave": print})
        assert quiet() == before
