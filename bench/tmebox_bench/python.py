"""`tmebox bench python`: running Python text, by ways to do it; and thousands of interpreters alive."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from tmebox_bench.machine import machine
from tmebox_bench.python_loops import Loops, bench_loops
from tmebox_bench.pythons import CALLS, CONTENDERS, ITERATIONS, LOOP, Contender
from tmebox_bench.pythons_alive import Alive, keep_alive
from tmebox_bench.statistics import Spread, spread
from tmebox_bench.tables import Table
from tmebox_bench.variants import MissingError

OPERATIONS = {
    "start": "new, 1 + 1, gone",
    "reuse": "1 + 1 again",
    "loop": f"loop of {ITERATIONS:,}",
    "host": "call into the host",
    "sum": "sum of 1,000,000 elements",
}
ROUNDS = 5
LOOPS = "loops"
"""A name for `only`: ours beside the same sources as a native program."""
LEAST_S = 0.2
"""How long one round of an operation goes on, about."""


@dataclass(frozen=True)
class PythonResults:
    """times_s: seconds an operation, by contender. missing: why contenders or operations are not there.
    alive: interpreters at a time, by contender. loops: of ours, where the sources are here."""

    machine: Mapping[str, str]
    times_s: Mapping[str, Mapping[str, Spread]]
    missing: tuple[str, ...]
    alive: Mapping[str, Alive]
    loops: Loops | None = None


def bench_python(
    *, quick: bool, count: int, only: str | None, progress: Callable[[str, int, int], None] | None
) -> PythonResults:
    """only: the contenders whose names begin so."""
    times: dict[str, dict[str, Spread]] = {}
    alive: dict[str, Alive] = {}
    missing: list[str] = []
    for done, kind in enumerate(CONTENDERS):
        if only is not None and not kind.name.startswith(only):
            continue
        if progress is not None:
            progress(kind.name, done, len(CONTENDERS))
        try:
            contender = kind()
        except MissingError as error:
            missing.append(str(error))
            continue
        times[kind.name] = _times(contender, missing, 3 if quick else ROUNDS)
        alive[kind.name] = keep_alive(contender, count)
    loops = None
    if only is None or LOOPS.startswith(only):
        try:
            loops = bench_loops(rounds=3 if quick else ROUNDS, quick=quick, progress=progress)
        except MissingError as error:
            missing.append(str(error))
    return PythonResults(machine(), times, tuple(missing), alive, loops)


def _times(contender: Contender, missing: list[str], rounds: int) -> dict[str, Spread]:
    found: dict[str, Spread] = {}
    for operation in OPERATIONS:
        with ExitStack() as stack:
            try:
                work, each = _work(contender, operation, stack)
                work()
                found[operation] = _repeat(work, each, rounds, contender.most_runs)
            except MissingError as error:
                missing.append(str(error))
            except Exception as error:  # what others' sandboxes raise is not known
                missing.append(f"{contender.name}, {operation}: {type(error).__name__}: {error}"[:200])
    return found


def _work(contender: Contender, operation: str, stack: ExitStack) -> tuple[Callable[[], Any], int]:
    """What to call, and how many operations that is."""
    if operation == "start":
        return contender.start, 1
    if operation == "sum":
        return contender.array(stack), 1
    if operation == "host":
        run = contender.host(stack)
        return lambda: run(f"for i in range({CALLS}):\n    host(i)"), CALLS
    run = contender.open(stack)
    if operation == "reuse":
        return lambda: run("1 + 1"), 1
    run(LOOP)
    return lambda: run(f"loop({ITERATIONS})"), 1


def _repeat(work: Callable[[], Any], each: int, rounds: int, most_runs: int) -> Spread:
    started = time.perf_counter()
    work()
    once = max(time.perf_counter() - started, 1e-7)
    times = max(1, min(most_runs, int(LEAST_S / once)))
    samples = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(times):
            work()
        samples.append((time.perf_counter() - started) / times / each)
    return spread(samples)


def python_table(results: PythonResults) -> Table:
    """A row for each contender: medians."""
    rows = []
    for name, times in results.times_s.items():
        cells = [_shown(times[key].median) if key in times else "–" for key in OPERATIONS]
        alive = results.alive[name]
        rows.append((name, *cells, f"{alive.bytes_each / 1000:,.0f} kB", f"{alive.count:,}{alive.mark}"))
    return Table(("", *OPERATIONS.values(), "memory each", "alive at once"), tuple(rows))


def _shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def to_json(results: PythonResults) -> str:
    return json.dumps(asdict(results), indent=1)
