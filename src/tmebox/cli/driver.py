"""`tmebox driver`: prove the kernel driver in virtual machines, without the hardware it is for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tmebox.cli.output import EXIT_FAILED, complain, examples, printable, stdout
from tmebox.driver import build, hardware, suite, trial
from tmebox.driver.kernels import METAPACKAGES

driver = typer.Typer(
    name="driver",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Prove the kernel driver for TME-MK in virtual machines.",
    epilog=examples("tmebox driver test", "tmebox driver test --kernel 6.12 --quick"),
)

QUICK = trial.Effort(noise_s=10, cycles=1_000, rounds=500)
ONLY_HARDWARE = (
    "that PCONFIG programs the keys that the driver asks for, on every package",
    "that a wrong key is a machine check, and what this kernel makes of it",
    "that flushed lines are gone from the caches, and how long anything takes",
)


@driver.command("test")
def test(
    kernel: Annotated[
        list[str] | None,
        typer.Option("--kernel", "-k", help=f"Only this one: {' or '.join(METAPACKAGES)}. Can be repeated."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Short races, short noise, no mutants.")] = False,
    here: Annotated[
        bool,
        typer.Option("--hardware", help="Test the driver that is loaded on this machine instead."),
    ] = False,
    wrong_key: Annotated[
        bool,
        typer.Option(
            "--wrong-key",
            help="With --hardware: also read with wrong keys. A stock kernel ends the machine at that.",
        ),
    ] = False,
    prepared: Annotated[
        Path | None,
        typer.Option("--prepared", hidden=True, help="With --hardware: tests that were compiled elsewhere."),
    ] = None,
    logs: Annotated[
        Path | None, typer.Option("--logs", help="Write the kernels' logs of failed runs into this folder.")
    ] = None,
) -> None:
    """Build the driver for Debian's kernels, boot each in QEMU, attack the driver, and say what was proved.

    Needs QEMU, make, gcc and a network, but neither root nor TME-MK. Exits with 0 if all of it holds.
    """
    if wrong_key and not here:
        raise typer.BadParameter("only with --hardware", param_hint="--wrong-key")
    effort = QUICK if quick else trial.Effort()
    if here:
        raise typer.Exit(0 if _test_this_machine(effort, wrong_key, prepared) else EXIT_FAILED)
    series = tuple(kernel or METAPACKAGES)
    unknown = [each for each in series if each not in METAPACKAGES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: known are {', '.join(METAPACKAGES)}", param_hint="--kernel")
    try:
        good = _run(series, effort, not quick, logs)
    except trial.TrialUnavailableError as error:
        complain(f"the driver cannot be tested here: {error}")
        raise typer.Exit(EXIT_FAILED) from error
    raise typer.Exit(0 if good else EXIT_FAILED)


def _test_this_machine(effort: trial.Effort, wrong_key: bool, prepared: Path | None) -> bool:
    """Refuses without integrity, without a handler of machine checks, without the driver, and if that
    simulates."""
    if reason := hardware.refusal():
        complain(f"no proof on this machine: {reason}")
        return False
    if wrong_key:
        complain(
            "Memory is read with wrong keys now. If this kernel does not survive that, the machine ends."
        )

    def watch(line: str) -> None:
        stdout().print(f"    [dim]{printable(line)}[/]")

    program = prepared / hardware.PROGRAM if prepared else None
    try:
        good = _show(hardware.attacks(effort, wrong_key, watch, program), None)
        good &= _show(hardware.heap(wrong_key, watch, prepared), None)
    except trial.TrialUnavailableError as error:
        complain(f"the driver cannot be tested here: {error}")
        return False
    return good


def _run(series: tuple[str, ...], effort: trial.Effort, mutants: bool, logs: Path | None) -> bool:
    out, start, good = stdout(), time.monotonic(), True

    def watch(line: str) -> None:
        if line.startswith(("not ok", "# ")):
            out.print(f"    [dim]{printable(line)}[/]")

    for bench in trial.benches(series):
        whole = bench.whole(effort, watch)
        good &= _show(whole, logs)
        if bench.series != series[-1]:
            continue
        control = bench.without_aliases(lambda _: None)
        good &= _show_control(control)
        if mutants:
            good &= _show_mutants(bench.mutated(lambda _: None), logs)
    good &= _show_suite(suite.run(build.sources().parent, watch), logs)
    out.print(
        f"\n{'[bold green]All of it holds' if good else '[bold red]Not all of it holds'}[/], in "
        f"{time.monotonic() - start:.0f} s. Only the hardware could show:"
    )
    for each in ONLY_HARDWARE:
        out.print(f"  {each}")
    return good


def _show(outcome: trial.Outcome, logs: Path | None) -> bool:
    out = stdout()
    mark = "[red]✗[/]" if outcome.failed else "[green]✓[/]"
    out.print(f"{mark} {printable(outcome.title)}: {outcome.passed} tests hold, {len(outcome.failed)} do not")
    for count in outcome.counts:
        out.print(f"    {printable(count)}")
    for name in outcome.failed:
        out.print(f"    [red]{printable(name)}[/]")
    for name in outcome.skipped:
        out.print(f"    [yellow]not run:[/] {printable(name)}")
    _keep(outcome, logs)
    return not outcome.failed


def _show_suite(found: suite.Suite, logs: Path | None) -> bool:
    what = "the shared heap's own tests and attacks, in Python on the driver"
    if found.missing:
        stdout().print(f"[yellow]–[/] not run: {what}: {printable(found.missing)}")
        return True
    mark = "[green]✓[/]" if found.good else "[red]✗[/]"
    stdout().print(f"{mark} {what}: {found.passed} hold")
    if not found.good:
        _keep(trial.Outcome("shared heap", log=found.log), logs)
    return found.good


def _show_control(outcome: trial.Outcome) -> bool:
    caught = any("every alias reads" in name for name in outcome.failed)
    mark = "[green]✓[/]" if caught else "[red]✗[/]"
    found = outcome.counts[0] if outcome.counts else outcome.log[-500:]
    stdout().print(
        f"{mark} without memory behind the keys the test of aliases fails, as it must: {printable(found)}"
    )
    return caught


def _show_mutants(outcome: trial.Outcome, logs: Path | None) -> bool:
    missed = [name for name, caught in outcome.mutants.items() if not caught]
    good = trial.all_mutants_caught(outcome)
    mark = "[green]✓[/]" if good else "[red]✗[/]"
    caught = len(outcome.mutants) - len(missed)
    stdout().print(f"{mark} of {trial.mutant_count()} drivers with one mistake each, {caught} are caught")
    for name in missed:
        stdout().print(f"    [red]not caught:[/] {printable(name)}")
    if not good:
        _keep(outcome, logs)
    return good


def _keep(outcome: trial.Outcome, logs: Path | None) -> None:
    from tmebox.outputs import write_output

    if not outcome.log or logs is None:
        return
    logs.mkdir(parents=True, exist_ok=True)
    file = logs / f"{outcome.title.replace(' ', '-')}.log"
    write_output(file, outcome.log.encode())
    stdout().print(f"    the kernel's log: {printable(str(file))}")
