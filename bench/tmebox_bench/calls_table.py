"""The results of `tmebox bench calls` as a table: a row per operation, a column per peer."""

from __future__ import annotations

from tmebox_bench.calls import OPERATIONS, CallResults
from tmebox_bench.statistics import Spread
from tmebox_bench.tables import Table

UNITS = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s"))
"""Below so many seconds, multiply by this, and call it that."""


def calls_table(results: CallResults) -> Table:
    """Median times, with the least and greatest round."""
    names = list(results.times_s)
    rows = []
    for operation, title in OPERATIONS.items():
        cells = [results.times_s[name].get(operation) for name in names]
        rows.append((title, *("–" if cell is None else time_text(cell) for cell in cells)))
    return Table(("operation", *names), tuple(rows))


def crossings_table(results: CallResults) -> Table:
    """Entering and leaving in native code."""
    rows = [(how, time_text(found)) for how, found in results.crossings_s.items()]
    return Table(("in native code, registers cleared", "time"), tuple(rows))


def time_text(times_s: Spread) -> str:
    factor, unit = _unit(times_s.median)
    figures = (value * factor for value in (times_s.min, times_s.median, times_s.max))
    low, middle, high = (f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in figures)
    return f"{middle} {unit} ({low}–{high})"


def duration_text(duration_s: float) -> str:
    factor, unit = _unit(duration_s)
    return f"{duration_s * factor:.3g} {unit}"


def _unit(duration_s: float) -> tuple[float, str]:
    return next((factor, unit) for limit, factor, unit in UNITS if duration_s < limit)


def watched_table(results: CallResults) -> Table:
    """What being interruptible costs: run time over that of a call that nobody watches."""
    rows = [
        (how, f"{found.median:.3f} ({found.min:.2f}–{found.max:.2f})")
        for how, found in results.watched.items()
    ]
    return Table(("interruptible", "time over a call that is not"), tuple(rows))
