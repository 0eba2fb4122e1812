"""`tmebox run PROG [ARG…]`: run a program in a sandbox as if it were an ordinary command."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmebox.cli.output import EXIT_TRAP, progress
from tmebox.cli.sizes import checked_seconds, checked_size
from tmebox.errors import Trap

if TYPE_CHECKING:
    from tmebox.runtime.system import Directory
    from tmebox.runtime.system.trace import CallCounts

MOST_REFUSALS = 1000
"""Different ones that --trace lists."""


def run(
    program: Annotated[
        Path, typer.Argument(metavar="PROG", help="A module (.tbx) with a main(), or a C file.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARG", help="Passed to the program as they are, options too."),
    ] = None,
    directories: Annotated[
        list[str] | None,
        typer.Option(
            "--dir",
            metavar="HOST:GUEST[:ro]",
            help="Let the program use this directory, as GUEST. Repeatable.",
        ),
    ] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="NAME[=VALUE]", help="Set a variable; NAME alone hands on yours. Repeatable."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", callback=checked_seconds, help="Stop the program after this long."),
    ] = None,
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="Limit on its data and heap.", callback=checked_size)
    ] = "64MiB",
    stack: Annotated[
        str, typer.Option(metavar="SIZE", help="Limit on its stack.", callback=checked_size)
    ] = "8MiB",
    files: Annotated[
        int | None,
        typer.Option(metavar="COUNT", min=3, help="Limit on its open files, standard streams included."),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT", help="Let it accept connections there, or at unix:PATH. Repeatable."
        ),
    ] = None,
    connect: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Let it connect to this, or to unix:PATH. Repeatable."),
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="List at the end what it asked the system for and did not get.")
    ] = False,
    count_calls: Annotated[
        bool,
        typer.Option(
            "--calls", help="List at the end which system calls it made, and how often who answered."
        ),
    ] = False,
) -> None:
    """Run a program in a sandbox. It sees no files, no variables and no network but what you give it.

    Its standard streams are yours and its exit code becomes this command's; a trap exits with 134.
    """
    import tmebox
    from tmebox.cli.program import load_program
    from tmebox.runtime.system import trace as tracing

    calls = tracing.CallCounts() if count_calls else None
    refusals: Counter[str] = Counter()
    variables = _environment(environment or [])
    granted = [_directory(entry) for entry in directories or []]
    with progress() as report:
        module = load_program(program, report=report)
    # A stream that was closed when we were started is None: its number may by now be any other file's.
    try:
        with tmebox.Sandbox(
            module,
            memory=memory,
            stack=stack,
            files=files,
            listen=_endpoints(listen or [], "--listen"),
            connect=_endpoints(connect or [], "--connect"),
        ) as sandbox:
            completed = sandbox.run(
                [program.name, *(arguments or [])],
                stdin=b"" if sys.stdin is None else 0,
                stdout=_drop if sys.stdout is None else 1,
                stderr=_drop if sys.stderr is None else 2,
                env=variables,
                dirs=granted,
                timeout=timeout,
                trace=(lambda refusal: _count(refusals, str(refusal))) if trace else None,
                calls=calls,
            )
    except Trap as trap:
        from tmebox.cli.trap_report import show_trap

        show_trap(trap, program)
        raise typer.Exit(EXIT_TRAP) from None
    finally:
        _show_refusals(refusals)
        if calls is not None:
            _show_calls(calls)
    raise typer.Exit(completed.exit_code)


def _count(refusals: Counter[str], text: str) -> None:
    """Programs choose the paths in them: beyond so many different ones they are counted together."""
    refusals[text if text in refusals or len(refusals) < MOST_REFUSALS else "others"] += 1


def _show_refusals(refusals: Counter[str]) -> None:
    from tmebox.cli.output import printable, stderr

    for text, count in refusals.items():
        times = f" ({count} times)" if count > 1 else ""
        stderr().print(printable(f"refused: {text}{times}"), soft_wrap=True, highlight=False)


def _show_calls(calls: CallCounts) -> None:
    from tmebox.cli.output import stderr

    core, python = calls.by_core, calls.by_python
    for name, count in (core + python).most_common():
        text = f"call: {name}: {count} times, {core[name]} by the core and {python[name]} by Python"
        stderr().print(text, soft_wrap=True, highlight=False)


def _endpoints(entries: list[str], option: str) -> list[str]:
    from tmebox.runtime.system.network import endpoint

    for entry in entries:
        try:
            endpoint(entry)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=option) from None
    return entries


def _drop(_: bytes) -> None:
    """Output that nobody reads."""


def _environment(entries: list[str]) -> dict[str, str]:
    """NAME=VALUE as given; NAME alone takes the value that the name has here."""
    variables = {}
    for entry in entries:
        name, given, value = entry.partition("=")
        if not name:
            raise typer.BadParameter(f"{entry!r} is not NAME=VALUE", param_hint="--env")
        if given:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
    return variables


def _directory(entry: str) -> Directory:
    from tmebox.runtime.commands import directories

    try:
        [found] = directories([entry])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--dir") from None
    if not found.guest_path.startswith("/"):
        raise typer.BadParameter(
            f"{entry!r} is not HOST:GUEST or HOST:GUEST:ro, GUEST an absolute path", param_hint="--dir"
        )
    if not Path(found.host_path).is_dir():
        raise typer.BadParameter(f"{found.host_path!r} is not a directory", param_hint="--dir")
    return found
