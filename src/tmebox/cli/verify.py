"""`tmebox verify FILE`: is this machine code safe to run in a sandbox? Nothing of it is executed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmebox.cli.output import EXIT_FAILED, complain, duration, printable, progress, size, stderr, stdout
from tmebox.errors import ModuleError, VerificationError, Violation

if TYPE_CHECKING:
    from tmebox.modulefile.file import ModuleFile
    from tmebox.verify import VerifiedText


def verify(
    file: Annotated[
        Path, typer.Argument(help="A module (.tbx), or a C file to compile first.", metavar="FILE")
    ],
) -> None:
    """Check a module's machine code against the sandbox's rules, and list every violation.

    Exits with 0 if it may run, with 1 if not.
    """
    from tmebox.cli.program import read_program

    with progress() as report:
        module = read_program(file, report=report)
        if report:
            report("verify", 0, 1)
        started = time.perf_counter()
        verified, violations = _outcome(module)
        elapsed_s = time.perf_counter() - started
    if verified is None:
        for violation in violations:
            stderr().print(printable(str(violation)), soft_wrap=True)
        complain(f"{file}: {len(violations)} violation{'s' * (len(violations) != 1)}; this code must not run")
        raise typer.Exit(EXIT_FAILED)
    needs = ", ".join(sorted(verified.features)) or "nothing beyond x86-64"
    amount = f"{size(module.code_bytes)} of code, {verified.instruction_count:,} instructions"
    if module.table_entries:
        amount += f", {module.table_entries:,} entries of tables"
    out = stdout()
    out.print(
        f"[green]verified[/] {printable(str(file))}: {amount}, in {duration(elapsed_s)}", soft_wrap=True
    )
    out.print(f"  isolation {printable(module.isolation)}; needs {printable(needs)}", soft_wrap=True)


def _outcome(module: ModuleFile) -> tuple[VerifiedText | None, tuple[Violation, ...]]:
    try:
        return verify_file(module), ()
    except VerificationError as error:
        return None, error.violations
    except ValueError as error:
        raise ModuleError(str(error)) from None


def verify_file(module: ModuleFile) -> VerifiedText:
    """Verify the text where the linker placed it. Loading verifies it again, where it will run."""
    from tmebox.runtime.unwind import Unwinder
    from tmebox.verify import verify as verify_text

    return verify_text(
        module.text,
        module.text_address,
        functions=module.functions.tolist(),
        labels=module.labels.tolist(),
        table_entries=module.table_entries,
        fact_places=module.fact_places,
        facts=module.facts,
        depth_places=module.depth_places,
        depths=module.depths,
        base=module.base,
        isolation=module.isolation,
        optional=module.optional,
        locate=Unwinder(module, 0).place,
    )
