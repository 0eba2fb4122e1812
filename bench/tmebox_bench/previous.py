"""What changed against an earlier run, by its JSON: `tmebox bench cpu --vs-previous FILE`."""

from __future__ import annotations

from tmebox_bench.columns import Column
from tmebox_bench.machine import WHEN
from tmebox_bench.results import Cell, Results
from tmebox_bench.statistics import geomean
from tmebox_bench.tables import Table

CLEAR = 0.01
"""Changes of a mean below this are not marked."""


def change_table(now: Results, before: Results) -> Table:
    """A row per program that both runs have, then the mean over them: "before → now" by column.

    A program's change is marked where the two runs' spreads do not overlap.
    """
    columns = [c for c in now.shown_columns if c.kind != "native" and c in before.shown_columns]
    earlier = {program.name: program for program in before.programs}
    rows = []
    for program in now.programs:
        if program.name in earlier:
            pairs = [(earlier[program.name].cells.get(c.key), program.cells.get(c.key)) for c in columns]
            rows.append((program.name, *(_cell_text(*pair) for pair in pairs)))
    rows.append(("geometric mean of both's", *(_mean_text(now, before, column) for column in columns)))
    return Table(("program", *(column.label for column in columns)), tuple(rows))


def machine_note(now: Results, before: Results) -> str:
    """Why the two may not be compared: other facts about the machine or the run. Empty if there is none."""
    facts = {"size": (before.size, now.size), "rounds": (str(before.rounds), str(now.rounds))}
    names = (now.machine.keys() | before.machine.keys()) - {WHEN}
    facts |= {name: (before.machine.get(name, "–"), now.machine.get(name, "–")) for name in sorted(names)}
    parts = [f"{name} {old} → {new}" for name, (old, new) in facts.items() if old != new]
    return "; ".join(parts)


def _cell_text(before: Cell | None, now: Cell | None) -> str:
    if before is None or now is None or before.ratio is None or now.ratio is None:
        return "–"
    apart = before.ratio.max < now.ratio.min or now.ratio.max < before.ratio.min
    return _arrow(before.ratio.median, now.ratio.median, apart)


def _mean_text(now: Results, before: Results, column: Column) -> str:
    pairs = _pairs(now, before, column.key)
    if not pairs:
        return "–"
    old, new = (geomean(values) for values in zip(*pairs, strict=True))
    return _arrow(old, new, abs(new / old - 1) >= CLEAR)


def _pairs(now: Results, before: Results, key: str) -> list[tuple[float, float]]:
    earlier = {program.name: program.cells.get(key) for program in before.programs}
    found = []
    for program in now.programs:
        old, new = earlier.get(program.name), program.cells.get(key)
        if old is not None and new is not None and old.ratio is not None and new.ratio is not None:
            found.append((old.ratio.median, new.ratio.median))
    return found


def _arrow(old: float, new: float, marked: bool) -> str:
    sign = ("▲" if new > old else "▼") if marked else " "
    return f"{old:.3f} → {new:.3f} {sign}"
