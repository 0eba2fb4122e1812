"""The results of `tmebox bench instances` as tables, JSON, a chart and a section of the report.

The JSON document (`--json FILE`):

    {"schema": 1,
     "machine": {…},                                                        facts by name, text
     "samples_s": {PEER: {OPERATION: [seconds per operation, one per round], …}, …},
     "live": {PEER: {"reached": …, "called": …, "stopped_by": "", "system_bytes": …, "own_bytes": …,
                     "create_s": …}},                                       see instances_live.Live
     "scaling": {"calls" | "tasks": {"min": …, "median": …, "max": …}},     two threads' work over one's
     "missing": ["what could not be measured, and why", …]}
"""

from __future__ import annotations

import json
from dataclasses import asdict

from tmebox_bench.calls_table import time_text
from tmebox_bench.instances import OPERATIONS, InstanceResults
from tmebox_bench.instances_chart import chart
from tmebox_bench.instances_live import Live
from tmebox_bench.statistics import Spread
from tmebox_bench.tables import Table, markdown

SCHEMA = 1
CHART = "instances.svg"
SCALING = {
    "calls": "two threads, a sandbox each: calls of about 0.1 ms",
    "tasks": "two threads of a pool: tasks of about 1 ms",
}

_SECTION = """\
## Instances

Median time of one operation, and in brackets the least and greatest of the rounds; every peer in each round,
on one processor. tmebox's `spawn` of a snapshot stands where `os.fork` has a parent that is ready. A process
is started with posix_spawn from a static program; fork is that of a Python process with nothing else loaded.

{times}

![Time of one life]({folder}{chart})

How many exist at once in one process, and each one's share of the memory that the system lost meanwhile. The
function they are called with touches no memory, so that of a wasmtime instance is never there; a sandbox's
stack is.

{live}

{scaling}
"""


def times_table(results: InstanceResults) -> Table:
    names = list(results.samples_s)
    rows = []
    for operation, title in OPERATIONS.items():
        times = [results.times_s(name, operation) for name in names]
        if any(times):
            rows.append((title, *("–" if taken is None else time_text(taken) for taken in times)))
    return Table(("operation", *names), tuple(rows))


def live_table(results: InstanceResults) -> Table:
    rows = []
    for name, live in results.live.items():
        size = (
            f"{live.system_bytes / 1000:.1f} kB ({live.own_bytes / 1000:.1f} kB by the process's own count)"
        )
        rows.append(
            (name, f"{live.reached:,}", f"{live.called:,}", size, _created(live), live.stopped_by or "–")
        )
    return Table(("instances", "alive", "answer", "memory each", "creation each", "stopped by"), tuple(rows))


def _created(live: Live) -> str:
    return time_text(Spread(live.create_s, live.create_s, live.create_s)).split(" (")[0]


def scaling_table(results: InstanceResults) -> Table:
    rows = [
        (title, f"{found.median:.2f} × ({found.min:.2f}–{found.max:.2f})")
        for name, title in SCALING.items()
        if (found := results.scaling.get(name))
    ]
    return Table(("work done in the same time", "over one thread"), tuple(rows))


def to_json(results: InstanceResults) -> str:
    document = {
        "schema": SCHEMA,
        "machine": dict(results.machine),
        "samples_s": {name: dict(by) for name, by in results.samples_s.items()},
        "live": {name: asdict(live) for name, live in results.live.items()},
        "scaling": {name: asdict(found) for name, found in results.scaling.items()},
        "missing": list(results.missing),
    }
    return json.dumps(document, indent=1) + "\n"


def from_json(text: str) -> InstanceResults:
    """Raises ValueError for what `to_json` did not write."""
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']!r}, not {SCHEMA}")
        return InstanceResults(
            document["machine"],
            {n: {op: tuple(taken) for op, taken in by.items()} for n, by in document["samples_s"].items()},
            {name: Live(**fields) for name, fields in document["live"].items()},
            {name: Spread(**fields) for name, fields in document["scaling"].items()},
            tuple(document["missing"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a result of bench instances: {error!r}") from None


def charts(results: InstanceResults) -> dict[str, str]:
    """SVG documents by file name."""
    return {CHART: chart(results)}


def section(results: InstanceResults, folder: str = "") -> str:
    """Markdown. folder: where the charts are, relative to the document, with a slash at its end."""
    tables = (times_table(results), live_table(results), scaling_table(results))
    times, live, scaling = (markdown(table) if table.rows else "Not measured." for table in tables)
    return _SECTION.format(times=times, live=live, scaling=scaling, folder=folder, chart=CHART)
