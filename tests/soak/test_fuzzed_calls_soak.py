"""A million random system calls through the core, and some more of threads that are interrupted meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.forked import ChildOutcome
from tests.hostile.fuzzing import fuzz

CALLS = {False: 1_000_000, True: 200_000}
"""Without and with threads."""


@pytest.mark.soak
@pytest.mark.parametrize("threads", CALLS, ids=["one thread", "three threads"])
def test_a_million_random_calls(forked: Callable[..., ChildOutcome], tmp_path: Path, threads: bool) -> None:
    began_s, seed = time.monotonic(), time.time_ns() % (1 << 32)
    found = forked(lambda: fuzz(tmp_path, CALLS[threads], seed, threads=threads), timeout_s=3600).result()
    print(f"{found.calls} calls, {found.beside} beside, {found.traps} traps", end=", ")
    print(f"{time.monotonic() - began_s:.0f} s, seed {seed}")
    assert found.calls >= CALLS[threads]
