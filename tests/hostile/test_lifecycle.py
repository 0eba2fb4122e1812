"""The host's own misuse, provoked or not: threads, closing, timers, signals, garbage, outliving views."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.hostile.host_side import IMPORTS
from tests.hostile.scene import attack, control_field, hostile
from tmebox import Sandbox, abi


def attacked(act: Any, **options: Any) -> Any:
    return attack(hostile("hostcalls"), act, imports=IMPORTS, **options)


def in_thread(function: Any) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, results


def wait_until_running(sandbox: Sandbox) -> None:
    while "running" not in repr(sandbox):
        time.sleep(0.001)


def test_a_second_thread_is_refused_while_the_first_runs() -> None:
    def act(sandbox: Sandbox) -> Any:
        thread, results = in_thread(lambda: sandbox.call("spin", timeout=0.3))
        wait_until_running(sandbox)
        refused = []
        for attempt in (
            sandbox.alive,
            lambda: sandbox.call("alive"),
            sandbox.close,
            lambda: sandbox.call_raw("alive"),
        ):
            with pytest.raises(tmebox.SandboxBusy):
                attempt()
            refused.append(1)
        thread.join()
        return len(refused), type(results[0]).__name__

    assert attacked(act).value == (4, "Timeout")


def test_many_threads_on_one_sandbox_never_run_in_it_together() -> None:
    def act(sandbox: Sandbox) -> Any:
        outcomes: list[str] = []

        def hammer() -> None:
            for _ in range(300):
                try:
                    outcomes.append("ok" if sandbox.count_to(2000) == 2000 else "wrong")
                except tmebox.SandboxBusy:
                    outcomes.append("busy")

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return set(outcomes) <= {"ok", "busy"}, "ok" in outcomes, len(outcomes)

    assert attacked(act).value == (True, True, 1200)


def test_different_sandboxes_trap_in_parallel_threads_without_mixing_up() -> None:
    def act(sandbox: Sandbox) -> Any:
        module = hostile("memory")

        def fault(number: int) -> set[int]:
            offsets = set()
            for _ in range(50):
                with Sandbox(module) as victim:
                    try:
                        victim.write8(number * 4096 + 8, 1)
                    except tmebox.MemoryFault as error:
                        offsets.add(error.offset or 0)
            return offsets

        running = [in_thread(lambda n=number: fault(n)) for number in range(1, 5)]
        for thread, _ in running:
            thread.join()
        return [results[0] for _, results in running]

    hostile("memory")
    assert attacked(act).value == [{number * 4096 + 8} for number in range(1, 5)]


def test_a_storm_of_timer_signals_changes_no_result() -> None:
    def act(sandbox: Sandbox) -> Any:
        ticks: list[int] = []
        signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            results = {sandbox.count_to(300_000) for _ in range(100)}
            sums = {sandbox.add(a, 1) - a for a in range(2000)}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return results, sums, len(ticks) > 5

    assert attacked(act).value == ({300_000}, {1}, True)


def test_signals_to_a_thread_in_a_sandbox_never_use_its_stack() -> None:
    """A handler on the sandbox's stack would leave host data there: paint, storm, look."""

    def act(sandbox: Sandbox) -> Any:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        main = threading.main_thread().ident or 0

        def storm() -> None:
            for _ in range(500):
                signal.pthread_kill(main, signal.SIGUSR1)
                time.sleep(0.0002)

        thread, _ = in_thread(storm)
        while thread.is_alive():
            sandbox.count_to(200_000)
        low = control_field(sandbox, abi.CONTROL_STACK_LOW)
        stack = sandbox.memory.read(low, abi.STACK_TOP - low)
        return sum(byte != 0 for byte in stack) < 1024

    assert attacked(act).value is True


def test_an_interrupt_stops_an_endless_call() -> None:
    def act(sandbox: Sandbox) -> Any:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            sandbox.spin()
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.alive()
        return "stopped"

    assert attacked(act).value == "stopped"


def test_a_signal_handler_may_call_sandboxes_itself() -> None:
    def act(sandbox: Sandbox) -> Any:
        sums: list[int] = []
        with Sandbox(sandbox.module, imports=IMPORTS) as other:
            signal.signal(signal.SIGALRM, lambda *_: sums.append(other.add(20, 22)))
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            results = {sandbox.count_to(20_000_000) for _ in range(5)}
            signal.setitimer(signal.ITIMER_REAL, 0)
        return results, set(sums) <= {42}

    assert attacked(act).value == ({20_000_000}, True)


def test_a_forgotten_sandbox_is_collected_while_its_views_live() -> None:
    def act(sandbox: Sandbox) -> Any:
        module = sandbox.module
        arrays = []
        for number in range(50):
            forgotten = Sandbox(module, imports=IMPORTS)
            array = forgotten.array(1000, np.int64)
            array[:] = number
            arrays.append(array)
            del forgotten
        gc.collect()
        for array in arrays:
            array[:] += 1
        return [int(array[5]) in (number + 1, 1) for number, array in enumerate(arrays)]

    assert all(attacked(act).value)


def test_a_sandbox_cannot_be_destroyed_under_a_running_call() -> None:
    def act(sandbox: Sandbox) -> Any:
        doomed = Sandbox(sandbox.module, imports=IMPORTS)
        call = doomed.count_to
        del doomed
        gc.collect()
        return call(1000)

    ending = attacked(act)
    assert ending.value == 1000 or ending.exception == "SandboxClosed"


def test_closing_is_quiet_and_final() -> None:
    def act(sandbox: Sandbox) -> Any:
        kept = sandbox.alive
        sandbox.close()
        sandbox.close()
        for attempt in (
            kept,
            lambda: sandbox.call("alive"),
            lambda: sandbox.array(5),
            lambda: sandbox.memory.read(abi.STACK_TOP, 8),
        ):
            with pytest.raises(tmebox.SandboxClosed):
                attempt()
        return "closed"

    assert attacked(act).value == "closed"


def test_windows_are_not_leaked_by_traps() -> None:
    def act(sandbox: Sandbox) -> Any:
        from tmebox.memory.windows import WINDOWS

        module = sandbox.module
        live = WINDOWS.live
        for _ in range(200):
            with Sandbox(module, imports=IMPORTS) as victim, pytest.raises(tmebox.Trap):
                victim.call_raw("call_import_number", 77)
        gc.collect()
        return WINDOWS.live - live

    assert attacked(act).value == 0


def test_a_forked_child_of_the_host_has_sandboxes_of_its_own_only() -> None:
    def act(sandbox: Sandbox) -> Any:
        array = sandbox.array(5000)
        array[:] = 7
        child = os.fork()
        if child == 0:
            fine = False
            try:
                for attempt in (
                    lambda: sandbox.add(3, 4),
                    lambda: sandbox.call("add", 3, 4, timeout=1.0),
                    lambda: sandbox.memory.read(abi.IMAGE_START, 8),
                    lambda: sandbox.memory.write(abi.ARENA_START, b"mine"),
                    lambda: sandbox.array(10),
                    sandbox.reset,
                ):
                    with pytest.raises(tmebox.SandboxClosed, match="fork"):
                        attempt()
                assert not array.any()
                array[:] = 9
                with Sandbox(sandbox.module, imports=IMPORTS) as another:
                    assert another.add(5, 6) == 11
                    with pytest.raises(tmebox.Timeout):
                        another.call("spin", timeout=0.05)
                sandbox.close()
                fine = True
            finally:
                os._exit(0 if fine else 1)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), sandbox.add(5, 5), int(array.sum())

    assert attacked(act).value == (0, 10, 35_000)
