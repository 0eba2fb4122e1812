"""Which commands there are, and where each stands.

A command's file is imported when that command is wanted, or when all are listed: so that starting a program
does not take what the other commands need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from tmebox.cli.others import other_command, other_names
from tmebox.cli.output import examples


@dataclass(frozen=True)
class Own:
    """A command of ours. `place` is a function, or a group (`typer.Typer`), as MODULE:NAME."""

    place: str
    examples: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


VERBATIM = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

OWN = {
    "demo": Own("tmebox.cli.demo:demo", ("tmebox demo", "tmebox demo --backend model")),
    "cc": Own(
        "tmebox.cli.compilers:cc",
        ("tmebox cc -O2 -o blur.tbx blur.c", 'make CC="tmebox cc" AR="tmebox ar"'),
        VERBATIM,
    ),
    "c++": Own(
        "tmebox.cli.compilers:cxx",
        ("tmebox c++ -O2 -o hello.tbx hello.cpp", 'make CXX="tmebox c++" AR="tmebox ar"'),
        VERBATIM,
    ),
    "ar": Own("tmebox.cli.compilers:ar", ("tmebox ar rcs libblur.a blur.o",), VERBATIM),
    "toolchain": Own(
        "tmebox.cli.compilers:toolchain", ('eval "$(tmebox toolchain --env)"; ./configure',), VERBATIM
    ),
    "run": Own(
        "tmebox.cli.run:run",
        (
            "tmebox run hello.c",
            "echo 2+2 | tmebox run --timeout 5 --memory 16MiB calc.tbx",
            "tmebox run --dir ./notes:/notes:ro grep.tbx -n word /notes/today",
        ),
        {"allow_interspersed_args": False},
    ),
    "python": Own(
        "tmebox.cli.python:python",
        ("tmebox python", "tmebox python --timeout 5 model.py", "tmebox python -c 'print(2 ** 100)'"),
    ),
    "mcp": Own("tmebox.cli.mcp:mcp", ("tmebox mcp --timeout 5",)),
    "verify": Own("tmebox.cli.verify:verify", ("tmebox verify blur.tbx",)),
    "inspect": Own(
        "tmebox.cli.inspect:inspect", ("tmebox inspect blur.tbx", "tmebox inspect blur.c --function blur")
    ),
    "stub": Own(
        "tmebox.cli.stub:stub", ("tmebox stub blur.tbx -o blur_types.py", "tmebox stub blur.c -o blur.pyi")
    ),
    "bind": Own("tmebox.cli.bind:bind", ("tmebox bind expat.h --sources expat/lib -o expat_box",)),
    "pack": Own("tmebox.cli.pack:pack", ("tmebox pack expat_box --version 2.5.0",)),
    "doctor": Own("tmebox.cli.doctor:doctor", ("tmebox doctor",)),
    "tme": Own("tmebox.cli.tme:tme"),
    "memory": Own("tmebox.cli.memory:memory"),
    "driver": Own("tmebox.cli.driver:driver"),
}
"""In the order of `tmebox --help`. Groups bring their examples along."""


class _OwnCommands(Mapping[str, Any]):
    """Our commands by their names, as Typer's command objects."""

    def __getitem__(self, name: str) -> Any:
        own = OWN[name]
        module, _, attribute = own.place.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(name, epilog=examples(*own.examples), context_settings={**own.settings})(found)
        return get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(OWN)

    def __len__(self) -> int:
        return len(OWN)


class Commands(TyperGroup):
    """Our own commands, and others. Those are looked for only when all are listed, or when one is wanted that
    is not ours: it takes a while."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _OwnCommands()

    def list_commands(self, ctx: Any) -> list[str]:
        return [*OWN, *sorted(other_names() - OWN.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self.commands.get(cmd_name) or other_command(cmd_name, quiet=ctx.resilient_parsing)
