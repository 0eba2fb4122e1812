"""One suite for all ways to provide memory: it is also run where windows are mapped part by part, without
views."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = [
    "test_arrays.py",
    "test_blocks.py",
    "test_compaction.py",
    "test_guest.py",
    "test_life.py",
    "test_moving.py",
    "test_races.py",
    "test_whose_lines.py",
]


@pytest.mark.slow
def test_the_suite_holds_without_userfaultfd() -> None:
    """In its own process: a process has one way to provide memory."""
    files = [ROOT / "tests" / "heap" / name for name in SUITE] + [
        ROOT / "tests" / "hostile" / "test_shared_heap.py"
    ]
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "no-views",
        *files,
    ]
    environment = {**os.environ, "TMEBOX_SUBSTRATE": "plain"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout[-4000:]
