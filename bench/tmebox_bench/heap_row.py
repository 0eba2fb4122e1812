"""A figure of the benchmark of the shared heap, beside what it has to be."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox_bench.statistics import Spread


@dataclass(frozen=True)
class Row:
    """got: in the unit: ns, bytes, ×, %, B/s, /s or a count (""). must: at most, or with at_least at least;
    None: only shown."""

    what: str
    unit: str
    got: Spread
    must: float | None = None
    at_least: bool = False

    @property
    def meets(self) -> bool | None:
        if self.must is None:
            return None
        return self.got.median >= self.must if self.at_least else self.got.median <= self.must


def text(value: float, unit: str) -> str:
    """With its unit: 65 ns, 3.61 µs, 5.2 ms; 17.6 KB; 0.43 ×; 1.1 GB/s; 0.31 M/s."""
    if unit == "ns":
        for limit, scale, name in ((1e3, 1.0, "ns"), (1e6, 1e3, "µs"), (float("inf"), 1e6, "ms")):
            if abs(value) < limit:
                return f"{value / scale:.{0 if scale == 1 else 2}f} {name}"
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB" if value >= 1e6 else f"{value / 1e3:.1f} KB"
    if unit == "B/s":
        return f"{value / 1e9:.2f} GB/s"
    if unit == "/s":
        return f"{value / 1e6:.3f} M/s"
    if unit == "×":
        return f"{value:.3f} ×" if value < 10 else f"{value:.1f} ×"
    if unit == "%":
        return f"{value:.0f} %"
    return f"{value:,.0f}"
