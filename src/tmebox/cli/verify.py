"""`tmebox verify FILE`: is this machine code safe to run in a sandbox? Nothing of it is executed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tmebox.cli.output import EXIT_FAILED, complain, duration, printable, progress, size, stderr, stdout
from tmebox.errors import VerificationError


def verify(
    file: Annotated[Path, typer.Argument(help="A module (.tbx), or a C file to compile first.", metavar="FILE")],
) -> None:
    """Check a module's machine code against the sandbox's rules, and list every violation.

    Exits with 0 if it may run, with 1 if not.
    """
    from tmebox.cli.program import read_program

    with progress() as report:
        module = read_program(file, report=report)
        if report:
            report("verifying", 0, 1)
        started = time.perf_counter()
        try:
            verified = verify_file(module)
        except VerificationError as error:
            refused: VerificationError | None = error
        else:
            refused = None
        elapsed_s = time.perf_counter() - started
    if refused is not None:
        for violation in refused.violations:
            stderr().print(printable(str(violation)), soft_wrap=True)
        count = len(refused.violations)
        complain(f"{file}: {count} violation{'s' * (count != 1)}; this code must not run")
        raise typer.Exit(EXIT_FAILED)
    needs = ", ".join(sorted(verified.features)) or "nothing beyond x86-64"
    out = stdout()
    out.print(
        f"[green]verified[/] {printable(str(file))}: {size(len(module.text))} of code in {duration(elapsed_s)} "
        f"({len(module.text) / elapsed_s / 1e6:.1f} MB/s), isolation {printable(module.isolation)}",
        soft_wrap=True,
    )
    out.print(f"  needs {printable(needs)}", soft_wrap=True)
