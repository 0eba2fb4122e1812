"""`tmebox bench heap`: it measures what it says, and the document has what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tmebox_bench import heap, heap_access, heap_calls, heap_code, heap_lives
from tmebox_bench.heap_row import Row, text
from tmebox_bench.statistics import Spread
from tmebox_bench.tables import markdown

DOCS = Path(__file__).parents[2] / "docs"


def published() -> heap.HeapResults:
    kept = json.loads((DOCS / "benchmarks" / "heap.json").read_text())
    rows = tuple(Row(**{**row, "got": Spread(**row["got"])}) for row in kept["rows"])
    return heap.HeapResults(kept["machine"], rows, tuple(map(tuple, kept["crossover"])))


def test_the_document_has_what_was_measured() -> None:
    document = (DOCS / "shared-heap.md").read_text()
    assert markdown(heap.heap_table(published())) in document
    assert markdown(heap.crossover_table(published())) in document


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {
        heap_code: {"ROUNDS": 2},
        heap_calls: {"CALLS": 40, "LARGE": 4 << 20, "COMPACTED": 2 << 20},
        heap_access: {
            "REVOCATIONS": 4,
            "REVOKED_PAGES": 2,
            "REVOCATION_ROUNDS": 2,
            "PLACEMENTS": 1,
            "PASSES": 2,
            "ACCESSES": 20,
            "WORDS": 512,
        },
        heap_lives: {"LIVES": 5, "ROUNDS": 1},
    }
    for module, values in numbers.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


def test_every_part_is_measured(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(heap.PARTS, "memory", (lambda: heap_lives.memory(live=50, many=60), False))
    results = heap.bench_heap()
    table = heap.heap_table(results)
    assert len(table.rows) == len(results.rows) > 30
    known = {row.what.replace("10,000", "60") for row in published().rows}
    assert known == {row.what for row in results.rows}
    assert json.loads(heap.to_json(results))["rows"][0]["unit"] == "ns"


def test_figures_are_shown_in_their_units() -> None:
    assert [text(65.0, "ns"), text(3610, "ns"), text(5.2e6, "ns")] == ["65 ns", "3.61 µs", "5.20 ms"]
    assert [text(17_600, "bytes"), text(0.43, "×"), text(1.1e9, "B/s")] == ["17.6 KB", "0.430 ×", "1.10 GB/s"]
    low = Row("", "ns", Spread(1, 2, 3), 2.0)
    assert low.meets and not Row("", "/s", Spread(1, 2, 3), 3.0, at_least=True).meets
    assert Row("", "", Spread(1, 2, 3)).meets is None
