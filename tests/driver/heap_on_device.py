"""The shared heap's own tests and attacks on the backend `tmemk`, on the device of this machine.

`python -m tests.driver.heap_on_device [wrong_key=1] [prepared=FOLDER]` prints a line for each test, as the
driver's other tests do. In a virtual machine modules come compiled, in FOLDER, by the hash of their source.

Nothing is encrypted by a simulated device. So a test of a foreign access to a page of several owners, which
only the memory can stop, is not run there. On a real part it is a machine check, which many kernels do not
survive. So there it is run with `wrong_key=1`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tmebox.memory.backends import tmemk

FILES = (
    *(
        f"tests/heap/test_{name}.py"
        for name in ("blocks", "arrays", "guest", "life", "moving", "races", "pool", "detection")
    ),
    "tests/hostile/test_shared_heap.py",
)
NEEDS_A_MAC = frozenset(
    {
        "test_a_handler_that_was_replaced_is_put_back_or_the_process_ends",
        "test_a_string_instruction_reads_nothing_foreign[views]",
        "test_an_access_is_done_entirely_or_not_at_all[a word's read across-views]",
        "test_an_access_is_done_entirely_or_not_at_all[a vector's read across-views]",
        "test_an_access_is_done_entirely_or_not_at_all[a wide read from behind-views]",
    }
)
"""With views, what these try is stopped by the memory alone; beside all in `test_detection.py`."""
NOT_HERE = frozenset(
    {
        "test_a_host_that_locks_all_its_memory_gives_nothing_away",  # has a backend of its own
        "test_a_permit_dies_with_either_side",  # takes more keys than a processor has
    }
)
TOO_LONG = frozenset({"test_many_accesses_on_the_side_end_with_the_time_limit"})
"""For a processor that is emulated."""
heap_class, compile_source = tmebox.SharedHeap, tmebox.compile


def settings() -> tuple[bool, Path | None]:
    words = dict(word.partition("=")[::2] for word in sys.argv[1:])
    return words.get("wrong_key") == "1", Path(words["prepared"]) if "prepared" in words else None


WRONG_KEY, PREPARED = settings()


def why_no_mac() -> str:
    """Why what needs one cannot be run; "" if it can."""
    descriptor = tmemk.Tmemk().device()
    simulated = tmemk.simulated(descriptor)
    os.close(descriptor)
    if simulated:
        return "only a MAC could stop it, and nothing is encrypted here"
    return "" if WRONG_KEY else "it reads with a wrong key, which many kernels do not survive: --wrong-key"


def compiled(*, source_text: str, **options: Any) -> tmebox.Module:
    if PREPARED is None:
        return compile_source(source_text=source_text, **options)
    file = PREPARED / (hashlib.sha256(source_text.encode()).hexdigest()[:16] + ".tbx")
    if not file.exists():
        pytest.skip("its module was not compiled before")
    return tmebox.Module.load(file)


def on_the_device(*arguments: Any, **options: Any) -> tmebox.SharedHeap:
    return heap_class(*arguments, **{"backend": "tmemk", **options})


def needs_a_mac(item: pytest.Item) -> bool:
    name, _, case = item.name.partition("[")
    with_views = "no-views" not in case
    return with_views and (name in NEEDS_A_MAC or item.name in NEEDS_A_MAC or "detection" in item.path.name)


def is_for_here(item: pytest.Item) -> bool:
    """The suite with views; the attacks without, and with them those that this backend finds at the access.
    All of it on the side takes an emulated processor minutes."""
    name, _, case = item.name.partition("[")
    if name in NOT_HERE or (PREPARED and name in TOO_LONG) or "model" in case:
        return False
    attack = "/hostile/" in str(item.path) or "detection" in item.path.name
    return needs_a_mac(item) or ("no-views" in case) == attack or "views" not in case


class Report:
    """Prints a line for each test."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if is_for_here(item)]
        if reason := why_no_mac():
            for item in filter(needs_a_mac, items):
                item.add_marker(pytest.mark.skip(reason=reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("::")[-1].replace("(", "[").replace(")", "]")
        if report.failed:
            for line in str(report.longrepr).splitlines()[-12:]:
                print(f"# {line}")
            print(f"not ok heap {name}", flush=True)
        elif report.skipped:
            reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else ""
            print(f"skip heap {name}: {reason.removeprefix('Skipped: ')}", flush=True)
        elif report.when == "call":
            print(f"ok heap {name}", flush=True)


def main() -> int:
    vars(tmebox).update(compile=compiled, SharedHeap=on_the_device)
    with heap_class("1MiB", backend="tmemk") as heap:
        print(f"count backend: {heap.backend}")
    options = ["-s", "-p", "no:cacheprovider", "-p", "no:terminal"]
    options += ["--import-mode=importlib", "--assert=plain"]
    return int(pytest.main([*options, *FILES], plugins=[Report()]))


if __name__ == "__main__":
    sys.exit(main())
