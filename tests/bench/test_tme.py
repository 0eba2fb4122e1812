"""`tmebox bench tme`: it measures what it says, and its table and JSON have it."""

from __future__ import annotations

import json

import pytest

from tmebox_bench import tme, tme_heap
from tmebox_bench.statistics import Spread


def test_the_benchmark_measures_every_path_and_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tme, "ROUND_S", 1e-4)
    monkeypatch.setattr(tme, "ROUNDS", 2)
    for name, few in {"ROUNDS": 2, "PAGES": 16, "WARM_PASSES": 2, "SIDE_ACCESSES": 50}.items():
        monkeypatch.setattr(tme_heap, name, few)
    results = tme.bench_tme()
    names = [cost.what for cost in results.costs]
    assert any("one line alone, portable" in name for name in names)
    assert all(cost.spread.min > 0 for cost in results.costs)
    assert len([cost for cost in results.costs if cost.must]) == 8
    table = tme.tme_table(results)
    assert len(table.rows) == len(results.costs)
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert json.loads(tme.to_json(results))["costs"][0]["what"] == names[0]


def test_rates_and_lines_are_worked_out() -> None:
    costs = (
        tme.Cost("page", "page", Spread(6400, 6400, 6400), 15_000, 6_000),
        tme.Cost("access", "access", Spread(50, 50, 50)),
    )
    rows = tme.tme_table(tme.TmeResults({}, "portable", costs)).rows
    assert rows[0] == ("page", "6.40 µs", "6.40 µs", "100 ns for each line", "15.00 µs / 6.00 µs")
    assert rows[1][3] == "20.0 M/s"
