"""MicroPython's own tests: what they print in a sandbox is what they print in an ordinary program."""

from __future__ import annotations

import re
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.python.building import ROOT
from tmebox.python import Python, PythonError

FOLDERS = ("basics", "float", "extmod", "micropython", "misc", "stress", "unicode")
_ADDRESS = re.compile(r"(?:0x| at )[0-9a-f]{5,}")
"""Where objects lie is another place in each."""
FEWEST = 900
"""Tests whose programs both run; fewer means that something is wrong with how they are found."""

SEED, CLOCK = 0x0707070707070707, 1e9
"""As tests/python/native/main.c has them: what depends on time and chance comes out the same."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sources as a native program."""
    tool: Any = runpy.run_path(str(ROOT / "tools" / "micropython.py"))
    program: Path = tool["native"](tool["sources"](), tmp_path_factory.mktemp("native"))
    return program


def programs() -> Iterator[Path]:
    tool: Any = runpy.run_path(str(ROOT / "tools" / "micropython.py"))
    tests = tool["sources"]().micropython / "tests"
    for folder in FOLDERS:
        yield from sorted((tests / folder).glob("*.py"))


def in_a_sandbox(source: str) -> str:
    with Python(memory="32MiB", timeout=20.0, output="16MiB", seed=SEED, clock=CLOCK) as python:
        try:
            python.run(source)
        except PythonError as error:
            return f"{python.stdout}ended in {error.type}\n"
        except tmebox.Trap as trap:
            return f"{python.stdout}trap {trap}\n"
        return python.stdout


def test_micropythons_own_tests_give_native_output(native: Path) -> None:
    same, different = 0, []
    for path in programs():
        name = f"{path.parent.name}/{path.name}"
        source = path.read_text(encoding="utf-8", errors="surrogateescape")
        if any("\udc80" <= c <= "\udcff" for c in source):
            continue
        done = subprocess.run([native, path], capture_output=True, timeout=120, check=False)
        if done.returncode:
            continue  # it ends the native program, too
        theirs = done.stdout.decode(errors="replace")
        ours = in_a_sandbox(source)
        if _ADDRESS.sub("0x…", ours) == _ADDRESS.sub("0x…", theirs):
            same += 1
        else:
            different.append((name, ours[-200:], theirs[-200:]))
    print(f"{same} the same, {len(different)} different")
    assert [name for name, _, _ in different] == [], different
    assert same >= FEWEST
