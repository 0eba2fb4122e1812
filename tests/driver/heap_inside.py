"""Runs inside the virtual machine: the shared heap's own tests, on the backend `tmemk`.

Modules come compiled, in /files, by the hash of their source. Each test is reported as the machine's other
tests are.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

os.environ["TMEBOX_SIMULATED_KEYS"] = "1"
sys.path.insert(0, "/files")

import pytest

import tmebox

FILES = ("test_blocks", "test_arrays", "test_life", "test_moving", "test_races")
heap_class = tmebox.SharedHeap


def compiled(*, source_text: str, **options: Any) -> tmebox.Module:
    file = Path("/files", hashlib.sha256(source_text.encode()).hexdigest()[:16] + ".tbx")
    if options or not file.exists():
        pytest.skip("its module was not compiled before")
    return tmebox.Module.load(file)


def on_the_device(*arguments: Any, **options: Any) -> tmebox.SharedHeap:
    return heap_class(*arguments, **{"backend": "tmemk", **options})


class Report:
    """Prints a line for each test."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("::")[-1].replace("(", "[").replace(")", "]")
        if report.failed:
            for line in str(report.longrepr).splitlines()[-12:]:
                print(f"# {line}")
            print(f"not ok heap {name}", flush=True)
        elif report.skipped:
            print(f"skip heap {name}", flush=True)
        elif report.when == "call":
            print(f"ok heap {name}", flush=True)


vars(tmebox).update(compile=compiled, SharedHeap=on_the_device)
os.chdir("/files")
with heap_class("1MiB", backend="tmemk") as heap:
    print(f"count backend: {heap.backend}")
tests = [f"tests/heap/{name}.py" for name in FILES]
options = [
    "-s",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:terminal",
    "-k",
    "not no-views",
    "--import-mode=importlib",
]
pytest.main([*options, *tests], plugins=[Report()])
