"""Greenlets swap stacks in the middle of host calls, and end calls in any order."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import greenlet
import pytest

import tmebox
from tests.forked import ChildOutcome

Forked = Callable[..., ChildOutcome]
SOURCE = """
int hop(int);
int work(int n) { int s = 0; for (int i = 0; i < n; i++) s = s * 3 + hop(i); return s; }
int add(int a, int b) { return a + b; }
"""
ARRAYS = """
int hop(int);
int outer(void) { return hop(1); }
int inner(int n) { char a[n]; for (int i = 0; i < n; i++) a[i] = i; return a[hop(0)]; }
"""


class Stop(Exception):
    """Ends a call from its host function."""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def hopping(module: tmebox.Module, **options: Any) -> tmebox.Sandbox:
    """Its host function goes to the main greenlet; "stop" sent back makes it raise."""
    main = greenlet.getcurrent()

    def hop(_: int) -> int:
        if main.switch("in a call") == "stop":
            raise Stop
        return 1

    return tmebox.Sandbox(module, imports={"hop": hop}, **options)


def call(sandbox: tmebox.Sandbox, count: int) -> greenlet.greenlet:
    """One that is in its first host call."""

    def run() -> Any:
        try:
            return sandbox.work(count)
        except Exception as error:
            return error

    made = greenlet.greenlet(run)
    assert made.switch() == "in a call"
    return made


def switches() -> dict[str, int]:
    """How often each thread went to sleep."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                found[task.name] = int(line.split()[1])
    return found


@pytest.mark.parametrize("order", ["crosswise", "nested"])
def test_calls_that_end_crosswise_leave_nobody_watching(
    module: tmebox.Module, forked: Forked, order: str
) -> None:
    def child() -> tuple[list[Any], int]:
        one, other = (call(hopping(module, timeout=5), 1) for _ in range(2))
        ends = (one, other) if order == "crosswise" else (other, one)
        results = [made.switch("go on") for made in ends]
        time.sleep(0.4)  # the watchdog goes to sleep when nothing has run for a while
        before = switches()
        time.sleep(0.6)
        after = switches()
        main = str(os.getpid())
        return results, sum(after[task] - before[task] for task in before if task != main)

    results, awake = forked(child).result()
    assert results == [1, 1]
    assert awake < 50


@pytest.mark.parametrize("resumed", [0, 1, 2])
def test_calls_of_one_sandbox_must_end_in_order(module: tmebox.Module, resumed: int) -> None:
    """Whoever else goes on, or begins, would find somebody's stack."""
    sandbox = hopping(module)
    calls = [call(sandbox, 2) for _ in range(3)]
    if resumed == 2:
        assert calls[2].switch("go on") == "in a call"
        assert [made.switch("go on") for made in (calls[2],)] == [4]
        assert calls[1].switch("go on") == "in a call"
        return
    refused = calls[resumed].switch("go on")
    assert isinstance(refused, RuntimeError) and "opposite order" in str(refused)
    for made in calls[resumed + 1 :]:
        assert isinstance(made.switch("go on"), RuntimeError | tmebox.SandboxClosed)
    with pytest.raises(tmebox.SandboxClosed):
        sandbox.add(1, 2)


def test_a_call_that_is_left_with_others_inside_ends_them_all(module: tmebox.Module) -> None:
    sandbox = hopping(module)
    first, second = call(sandbox, 2), call(sandbox, 2)
    assert isinstance(first.switch("stop"), Stop)
    with pytest.raises(tmebox.SandboxClosed):  # at a depth that the second one was at
        sandbox.work(1)
    assert isinstance(second.switch("go on"), RuntimeError | tmebox.SandboxClosed)
    sandbox.reset()
    assert sandbox.add(1, 2) == 3


ENDED = f"""
import greenlet, threading, tmebox

class Stop(Exception): pass

left, found = [], []

def hop(first):
    if first:
        left[0].parent.switch()
    raise Stop

module = tmebox.compile(source_text={ARRAYS!r})
sandbox = tmebox.Sandbox(module, imports={{"hop": hop}}, memory="8MiB")
before = sandbox.memory.read(module.arrays, 8)

def leave():
    left.append(greenlet.greenlet(lambda: sandbox.outer()))
    left[0].switch()

def call():
    try:
        sandbox.inner(100)
    except BaseException as error:
        found.append(type(error).__name__)

for work in [leave] + [call] * 8:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(*found, sandbox.memory.read(module.arrays, 8) == before, flush=True)
__import__("os")._exit(0)
"""
"""In a process of its own: there the next thread gets the memory that the last one gave back."""


def test_a_thread_that_has_ended_in_a_call_is_no_later_one() -> None:
    """The greenlet that is in the call cannot go on, so the sandbox stays busy for all others."""
    done = subprocess.run(
        [sys.executable, "-c", ENDED], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [*["SandboxBusy"] * 8, "True"]
