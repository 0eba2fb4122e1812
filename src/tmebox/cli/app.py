"""`tmebox COMMAND`: what all commands share, and which exit code an error becomes."""

from __future__ import annotations

from typing import Annotated

import typer

import tmebox
from tmebox.cli.commands import Commands
from tmebox.cli.output import EXIT_FAILED, EXIT_OK, EXIT_TRAP, complain
from tmebox.errors import TmeboxError, Trap

app = typer.Typer(
    name="tmebox",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success; 1 does not compile, does not verify or cannot be loaded; 2 wrong usage; "
    "134 stopped by a trap. [bold]run[/] otherwise exits with the program's own code.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tmebox {tmebox.__version__}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Run untrusted native code inside your own process, in sandboxes that it cannot leave.

    First contact: [bold]tmebox demo[/]. Then a program of your own: [bold]tmebox run hello.c[/].
    """


def main() -> int:
    """Run `sys.argv` as a command and return its exit code."""
    try:
        app(prog_name="tmebox")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else EXIT_OK
    except Trap as trap:
        from tmebox.cli.trap_report import show_trap

        show_trap(trap)
        return EXIT_TRAP
    except (TmeboxError, OSError) as error:
        complain(str(error))
        return EXIT_FAILED
    except ImportError as error:
        complain(f"{error}\n`tmebox doctor` tells what is missing")
        return EXIT_FAILED
    return EXIT_OK
