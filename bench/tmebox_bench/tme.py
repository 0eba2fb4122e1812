"""`tmebox bench tme`: what the model of TME-MK costs: a line, a page, an access from C, an access from
Python, and a shared heap in its memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from tmebox import tme
from tmebox._native import tme_paths, tme_repeat
from tmebox_bench import tme_heap
from tmebox_bench.machine import machine as this_machine
from tmebox_bench.runners import pinned
from tmebox_bench.statistics import Spread, spread
from tmebox_bench.tables import Table
from tmebox_bench.variants import Progress

PAGE_LINES = 64
ROUNDS = 9
ROUND_S = 0.02


@dataclass(frozen=True)
class Cost:
    """One row. `spread` is in nanoseconds for each `unit`; `must` and `stretch` what was set out to reach, if
    anything."""

    what: str
    unit: str
    spread: Spread
    must: float | None = None
    stretch: float | None = None


@dataclass(frozen=True)
class TmeResults:
    machine: dict[str, str]
    path: str
    costs: tuple[Cost, ...]


def bench_tme(progress: Progress | None = None) -> TmeResults:
    """Measure on one processor. Every path of this CPU for lines; the best one for the rest."""
    usable = [name for name, can in tme_paths() if can]
    jobs: list[Callable[[], Cost]] = []
    for path in usable:
        best = path == usable[-1]
        jobs.append(partial(_line, path, best))
        jobs.append(partial(_page, path, best, seal=False))
    jobs.append(partial(_page, usable[-1], True, seal=True))
    jobs += [_accesses, _misses, _read, _write]
    costs = []
    with pinned():
        for index, job in enumerate(jobs):
            if progress is not None:
                progress("measuring", index, len(jobs))
            costs.append(job())
        costs += [Cost(what, unit, found, must) for what, unit, found, must in tme_heap.measure()]
    return TmeResults(this_machine(), usable[-1], tuple(costs))


def timed(work: Callable[[int], object], per_call: int = 1) -> Spread:
    """Nanoseconds of processor time of one of the `per_call` things that work(1) does; work(n) does n times
    as many. Who shares the core still counts."""
    times, once = 1, 0
    while once < ROUND_S * 1e9:
        times *= 2
        began = time.thread_time_ns()
        work(times)
        once = time.thread_time_ns() - began
    samples = []
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        work(times)
        samples.append((time.thread_time_ns() - began) / times / per_call)
    return spread(samples)


def _line(path: str, best: bool) -> Cost:
    found = timed(lambda times: tme_repeat(path, 1, 0, times))
    return Cost(f"decrypt and verify one line alone, {path}", "line", found, 150 if best else None)


def _page(path: str, best: bool, *, seal: bool) -> Cost:
    found = timed(lambda times: tme_repeat(path, PAGE_LINES, int(seal), times))
    what = "encrypt and authenticate" if seal else "decrypt and verify"
    targets = (15_000.0, 6_000.0) if best and not seal else (None, None)
    return Cost(f"{what} a page of 64 lines, {path}", "page", found, *targets)


def _machine(cache: str = "1MiB") -> tme.Machine:
    machine = tme.Machine("64MiB", cache=cache)
    machine.activate()
    machine.pconfig(1, "random")
    return machine


def _accesses() -> Cost:
    """In the cache: 256 KiB of 1 MiB, one access in four a store."""
    machine = _machine()
    machine.clear(0, 256 << 10, key_id=1)
    machine._drive(1 << 16, 0, 256 << 10, 1, 4, 1)
    found = timed(lambda times: machine._drive(1000 * times, 0, 256 << 10, 1, 4, 7), 1000)
    return Cost("access of 8 bytes from C, cached", "access", found, 200, 50)


def _misses() -> Cost:
    machine = _machine("64KiB")
    machine.clear(0, 8 << 20, key_id=1)
    found = timed(lambda times: machine._drive(1000 * times, 0, 8 << 20, 1, 4, 7), 1000)
    return Cost("access of 8 bytes from C, not cached", "access", found)


def _read() -> Cost:
    machine = _machine()
    machine.write(0x1000, bytes(64), key_id=1)
    read = machine.read

    def work(times: int) -> None:
        for _ in range(times):
            read(0x1000, 8, key_id=1)

    return Cost("machine.read(address, 8, key_id=1) from Python", "call", timed(work), 1500)


def _write() -> Cost:
    machine = _machine()
    machine.write(0x1000, bytes(64), key_id=1)
    write, data = machine.write, b"8 bytes."

    def work(times: int) -> None:
        for _ in range(times):
            write(0x1000, data, key_id=1)

    return Cost("machine.write(address, 8 bytes, key_id=1) from Python", "call", timed(work), 1500)


def tme_table(results: TmeResults) -> Table:
    """A row for each cost: median and least; per line and as a rate where that says more."""
    rows = []
    for cost in results.costs:
        median = cost.spread.median
        also = ""
        if cost.unit == "page":
            also = f"{median / PAGE_LINES:.0f} ns for each line"
        elif cost.unit == "access":
            also = f"{1e3 / median:.1f} M/s"
        targets = " / ".join(_ns(target) for target in (cost.must, cost.stretch) if target is not None)
        rows.append((cost.what, _ns(median), _ns(cost.spread.min), also, targets))
    return Table(("", "median", "least", "which is", "must / stretch"), tuple(rows))


def _ns(value: float) -> str:
    return f"{value:.0f} ns" if value < 1000 else f"{value / 1000:.2f} µs"


def to_json(results: TmeResults) -> str:
    """Everything that was measured."""
    return json.dumps(asdict(results), indent=1, ensure_ascii=False)
