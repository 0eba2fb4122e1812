"""The watchdog rests while a call without a limit runs on in a process of one thread; and wakes up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.forked import ChildOutcome
from tests.native.machine import Machine, Trapped
from tests.native.test_interrupts import ENOUGH_S, SHORT_S, handler

UNTIL_REST_S = 0.4
"""A few dozes of 10 ms, and looks before."""
Forked = Callable[[Callable[[], object]], ChildOutcome]


def switches(thread: int) -> int:
    """How often it has gone to sleep."""
    lines = Path(f"/proc/self/task/{thread}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def most_sleeps(spin_s: float) -> int:
    """Of the other threads of the process, of which the watchdog is one, in a call that a timer ends."""
    machine = begun()
    others = [int(task) for task in os.listdir("/proc/self/task") if int(task) != os.getpid()]
    before = [switches(task) for task in others]
    with handler(signal.SIGALRM, ending), pytest.raises(TimeoutError):
        raise_after(spin_s)
        machine.call("spin")
    return max(switches(task) - count for task, count in zip(others, before, strict=True))


def begun() -> Machine:
    """One that was called, so the watchdog is there."""
    machine = Machine()
    assert machine.call("count", 1) == 1
    return machine


def raise_after(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)


def ending(*_: object) -> None:
    raise TimeoutError


def test_it_rests_where_nobody_else_is(forked: Forked) -> None:
    def child() -> bool:
        return most_sleeps(2.0) < 50

    assert forked(child).result() is True


def test_it_looks_at_handlers_often_where_others_are(forked: Forked) -> None:
    """Who could set a handler that runs on the sandbox's stack."""

    def child() -> bool:
        stop = threading.Event()
        other = threading.Thread(target=stop.wait)
        other.start()
        found = most_sleeps(2.0)
        stop.set()
        other.join()
        return found > 50

    assert forked(child).result() is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_signals_of_python_end_a_rest(number: int, forked: Forked) -> None:
    """From another process: no thread of this one is there to send it."""

    def child() -> float:
        machine = begun()
        command = f"import os, time; time.sleep({UNTIL_REST_S}); os.kill({os.getpid()}, {int(number)})"
        began = time.monotonic()
        with (
            subprocess.Popen([sys.executable, "-S", "-c", command]),
            handler(number, ending),
            pytest.raises(TimeoutError),
        ):
            machine.call("spin")
        return time.monotonic() - began

    assert UNTIL_REST_S <= forked(child).result() < UNTIL_REST_S + 2 * ENOUGH_S


def test_limits_hold_after_a_rest(forked: Forked) -> None:
    """Of a call inside the one that ran on, and of the next one."""

    def child() -> list[float]:
        outer, inner, found = begun(), Machine(timeout_s=SHORT_S), []

        def interrupting(*_: object) -> None:
            began = time.monotonic()
            with pytest.raises(Trapped):
                inner.call("spin")
            found.append(time.monotonic() - began)
            signal.signal(signal.SIGALRM, ending)
            raise_after(UNTIL_REST_S)

        raise_after(UNTIL_REST_S)
        with handler(signal.SIGALRM, interrupting), pytest.raises(TimeoutError):
            outer.call("spin")
        began = time.monotonic()
        with pytest.raises(Trapped):
            Machine(timeout_s=SHORT_S).call("spin")
        return [*found, time.monotonic() - began]

    found = forked(child).result()
    assert len(found) == 2
    assert all(SHORT_S <= seconds < ENOUGH_S for seconds in found)
