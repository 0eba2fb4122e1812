"""std::thread and what belongs to it, as people use it: a test for each of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tmebox import _native

PROGRAM = Path(__file__).parent / "programs" / "turns.cpp"


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(PROGRAM, flags=("-std=c++20",), imports=("host",))


def sandbox_of(module: tmebox.Module, host: Callable[[int], int] = abs) -> tmebox.Sandbox:
    return tmebox.Sandbox(module, imports={"host": host}, timeout=30.0, stderr=lambda data: None)


@pytest.fixture
def sandbox(module: tmebox.Module) -> tmebox.Sandbox:
    return sandbox_of(module)


RESULTS = {
    "pool": ((5, 200), 5),
    "ping_pong": ((50,), 100 * 1000 + 50),
    "waits_no_longer": ((3,), 1),
    "sums": ((100,), 4950),
    "deferred": ((), 11),
    "across_futures": ((5,), 5 + 1 + 200),
    "broken_promises": ((), 242),
    "once_more": ((), 32),
    "statics": ((), 5),
    "many": ((200,), 199 * 100),
    "both_without_waiting": ((300,), 600),
}


@pytest.mark.parametrize("name", RESULTS)
def test_threads_do_what_they_do_elsewhere(sandbox: tmebox.Sandbox, name: str) -> None:
    arguments, expected = RESULTS[name]
    call = sandbox.exports[name]
    assert [call(*arguments) for _ in range(2)] == [expected] * 2


def test_exceptions_of_threads_that_are_interrupted_stay_theirs(sandbox: tmebox.Sandbox) -> None:
    before = _native.set_slice(30_000)
    try:
        assert sandbox.thrown_at_once(3000) == 0
    finally:
        _native.set_slice(before)


def test_thread_local_objects_end_with_their_thread_last_first(sandbox: tmebox.Sandbox) -> None:
    sandbox.locals()
    of_each = "+{0}1 +{0}2 -{0}2 -{0}1"
    assert sandbox.noted().split() == f"{of_each.format('a')} {of_each.format('b')}".split()


def test_a_thread_local_object_whose_constructor_throws_is_tried_again(module: tmebox.Module) -> None:
    answers = iter([1, 0])
    assert sandbox_of(module, lambda n: next(answers)).local_that_throws() == 70 + 3 + 3


def test_threads_that_cannot_be_started_are_an_exception(module: tmebox.Module) -> None:
    own = tmebox.Sandbox(module, imports={"host": abs}, memory="512MiB", timeout=30.0)
    assert own.too_many(2000) == 1


def test_an_end_without_memory_tells_of_that(module: tmebox.Module) -> None:
    """The library's demangler calls abort() where it gets no memory: nobody is left to catch bad_alloc."""
    own = tmebox.Sandbox(module, imports={"host": abs}, memory="64MiB", stderr=lambda data: None)
    with pytest.raises(tmebox.Aborted, match=r"after an allocation of .* bytes failed at the memory limit"):
        own.too_many(1000)


def test_locks_in_two_orders_are_a_deadlock(sandbox: tmebox.Sandbox) -> None:
    with pytest.raises(tmebox.Deadlock) as caught:
        sandbox.each_waits_for_the_other()
    assert len(caught.value.threads) == 2
    assert "each_waits_for_the_other" in str(caught.value.backtrace) + str(caught.value.threads)
