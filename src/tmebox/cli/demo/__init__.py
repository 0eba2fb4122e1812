"""`tmebox demo`: the first contact. A sandboxed function called with NumPy arrays, then attacks, each stopped."""

from __future__ import annotations

import time
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from tmebox.cli.output import EXIT_FAILED, Report, complain, duration, printable, progress, stdout

FOLDER = Path(__file__).parent
SIDE = 256
RADIUS = 2
CALLS = 20_000


def demo() -> None:
    """First contact: call C from Python in a sandbox, then watch hostile sandboxes being stopped.

    Everything shown really runs. Exits with 1 if an attack is not stopped.
    """
    from tmebox.cli.demo.attacks import NotStopped

    out = stdout()
    try:
        show_call(out)
        show_attacks(out)
    except NotStopped as failure:
        complain(f"NOT STOPPED: {failure}")
        raise typer.Exit(EXIT_FAILED) from None


def show_call(out: Console) -> None:
    """Compile the bundled blur, call it with an array, and compare with NumPy's own result."""
    import numpy as np

    import tmebox

    out.print("[bold]1. Native code in a sandbox, called from Python[/]\n")
    out.print("   [dim]module = tmebox.compile(\"blur.c\")")
    out.print("   [dim]with tmebox.Sandbox(module) as sandbox:")
    out.print("   [dim]    sandbox.blur(image, out, width, height, radius)\n")
    started = time.perf_counter()
    with progress() as report:
        module = compile_bundled("blur.c", report)
    compiled_s = time.perf_counter() - started
    started = time.perf_counter()
    with tmebox.Sandbox(module) as sandbox:
        created_s = time.perf_counter() - started
        image = sandbox.array((SIDE, SIDE), np.uint8)
        blurred = sandbox.array((SIDE, SIDE), np.uint8)
        image[:] = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE))
        started = time.perf_counter()
        sandbox.blur(image, blurred, SIDE, SIDE, RADIUS)
        blurred_s = time.perf_counter() - started
        same = bool((blurred == expected_blur(image)).all())
        started = time.perf_counter()
        for _ in range(CALLS):
            sandbox.nothing()
        call_s = (time.perf_counter() - started) / CALLS
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 3))
    table.add_row("compiled, instrumented, verified", duration(compiled_s))
    table.add_row("sandbox created", duration(created_s))
    table.add_row(f"blurred {SIDE}×{SIDE} pixels, radius {RADIUS}, no copies", duration(blurred_s))
    table.add_row("one call of an empty function", duration(call_s))
    table.add_row("result equals NumPy's", "[green]yes[/]" if same else "[red]no[/]")
    out.print(table)
    out.print()
    if not same:
        complain("the sandboxed blur computed something else than NumPy")
        raise typer.Exit(EXIT_FAILED)
