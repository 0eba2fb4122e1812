"""Python's lock (the GIL) while sandboxed code runs: released, or kept a moment by the only thread."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.native.machine import DATA, Machine, text
from tmebox import _native

SOON_S = 0.1
"""When the call that comes next has begun."""
ENOUGH_S = 5.0
"""When something that should have happened at once is taken to have failed."""
Forked = Callable[..., Any]


class Sigevent(ctypes.Structure):
    """`struct sigevent` for SIGEV_THREAD: call a function on a new thread."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_byte * 32),
    )


class Timerspec(ctypes.Structure):
    _fields_ = (("interval_s", ctypes.c_long * 2), ("value", ctypes.c_long * 2))


SIGEV_THREAD = 2
_callback_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def on_a_thread_of_c(action: Callable[[], None], delay_s: float) -> Any:
    """Call `action` later, on a thread that Python does not know of until then. Keep what this returns."""
    callback = _callback_type(lambda _: action())
    address = ctypes.cast(callback, ctypes.c_void_p)
    event = Sigevent(notify=SIGEV_THREAD, function=address)
    timer, when = ctypes.c_void_p(), Timerspec()
    when.value[1] = int(delay_s * 1e9)
    libc = ctypes.CDLL(None)
    assert libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) == 0
    assert libc.timer_settime(timer, 0, ctypes.byref(when), None) == 0
    return callback


def release(machine: Machine) -> Callable[[], None]:
    """What ends a `spin_flagged` that runs; one that has not begun it lets run into its limit."""

    def act() -> None:
        if machine.instance.state == _native.RUNNING:
            _native.write(machine.base + DATA, b"\7")

    return act


@pytest.fixture(autouse=True)
def assembled() -> None:
    """Before any child is forked."""
    text()


def test_a_thread_that_c_code_brings_gets_python_while_the_only_other_one_is_in_a_sandbox(
    forked: Forked,
) -> None:
    def child() -> int:
        machine = Machine(timeout_s=ENOUGH_S)
        kept = on_a_thread_of_c(release(machine), SOON_S)
        result = machine.call("spin_flagged", DATA)
        del kept
        return result

    assert forked(child).result() == 7


def test_it_gets_python_as_well_in_a_call_made_by_a_host_function(forked: Forked) -> None:
    def child() -> int:
        machine = Machine(timeout_s=ENOUGH_S)
        kept = on_a_thread_of_c(release(machine), SOON_S)
        outer = Machine(imports=[(lambda: machine.call("spin_flagged", DATA), "", "l")])
        result = outer.call("call_0")
        del kept
        return result

    assert forked(child).result() == 7


def test_it_gets_python_from_a_loop_that_keeps_its_stack_pointer_in_a_guard(forked: Forked) -> None:
    def child() -> bool:
        machine, came = Machine(timeout_s=ENOUGH_S), []

        def raise_here() -> None:
            came.append(machine.instance.depth)
            os.kill(os.getpid(), signal.SIGINT)

        kept = on_a_thread_of_c(raise_here, SOON_S)
        with pytest.raises(KeyboardInterrupt):
            machine.call("spin_in_guard")
        del kept
        return came == [1]

    assert forked(child).result()


def test_other_python_threads_run_from_the_first_moment(forked: Forked) -> None:
    def child() -> int:
        machine, ready = Machine(timeout_s=ENOUGH_S), threading.Event()

        def run() -> None:
            ready.set()
            while machine.instance.state != _native.RUNNING:
                time.sleep(0)
            release(machine)()

        threading.Thread(target=run, daemon=True).start()
        ready.wait()
        return machine.call("spin_flagged", DATA)

    assert forked(child).result() == 7


def test_a_thread_that_a_host_function_starts_runs_when_the_sandbox_goes_on(forked: Forked) -> None:
    def child() -> int:
        def start() -> None:
            threading.Timer(SOON_S, release(machine)).start()

        machine = Machine(imports=[(start, "", "v")], timeout_s=ENOUGH_S)
        machine.call("call_0")
        return machine.call("spin_flagged", DATA)

    assert forked(child).result() == 7


def test_a_call_that_had_to_give_python_up_ends_and_the_next_make_host_calls(forked: Forked) -> None:
    def child() -> tuple[int, int]:
        seen: list[int] = []
        machine = Machine(imports=[(seen.append, "l", "v")], timeout_s=ENOUGH_S)
        counted = machine.call("count", 50_000_000)
        for value in range(1000):
            machine.call("call_0", value)
        return counted, len(seen)

    assert forked(child).result() == (50_000_000, 1000)
