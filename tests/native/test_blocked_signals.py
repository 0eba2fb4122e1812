"""Sandboxes go on to trap and to time out when host code blocks signals, or when no signal can be queued."""

from __future__ import annotations

import ctypes
import resource
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.native.machine import DATA, Machine, Trapped
from tmebox import _native
from tmebox.runtime import signals

signals.keep_open()
SHORT_S = 0.02
SIGSETSIZE_BYTES = 128
"""glibc's sigset_t."""


def block_everything_in_c() -> None:
    """As a C library does it, of which Python learns nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    everything = ctypes.create_string_buffer(b"\xff" * SIGSETSIZE_BYTES, SIGSETSIZE_BYTES)
    assert libc.pthread_sigmask(signal.SIG_BLOCK, everything, None) == 0


def block_everything_in_python() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def set_everything_in_python() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())


def trap_of(machine: Machine, name: str, *arguments: int) -> int:
    with pytest.raises(Trapped) as caught:
        machine.call(name, *arguments, timeout_s=SHORT_S)
    return caught.value.signal


def ends(machines: list[Machine]) -> list[int]:
    """By a trap, by a page that is not there yet, by the time limit."""
    first, second, third = machines
    touched = third.call("load", DATA + 40_000)
    return [touched, trap_of(first, "undefined"), trap_of(second, "spin"), trap_of(third, "load", 8)]


EXPECTED = [0, signal.SIGILL, 0, signal.SIGSEGV]


@pytest.mark.parametrize("block", [block_everything_in_python, set_everything_in_python])
def test_traps_and_limits_after_python_code_blocked_every_signal(
    block: Callable[[], None], forked: Callable[..., Any]
) -> None:
    def child() -> list[int]:
        machines = [Machine() for _ in range(3)]
        machines[0].call("add", 1, 2)
        block()
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return ends(machines)

    assert forked(child).result() == EXPECTED


def test_traps_and_limits_on_a_thread_that_blocks_signals_after_its_first_call(
    forked: Callable[..., Any],
) -> None:
    def child() -> list[list[int]]:
        results: list[list[int]] = []

        def work() -> None:
            machines = [Machine() for _ in range(3)]
            machines[0].call("add", 1, 2)
            block_everything_in_python()
            results.append(ends(machines))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return results

    assert forked(child).result() == [EXPECTED]


@pytest.mark.parametrize("pause_s", [0.01, 0.3])
def test_traps_and_limits_once_a_tick_has_passed_since_c_code_blocked_every_signal(
    pause_s: float, forked: Callable[..., Any]
) -> None:
    def child() -> list[int]:
        machines = [Machine(timeout_s=1.0) for _ in range(3)]
        machines[0].call("add", 1, 2)
        block_everything_in_c()
        time.sleep(pause_s)  # with the watchdog awake, and long asleep
        return ends(machines)

    assert forked(child).result() == EXPECTED


def test_a_host_function_may_block_signals(forked: Callable[..., Any]) -> None:
    def child() -> int:
        machine = Machine(imports=[(block_everything_in_python, "", "v")])
        return trap_of(machine, "call_then_spin")

    assert forked(child).result() == 0


def test_what_a_handler_of_pythons_blocks_in_a_call_stays_blocked(forked: Callable[..., Any]) -> None:
    """It runs beside sandboxed code that it interrupts, as beside Python's."""

    def child() -> tuple[list[bool], list[int]]:
        machine, seen = Machine(), list[bool]()
        machine.call("add", 1, 2)

        def handle(*_: object) -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
            block_everything_in_c() if seen else None
            seen.append(True)
            _native.write(machine.base + DATA, b"\7")

        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        signal.signal(signal.SIGALRM, handle)
        for _ in range(2):
            _native.write(machine.base + DATA, b"\0")
            signal.setitimer(signal.ITIMER_REAL, SHORT_S)
            assert machine.call("spin_flagged", DATA) == 7
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            seen += [signal.SIGUSR1 in blocked, signal.SIGUSR2 in blocked, signal.SIGTERM in blocked]
        return seen, ends([Machine() for _ in range(3)])

    assert forked(child).result() == ([True, True, False, False, True, True, True, True], EXPECTED)


def test_signals_that_were_blocked_and_unblocked_by_name_stay_as_asked(forked: Callable[..., Any]) -> None:
    def child() -> tuple[bool, bool, bool]:
        Machine().call("add", 1, 2)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGSEGV})
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        after = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return signal.SIGUSR1 in blocked, signal.SIGUSR1 in after, signal.SIGSEGV in blocked

    assert forked(child).result() == (True, False, False)


def test_limits_and_pythons_signals_where_no_real_time_signal_can_be_queued(
    forked: Callable[..., Any],
) -> None:
    def child() -> tuple[int, int]:
        Machine().call("add", 1, 2)
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
        with pytest.raises(OSError):  # the limit is one
            signal.pthread_kill(threading.get_ident(), signal.SIGRTMIN)
        limit = trap_of(Machine(), "spin")

        class Rang(Exception):
            pass

        def ring(*_: object) -> None:
            raise Rang

        signal.signal(signal.SIGUSR1, ring)
        main = threading.get_ident()
        sender = threading.Timer(SHORT_S, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        sender.start()
        with pytest.raises(Rang):
            Machine().call("spin")
        return limit, trap_of(Machine(), "undefined")

    assert forked(child).result() == (0, signal.SIGILL)


def test_each_of_many_limits_is_kept_where_no_real_time_signal_can_be_queued(
    forked: Callable[..., Any],
) -> None:
    """What is sent instead must not be under way twice: the second would be taken for someone else's."""

    def child() -> set[int]:
        Machine().call("add", 1, 2)
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
        machines = [Machine(timeout_s=0.001) for _ in range(300)]
        return {trap_of(machine, "spin") for machine in machines}

    assert forked(child).result() == {0}


def test_a_signal_that_someone_else_sends_instead_is_still_theirs(forked: Callable[..., Any]) -> None:
    def child() -> None:
        Machine().call("add", 1, 2)
        signal.pthread_kill(threading.get_ident(), signal.SIGILL)

    assert forked(child).signal == signal.SIGILL


def test_needed_signals_are_those_of_faults_and_the_interrupt() -> None:
    Machine().call("add", 1, 2)
    needed = _native.needed_signals()
    assert {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP} < set(needed)
    assert len(needed) == 6 and needed[-1] >= signal.SIGRTMIN
