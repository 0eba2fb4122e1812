"""`tmebox mcp`: a server of the Model Context Protocol over standard streams, whose tools run Python."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tmebox.cli.sizes import checked_seconds, checked_size


def mcp(
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="Limit on a program's objects.", callback=checked_size)
    ] = "64MiB",
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", callback=checked_seconds, help="Stop each run after this long."),
    ] = 10.0,
) -> None:
    """Serve sandboxed Python to a model's client: JSON lines on standard input and output."""
    from tmebox.python.mcp import Server

    # A file of its own: Python's could not be closed at the end while the server's thread reads from it.
    reading = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
    Server(memory=memory, timeout=timeout).serve(reading, sys.stdout.buffer)
