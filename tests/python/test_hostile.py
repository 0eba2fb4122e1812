"""Every hostile program ends in an exception of ours, and the host and its other interpreters are as they
were."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.python.hostile_programs import PROGRAMS
from tmebox.python import Python, guest

SECRET = "the host's secret"
ALLOWED_HOST_BYTES = 256 << 20
"""What a program may make the host's memory grow by, at most; its own limit is 8 MiB."""


def attack(source: str, tmp_path: Path) -> str:
    """The exception's name; raises if anything of the host's is not as it was."""
    os.environ["SECRET"] = SECRET
    os.chdir(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    calls: list[object] = []
    started = time.monotonic()
    with Python() as innocent:
        innocent.run("x = 41")
        with Python(
            memory="8MiB", timeout=2.0, instructions=30_000_000, functions={"host": calls.append}
        ) as python:
            try:
                python.run(source)
            except tmebox.TmeboxError as error:
                ended = type(error).__name__
                text = str(error)
            else:
                raise AssertionError(f"no exception: {source!r}")
            shown = text + python.stdout
        assert innocent.run("x + 1") == 42
    assert SECRET not in shown and "root:" not in shown and "uid=" not in shown
    assert time.monotonic() - started < 20
    assert os.listdir(tmp_path) == [] and os.getcwd() == str(tmp_path)
    assert threading.active_count() <= threads and len(os.listdir("/proc/self/fd")) <= files + 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < ALLOWED_HOST_BYTES, f"the host grew by {grown:,} bytes"
    with Python() as fresh:
        assert fresh.run("sum(range(10))") == 45
    return ended


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program_ends_in_an_exception(
    name: str, tmp_path: Path, forked: Callable[..., ChildOutcome]
) -> None:
    guest.started("8MiB", "1MiB")  # once, and not in each child
    ended = forked(lambda: attack(PROGRAMS[name], tmp_path)).result()
    assert ended in {"PythonError", "OutOfInstructions", "Timeout", "StackOverflow", "LimitError"}


def test_there_are_enough_of_them() -> None:
    assert len(PROGRAMS) >= 60
