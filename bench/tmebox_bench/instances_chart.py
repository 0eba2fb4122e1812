"""The chart of `tmebox bench instances`: time of one life, per operation and peer, on a logarithmic axis."""

from __future__ import annotations

import math
from html import escape

from tmebox_bench.calls_table import time_text
from tmebox_bench.charts import FONT
from tmebox_bench.instances import OPERATIONS, InstanceResults
from tmebox_bench.statistics import Spread

COLORS = {"tmebox": "#1f4e8c", "wasmtime-py": "#7aa6d8", "process": "#999999", "os.fork": "#cccccc"}
OTHER_COLOR = "#c0392b"
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 900, 330, 130, 64, 40
BAR, GAP = 15, 14
"""Pixels: height of a bar, space between operations."""


def chart(results: InstanceResults) -> str:
    """An SVG document: a bar per peer and operation as long as the median's logarithm, and a line from the
    least round to the greatest."""
    groups = [
        (title, bars)
        for operation, title in OPERATIONS.items()
        if (bars := [(n, t) for n in results.samples_s if (t := results.times_s(n, operation)) is not None])
    ]
    height = TOP + sum(BAR * len(bars) + GAP for _, bars in groups) + BOTTOM
    times = [time for _, bars in groups for _, taken in bars for time in (taken.min, taken.max)]
    scale = _Scale(min(times, default=1e-6), max(times, default=1e-3))
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
        f"viewBox='0 0 {WIDTH} {height}' {FONT} font-size='11'>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        _text(16, 22, "Instances: time of one operation", "start", "font-size='14' font-weight='bold'"),
        *_legend(results),
        *_axis(scale, height),
    ]
    y = TOP
    for title, bars in groups:
        parts.append(_text(LEFT - 8, y + BAR * len(bars) / 2 + 4, title, "end"))
        for name, taken in bars:
            parts += _bar(y, name, taken, scale)
            y += BAR
        y += GAP
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Seconds to pixels, over whole decades."""

    def __init__(self, least_s: float, greatest_s: float) -> None:
        self.low = math.floor(math.log10(least_s))
        self.high = max(self.low + 1, math.ceil(math.log10(greatest_s)))

    def x(self, time_s: float) -> float:
        share = (math.log10(time_s) - self.low) / (self.high - self.low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def _axis(scale: _Scale, height: int) -> list[str]:
    parts = []
    for decade in scale.decades():
        x = scale.x(decade)
        parts.append(f"<line x1='{x}' y1='{TOP - 6}' x2='{x}' y2='{height - BOTTOM}' stroke='#ddd'/>")
        parts.append(_text(x, height - BOTTOM + 16, _short(decade), "middle"))
    return parts


def _bar(y: float, name: str, taken: Spread, scale: _Scale) -> list[str]:
    end, middle, title = scale.x(taken.median), y + BAR / 2, escape(f"{name}: {time_text(taken)}")
    return [
        f"<rect x='{LEFT}' y='{y + 1}' width='{round(end - LEFT, 1)}' height='{BAR - 2}' "
        f"fill='{COLORS.get(name, OTHER_COLOR)}'><title>{title}</title></rect>",
        f"<line x1='{scale.x(taken.min)}' y1='{middle}' x2='{scale.x(taken.max)}' y2='{middle}' "
        "stroke='#c0392b'/>",
        _text(scale.x(taken.max) + 6, middle + 4, _short(taken.median), "start"),
    ]


def _short(time_s: float) -> str:
    return time_text(Spread(time_s, time_s, time_s)).split(" (")[0]


def _legend(results: InstanceResults) -> list[str]:
    parts, x = [], 16
    for name in results.samples_s:
        parts.append(f"<rect x='{x}' y='34' width='11' height='11' fill='{COLORS.get(name, OTHER_COLOR)}'/>")
        parts.append(_text(x + 16, 44, name, "start"))
        x += 110
    return parts


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f"<text x='{x}' y='{y}' text-anchor='{anchor}' {more}>{escape(text)}</text>"
