"""`tmebox pack PACKAGE`: a boxed library as a wheel that needs no compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tmebox.cli.output import size


def pack(
    package: Annotated[
        Path,
        typer.Argument(
            help="A package that `tmebox bind` made.", metavar="PACKAGE", exists=True, file_okay=False
        ),
    ],
    version: Annotated[
        str, typer.Option("--version", help="The wheel's version, such as that of the library.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIRECTORY", help="Where the wheel goes.")
    ] = Path("dist"),
    license_file: Annotated[
        list[Path] | None,
        typer.Option("--license-file", help="A licence that goes with it; may be repeated.", dir_okay=False),
    ] = None,
) -> None:
    """Make a wheel of a boxed library: its module, typed Python source, and how it was built.

    The same package gives the same bytes. Installing it needs tmebox and no compiler.
    """
    from tmebox.binding.pack import pack as pack_package

    wheel = pack_package(package, output, version, license_file or ())
    print(f"{wheel}: {size(wheel.stat().st_size)}")
