"""Commands that other packages bring, as entry points of the group `tmebox.commands`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.main import get_command

from tmebox.cli.output import EXIT_FAILED, complain

GROUP = "tmebox.commands"
"""An entry point's name is the command's; it refers to a `typer.Typer`."""
PROJECTS = {"bench": "tmebox-bench, in the folder `bench` of tmebox's source: pip install ./bench"}
"""Commands of ours that are projects of their own, and how to have them."""


def other_names() -> set[str]:
    """The names of what is installed."""
    return set(_others())


def other_command(name: str, *, quiet: bool) -> Any:
    """The command object, or None. One of ours that is not installed ends with a message, unless `quiet`."""
    other = _others().get(name)
    if other is not None:
        command = get_command(other.load())
        command.name = name
        return command
    if name in PROJECTS and not quiet:
        complain(f"`tmebox {name}` is not installed. It comes with {PROJECTS[name]}")
        raise typer.Exit(EXIT_FAILED)
    return None


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
