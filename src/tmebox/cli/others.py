"""Commands that other packages bring, as entry points of the group `tmebox.commands`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from tmebox.cli.output import EXIT_FAILED, complain

GROUP = "tmebox.commands"
"""An entry point's name is the command's; it refers to a `typer.Typer`."""
PROJECTS = {"bench": "tmebox-bench, in the folder `bench` of tmebox's source: pip install ./bench"}
"""Commands of ours that are projects of their own, and how to have them."""


class Commands(TyperGroup):
    """Our own commands, and others. Those are looked for only when all are listed, or when one is wanted that
    is not ours: it takes a while."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return [*own, *sorted(_others().keys() - own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        other = _others().get(cmd_name)
        if other is not None:
            command = get_command(other.load())
            command.name = cmd_name
            return command
        if cmd_name in PROJECTS and not ctx.resilient_parsing:
            complain(f"`tmebox {cmd_name}` is not installed. It comes with {PROJECTS[cmd_name]}")
            raise typer.Exit(EXIT_FAILED)
        return None


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
