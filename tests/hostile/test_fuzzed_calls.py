"""A guest asks for anything, at any address: some thousand calls in every run, a million with `make soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.forked import ChildOutcome
from tests.hostile.fuzzing import fuzz

CALLS = 30_000
CALLS_OF_THREADS = 4_000


def test_random_calls_reach_nothing_and_leave_nothing(
    forked: Callable[..., ChildOutcome], tmp_path: Path
) -> None:
    found = forked(lambda: fuzz(tmp_path, CALLS, 1), timeout_s=120).result()
    assert found.calls >= CALLS


def test_random_calls_of_threads_that_are_interrupted_reach_nothing(
    forked: Callable[..., ChildOutcome], tmp_path: Path
) -> None:
    found = forked(lambda: fuzz(tmp_path, CALLS_OF_THREADS, 2, threads=True), timeout_s=240).result()
    assert found.calls >= CALLS_OF_THREADS
    assert found.beside > 0 or found.traps
