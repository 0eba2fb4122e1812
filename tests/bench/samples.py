"""Made-up results of every benchmark."""

from __future__ import annotations

from tmebox_bench import columns
from tmebox_bench.building import BuildResults
from tmebox_bench.calls import CallResults
from tmebox_bench.crossings import AGAIN, CALL, TURNS, in_base
from tmebox_bench.instances import InstanceResults
from tmebox_bench.instances_live import Live
from tmebox_bench.interruptible import TIME_LIMIT
from tmebox_bench.results import ProgramResult, Results, compared, measured
from tmebox_bench.statistics import Spread
from tmebox_bench.targets import Measured

COLUMNS = columns.choose("gs-data,gs-code,gs-code-v3,r15-data,r15-code")


def same(value: float) -> Spread:
    return Spread(value, value, value)


def cpu(ratio: float, group: str = "calls") -> Results:
    """One program, which takes so many times as long in every column that is not native."""
    cells = {}
    for column in COLUMNS:
        native = column.kind == "native"
        samples = [1.0, 1.0] if native else [ratio, ratio]
        cells[column.key] = measured({"": samples}, {"": 1000 if native else 1250})
    return Results({"CPU": "imaginary"}, "tiny", 2, COLUMNS, (ProgramResult("fib", group, compared(cells)),))


def calls(scalar_s: float = 40e-9) -> CallResults:
    times = {
        "tmebox": {
            "scalar": same(scalar_s),
            "threads": same(7e-8),
            "callback": same(2e-7),
            "trap": same(7e-6),
        },
        "C extension": {"scalar": same(30e-9)},
        "cffi (API)": {"scalar": same(80e-9), "threads": same(8e-8)},
    }
    crossings = {AGAIN: same(12e-9), CALL: same(18e-9), TURNS: same(30e-9)}
    crossings |= {
        in_base(AGAIN, "r15"): same(11e-9),
        in_base(CALL, "r15"): same(18e-9),
        in_base(TURNS, "r15"): same(20e-9),
    }
    return CallResults({}, times, ("wasmtime-py: not installed",), {TIME_LIMIT: same(1.005)}, crossings)


def everything(ratio: float = 1.0, scalar_s: float = 40e-9) -> Measured:
    speeds = {"cold": same(3e6), "known": same(12e6), "again": same(90e6)}
    built = BuildResults({}, same(1.25), 1094, "sqlite", 1_000_000, speeds, ())
    lives = InstanceResults(
        {},
        {"tmebox": {"trivial": (9e-6, 9e-6)}},
        {"tmebox": Live(32_000, 32_000, "", 12_500.0, 12_000.0, 1e-5)},
        {"calls": same(1.9)},
        (),
    )
    return Measured(cpu(ratio), calls(scalar_s), built, lives)
