"""Which tests are slow, by measurement: those that `slow_tests.txt` names get the mark `slow`.

Files with such tests run first: so the last that run, of several processes, are short.

`pytest --record-slow` brings the file up to date for the tests that it runs. Slow are functions whose cases
take LIMIT_CPU_S of processor time on average, children included, or LIMIT_WALL_S in all once.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

LIMIT_CPU_S = 0.05
LIMIT_WALL_S = 2.0
NAMES = Path(__file__).with_name("slow_tests.txt")
BEGUN = pytest.StashKey[os.times_result]()
SPENT = "seconds of the processor, and in all"


def function_of(node: str) -> str:
    """A test's name without its case."""
    return node.partition("[")[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-slow", action="store_true", help=f"bring {NAMES.name} up to date")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-slow") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = set(NAMES.read_text().splitlines())
    for item in items:
        if function_of(item.nodeid) in names:
            item.add_marker(pytest.mark.slow)
    files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in files)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[BEGUN] = os.times()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fixtures count for the first test that needs them."""
    report = yield
    begun, now = item.stash[BEGUN], os.times()
    spent = sum(now[:4]) - sum(begun[:4]), now.elapsed - begun.elapsed
    report.user_properties.append((SPENT, spent))
    return report


class Recorder:
    """Where the reports of all workers arrive."""

    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent: Any = dict(report.user_properties)[SPENT]
        self.spent[report.nodeid] = spent

    def pytest_sessionfinish(self) -> None:
        cases: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for node, spent in self.spent.items():
            cases[function_of(node)].append(spent)
        slow = set(NAMES.read_text().splitlines()) - cases.keys()
        for name, times in cases.items():
            mean_cpu_s = sum(cpu_s for cpu_s, _ in times) / len(times)
            if mean_cpu_s >= LIMIT_CPU_S or max(wall_s for _, wall_s in times) >= LIMIT_WALL_S:
                slow.add(name)
        NAMES.write_text("".join(f"{name}\n" for name in sorted(slow)))
