"""A shared heap to look at: its pages as rows of 64 lines, each line in its owner's letter and colour."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

from tmebox import abi

FREE, HOST, MANY = ".", "#", "+"
COLOURS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#9c755f", "#ff9da7",
    "#86bcb6", "#d37295", "#8cd17d",
)  # fmt: skip
HOST_COLOUR, FREE_COLOUR = "#bab0ac", "#f4f4f4"
MOST_ROWS = 256
CELL_WIDTH, CELL_HEIGHT, LEFT, TOP = 9, 16, 96, 24
FREE_CELL = -1


@dataclass(frozen=True)
class PageRow:
    """Pages that look alike, one behind the other. offset: of the first, in windows. cells: the owner's key
    for each of 64 lines, 0 for the host, -1 for what is free."""

    offset: int
    pages: int
    cells: tuple[int, ...]


@dataclass(frozen=True)
class HeapPicture:
    """What `SharedHeap.show()` saw. `print` it; in notebooks it is drawn; `svg()` gives the drawing.

    owners: what to say of each key. free_pages: how many are in nobody's block; they have no row.
    hidden_pages: how many more have blocks than there are rows for.
    """

    rows: tuple[PageRow, ...]
    owners: Mapping[int, str]
    free_pages: int
    hidden_pages: int = 0
    title: str = ""

    def letters(self) -> dict[int, str]:
        """Of each key: a to z, then A to Z, then +."""
        names = ascii_lowercase + ascii_uppercase
        keys = [key for key in self.owners if key > 0]
        known = {key: names[index] if index < len(names) else MANY for index, key in enumerate(keys)}
        return {FREE_CELL: FREE, 0: HOST, **known}

    def colours(self) -> dict[int, str]:
        """Of each key, as #rrggbb. With more keys than colours, some have the same."""
        keys = [key for key in self.owners if key > 0]
        known = {key: COLOURS[index % len(COLOURS)] for index, key in enumerate(keys)}
        return {FREE_CELL: FREE_COLOUR, 0: HOST_COLOUR, **known}

    def legend(self) -> Iterator[tuple[int, str]]:
        """Keys, and what to say of them."""
        yield from self.owners.items()
        yield FREE_CELL, f"free, and {self.free_pages:,} pages more"

    def notes(self) -> Iterator[str]:
        if self.hidden_pages:
            yield f"… and {self.hidden_pages:,} more pages with blocks"

    def __str__(self) -> str:
        letters = self.letters()
        lines = [self.title] if self.title else []
        for row in self.rows:
            lines.append(f"{row.offset:#x}  {''.join(letters[key] for key in row.cells)}{_times(row)}")
        lines += self.notes()
        lines += [f"{letters[key]} {text}" for key, text in self.legend()]
        return "\n".join(lines)

    __repr__ = __str__

    def __rich_console__(self, console: object, options: object) -> Iterator[str]:
        """In colours, where rich draws on a terminal that has them."""
        letters, colours = self.letters(), self.colours()
        if self.title:
            yield f"[bold]{self.title}[/]"
        for row in self.rows:
            runs = "".join(
                f"[#000000 on {colours[key]}]{letters[key] * count}[/]" for key, count in _runs(row.cells)
            )
            yield f"{row.offset:#x}  {runs}{_times(row)}"
        yield from self.notes()
        for key, text in self.legend():
            yield f"[#000000 on {colours[key]}]{letters[key]}[/] {text}"

    def svg(self) -> str:
        """An SVG document."""
        colours, legend = self.colours(), list(self.legend())
        width = LEFT + CELL_WIDTH * abi.SHARED_PAGE_LINES + 70
        height = TOP + (CELL_HEIGHT + 2) * len(self.rows) + 18 * (len(legend) + 1) + 8
        parts = [
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
            f"viewBox='0 0 {width} {height}' font-family='sans-serif' font-size='12'>",
            f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
            f"<text x='4' y='15' font-weight='bold'>{html.escape(self.title)}</text>",
        ]
        y = TOP
        for row in self.rows:
            parts.append(f"<text x='4' y='{y + 12}' font-family='monospace'>{row.offset:#x}</text>")
            x = LEFT
            for key, count in _runs(row.cells):
                for _ in range(count):
                    parts.append(
                        f"<rect x='{x}' y='{y}' width='{CELL_WIDTH - 1}' height='{CELL_HEIGHT}' "
                        f"fill='{colours[key]}'/>"
                    )
                    x += CELL_WIDTH
            parts.append(f"<text x='{x + 4}' y='{y + 12}'>{_times(row).strip()}</text>")
            y += CELL_HEIGHT + 2
        for key, text in legend:
            y += 18
            parts.append(f"<rect x='4' y='{y - 11}' width='12' height='12' fill='{colours[key]}'/>")
            parts.append(f"<text x='22' y='{y}'>{html.escape(text)}</text>")
        return "\n".join([*parts, "</svg>", ""])

    def _repr_html_(self) -> str:
        return self.svg()


def _times(row: PageRow) -> str:
    return f"  × {row.pages:,}" if row.pages > 1 else ""


def _runs(cells: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Neighbours of one owner: the key, how many."""
    start = 0
    for index in range(1, len(cells) + 1):
        if index == len(cells) or cells[index] != cells[start]:
            yield cells[start], index - start
            start = index


def rows_of(owners: memoryview, used: memoryview) -> Iterator[PageRow]:
    """owners: a key of two bytes for each line; used: a mask of 64 bits for each page, bit i for line i."""
    lines = abi.SHARED_PAGE_LINES
    last: PageRow | None = None
    for page, mask in enumerate(used):
        if not mask:
            continue
        keys = owners[page * lines : (page + 1) * lines]
        cells = tuple(key if mask >> line & 1 else FREE_CELL for line, key in enumerate(keys))
        offset = abi.SHARED_START + page * abi.PAGE_SIZE
        if last is not None and last.cells == cells and last.offset + last.pages * abi.PAGE_SIZE == offset:
            last = PageRow(last.offset, last.pages + 1, cells)
            continue
        if last is not None:
            yield last
        last = PageRow(offset, 1, cells)
    if last is not None:
        yield last
