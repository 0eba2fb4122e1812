"""The results of `tmebox bench cpu` as rows of text, for the terminal and for Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox_bench.columns import BY_KEY
from tmebox_bench.results import Cell, ProgramResult, Results

MISSING = "missing"
FAILED = "FAILED"


@dataclass(frozen=True)
class Table:
    """headings and rows of equal length; the first column is names, the others are numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def program_table(results: Results) -> Table:
    """A row per program: native times, and the other columns as ratios with their spread."""
    headings = ["program", *(column.label for column in results.shown_columns)]
    return Table(tuple(headings), tuple(program_row(results, program) for program in results.programs))


def program_row(results: Results, program: ProgramResult) -> tuple[str, ...]:
    keys = [column.key for column in results.shown_columns]
    return (program.name, *(cell_text(program.cells[key], key) for key in keys))


def brief(program: ProgramResult) -> str:
    """One line: "name: gs data 1.01, gs code+data 1.02, wasmtime missing"."""
    texts = []
    for key, cell in program.cells.items():
        if BY_KEY[key].kind != "native" or cell.failure:
            worth = f"{cell.ratio.median:.3f}" if cell.ratio else FAILED if cell.failure else MISSING
            texts.append(f"{BY_KEY[key].label} {worth}")
    return f"{program.name}: {', '.join(texts) or 'native only'}"


def cell_text(cell: Cell, key: str) -> str:
    """Native: median time and which build it is. Others: median ratio, and the least and greatest."""
    if cell.failure:
        return FAILED
    if cell.missing or cell.median_s is None:
        return MISSING
    if BY_KEY[key].kind == "native":
        return f"{cell.median_s * 1000:.0f} ms {cell.chosen}"
    if cell.ratio is None:
        return MISSING
    return f"{cell.ratio.median:.3f} ({cell.ratio.min:.2f}–{cell.ratio.max:.2f})"


def summary_table(results: Results) -> Table:
    """A row per group, then all programs, then the size of the code; columns are those with ratios."""
    columns = [column for column in results.shown_columns if column.kind != "native"]
    rows = []
    for group in (*results.groups, None):
        count = sum(group in (None, program.group) for program in results.programs)
        cells = [_mean_text(results, column.key, group, count) for column in columns]
        rows.append((group or "all, geometric mean", *cells))
    worst = [max(results.ratios_of(column.key), default=None) for column in columns]
    rows.append(("worst program", *("–" if value is None else f"{value:.3f}" for value in worst)))
    sizes = [results.text_ratio_of(column.key) for column in columns]
    rows.append(("size of machine code", *("–" if value is None else f"{value:.2f} ×" for value in sizes)))
    return Table(("group", *(column.label for column in columns)), tuple(rows))


def _mean_text(results: Results, key: str, group: str | None, count: int) -> str:
    mean, found = results.geomean_of(key, group), len(results.ratios_of(key, group))
    if mean is None:
        return "–"
    return f"{mean:.3f}" if found == count else f"{mean:.3f} (of {found})"


def size_table(results: Results) -> Table:
    """Machine code per program, libc included: native KiB, and the other columns as multiples of theirs."""
    columns = [column for column in results.shown_columns if column.kind != "wasm"]
    rows = []
    for program in results.programs:
        texts = [_size_text(program, column.key) for column in columns]
        rows.append((program.name, *texts))
    return Table(("program", *(column.label for column in columns)), tuple(rows))


def _size_text(program: ProgramResult, key: str) -> str:
    cell, baseline = program.cells[key], program.cells.get(BY_KEY[key].baseline)
    if not cell.text_bytes:
        return FAILED if cell.failure else MISSING
    if BY_KEY[key].kind == "native":
        return f"{cell.text_bytes / 1024:.0f} KiB"
    if baseline is None or not baseline.text_bytes:
        return MISSING
    return f"{cell.text_bytes / baseline.text_bytes:.2f} ×"


def missing_notes(results: Results) -> list[str]:
    """What is missing and why, once per reason."""
    programs: dict[tuple[str, str], list[str]] = {}
    for program in results.programs:
        for key, cell in program.cells.items():
            if cell.missing:
                programs.setdefault((cell.missing, BY_KEY[key].label), []).append(program.name)
    by_reason: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (reason, label), names in programs.items():
        by_reason.setdefault((reason, tuple(names)), []).append(label)
    notes = []
    for (reason, who_lacks), labels in by_reason.items():
        who = "all programs" if len(who_lacks) == len(results.programs) else ", ".join(who_lacks)
        where = "every column" if len(labels) == len(results.columns) else ", ".join(labels)
        notes.append(f"{who} in {where}: {reason}")
    return notes


def markdown(table: Table) -> str:
    """A Markdown table, numbers to the right."""
    lines = [table.headings, ("---", *("---:" for _ in table.headings[1:])), *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
