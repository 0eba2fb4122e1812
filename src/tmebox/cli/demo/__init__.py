"""`tmebox demo`: the first contact. A sandboxed function on NumPy arrays, then attacks, each stopped."""

from __future__ import annotations

import re
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tmebox.cli.output import EXIT_FAILED, complain, duration, printable, progress, stdout
from tmebox.progress import Report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tmebox.cli.demo.attacks import Outcome

FOLDER = Path(__file__).parent
SIDE = 256
RADIUS = 2
CALLS = 5_000
ROUNDS = 8
LONG_S = 1.0


class Backend(str, Enum):
    """What enforces the owners of memory: page tables, or the model of TME-MK."""

    MMU = "mmu"
    MODEL = "model"


_SOURCE_FOLDER = re.compile(r"[^\s(]*/cli/demo/")


def demo(
    backend: Annotated[
        Backend, typer.Option(help="model: a shared heap whose memory is encrypted, and attacks on that.")
    ] = Backend.MMU,
) -> None:
    """First contact: call C from Python in a sandbox, then watch hostile sandboxes being stopped.

    Everything shown really runs. Exits with 1 if an attack is not stopped.
    """
    from tmebox.cli.demo.attacks import NotStopped
    from tmebox.cli.demo.encrypted import show_encrypted

    out = stdout()
    try:
        if backend is Backend.MODEL:
            show_encrypted(out)
        else:
            show_call(out)
            show_attacks(out)
    except NotStopped as failure:
        complain(str(failure), label="NOT STOPPED")
        raise typer.Exit(EXIT_FAILED) from None


def show_call(out: Console) -> None:
    """Compile the bundled blur, call it with an array, and compare with NumPy's own result."""
    import numpy as np

    import tmebox
    from tmebox.cli.demo.attacks import NotStopped

    out.print("[bold]C in a sandbox, called from Python with NumPy arrays[/]\n")
    out.print('  [cyan]module = tmebox.compile("blur.c")[/]')
    out.print("  [cyan]with tmebox.Sandbox(module) as sandbox:[/]")
    out.print("  [cyan]    sandbox.blur(image, blurred, width, height, radius)[/]\n")
    sandbox_type = tmebox.Sandbox  # loads the runtime, which is not what is timed
    clock = Stopwatch()
    with progress() as report:
        built_s = build_libc(report)
        clock.lap()
        module = tmebox.compile(FOLDER / "blur.c", progress=report)
    compiled_s = clock.lap()
    with sandbox_type(module, timeout=10) as sandbox:
        created_s = clock.lap()
        image = sandbox.array((SIDE, SIDE), np.uint8)
        blurred = sandbox.array((SIDE, SIDE), np.uint8)
        image[:] = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE))
        clock.lap()
        sandbox.blur(image, blurred, SIDE, SIDE, RADIUS)
        blurred_s = clock.lap()
        if not np.array_equal(blurred, expected_blur(image, RADIUS)):
            raise NotStopped("the sandboxed blur computed something else than NumPy did")
        call_s = time_calls(sandbox.nothing)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    if built_s > LONG_S:
        table.add_row("C library compiled, once for this machine, in", duration(built_s))
    table.add_row("compiled, instrumented, verified and loaded in", duration(compiled_s))
    table.add_row("sandbox created in", duration(created_s))
    table.add_row(f"{SIDE}×{SIDE} pixels blurred, without a copy, in", duration(blurred_s))
    table.add_row("the same as NumPy's result", "yes")
    table.add_row("a call and its return take", duration(call_s))
    out.print(table)


def show_attacks(out: Console) -> None:
    """Run every attack in a sandbox of its own and show how each ended. Raises NotStopped."""
    import tmebox
    from tmebox.cli.demo.attacks import ATTACKS, Victim, refuse_system_call, run_attack

    with progress() as report:
        module = tmebox.compile(FOLDER / "attacks.c", progress=report)
    victim = Victim(module)
    outcomes: list[Outcome] = []
    try:
        for attack in ATTACKS:
            outcomes.append(run_attack(attack, module, victim))
        outcomes[4:4] = refuse_system_call(module)
    finally:
        victim.close()
    out.print(
        "\n[bold]Hostile sandboxes[/], each one new, with a neighbour at work and a secret in the host\n"
    )
    table = Table(padding=(0, 1), header_style="bold")
    table.add_column("attack", no_wrap=True)
    table.add_column("what the sandbox did", ratio=2)
    table.add_column("how it was stopped", ratio=3)
    table.add_column("after", justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            outcome.attack,
            outcome.tried,
            printable(_SOURCE_FOLDER.sub("", outcome.stopped_by)),
            duration(outcome.duration_s),
        )
    out.print(table)
    out.print(
        "\n[bold green]All stopped.[/] The secret unread, host memory unchanged, the neighbour at work."
    )


def build_libc(report: Report | None) -> float:
    """Seconds it took to have a C library: next to none after the first time."""
    from tmebox.toolchain.libc.libc import libc

    clock = Stopwatch()
    libc(None if report is None else lambda done, total: report("libc", done, total))
    return clock.lap()


class Stopwatch:
    """Seconds from one `lap` to the next."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        elapsed_s, self._last = now - self._last, now
        return elapsed_s


def time_calls(function: Any) -> float:
    """Seconds of one call, the loop included: the best of some rounds, since others use the CPU too."""
    rounds = []
    for _ in range(ROUNDS):
        clock = Stopwatch()
        for _ in range(CALLS):
            function()
        rounds.append(clock.lap() / CALLS)
    return min(rounds)


def expected_blur(image: NDArray[Any], radius: int) -> NDArray[Any]:
    """What blur.c has to compute, by other means: sums of shifted copies."""
    import numpy as np

    height, width = image.shape
    total = np.zeros((height, width), np.uint32)
    count = np.zeros((height, width), np.uint32)
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            to = np.s_[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
            come = np.s_[max(0, down) : height - max(0, -down), max(0, right) : width - max(0, -right)]
            total[to] += image[come]
            count[to] += 1
    return (total // count).astype(np.uint8)
