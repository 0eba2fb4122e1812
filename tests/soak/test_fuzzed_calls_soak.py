"""A million random system calls through the core."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.forked import ChildOutcome
from tests.hostile.fuzzing import fuzz

CALLS = 1_000_000


@pytest.mark.soak
def test_a_million_random_calls(forked: Callable[..., ChildOutcome], tmp_path: Path) -> None:
    began_s = time.monotonic()
    found = forked(lambda: fuzz(tmp_path, CALLS, time.time_ns() % (1 << 32)), timeout_s=3600).result()
    print(f"{found.calls} calls, {found.traps} traps, {time.monotonic() - began_s:.0f} s")
    assert found.calls >= CALLS
