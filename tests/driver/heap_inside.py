"""Runs inside the virtual machine: the shared heap's own tests and attacks, on the backend `tmemk`.

Modules come compiled, in /extra/files, by the hash of their source. Each test is reported as the machine's
other tests are.

Nothing is encrypted there. So a test of a foreign access to a page of several owners, which only the memory
can stop, is run where such pages are in no view.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

os.environ["TMEBOX_SIMULATED_KEYS"] = "1"
os.environ["PYTHONPATH"] = ":".join(sys.path[:3])

import pytest

import tmebox

FILES = (
    *(
        f"tests/heap/test_{name}.py"
        for name in ("blocks", "arrays", "guest", "life", "moving", "races", "pool")
    ),
    "tests/hostile/test_shared_heap.py",
)
ONLY_A_MAC = frozenset(
    {
        "test_a_handler_that_was_replaced_is_put_back_or_the_process_ends",
    }
)
"""With views, what these try is stopped by the memory alone."""
NOT_HERE = frozenset(
    {
        "test_a_host_that_locks_all_its_memory_gives_nothing_away",  # starts a process that compiles
        "test_a_permit_dies_with_either_side",  # takes more keys than the processor has
        "test_many_accesses_on_the_side_end_with_the_time_limit",  # too many for an emulated processor
    }
)
heap_class = tmebox.SharedHeap


def compiled(*, source_text: str, **options: Any) -> tmebox.Module:
    file = Path("/extra/files", hashlib.sha256(source_text.encode()).hexdigest()[:16] + ".tbx")
    if not file.exists():
        pytest.skip("its module was not compiled before")
    return tmebox.Module.load(file)


def on_the_device(*arguments: Any, **options: Any) -> tmebox.SharedHeap:
    return heap_class(*arguments, **{"backend": "tmemk", **options})


def is_for_here(item: pytest.Item) -> bool:
    """The suite with views, the attacks without: an emulated processor takes minutes for all on the side."""
    name, _, case = item.name.partition("[")
    if name in ONLY_A_MAC | NOT_HERE or "model" in case:
        return False
    return ("no-views" in case) == ("/hostile/" in str(item.path)) or "views" not in case


class Report:
    """Prints a line for each test."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if is_for_here(item)]

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
os.chdir("/extra/files")
with heap_class("1MiB", backend="tmemk") as heap:
    print(f"count backend: {heap.backend}")
options = ["-s", "-p", "no:cacheprovider", "-p", "no:terminal", "--import-mode=importlib", "--assert=plain"]
pytest.main([*options, *FILES], plugins=[Report()])
