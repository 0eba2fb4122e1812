"""docs/benchmarks.md: the CPUs that `tmebox bench all` ran on, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tmebox_bench import building, calls, instances_report, results
from tmebox_bench.columns import BY_KEY
from tmebox_bench.machine import REMARK, WHEN, slug
from tmebox_bench.report import FOLDER
from tmebox_bench.results import Results
from tmebox_bench.tables import Table, markdown
from tmebox_bench.targets import TARGETS, Measured, bounds_text

OVERVIEW = "benchmarks.md"
_GROUPS = ("gs-data", "gs-code", "r15-code")
"""The columns whose groups stand side by side."""

_TEXT = """\
# Benchmarks

What sandboxing costs, on each CPU that `tmebox bench all` ran on. A CPU's own page has every program, peer
and spread, and how each figure is to be read. `tmebox bench all --report docs` on your machine adds yours.

{machines}

Ratios are over what stands beside them in the same run, so they can be compared between CPUs. Times cannot:
the machines differ in more than their CPUs.

## Targets

What this project set out to reach, and what each CPU's run reached. **Bold** is what missed its must.

{targets}

## CPU time over native code

Geometric means of each group of programs.

{groups}
"""


def overview_file(cpus: Mapping[str, Measured]) -> dict[str, str]:
    """benchmarks.md of what was measured, by slug: its contents by its name."""
    machines = [_machine(name, measured.cpu) for name, measured in cpus.items()]
    text = _TEXT.format(
        machines="\n".join(machines),
        targets=markdown(targets_table(cpus)),
        groups=markdown(groups_table(cpus)),
    )
    return {OVERVIEW: text}


def read_all(report: Path, new: Measured | None = None) -> dict[str, Measured]:
    """What the folders of a report directory hold, and instead of this CPU's, `new`: by slug, in order.

    Raises ValueError for a JSON document that is no result, with its path.
    """
    folders = sorted(path.parent for path in (report / FOLDER).glob("*/cpu.json"))
    found = {folder.name: _read(folder) for folder in folders}
    if new is not None:
        found[slug(new.cpu.machine["CPU"])] = new
    return dict(sorted(found.items()))


def targets_table(cpus: Mapping[str, Measured]) -> Table:
    """A row per target, a column per CPU."""
    rows = []
    for target in TARGETS:
        cells = []
        for measured in cpus.values():
            reached = target.value(measured)
            shown = "–" if reached is None else target.show(reached)
            cells.append(f"**{shown}**" if target.verdict(reached) == "missed" else shown)
        rows.append((target.what, *bounds_text(target), *cells))
    return Table(("figure", "must", "stretch", *cpus), tuple(rows))


def groups_table(cpus: Mapping[str, Measured]) -> Table:
    """A row per group of programs, and for all: each column of `_GROUPS` on each CPU."""
    columns = [(key, name) for key in _GROUPS for name in cpus]
    groups = dict.fromkeys(group for measured in cpus.values() for group in measured.cpu.groups)
    rows = []
    for group in (*groups, None):
        means = [cpus[name].cpu.geomean_of(key, group) for key, name in columns]
        texts = ("–" if mean is None else f"{mean:.3f}" for mean in means)
        rows.append((group or "all, geometric mean", *texts))
    labels = (f"{BY_KEY[key].label}, {name}" for key, name in columns)
    return Table(("group", *labels), tuple(rows))


def _machine(name: str, measured: Results) -> str:
    facts = [measured.machine[fact] for fact in ("CPU", WHEN, REMARK) if fact in measured.machine]
    return f"- [{name}]({FOLDER}/{name}.md): {', '.join(facts)}"


def _read(folder: Path) -> Measured:
    def part(name: str) -> str | None:
        path = folder / name
        return path.read_text() if path.exists() else None

    built, lives = part("build.json"), part("instances.json")
    try:
        return Measured(
            results.from_json((folder / "cpu.json").read_text()),
            calls.from_json((folder / "calls.json").read_text()),
            None if built is None else building.from_json(built),
            None if lives is None else instances_report.from_json(lives),
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: {error}") from None
