"""Tables and failures on the terminal, and how often commands measure if nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.table import Table as RichTable

from tmebox.cli.output import EXIT_FAILED, complain, printable, stdout

if TYPE_CHECKING:
    from tmebox_bench.tables import Table

QUICK_ROUNDS = 3
ROUNDS = 5


def show(table: Table) -> None:
    shown = RichTable(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if index else "left")
    for row in table.rows:
        shown.add_row(*map(printable, row))
    out = stdout()
    out.print(shown)
    out.print()


def fail_for(failures: Sequence[str]) -> None:
    for failure in failures:
        complain(failure, label="benchmark failed")
    if failures:
        raise typer.Exit(EXIT_FAILED)


def rounds_of(rounds: int | None, quick: bool) -> int:
    return rounds or (QUICK_ROUNDS if quick else ROUNDS)
