"""`tmebox bind HEADER --sources … -o NAME`: a C library as a Python package, in a sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tmebox.cli.output import printable, progress
from tmebox.cli.sizes import checked_seconds


def bind(
    header: Annotated[Path, typer.Argument(help="The library's public header.", metavar="HEADER")],
    sources: Annotated[
        list[Path],
        typer.Option(
            "--sources",
            "-s",
            help="A C source, a directory of them, a compile_commands.json, or an archive that `tmebox cc` "
            "made; may be repeated. Paths may go through a source archive: lz4.tar.gz/lib.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="NAME", help="Where the package goes; its name is the last part."
        ),
    ],
    more: Annotated[
        list[Path] | None, typer.Argument(help="More headers and sources.", metavar="[FILE]...")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out sources of that name, such as '*_test.c'."),
    ] = None,
    generated: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="What a build makes, and what stands for it here."),
    ] = None,
    include: Annotated[
        list[Path] | None, typer.Option("--include", "-I", help="A directory to include from.")
    ] = None,
    define: Annotated[list[str] | None, typer.Option("--define", "-D", help="NAME or NAME=VALUE.")] = None,
    flag: Annotated[
        list[str] | None, typer.Option("--flag", help="A further option of the compiler.")
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", callback=checked_seconds, help="What compiling one source may take."),
    ] = 600.0,
    optimize: Annotated[str, typer.Option("--optimize", "-O", help="-O0 to -O3, or -Os.")] = "-O2",
) -> None:
    """Make a Python package of a C library: a verified module, typed functions, constants.

    Its `open()` makes a sandbox with one method for each function that the header declares.
    """
    from tmebox.binding.bind import bind as bind_library
    from tmebox.binding.bind import exports_of, imports_of
    from tmebox.binding.package import write_package
    from tmebox.binding.sources import is_header

    headers = [header, *(path for path in more or () if is_header(path))]
    others = [path for path in more or () if path not in headers]
    made = dict(_pair(text) for text in generated or ())
    with progress() as report:
        bound = bind_library(
            headers, [*sources, *others], output.name, include_dirs=include or (), defines=define or (),
            flags=["-w", *(flag or ())], optimize=optimize, without=without or (), generated=made,
            timeout=timeout, progress=report,
        )  # fmt: skip
    write_package(bound, output)
    print(f"{output}: {len(exports_of(bound))} functions, {len(bound.constants)} constants")
    needed = imports_of(bound)
    if needed:
        print(f"needs of the host, as open(imports={{...}}): {', '.join(map(printable, needed))}")


def _pair(text: str) -> tuple[str, Path]:
    """NAME=FILE."""
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise typer.BadParameter(f"{text!r}: NAME=FILE is expected", param_hint="--generated")
    return name, Path(file)
