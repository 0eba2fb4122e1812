"""Options that several commands of `tmebox bench` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Quick = Annotated[
    bool, typer.Option("--quick", help="Do a fifth of the work, three rounds: for a first look.")
]
Rounds = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Measured rounds. [default: 5, with --quick 3]")
]
Columns = Annotated[
    str | None, typer.Option(metavar="KEY,…", help="Only these columns: native, gs-data, gs-code, …")
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write everything measured as JSON.")
]
Charts = Annotated[
    Path | None, typer.Option("--charts", metavar="DIR", help="Write SVG charts into this directory.")
]
