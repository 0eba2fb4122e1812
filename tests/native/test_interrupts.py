"""Time limits and Python's signals, in sandboxed code that never ends by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.native.machine import DATA, DATA_SIZE_BYTES, Busy, Closed, Machine, Trapped
from tmebox import _native, abi

SHORT_S = 0.02
ENOUGH_S = 5.0
"""When something that should have happened at once is taken to have failed."""


@contextmanager
def handler(number: int, function: Any) -> Iterator[None]:
    before = signal.signal(number, function)
    try:
        yield
    finally:
        signal.signal(number, before)


def soon(action: Callable[[], None], delay_s: float = SHORT_S) -> threading.Thread:
    def run() -> None:
        time.sleep(delay_s)
        action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


# -- time limits ----------------------------------------------------------------------------------------
def test_an_endless_loop_ends_at_the_instances_limit() -> None:
    machine = Machine(timeout_s=SHORT_S)
    began = time.monotonic()
    with pytest.raises(Trapped) as caught:
        machine.function("spin")()
    assert time.monotonic() - began >= SHORT_S
    assert caught.value.signal == 0
    assert caught.value.instruction_address == machine.address("spin")
    assert machine.instance.state == _native.DEAD


def test_a_calls_own_limit_overrides_the_instances() -> None:
    machine = Machine(timeout_s=1000.0)
    with pytest.raises(Trapped) as caught:
        machine.call("spin", timeout_s=SHORT_S)
    assert caught.value.signal == 0


def test_a_call_within_its_limit_is_left_alone() -> None:
    machine = Machine(timeout_s=ENOUGH_S)
    assert machine.call("count", 3_000_000) == 3_000_000


def test_limits_count_per_call_not_over_calls() -> None:
    machine = Machine(timeout_s=2.0)
    until = time.monotonic() + 2.3
    while time.monotonic() < until:
        machine.call("count", 100_000)


def test_limits_hold_again_after_the_watchdog_went_to_sleep() -> None:
    for _ in range(2):
        with pytest.raises(Trapped):
            Machine(timeout_s=SHORT_S).call("spin")
        time.sleep(0.3)


def test_limits_hold_in_several_threads_at_once() -> None:
    caught: list[int] = []

    def run(timeout_s: float) -> None:
        try:
            Machine(timeout_s=timeout_s).call("spin")
        except Trapped as trap:
            caught.append(trap.signal)

    threads = [threading.Thread(target=run, args=(SHORT_S * (i + 1),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ENOUGH_S)
    assert caught == [0] * 6


def test_a_limit_holds_for_a_call_that_begins_while_another_has_long_been_running() -> None:
    flagged = Machine(timeout_s=2 * ENOUGH_S)
    thread = threading.Thread(target=lambda: flagged.call("spin_flagged", DATA))
    thread.start()
    try:
        for _ in range(3):
            time.sleep(3 * SHORT_S)
            with pytest.raises(Trapped) as caught:
                Machine(timeout_s=SHORT_S).call("spin")
            assert caught.value.signal == 0
    finally:
        _native.write(flagged.base + DATA, b"\7")
        thread.join(ENOUGH_S)


def test_a_limit_holds_right_after_a_long_call_and_in_a_call_inside_one() -> None:
    machine = Machine(timeout_s=ENOUGH_S)
    for _ in range(3):
        machine.call("count", 50_000_000)
        with pytest.raises(Trapped) as caught:
            Machine(timeout_s=SHORT_S).call("spin")
        assert caught.value.signal == 0

    def nested() -> None:
        machine.call("count", 50_000_000)
        with pytest.raises(Trapped):
            Machine(timeout_s=SHORT_S).call("spin")

    Machine(imports=[(nested, "", "v")], timeout_s=ENOUGH_S).call("call_0")


def test_a_limit_that_passes_in_a_host_call_takes_effect_at_its_return() -> None:
    finished: list[bool] = []
    machine = Machine(imports=[(lambda: (time.sleep(5 * SHORT_S), finished.append(True)), "", "v")])
    with pytest.raises(Trapped) as caught:
        machine.call("call_0", timeout_s=SHORT_S)
    assert finished == [True]
    assert caught.value.signal == 0


def test_a_loop_that_is_nearly_always_in_host_calls_ends_too() -> None:
    machine = Machine(imports=[(lambda: None, "", "v")], timeout_s=SHORT_S)
    with pytest.raises(Trapped) as caught:
        machine.call("spin_calling")
    assert caught.value.signal == 0


def test_a_loop_whose_stack_pointer_is_no_address_ends_too() -> None:
    with pytest.raises(Trapped) as caught:
        Machine(timeout_s=SHORT_S).call("spin_rebasing")
    assert caught.value.signal == 0


def test_a_nested_call_of_the_same_instance_ends_with_the_outer_limit() -> None:
    machine = Machine()
    machine.instance.set_imports([(machine.function("spin"), "", "v")])
    with pytest.raises(Trapped) as caught:
        machine.call("call_0", timeout_s=SHORT_S)
    assert caught.value.signal == 0


def test_a_nested_call_of_another_instance_keeps_its_own_limit_and_the_outer_one_still_counts() -> None:
    inner, ends = Machine(timeout_s=4 * SHORT_S), []

    def nested() -> None:
        with pytest.raises(Trapped):
            inner.call("spin")
        ends.append(time.monotonic())

    outer = Machine(imports=[(nested, "", "v")])
    began = time.monotonic()
    with pytest.raises(Trapped) as caught:
        outer.call("call_0", timeout_s=SHORT_S)
    assert caught.value.signal == 0
    assert ends[0] - began >= 4 * SHORT_S


def test_the_outer_clock_goes_on_after_a_nested_call_that_ended_in_time() -> None:
    inner = Machine(timeout_s=ENOUGH_S)
    machine = Machine(imports=[(lambda: inner.call("count", 10), "", "v")], timeout_s=SHORT_S)
    with pytest.raises(Trapped) as caught:
        machine.call("spin_calling")
    assert caught.value.signal == 0


def test_time_in_which_the_process_was_stopped_does_not_count(forked: Callable[..., Any]) -> None:
    def child() -> int:
        machine, stopped = Machine(timeout_s=1.0), os.getpid()
        if os.fork() == 0:
            time.sleep(0.1)
            os.kill(stopped, signal.SIGSTOP)
            time.sleep(1.5)
            os.kill(stopped, signal.SIGCONT)
            os._exit(0)
        soon(lambda: _native.write(machine.base + DATA, b"\7"), 0.3)
        return machine.call("spin_flagged", DATA)

    assert forked(child).result() == 7


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_impossible_limits_are_refused(machine: Machine, value: float) -> None:
    with pytest.raises(ValueError):
        machine.instance.timeout_s = value


@pytest.mark.parametrize("value", [0.0, 1e300, float("inf")])
def test_no_limit_and_endless_limits_are_the_same(machine: Machine, value: float) -> None:
    machine.instance.timeout_s = value
    assert machine.instance.timeout_s == 0.0
    assert machine.call("add", 1, 2) == 3


# -- Ctrl-C -----------------------------------------------------------------------------------------------
def test_ctrl_c_stops_a_running_call_with_keyboard_interrupt() -> None:
    machine = Machine()
    soon(send)
    with pytest.raises(KeyboardInterrupt):
        machine.call("spin")
    assert machine.instance.state == _native.DEAD
    with pytest.raises(Closed):
        machine.call("add", 1, 2)


def test_ctrl_c_works_twice_in_a_row_and_after_a_pause() -> None:
    for pause_s in (0.0, 0.3):
        time.sleep(pause_s)
        soon(send)
        with pytest.raises(KeyboardInterrupt):
            Machine().call("spin")


def test_a_handler_that_does_not_raise_lets_the_call_go_on_with_every_register(machine: Machine) -> None:
    seen: list[int] = []
    with handler(signal.SIGINT, lambda number, _frame: seen.append(number)):
        stop = threading.Event()

        def pester() -> None:
            while not stop.is_set():
                send()
                time.sleep(0.001)

        thread = threading.Thread(target=pester)
        thread.start()
        try:
            assert machine.call("count", 200_000_000) == 200_000_000
        finally:
            stop.set()
            thread.join()
    assert seen.count(signal.SIGINT) > 1


def test_the_interrupted_sandbox_is_neither_called_nor_written_until_it_goes_on(machine: Machine) -> None:
    """It may be between the check of a return address and the return."""
    refused: list[str] = []

    def handle(*_: object) -> None:
        for attempt in (
            lambda: machine.call("store", DATA, 1),
            machine.function("spin"),
            lambda: machine.instance.write(DATA, b"\1"),
            lambda: machine.instance.discard(abi.IMAGE_START, abi.PAGE_SIZE),
            lambda: machine.instance.reset(64),
            lambda: machine.instance.set_imports([]),
            machine.instance.pause,
            machine.instance.revive,
            machine.instance.kill,
        ):
            with pytest.raises(Busy) as caught:
                attempt()
            refused.append(str(caught.value))
        assert machine.read(DATA, 1) == b"\0"
        soon(lambda: _native.write(machine.base + DATA, b"\7"))

    with handler(signal.SIGINT, handle):
        soon(send)
        assert machine.call("spin_flagged", DATA) == 7
    assert len(refused) == 9 and "interrupted" in refused[0]
    machine.instance.write(DATA, b"\1")
    machine.instance.discard(abi.IMAGE_START + DATA_SIZE_BYTES, 0)
    assert machine.call("add", 1, 2) == 3


def test_who_is_called_by_the_handler_may_not_call_the_interrupted_sandbox_either(machine: Machine) -> None:
    refused: list[str] = []

    def call_back() -> None:
        with pytest.raises(Busy) as caught:
            machine.call("add", 1, 2)
        refused.append(str(caught.value))

    def handle(*_: object) -> None:
        Machine(imports=[(call_back, "", "v")]).call("call_0")
        soon(lambda: _native.write(machine.base + DATA, b"\7"))

    with handler(signal.SIGINT, handle):
        soon(send)
        assert machine.call("spin_flagged", DATA) == 7
    assert len(refused) == 1


def test_a_handler_may_run_another_sandbox_into_a_trap_and_a_timeout(machine: Machine) -> None:
    signals: list[int] = []

    def busy_handler(*_: object) -> None:
        for name in ("undefined", "spin"):
            try:
                Machine(timeout_s=SHORT_S).call(name)
            except Trapped as trap:
                signals.append(trap.signal)
        soon(lambda: _native.write(machine.base + DATA, b"\1"))

    with handler(signal.SIGINT, busy_handler):
        soon(send)
        assert machine.call("spin_flagged", DATA) == 1
    assert signals == [signal.SIGILL, 0]


def test_a_limit_that_passes_in_a_handler_is_a_timeout_where_the_code_was_interrupted() -> None:
    machine = Machine()
    with handler(signal.SIGINT, lambda *_: time.sleep(5 * SHORT_S)):
        sender = soon(send)
        with pytest.raises(Trapped) as caught:
            machine.call("spin", timeout_s=3 * SHORT_S)
        sender.join()
    assert (caught.value.signal, caught.value.instruction_address) == (0, machine.address("spin"))


def test_what_a_handler_raises_is_what_the_caller_sees() -> None:
    def fail(*_: object) -> None:
        raise LookupError("from the handler")

    with handler(signal.SIGUSR1, fail):
        soon(lambda: send(signal.SIGUSR1))
        with pytest.raises(LookupError, match="from the handler"):
            Machine().call("spin")


def test_a_handler_installed_in_a_host_call_is_found() -> None:
    class Stop(Exception):
        pass

    def fail(*_: object) -> None:
        raise Stop

    def install() -> None:
        signal.signal(signal.SIGUSR2, fail)
        soon(lambda: send(signal.SIGUSR2))

    machine = Machine(imports=[(install, "", "v")])
    before = signal.getsignal(signal.SIGUSR2)
    try:
        with pytest.raises(Stop):
            machine.call("call_then_spin")
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_signal_that_another_thread_takes_still_stops_the_main_thread() -> None:
    """The signal is sent to a thread of its own, as the kernel may choose."""
    soon(lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        Machine().call("spin")


def test_ctrl_c_in_a_nested_call_unwinds_all_of_it() -> None:
    inner = Machine()
    outer = Machine(imports=[(lambda: inner.call("spin"), "", "v")])
    soon(send)
    with pytest.raises(KeyboardInterrupt):
        outer.call("call_0")
    assert (inner.instance.state, outer.instance.state) == (_native.DEAD, _native.IDLE)


def test_ctrl_c_in_a_host_call_is_pythons_and_the_instance_stays_usable() -> None:
    machine = Machine(imports=[(lambda: time.sleep(ENOUGH_S), "", "v")])
    soon(send)
    with pytest.raises(KeyboardInterrupt):
        machine.call("call_0")
    assert machine.call("add", 1, 2) == 3


def test_ctrl_c_and_a_limit_together_end_the_call_once() -> None:
    machine = Machine(timeout_s=SHORT_S)
    sender = soon(send, SHORT_S)
    try:
        with pytest.raises((Trapped, KeyboardInterrupt)):
            machine.call("spin")
        sender.join()
        time.sleep(SHORT_S)
    except KeyboardInterrupt:
        pass  # the signal came second
    assert machine.instance.state == _native.DEAD


def test_ctrl_c_stops_a_loop_whose_stack_pointer_is_mostly_no_address() -> None:
    soon(send)
    with pytest.raises(KeyboardInterrupt):
        Machine().call("spin_rebasing")


def test_ctrl_c_stops_a_loop_that_keeps_its_stack_pointer_in_a_guard() -> None:
    soon(send)
    with pytest.raises(KeyboardInterrupt):
        Machine(timeout_s=ENOUGH_S).call("spin_in_guard")


def test_an_alarm_raises_in_sandboxed_code_too() -> None:
    class Alarm(Exception):
        pass

    def ring(*_: object) -> None:
        raise Alarm

    with handler(signal.SIGALRM, ring):
        signal.setitimer(signal.ITIMER_REAL, SHORT_S)
        with pytest.raises(Alarm):
            Machine().call("spin")
