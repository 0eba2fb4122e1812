"""`tmebox stub FILE`: what a module exports, for type checkers and editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tmebox.cli.output import progress


def stub(
    file: Annotated[
        Path, typer.Argument(help="A module (.tbx), or a C file to compile first.", metavar="FILE")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT.pyi", help="Where to write it; - is standard output."),
    ] = Path("-"),
) -> None:
    """Write a typed stub of a module: a subclass of Sandbox with one method for each export.

    As OUT.py instead of OUT.pyi, programs can import the class as well, and make sandboxes of it.
    """
    from tmebox.cli.program import read_program
    from tmebox.outputs import write_output
    from tmebox.runtime.calls.stubs import stub as source_of_stub
    from tmebox.runtime.module import INITIALIZER

    with progress() as report:
        module = read_program(file, report=report)
    exports = [(export.name, export.prototype) for export in module.exports if export.name != INITIALIZER]
    source = source_of_stub(exports, name=file.stem, by_clang=module.base != "r15")
    write_output(output, source.encode())
