"""`tmebox bench heap`: what a shared heap costs, beside what it must not cost more than."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from tmebox_bench import heap_access, heap_calls, heap_lives
from tmebox_bench.heap_row import Row, text
from tmebox_bench.machine import machine
from tmebox_bench.runners import pinned
from tmebox_bench.tables import Table
from tmebox_bench.variants import Progress


@dataclass(frozen=True)
class HeapResults:
    """crossover: for each size in bytes, nanoseconds to hand it over and to copy it."""

    machine: dict[str, str]
    rows: tuple[Row, ...]
    crossover: tuple[tuple[int, float, float], ...]


Part = Callable[[], Iterator[Row]]
PARTS: dict[str, tuple[Part, bool]] = {
    "allocations": (heap_calls.allocations, True),
    "transfers": (heap_calls.transfers, True),
    "revocations": (heap_access.revocations, False),
    "exclusive": (heap_access.exclusive, True),
    "mixed": (heap_access.mixed, True),
    "lives": (heap_lives.lives, True),
    "memory": (heap_lives.memory, False),
    "compaction": (heap_calls.compaction, False),
}
"""Each with whether it is to stay on one processor."""


def bench_heap(names: list[str] | None = None, progress: Progress | None = None) -> HeapResults:
    """Measure all parts, or those named. Raises KeyError for a name that is none."""
    parts = [PARTS[name] for name in names or PARTS]
    rows: list[Row] = []
    for index, (part, on_one) in enumerate(parts):
        if progress is not None:
            progress("measuring", index, len(parts))
        if on_one:
            with pinned():
                rows += part()
        else:
            rows += part()
    crossover: tuple[tuple[int, float, float], ...] = ()
    if not names or "transfers" in names:
        with pinned():
            crossover = heap_calls.crossover()
    return HeapResults(machine(), tuple(rows), crossover)


def heap_table(results: HeapResults) -> Table:
    """A row for each figure: got (the median), from and to, must, whether it does."""
    rows = []
    for row in results.rows:
        sign = "≥" if row.at_least else "≤"
        must = "" if row.must is None else f"{sign} {text(row.must, row.unit)}"
        verdict = {None: "", True: "yes", False: "MISSED"}[row.meets]
        between = f"{text(row.got.min, row.unit)} – {text(row.got.max, row.unit)}"
        rows.append((row.what, text(row.got.median, row.unit), between, must, verdict))
    return Table(("", "got", "from – to", "must", "holds"), tuple(rows))


def crossover_table(results: HeapResults) -> Table:
    """From which size handing over is faster than a copy."""
    rows = [
        (f"{size >> 10:,} KiB", text(handed, "ns"), text(copied, "ns"), f"{copied / handed:.2f} ×")
        for size, handed, copied in results.crossover
    ]
    return Table(("size", "handed over", "copied", "how many times faster"), tuple(rows))


def to_json(results: HeapResults) -> str:
    """Everything that was measured."""
    return json.dumps(asdict(results), indent=1, ensure_ascii=False)
