"""Charts as SVG, in the form of the paper's figures 7 and 8: two bars per program, overhead in percent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tmebox_bench import paper
from tmebox_bench.results import Results

COLORS = {"data": "#7aa6d8", "code+data": "#1f4e8c"}
PAPER_COLOR = "#c0392b"
HEIGHT, TOP, BOTTOM, LEFT, RIGHT = 420, 56, 110, 56, 150
SLOT, BAR = 30, 12
"""Pixels: room per program, width of a bar."""
FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass(frozen=True)
class Bars:
    """Overheads of one program (or a geometric mean) in percent; None where there is no measurement."""

    name: str
    data: float | None
    code_and_data: float | None


def bars(results: Results, base: str) -> list[Bars]:
    """One entry per program that has a value, then the geometric mean. Empty if the base was not measured."""
    keys = (f"{base}-data", f"{base}-code")
    found = []
    for program in results.programs:
        cells = [program.cells.get(key) for key in keys]
        values = [percent(cell.ratio.median) if cell and cell.ratio else None for cell in cells]
        if any(value is not None for value in values):
            found.append(Bars(program.name, *values))
    if found:
        means = [results.geomean_of(key) for key in keys]
        found.append(Bars("geomean", *(None if mean is None else percent(mean) for mean in means)))
    return found


def percent(ratio: float) -> float:
    """Overhead of a ratio of run times."""
    return (ratio - 1) * 100


def charts(results: Results) -> dict[str, str]:
    """SVG documents by file name: one per base that was measured."""
    found = {}
    for base in paper.GEOMEANS:
        entries = bars(results, base)
        if entries:
            title = f"{base}-mode: CPU time over native, same compiler and options (-O2)"
            found[f"overhead-{base}.svg"] = chart(entries, title, base)
    return found


def chart(entries: Sequence[Bars], title: str, base: str) -> str:
    """An SVG document. The paper's geometric means for `base` are dashed lines."""
    reference = paper.GEOMEANS[base]
    values = [value for entry in entries for value in (entry.data, entry.code_and_data) if value is not None]
    scale = _Scale(min([0.0, *values]), max([reference.code_and_data, *values]))
    width = LEFT + SLOT * len(entries) + SLOT // 2 + RIGHT
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{HEIGHT}' "
        f"viewBox='0 0 {width} {HEIGHT}' {FONT} font-size='11'>",
        f"<rect width='{width}' height='{HEIGHT}' fill='white'/>",
        _text(LEFT, 22, title, "start", "font-size='14' font-weight='bold'"),
        *_legend(),
        *_axis(scale, width),
    ]
    for index, entry in enumerate(entries):
        x = LEFT + SLOT * index + (SLOT // 2 if entry.name == "geomean" else 0)
        parts += _pair(x, entry, scale)
    for label, value in (("data", reference.data), ("code+data", reference.code_and_data)):
        y = scale.y(value)
        parts.append(
            f"<line x1='{LEFT}' y1='{y}' x2='{width - RIGHT}' y2='{y}' stroke='{PAPER_COLOR}' "
            "stroke-dasharray='5 4'/>"
        )
        parts.append(
            _text(width - RIGHT + 6, y + 4, f"paper, {label}: {value:g} %", "start", f"fill='{PAPER_COLOR}'")
        )
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Percent to pixels, over whole steps."""

    def __init__(self, low: float, high: float) -> None:
        self.step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if (high - low) / step <= 12), 500)
        self.low = int(low // self.step) * self.step
        self.high = -int(-high // self.step) * self.step

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def ticks(self) -> range:
        return range(self.low, self.high + 1, self.step)


def _axis(scale: _Scale, width: int) -> list[str]:
    parts = []
    for tick in scale.ticks():
        y = scale.y(tick)
        color = "#333" if tick == 0 else "#ddd"
        parts.append(f"<line x1='{LEFT}' y1='{y}' x2='{width - RIGHT}' y2='{y}' stroke='{color}'/>")
        parts.append(_text(LEFT - 6, y + 4, f"{tick} %", "end"))
    return parts


def _pair(x: float, entry: Bars, scale: _Scale) -> list[str]:
    parts = []
    for index, (label, value) in enumerate((("data", entry.data), ("code+data", entry.code_and_data))):
        if value is None:
            continue
        top, foot = sorted((scale.y(0), scale.y(value)))
        parts.append(
            f"<rect x='{x + 3 + BAR * index}' y='{top}' width='{BAR}' height='{round(foot - top, 1)}' "
            f"fill='{COLORS[label]}'><title>{escape(entry.name)}, {label}: {value:+.1f} %</title></rect>"
        )
    middle, foot = x + SLOT / 2, HEIGHT - BOTTOM + 14
    weight = "font-weight='bold' " if entry.name == "geomean" else ""
    parts.append(
        f"<text x='{middle}' y='{foot}' text-anchor='end' {weight}transform='rotate(-60 {middle} {foot})'>"
        f"{escape(entry.name)}</text>"
    )
    return parts


def _legend() -> list[str]:
    parts, x = [], LEFT
    for label, color in COLORS.items():
        parts.append(f"<rect x='{x}' y='32' width='11' height='11' fill='{color}'/>")
        parts.append(_text(x + 16, 42, label, "start"))
        x += 90
    return parts


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f"<text x='{x}' y='{y}' text-anchor='{anchor}' {more}>{escape(text)}</text>"
