"""What is measured of programs that compute: the time of each piece of work, sandboxed over native."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from tmebox_bench.machine import machine
from tmebox_bench.processors import output_on_last
from tmebox_bench.statistics import Spread, geomean, ratios
from tmebox_bench.tables import Table

RUN_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Row:
    """cost: by kind of native build, the sandboxed time over its time, rounds compared side by side.
    least: the least sandboxed time over the least of its, which a machine of two speeds changes least."""

    work: str
    cost: dict[str, Spread]
    least: dict[str, float]


@dataclass(frozen=True)
class Results:
    """notes: what else was tried, and how it went. failures: what was not as it must be."""

    machine: dict[str, str] = field(default_factory=machine)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def run(command: Sequence[str], *, cwd: Path | None = None, with_messages: bool = False) -> str:
    """What a program prints, on the last processor. with_messages: to stderr, too. Raises RunError."""
    return output_on_last(command, RUN_TIMEOUT_S, cwd=cwd, with_messages=with_messages)


def row(work: str, times: Mapping[str, Sequence[float]], sandboxed: str) -> Row:
    """times: by kind of build, one for each round. `sandboxed` is one of the kinds."""
    costs = {kind: ratios(times[sandboxed], times[kind]) for kind in times if kind != sandboxed}
    return Row(work, costs, {kind: min(times[sandboxed]) / min(times[kind]) for kind in costs})


def table(results: Results) -> Table:
    """A row for each piece of work, then the geometric mean."""
    kinds = list(results.rows[0].cost) if results.rows else []
    lines = []
    for one in results.rows:
        cells = ((table_cell(one.cost[kind]), f"{one.least[kind]:.3f}") for kind in kinds)
        lines.append((one.work, *chain.from_iterable(cells)))
    means = (
        (
            geomean_of([one.cost[kind] for one in results.rows]),
            f"{geomean(one.least[kind] for one in results.rows):.3f}",
        )
        for kind in kinds
    )
    lines.append(("geometric mean", *chain.from_iterable(means)))
    headings = chain.from_iterable((f"sandboxed over {kind}", "least times") for kind in kinds)
    return Table(("work", *headings), tuple(lines if kinds else ()))


def geomean_of(found: Sequence[Spread]) -> str:
    """Of their medians; a dash for none."""
    return f"{geomean(one.median for one in found):.3f}" if found else "–"


def table_cell(found: Spread) -> str:
    """A median, with the least and the greatest."""
    return f"{found.median:.3f} ({found.min:.3f}–{found.max:.3f})"


def to_json(results: Results) -> str:
    """The fields of Results, with "schema": 1."""
    return json.dumps({"schema": 1, **asdict(results)}, indent=1) + "\n"
