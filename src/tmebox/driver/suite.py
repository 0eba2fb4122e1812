"""The shared heap's own tests on the driver: pytest boots a machine with Python, NumPy and tmebox."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

TESTS = "tests/driver/test_virtual_machines.py"
NEEDED = ("pytest", "hypothesis")
OF_THE_HEAP = ("ok heap ", "ok python ", "ok device ")
"""What tests in Python say when they hold; the driver's own tests run there as well."""
VERDICT = re.compile(r"^(ok|not ok|skip) ")


class Suite(NamedTuple):
    """What came of it. `missing`: why it did not run, "" if it did. `log`: all that was printed."""

    passed: int
    good: bool
    missing: str
    log: str


def lacking(root: Path) -> str:
    """Why the tests of the checkout `root` cannot run here; "" if they can."""
    names = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if names:
        return f"{', '.join(names)} is not installed"
    return "" if (root / TESTS).is_file() else f"{root / TESTS} is not there"


def run(root: Path, watch: Callable[[str], None]) -> Suite:
    """root: the checkout, which has the tests. watch is told each line as it comes."""
    if missing := lacking(root):
        return Suite(0, True, missing, "")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-rs", TESTS, "-k", "shared_heap"]
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if VERDICT.match(line):
                watch(line.rstrip())
    log = "".join(lines)
    skipped = re.search(r"(?m)^SKIPPED .*: (?!one kernel)(.*)$", log)
    passed = sum(line.startswith(OF_THE_HEAP) for line in lines)
    if skipped and process.returncode == 0 and passed == 0:
        return Suite(0, True, skipped[1], log)
    return Suite(passed, process.returncode == 0 and passed > 0, "", log)
