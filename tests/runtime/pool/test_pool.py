"""A pool from threads: leases, tasks, results in order, failures that stay where they are."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import tmebox


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


# -- leases -----------------------------------------------------------------------------------------------
def test_every_lease_is_a_fresh_sandbox(pool: tmebox.SandboxPool) -> None:
    for _ in range(5):
        with pool.lease() as sandbox:
            assert [sandbox.uses_so_far(), sandbox.uses_so_far()] == [0, 1]


def test_what_was_leased_is_closed_and_its_arrays_show_zeros(pool: tmebox.SandboxPool) -> None:
    with pool.lease() as sandbox:
        square, array = sandbox.square, sandbox.array(100)
        array[:] = 7
    assert sandbox.closed and not array.any()
    with pytest.raises(tmebox.SandboxClosed):
        square(3)


def test_a_trap_ends_one_lease_and_not_the_next(pool: tmebox.SandboxPool) -> None:
    with pytest.raises(tmebox.MemoryFault), pool.lease() as sandbox:
        sandbox.crash_if_odd(1)
    with pool.lease() as sandbox:
        assert sandbox.crash_if_odd(2) == 2


def test_an_exception_of_the_hosts_gives_the_lease_back(pool: tmebox.SandboxPool) -> None:
    for _ in range(10):
        with pytest.raises(KeyError), pool.lease(timeout=1.0):
            raise KeyError


def test_a_pool_of_a_snapshot_starts_from_it(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        sandbox.uses_so_far()
        snapshot = sandbox.snapshot()
    with tmebox.SandboxPool(snapshot, timeout=1.0) as pool, pool.lease() as sandbox:
        assert sandbox.uses_so_far() == 1
        with pytest.raises(tmebox.Timeout):
            sandbox.spin()


def test_constructors_have_run_once_when_a_lease_begins(pool: tmebox.SandboxPool) -> None:
    for _ in range(2):
        with pool.lease() as sandbox:
            assert sandbox.constructions() == 1


def test_a_lease_beyond_the_size_waits_until_one_is_given_back(pool: tmebox.SandboxPool) -> None:
    order: list[str] = []
    with pool.lease():
        inner = pool.lease()
        inner.__enter__()

        def wait() -> None:
            with pool.lease(timeout=10.0) as sandbox:
                order.append(f"got {sandbox.square(2)}")

        thread = in_thread(wait)
        time.sleep(0.05)
        order.append("given back")
        inner.__exit__()
        thread.join()
    assert order == ["given back", "got 4"]


def test_waiting_ends_with_its_timeout_and_costs_no_lease(pool: tmebox.SandboxPool) -> None:
    hold, held = threading.Event(), threading.Barrier(3)

    def keep() -> None:
        with pool.lease():
            held.wait()
            hold.wait(10)

    threads = [in_thread(keep) for _ in range(2)]
    held.wait()
    for _ in range(3):
        with pytest.raises(tmebox.LimitError, match=r"0\.01 s.*size="), pool.lease(timeout=0.01):
            pass
    hold.set()
    for thread in threads:
        thread.join()
    with pool.lease(timeout=1.0), pool.lease(timeout=1.0):
        pass


def test_a_thread_that_would_wait_for_itself_is_told_at_once(pool: tmebox.SandboxPool) -> None:
    with pool.lease(), pool.lease():
        with pytest.raises(tmebox.LimitError, match="wait for itself"), pool.lease():
            pass
        assert list(pool.map("square", [3])) == [9], "tasks need no lease"


def test_those_who_wait_are_served_in_order(module: tmebox.Module) -> None:
    with tmebox.SandboxPool(module, size=1) as pool:
        served: list[int] = []

        def wait(number: int) -> None:
            with pool.lease():
                served.append(number)

        with pool.lease():
            threads = []
            for number in range(8):
                threads.append(in_thread(lambda number=number: wait(number)))  # type: ignore[misc]
                while len(pool._permits._waiting) <= number:
                    time.sleep(0.001)
        for thread in threads:
            thread.join()
    assert served == list(range(8))


def test_a_lease_object_is_for_one_use_at_a_time(pool: tmebox.SandboxPool) -> None:
    lease = pool.lease()
    with lease, pytest.raises(RuntimeError, match="in use"), lease:
        pass


def test_a_call_that_was_left_running_is_the_last_one_of_its_sandbox() -> None:
    module = tmebox.compile(source_text="void rest(void); int work(void) { rest(); return 1; }")
    entered, go_on = threading.Event(), threading.Event()

    def rest() -> None:
        entered.set()
        go_on.wait(10)

    with tmebox.SandboxPool(module, size=1, imports={"rest": rest}) as pool:
        with pool.lease() as sandbox:
            ending: list[type[BaseException]] = []

            def work() -> None:
                try:
                    sandbox.work()
                except tmebox.SandboxClosed as error:
                    ending.append(type(error))

            thread = in_thread(work)
            entered.wait(10)
        with pool.lease(timeout=1.0) as other:
            assert other is not sandbox
            with pytest.raises(tmebox.SandboxClosed):
                sandbox.work()
            go_on.set()
            thread.join()
    assert ending == [tmebox.SandboxClosed]


# -- tasks ------------------------------------------------------------------------------------------------
def test_results_come_in_order(pool: tmebox.SandboxPool) -> None:
    assert list(pool.map("square", range(200))) == [n * n for n in range(200)]
    assert list(pool.map("add", [1, 2, 3], [10, 20])) == [11, 22]
    rounds = [200_000, 1, 50_000, 1, 1, 100_000]
    with tmebox.Sandbox(pool.snapshot.module) as sandbox:
        assert list(pool.map("work", rounds)) == [sandbox.work(n) for n in rounds]


def test_functions_of_the_hosts_get_the_sandbox_and_the_item(pool: tmebox.SandboxPool) -> None:
    def twice(sandbox: tmebox.Sandbox, value: int) -> list[int]:
        return [sandbox.uses_so_far(), sandbox.square(value)]

    assert list(pool.map(twice, [2, 3])) == [[0, 4], [0, 9]]
    assert pool.submit(twice, 5).result() == [0, 25]


def test_a_trap_is_its_tasks_own(pool: tmebox.SandboxPool) -> None:
    results = pool.map("crash_if_odd", range(6))
    assert next(results) == 0
    with pytest.raises(tmebox.MemoryFault) as trapped:
        next(results)
    assert trapped.value.function == "crash_if_odd"
    assert next(results) == 2
    mixed = list(pool.map("crash_if_odd", range(6), return_exceptions=True))
    assert [type(value) for value in mixed] == [int, tmebox.MemoryFault] * 3


def test_threads_that_share_an_iterator_get_each_result_once(pool: tmebox.SandboxPool) -> None:
    def task(sandbox: tmebox.Sandbox, number: int) -> int:
        time.sleep(0.01)
        return sandbox.square(number)

    for count in (1, 2, 10):
        results = pool.map(task, range(count))
        with ThreadPoolExecutor(3) as executor:
            found = [executor.submit(list, results) for _ in range(3)]
        assert sorted(itertools.chain(*(each.result() for each in found))) == [n * n for n in range(count)]


def test_closing_an_iterator_ends_it_for_the_thread_that_waits(pool: tmebox.SandboxPool) -> None:
    gate, found = threading.Event(), []
    results = pool.map(lambda _, n: gate.wait(10), range(4))
    taker = in_thread(lambda: found.append(list(results)))
    time.sleep(0.01)
    results.close()
    gate.set()
    taker.join(10)
    assert found == [[]]


def test_the_input_is_consumed_as_results_are_asked_for(pool: tmebox.SandboxPool) -> None:
    consumed: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            consumed.append(number)
            yield number

    results = pool.map("square", numbers(), ahead=5)
    assert len(consumed) == 5
    assert [next(results) for _ in range(10)] == [n * n for n in range(10)]
    assert len(consumed) <= 15
    results.close()
    with pytest.raises(StopIteration):
        next(results)


def test_an_input_that_fails_says_so_after_the_results_before_it(pool: tmebox.SandboxPool) -> None:
    def numbers() -> Iterator[int]:
        yield 3
        raise KeyError("no more")

    results = pool.map("square", numbers())
    assert next(results) == 9
    with pytest.raises(KeyError):
        next(results)
    assert list(results) == []


def test_dropping_an_iterator_begins_no_more_tasks(pool: tmebox.SandboxPool) -> None:
    begun: list[int] = []
    gate = threading.Event()

    def task(_: tmebox.Sandbox, number: int) -> None:
        begun.append(number)
        gate.wait(10)

    results = pool.map(task, range(100), ahead=50)
    while len(begun) < 2:
        time.sleep(0.001)
    del results
    gc.collect()
    gate.set()
    assert list(pool.map("square", [1])) == [1]
    assert sorted(begun) == [0, 1]


def test_endless_code_ends_with_the_time_limit(module: tmebox.Module) -> None:
    with tmebox.SandboxPool(module, threads=2, timeout=0.02) as pool:
        results = list(pool.map(lambda sandbox, _: sandbox.spin(), range(6), return_exceptions=True))
    assert [type(result) for result in results] == [tmebox.Timeout] * 6


def test_a_progress_bar_is_shown_when_asked_for(
    pool: tmebox.SandboxPool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(pool.map("square", [1, 2], progress="squaring")) == [1, 4]
    shown = capsys.readouterr().err
    assert "squaring" in shown and "2/2" in shown
    assert list(pool.map("square", [1, 2])) == [1, 4]
    assert capsys.readouterr().err == ""


def test_tasks_may_use_the_pool_they_run_in(pool: tmebox.SandboxPool) -> None:
    def outer(_: tmebox.Sandbox, value: int) -> int:
        with pool.lease(timeout=5.0) as another:
            return another.square(value)

    assert list(pool.map(outer, range(20))) == [n * n for n in range(20)]
