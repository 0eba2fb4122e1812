"""`tmebox bind HEADER --sources … -o NAME`: a C library as a Python package, in a sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tmebox.cli.output import progress


def bind(
    header: Annotated[Path, typer.Argument(help="The library's public header.", metavar="HEADER")],
    sources: Annotated[
        list[Path],
        typer.Option("--sources", "-s", help="A C source, or a directory of them; may be repeated."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="NAME", help="Where the package goes; its name is the last part."
        ),
    ],
    more: Annotated[list[Path] | None, typer.Argument(help="More sources.", metavar="[SOURCE]...")] = None,
    include: Annotated[
        list[Path] | None, typer.Option("--include", "-I", help="A directory to include from.")
    ] = None,
    define: Annotated[list[str] | None, typer.Option("--define", "-D", help="NAME or NAME=VALUE.")] = None,
    flag: Annotated[
        list[str] | None, typer.Option("--flag", help="A further option of the compiler.")
    ] = None,
    optimize: Annotated[str, typer.Option("--optimize", "-O", help="-O0 to -O3, or -Os.")] = "-O2",
) -> None:
    """Make a Python package of a C library: a verified module, typed functions, constants.

    Its `open()` makes a sandbox with one method for each function that the header declares.
    """
    from tmebox.binding.bind import bind as bind_library
    from tmebox.binding.bind import exports_of
    from tmebox.binding.package import write_package

    with progress() as report:
        bound = bind_library(
            header, [*sources, *(more or ())], output.name, include_dirs=include or (), defines=define or (),
            flags=["-w", *(flag or ())], optimize=optimize, progress=report,
        )  # fmt: skip
    write_package(bound, output)
    print(f"{output}: {len(exports_of(bound))} functions, {len(bound.constants)} constants")
