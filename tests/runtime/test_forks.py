"""Children that are forked at any moment: what other threads were doing then does not hold them up."""

from __future__ import annotations

import dataclasses
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox.memory.windows import WindowPool

Forked = Callable[..., ChildOutcome]
SOURCE = """
static int calls;
int add(int a, int b) { calls++; return a + b; }
int length(const char *text) { int n = 0; while (text[n]) n++; return n; }
void spin(void) { for (volatile int i = 0;; i++); }
"""
USES: dict[str, Callable[[tmebox.Sandbox], Any]] = {
    "call": lambda sandbox: sandbox.add(1, 2),
    "text": lambda sandbox: sandbox.length("text"),
    "reset": lambda sandbox: sandbox.reset(),
    "snapshot": lambda sandbox: sandbox.snapshot(),
    "array": lambda sandbox: sandbox.array(10),
}


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@contextmanager
def elsewhere(doing: Callable[[threading.Event, threading.Event], None]) -> Iterator[None]:
    """While another thread is in `doing(begun, end)`, between these two."""
    begun, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=doing, args=(begun, end))
    thread.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        end.set()
        thread.join()


def use_everything(module: tmebox.Module, data: bytes, parents: tmebox.Sandbox) -> list[str]:
    """What a child may want; the parent's sandbox refuses all, and can be closed."""
    refused = []
    for name, use in USES.items():
        with pytest.raises(tmebox.SandboxClosed, match="forked"):
            use(parents)
        refused.append(name)
    parents.close()
    with tmebox.Sandbox(module) as own, own.snapshot().spawn() as spawned:
        assert own.add(1, 2) + spawned.add(3, 4) == 10
    with tmebox.Sandbox(tmebox.Module.from_bytes(data)) as own:
        assert own.length("own") == 3
    return refused


def test_locks_that_other_threads_had_are_free_in_the_child(module: tmebox.Module, forked: Forked) -> None:
    data, parents = module.to_bytes(), tmebox.Sandbox(module)

    def hold_locks(begun: threading.Event, end: threading.Event) -> None:
        with parents._tenancy._changing:
            begun.set()
            end.wait()

    with elsewhere(hold_locks):
        outcome = forked(lambda: use_everything(module, data, parents))
    assert outcome.result() == list(USES)
    assert parents.add(3, 4) == 7
    parents.close()


def test_a_call_that_ran_on_another_thread_is_over_in_the_child(
    module: tmebox.Module, forked: Forked
) -> None:
    data, parents = module.to_bytes(), tmebox.Sandbox(module)

    def spin(begun: threading.Event, _: threading.Event) -> None:
        begun.set()
        with pytest.raises(tmebox.Timeout):
            parents.call("spin", timeout=1.0)

    with elsewhere(spin):
        while "running" not in repr(parents):
            pass
        outcome = forked(lambda: use_everything(module, data, parents))
    assert outcome.result() == list(USES)
    parents.close()


def test_what_another_thread_was_working_out_is_worked_out_again(
    module: tmebox.Module, forked: Forked, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, parent = WindowPool.template, os.getpid()
    first = tmebox.Sandbox(module, memory="3MiB")

    def hold_up(begun: threading.Event, end: threading.Event) -> None:
        def slowly(pool: WindowPool, contents: Any) -> Any:
            if os.getpid() == parent:
                begun.set()
                end.wait()
            return make(pool, contents)

        monkeypatch.setattr(WindowPool, "template", slowly)
        tmebox.Sandbox(module, memory="5MiB").close()

    def child() -> int:
        with tmebox.Sandbox(module, memory="7MiB") as own:
            return int(own.add(1, 2))

    with elsewhere(hold_up):
        outcome = forked(child)
    assert outcome.result() == 3
    first.close()


THREADS = """
#include <pthread.h>
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static void *wait(void *unused) { pthread_mutex_lock(&mutex); for (;;) pthread_cond_wait(&never, &mutex); }
void begin(int n) { pthread_t thread; while (n-- > 0) pthread_create(&thread, 0, wait, 0); sched_yield(); }
"""


@pytest.mark.parametrize("what", ["a fork", "the end of the threads"])
def test_threads_are_told_as_they_stood_whatever_finalizers_do(forked: Forked, what: str) -> None:
    """Making Python objects runs the collector, which may run any code."""
    threads = tmebox.compile(source_text=THREADS)

    def child() -> tuple[bool, bool]:
        sandbox = tmebox.Sandbox(threads)
        sandbox.begin(8)
        instance = sandbox._tenancy.instance
        expected, statuses = instance.threads(), []
        instance.pause()
        parent = os.getpid()

        def finalize(phase: str, _: dict[str, int]) -> None:
            if phase != "start" or os.getpid() != parent:
                return
            if what == "a fork":
                pid = os.fork()
                if pid != 0:
                    statuses.append(os.waitpid(pid, 0)[1])
            else:
                instance.end_threads()

        gc.collect()
        threshold = gc.get_threshold()
        gc.callbacks.append(finalize)
        gc.set_threshold(1)
        try:
            told = instance.threads()
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(finalize)
        if os.getpid() != parent:
            os._exit(told != expected)
        return told == expected, not any(statuses)

    assert forked(child).result() == (True, True)


def test_a_prototype_that_another_thread_asks_for_holds_up_no_child(
    module: tmebox.Module, forked: Forked, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, prototypes = os.getpid(), sys.modules["tmebox.modulefile.prototypes"]
    called = prototypes.called
    data = module.to_bytes()

    def hold_up(begun: threading.Event, end: threading.Event) -> None:
        def slowly(name: str) -> str:
            if os.getpid() == parent:
                begun.set()
                end.wait()
            return str(called(name))

        monkeypatch.setattr(prototypes, "called", slowly)
        prototype = module.exports["add"]
        assert prototype is not None
        str(dataclasses.replace(prototype))

    def child() -> int:
        with tmebox.Sandbox(tmebox.Module.from_bytes(data)) as own:
            return len(str(own.module.exports["length"])) and int(own.add(1, 2))

    with elsewhere(hold_up):
        outcome = forked(child, timeout_s=10)
    assert outcome.result() == 3
