"""Timing what it costs to enter and leave: real calls, with everything that stops a call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.native.machine import DATA, Busy, Closed, Machine, Trapped
from tmebox import _native

ENDLESS = 2**32 - 1


def test_sandboxed_code_is_entered_as_often_as_asked(machine: Machine) -> None:
    assert _native.time_crossings(machine.function("count_up"), 1000) > 0
    assert machine.words(DATA, 1) == [1000]
    assert machine.instance.depth == 0
    assert machine.call("add", 3, 4) == 7


def test_every_function_is_called_in_every_round() -> None:
    one, other = Machine(), Machine()
    assert _native.time_calls((one.function("count_up"), other.function("count_up")), 10) > 0
    assert one.words(DATA, 1) == other.words(DATA, 1) == [10]


def test_only_functions_without_arguments_and_results_are_timed(machine: Machine) -> None:
    strangers: list[Any] = [
        machine.function("add", "ll", "l"),
        machine.function("tenth_double", "", "d"),
        machine.function("first", "p", "v"),
        len,
        None,
    ]
    for stranger in strangers:
        with pytest.raises(TypeError):
            _native.time_crossings(stranger, 1)
        with pytest.raises(TypeError):
            _native.time_calls((machine.function("count_up"), stranger), 1)
    with pytest.raises(ValueError):
        _native.time_crossings(machine.function("count_up"), 0)
    assert machine.words(DATA, 1) == [0]


def test_host_calls_leave_the_stack_as_it_was_for_the_next_entry() -> None:
    calls: list[None] = []
    machine = Machine(imports=[(lambda: calls.append(None), "", "v")])
    _native.time_crossings(machine.function("count_up_and_call"), 50_000)
    assert (machine.words(DATA, 1), len(calls)) == ([50_000], 50_000)


@pytest.mark.parametrize("timing", ["crossings", "calls"])
def test_a_trap_ends_it_and_the_sandbox(machine: Machine, timing: str) -> None:
    function = machine.function("count_up_to_trap")
    with pytest.raises(Trapped):
        if timing == "crossings":
            _native.time_crossings(function, 100)
        else:
            _native.time_calls((function,), 100)
    assert machine.words(DATA, 1) == [3]
    with pytest.raises(Closed):
        _native.time_crossings(function, 1)


def test_what_a_host_function_raises_ends_it() -> None:
    def refuse() -> None:
        raise LookupError

    machine = Machine(imports=[(refuse, "", "v")])
    with pytest.raises(LookupError):
        _native.time_crossings(machine.function("count_up_and_call"), 100)
    assert machine.words(DATA, 1) == [1]


def test_a_time_limit_is_for_all_entries_together() -> None:
    machine = Machine(timeout_s=0.05)
    with pytest.raises(Trapped) as caught:
        _native.time_crossings(machine.function("count_up"), ENDLESS)
    assert caught.value.signal == 0


def test_a_closed_sandbox_is_not_entered(machine: Machine) -> None:
    function = machine.function("count_up")
    machine.instance.kill()
    with pytest.raises(Closed):
        _native.time_crossings(function, 1)
    with pytest.raises(Closed):
        _native.time_calls((function,), 1)


def test_other_threads_run_and_cannot_close_it_meanwhile(forked: Callable[..., Any]) -> None:
    def run() -> str:
        machine = Machine(timeout_s=2.0)
        refused: list[str] = []

        begins = threading.Event()

        def close() -> None:
            begins.wait()
            time.sleep(0.5)
            try:
                machine.instance.kill()
            except Busy as error:
                refused.append(type(error).__name__)

        thread = threading.Thread(target=close)
        thread.start()
        function = machine.function("count_up")
        begins.set()
        with pytest.raises(Trapped):
            _native.time_crossings(function, ENDLESS)
        thread.join()
        return refused[0]

    assert forked(run).result() == "SandboxBusy"
