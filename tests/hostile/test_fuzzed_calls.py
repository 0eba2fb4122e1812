"""A guest asks for anything, at any address: some thousand calls in every run, a million with `make soak`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.forked import ChildOutcome
from tests.hostile.fuzzing import fuzz

CALLS = 30_000


def test_random_calls_reach_nothing_and_leave_nothing(
    forked: Callable[..., ChildOutcome], tmp_path: Path
) -> None:
    found = forked(lambda: fuzz(tmp_path, CALLS, 1), timeout_s=120).result()
    assert found.calls >= CALLS
