"""Many threads, and one instance between them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.native.machine import DATA, Busy, Closed, Machine, Trapped, text
from tmebox import _native


def in_thread(function: Callable[[], object]) -> list[object]:
    """What `function` returned or raised on a thread of its own."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome


def test_an_instance_that_runs_elsewhere_is_busy(machine: Machine) -> None:
    thread = threading.Thread(target=machine.call, args=("spin_flagged", DATA))
    thread.start()
    while machine.instance.state != _native.RUNNING:
        time.sleep(0.001)
    assert _native.calls_in_progress() >= 1
    for refused in (lambda: machine.call("add", 1, 2), machine.instance.kill):
        with pytest.raises(Busy):
            refused()
    with pytest.raises(Busy):
        _native.remove_handlers()
    _native.write(machine.base + DATA, b"\1")
    thread.join()
    assert machine.call("add", 1, 2) == 3
    assert _native.calls_in_progress() == 0


def test_an_instance_in_a_host_call_is_busy_for_other_threads() -> None:
    outcomes: list[object] = []
    machine = Machine(
        imports=[(lambda: outcomes.extend(in_thread(lambda: machine.call("add", 1, 2))), "", "v")]
    )
    machine.call("call_0")
    assert [type(outcome) for outcome in outcomes] == [Busy]


def test_python_goes_on_while_sandboxed_code_runs(machine: Machine) -> None:
    thread = threading.Thread(target=machine.call, args=("spin_flagged", DATA))
    thread.start()
    assert sum(range(100_000)) == 4_999_950_000
    _native.write(machine.base + DATA, b"\1")
    thread.join()


def test_two_sandboxes_run_at_the_same_time() -> None:
    """Each waits in its own code for what the other's host call sets."""
    first, second = Machine(), Machine()
    threads = [threading.Thread(target=m.call, args=("spin_flagged", DATA)) for m in (first, second)]
    for thread in threads:
        thread.start()
    while _native.calls_in_progress() < 2:
        time.sleep(0.001)
    for machine in (first, second):
        _native.write(machine.base + DATA, b"\1")
    for thread in threads:
        thread.join()


def test_threads_call_and_trap_side_by_side_without_mixing_windows() -> None:
    errors: list[object] = []

    def once() -> None:
        machine = Machine(imports=[(lambda: machine.call("window_base"), "", "l")])  # type: ignore[has-type]
        if machine.call("call_0") != machine.base:
            errors.append("window")
        try:
            machine.call("load", 0)
        except Trapped as trap:
            if trap.fault_address != machine.base:
                errors.append(trap)

    def work() -> None:
        for _ in range(100):
            once()

    text()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_one_instance_may_move_between_threads(machine: Machine) -> None:
    for _ in range(20):
        assert in_thread(lambda: machine.call("window_base")) == [machine.base]


def test_a_thousand_threads_leave_no_signal_stack_behind(machine: Machine) -> None:
    def mappings() -> int:
        return Path("/proc/self/maps").read_text().count("\n")

    for _ in range(20):
        assert in_thread(lambda: machine.call("add", 1, 2)) == [3]
    before = mappings()
    for _ in range(1000):
        in_thread(lambda: machine.call("add", 1, 2))
    assert mappings() <= before + 10


@pytest.mark.parametrize("size_bytes", [64 * 1024, 256 * 1024, 1024 * 1024])
def test_recursion_through_the_host_ends_before_a_small_stack_does(size_bytes: int) -> None:
    machine = Machine()
    machine.instance.set_imports([(machine.function("call_0", "", "l"), "", "l")])
    before = threading.stack_size(size_bytes)
    try:
        (outcome,) = in_thread(lambda: machine.call("call_0"))
    finally:
        threading.stack_size(before)
    assert isinstance(outcome, RecursionError)
    assert machine.call("add", 1, 2) == 3


def test_a_thread_with_blocked_signals_can_still_be_stopped() -> None:
    def blocked() -> str:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ends = []
        for name in ("load", "spin"):
            try:
                Machine(timeout_s=0.02).call(name)
            except Trapped as trap:
                ends.append(trap.signal)
        return repr(ends)

    assert in_thread(blocked) == ["[11, 0]"]


def test_a_forked_child_can_call_trap_and_time_out(machine: Machine, forked: Callable[..., object]) -> None:
    machine.call("add", 1, 2)

    def child() -> list[int]:
        results = [Machine().call("add", 3, 4)]
        for name in ("load", "spin"):
            try:
                Machine(timeout_s=0.05).call(name)
            except Trapped as trap:
                results.append(trap.signal)
        return results

    assert forked(child).result() == [7, 11, 0]  # type: ignore[attr-defined]


def test_a_fork_inside_a_host_call_goes_on_in_the_parent_only() -> None:
    """The child has not got the sandbox's memory, so it must not return into it."""
    parent = os.getpid()

    def fork() -> int:
        return os.fork()

    machine = Machine(imports=[(fork, "", "l")], timeout_s=5.0)
    try:
        child = machine.call("call_0")
    except Closed as error:
        if os.getpid() != parent:
            os._exit(0 if "forked" in str(error) and Machine().call("add", 3, 4) == 7 else 1)
        raise
    if os.getpid() != parent:
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert machine.call("add", 3, 4) == 7


def test_no_call_reaches_an_instance_of_the_parent(machine: Machine, forked: Callable[..., object]) -> None:
    def child() -> list[str]:
        Machine().call("add", 3, 4)
        refused = []
        for attempt in (
            lambda: machine.call("add", 1, 2),
            lambda: machine.function("add", "ll", "l")(1, 2),
            lambda: machine.instance.write(DATA, b"1"),
            lambda: machine.instance.reset(1),
            machine.instance.revive,
        ):
            try:
                attempt()
            except Closed as error:
                refused.append(str(error).rpartition(" ")[2])
        return refused

    assert forked(child).result() == ["from"] * 5  # type: ignore[attr-defined]
    assert machine.call("add", 1, 2) == 3
