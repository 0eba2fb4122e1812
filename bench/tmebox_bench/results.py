"""What a run of `tmebox bench cpu` found, as values and as JSON.

The JSON document (`--json FILE`):

    {"schema": 1,
     "machine": {"cpu": …, "kernel": …, "python": …, "tmebox": …, …},      facts by name, text
     "size": "full" | "quick" | "tiny", "rounds": 5,
     "columns": [{"key": …, "label": …, "baseline": KEY}, …],
     "programs": [
       {"name": …, "group": …,
        "cells": {KEY: {
          "samples_s": {LABEL: [CPU seconds, one per round], …},      a native column has "non-PIE" and "PIE"
          "chosen": LABEL,                                            the build with the lower median
          "text_bytes": …,                                            machine code, libc included; 0: unknown
          "ratio": {"min": …, "median": …, "max": …} | null,          to the baseline's chosen build, by round
          "missing": "why it could not run here" | "",
          "failure": "what went wrong" | ""}}}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tmebox.outputs import write_output
from tmebox_bench.columns import BY_KEY, Column
from tmebox_bench.statistics import Spread, geomean, ratios, spread

SCHEMA = 1


@dataclass(frozen=True)
class Cell:
    """One program in one column. See the module's docstring for the fields."""

    samples_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    chosen: str = ""
    text_bytes: int = 0
    ratio: Spread | None = None
    missing: str = ""
    failure: str = ""

    @property
    def median_s(self) -> float | None:
        samples = self.samples_s.get(self.chosen)
        return spread(samples).median if samples else None


@dataclass(frozen=True)
class ProgramResult:
    """cells: by column key."""

    name: str
    group: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Results:
    machine: Mapping[str, str]
    size: str
    rounds: int
    columns: tuple[Column, ...]
    programs: tuple[ProgramResult, ...]

    @property
    def failures(self) -> list[str]:
        """Every mismatch and every program that did not run, in words."""
        return [
            f"{program.name}, {BY_KEY[key].label}: {cell.failure}"
            for program in self.programs
            for key, cell in program.cells.items()
            if cell.failure
        ]

    @property
    def shown_columns(self) -> tuple[Column, ...]:
        """Columns that at least one program did not miss."""
        return tuple(
            column
            for column in self.columns
            if any(column.key in p.cells and not p.cells[column.key].missing for p in self.programs)
        )

    def ratios_of(self, key: str, group: str | None = None) -> list[float]:
        """Median ratios of a column, of the programs (of a group) that have one."""
        chosen = (program for program in self.programs if group in (None, program.group))
        cells = (program.cells.get(key) for program in chosen)
        return [cell.ratio.median for cell in cells if cell is not None and cell.ratio is not None]

    def geomean_of(self, key: str, group: str | None = None) -> float | None:
        """Geometric mean of a column's ratios; None where no program has one."""
        found = self.ratios_of(key, group)
        return geomean(found) if found else None

    def text_ratio_of(self, key: str) -> float | None:
        """Geometric mean of the machine code's size over that of the baseline."""
        pairs = (
            (program.cells[key].text_bytes, program.cells[BY_KEY[key].baseline].text_bytes)
            for program in self.programs
            if key in program.cells and BY_KEY[key].baseline in program.cells
        )
        found = [size / baseline for size, baseline in pairs if size and baseline]
        return geomean(found) if found else None

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(program.group for program in self.programs))


def measured(samples_s: Mapping[str, Sequence[float]], text_bytes: Mapping[str, int]) -> Cell:
    """A cell from samples and sizes by label; `compared` adds its ratio."""
    chosen = min(samples_s, key=lambda label: spread(samples_s[label]).median)
    return Cell(samples_s, chosen, text_bytes[chosen])


def compared(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """The cells of a program with the ratios that their samples give."""
    return {key: _with_ratio(cell, cells.get(BY_KEY[key].baseline)) for key, cell in cells.items()}


def _with_ratio(cell: Cell, baseline: Cell | None) -> Cell:
    if baseline is None or not cell.samples_s or not baseline.samples_s:
        return cell
    ratio = ratios(cell.samples_s[cell.chosen], baseline.samples_s[baseline.chosen])
    return Cell(cell.samples_s, cell.chosen, cell.text_bytes, ratio, cell.missing, cell.failure)


def to_json(results: Results) -> str:
    """The document that the module's docstring describes."""
    document = {
        "schema": SCHEMA,
        "machine": dict(results.machine),
        "size": results.size,
        "rounds": results.rounds,
        "columns": [{"key": c.key, "label": c.label, "baseline": c.baseline} for c in results.columns],
        "programs": [
            {
                "name": program.name,
                "group": program.group,
                "cells": {key: asdict(cell) for key, cell in program.cells.items()},
            }
            for program in results.programs
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def from_json(text: str) -> Results:
    """Raises ValueError for what `to_json` did not write."""
    document = json.loads(text)
    try:
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']!r}, not {SCHEMA}")
        return Results(
            document["machine"],
            document["size"],
            document["rounds"],
            tuple(BY_KEY[column["key"]] for column in document["columns"]),
            tuple(program_from(item) for item in document["programs"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a benchmark result: {error!r}") from None


def program_from(item: Mapping[str, Any]) -> ProgramResult:
    """Of its fields in the document. Raises KeyError or TypeError for others."""
    cells = {}
    for key, fields in item["cells"].items():
        ratio = fields["ratio"]
        cells[key] = Cell(**{**fields, "ratio": None if ratio is None else Spread(**ratio)})
    return ProgramResult(item["name"], item["group"], cells)


def write_all(files: Mapping[Path, str]) -> None:
    """Write files so that nobody, whatever interrupts, finds half of one: each appears at once, complete."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_output(path, text.encode("utf-8"))
