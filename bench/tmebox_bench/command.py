"""`tmebox bench …`: what sandboxing costs here, beside native code and other runtimes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmebox.cli.output import EXIT_FAILED, complain, examples, printable, progress, stderr, stdout
from tmebox_bench.applications import commands
from tmebox_bench.option_types import Charts, Columns, Json, Quick, Rounds
from tmebox_bench.shown import fail_for, rounds_of, show

if TYPE_CHECKING:
    from tmebox_bench.results import Results

bench = typer.Typer(
    name="bench",
    no_args_is_help=True,
    add_completion=False,
    help="Measure what sandboxing costs on this machine.",
    epilog=examples("tmebox bench cpu --quick", "tmebox bench cpu fib json", "tmebox bench calls"),
)


@bench.callback()
def prepared() -> None:
    """Compilers that a build starts keep their bytecode: else each one compiles the toolchain first.
    And whoever ends a benchmark ends what it has started, which may be stopped at that moment."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@bench.command("cpu")
def cpu(
    programs: Annotated[
        list[str] | None, typer.Argument(metavar="PROGRAM", help="Programs to run; all, if none is named.")
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="G", help="Only the programs of this group.")] = None,
    columns: Columns = None,
    quick: Quick = False,
    rounds: Rounds = None,
    json_file: Json = None,
    charts_dir: Charts = None,
    previous_file: Annotated[
        Path | None,
        typer.Option("--vs-previous", metavar="FILE", help="Show what changed against this run's JSON."),
    ] = None,
) -> None:
    """Run a suite of programs natively and sandboxed, side by side on one processor.

    Outputs are compared; one that differs fails the run. Times are CPU times of the programs themselves, and
    each round measures another placement of their code.
    """
    from tmebox_bench import charts, previous
    from tmebox_bench.results import to_json, write_all

    before = None if previous_file is None else _previous(previous_file)
    results = _run_cpu(programs or [], group, columns, quick, rounds)
    if before is not None:
        show(previous.change_table(results, before))
        if note := previous.machine_note(results, before):
            stdout().print(f"not the same: {printable(note)}", soft_wrap=True)
    files = {} if json_file is None else {json_file: to_json(results)}
    if charts_dir is not None:
        files |= {charts_dir / name: text for name, text in charts.charts(results).items()}
    write_all(files)
    fail_for(results.failures)


@bench.command("calls")
def calls(quick: Quick = False) -> None:
    """Time calls into sandboxes, out of them, and traps, beside other ways to call C from Python."""
    from tmebox_bench.calls import bench_calls
    from tmebox_bench.calls_table import calls_table, crossings_table, watched_table

    with progress(alone=True) as report:
        results = bench_calls(quick=quick, progress=report)
    show(calls_table(results))
    show(crossings_table(results))
    show(watched_table(results))
    for note in results.missing:
        stdout().print(f"missing: {printable(note)}")


@bench.command("machine")
def machine(json_file: Json = None) -> None:
    """Time the pieces that sandboxed code and crossings are made of, on this CPU.

    Memory accesses by kind of base, checked returns, and what entering and leaving a sandbox does.
    """
    from tmebox_bench.costs import bench_machine, costs_table, to_json
    from tmebox_bench.results import write_all
    from tmebox_bench.variants import MissingError

    try:
        with progress(alone=True) as report:
            costs = bench_machine(report)
    except MissingError as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    stdout().print(printable(costs.machine.get("cpu", "")), soft_wrap=True)
    show(costs_table(costs))
    write_all({} if json_file is None else {json_file: to_json(costs)})


@bench.command("build")
def build(json_file: Json = None) -> None:
    """Time compiling a C file of a thousand lines, and verifying the machine code of a large program."""
    from tmebox_bench.building import bench_build, to_json
    from tmebox_bench.report import build_lines
    from tmebox_bench.results import write_all

    with progress() as report:
        results = bench_build(progress=report)
    for line in build_lines(results):
        stdout().print(printable(line), soft_wrap=True)
    for note in results.missing:
        stdout().print(f"missing: {printable(note)}", soft_wrap=True)
    write_all({} if json_file is None else {json_file: to_json(results)})


@bench.command("python")
def python(
    quick: Quick = False,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many to keep alive.")] = 10_000,
    only: Annotated[
        str | None, typer.Option(metavar="NAME", help="One of the ways to do it, or loops.")
    ] = None,
    json_file: Json = None,
) -> None:
    """Time running Python text in sandboxes, beside other ways to do it, and keep thousands alive."""
    from tmebox_bench.python import bench_python, python_table, to_json
    from tmebox_bench.python_loops import loops_table
    from tmebox_bench.results import write_all

    with progress(alone=True) as report:
        results = bench_python(quick=quick, count=count, only=only, progress=report)
    if results.times_s:
        show(python_table(results))
    if results.loops:
        show(loops_table(results.loops))
        stdout().print(f"two threads do {results.loops.threads.median:.2f} times the work of one")
    for name, alive in results.alive.items():
        ended = f"; {alive.ended}" if alive.ended else ""
        stdout().print(
            f"{name}: {alive.count:,} alive, made in {alive.seconds_each * 1e6:,.0f} µs each{ended}"
        )
    for note in results.missing:
        stdout().print(f"missing: {printable(note)}", soft_wrap=True)
    write_all({} if json_file is None else {json_file: to_json(results)})


@bench.command("tme")
def tme(json_file: Json = None) -> None:
    """Time the model of TME-MK: lines and pages on every path of this CPU, accesses from C and Python."""
    from tmebox_bench.results import write_all
    from tmebox_bench.tme import bench_tme, tme_table, to_json

    with progress(alone=True) as report:
        results = bench_tme(report)
    stdout().print(printable(results.machine.get("CPU", "")), soft_wrap=True)
    show(tme_table(results))
    write_all({} if json_file is None else {json_file: to_json(results)})


@bench.command("boxes")
def boxes(
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="PART", help="Only these: call, events, png, …")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where libraries are built, and found again.")
    ] = None,
    rounds: Rounds = None,
    json_file: Json = None,
) -> None:
    """Time boxed libraries: calls, callbacks, throughput and pictures, beside cffi and wasmtime-py.

    The native libraries are built by the same compiler from the same sources, with the same options.
    """
    import tempfile

    from tmebox_bench.boxes.measure import ROUNDS, TASKS, bench_boxes, boxes_table, to_json
    from tmebox_bench.results import write_all

    if not set(parts or ()) <= TASKS.keys():
        raise typer.BadParameter(f"parts are {', '.join(TASKS)}")
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch, progress(alone=True) as report:
        place = directory or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        results = bench_boxes(parts or (), place.absolute(), rounds=rounds or ROUNDS, progress=report)
    stdout().print(printable(results.machine.get("CPU", "")), soft_wrap=True)
    show(boxes_table(results))
    for note in results.missing:
        stdout().print(f"missing: {printable(note)}")
    write_all({} if json_file is None else {json_file: to_json(results)})


@bench.command("heap")
def heap(
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="PART", help="Only these: allocations, transfers, …")
    ] = None,
    json_file: Json = None,
) -> None:
    """Time the shared heap: allocating, handing over, accesses, lives; and what memory it takes."""
    from tmebox_bench.heap import PARTS, bench_heap, crossover_table, heap_table, to_json
    from tmebox_bench.results import write_all

    if not set(parts or ()) <= PARTS.keys():
        raise typer.BadParameter(f"parts are {', '.join(PARTS)}")
    with progress(alone=True) as report:
        results = bench_heap(parts, report)
    stdout().print(printable(results.machine.get("CPU", "")), soft_wrap=True)
    show(heap_table(results))
    if results.crossover:
        show(crossover_table(results))
    write_all({} if json_file is None else {json_file: to_json(results)})


@bench.command("servers")
def servers(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SERVER", help="nginx, lighttpd, redis, echo, streams; all, if none is named."
        ),
    ] = None,
    quick: Quick = False,
    rounds: Rounds = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=0.5, help="How long each load runs, in a round and a build.")
    ] = 2.0,
    json_file: Json = None,
) -> None:
    """Build real servers natively and sandboxed, and load both in turns.

    Sources come from Debian, load generators too: wrk, redis-benchmark. `echo` is ours, and its client. All
    of it stays on 127.0.0.1. `streams` moves bytes through a program's stdin and stdout.
    """
    from tmebox_bench.results import write_all
    from tmebox_bench.servers.measure import NAMES, bench_servers, servers_table, streams_table, to_json

    unknown = sorted(set(names or ()) - set(NAMES))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(NAMES)}")
    with progress() as report:
        results = bench_servers(
            names or [],
            rounds=rounds_of(rounds, quick),
            seconds=1.0 if quick else seconds,
            progress=report,
        )
    if results.rows:
        show(servers_table(results))
    if results.streams:
        show(streams_table(results))
    for note in results.missing:
        stdout().print(f"missing: {printable(note)}", soft_wrap=True)
    write_all({} if json_file is None else {json_file: to_json(results)})
    fail_for(results.failures)


for _name in ("openssl", "packages", "nbench"):
    bench.command(_name)(getattr(commands, _name))


@bench.command("instances")
def instances(
    quick: Quick = False,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many to keep alive. [default: 32000]")
    ] = None,
    json_file: Json = None,
    charts_dir: Charts = None,
) -> None:
    """Time creating, resetting and destroying sandboxes, and keep thousands alive, beside other runtimes."""
    from tmebox_bench.instances import bench_instances
    from tmebox_bench.instances_report import charts, live_table, scaling_table, times_table, to_json
    from tmebox_bench.results import write_all

    with progress() as report:
        results = bench_instances(quick=quick, count=count, progress=report)
    for table in (times_table(results), live_table(results), scaling_table(results)):
        show(table)
    for note in results.missing:
        stdout().print(f"missing: {printable(note)}", soft_wrap=True)
    files = {} if json_file is None else {json_file: to_json(results)}
    if charts_dir is not None:
        files |= {charts_dir / name: text for name, text in charts(results).items()}
    write_all(files)


PARTS = ("cpu", "calls", "build", "instances")
"""Of `tmebox bench all`."""


@bench.command("all")
def everything(
    report: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Write benchmarks/CPU.md here, its charts and JSON below, and benchmarks.md with all CPUs.",
        ),
    ],
    columns: Columns = None,
    quick: Quick = False,
    rounds: Rounds = None,
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="PART,…",
            help="Measure only these, of an earlier report on this CPU: cpu, calls, build, instances.",
        ),
    ] = None,
) -> None:
    """Run every benchmark and write a report in Markdown, with charts and the machine described.

    After Ctrl-C the same command goes on with the programs that were not measured yet.
    """
    from tmebox_bench import journal
    from tmebox_bench.building import bench_build
    from tmebox_bench.calls import bench_calls
    from tmebox_bench.instances import bench_instances
    from tmebox_bench.machine import machine, slug
    from tmebox_bench.overview import overview_file, read_all
    from tmebox_bench.report import report_files
    from tmebox_bench.results import write_all
    from tmebox_bench.targets import Measured, targets_table

    unfinished = report / journal.NAME
    try:
        earlier = read_all(report).get(slug(machine()["CPU"]))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--report") from None
    chosen = PARTS if parts is None else tuple(parts.split(","))
    if unknown := [part for part in chosen if part not in PARTS]:
        raise typer.BadParameter(f"{unknown[0]}: one of {', '.join(PARTS)}", param_hint="--parts")
    if earlier is None and set(chosen) != set(PARTS):
        why = f"{report} has no report on this CPU yet: leave it out, to measure everything"
        raise typer.BadParameter(why, param_hint="--parts")
    results = earlier.cpu if earlier else None
    if "cpu" in chosen or results is None:
        results = _run_cpu([], None, columns, quick, rounds, unfinished)
    called = earlier.calls if earlier else None
    if "calls" in chosen or called is None:
        with progress(alone=True) as told:
            called = bench_calls(quick=quick, progress=told)
    built = earlier.build if earlier else None
    if "build" in chosen:
        with progress() as told:
            built = bench_build(progress=told)
    lives = earlier.instances if earlier else None
    if "instances" in chosen:
        with progress(alone=True) as told:
            lives = bench_instances(quick=quick, progress=told)
    measured = Measured(results, called, built, lives)
    files = report_files(measured) | overview_file(read_all(report, measured))
    write_all({report / name: text for name, text in files.items()})
    unfinished.unlink(missing_ok=True)
    show(targets_table(measured))
    stderr().print(f"written: {printable(str(report))}")
    fail_for(results.failures)


def _previous(path: Path) -> Results:
    from tmebox_bench.results import from_json

    try:
        return from_json(path.read_text())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--vs-previous") from None


def _run_cpu(
    names: list[str],
    group: str | None,
    keys: str | None,
    quick: bool,
    rounds: int | None,
    journal_file: Path | None = None,
) -> Results:
    """Measure, saying each program's ratios as soon as they are known."""
    from tmebox_bench import columns, suite
    from tmebox_bench.cpu import bench_cpu
    from tmebox_bench.tables import brief, missing_notes, program_table, summary_table

    try:
        chosen, chosen_columns = suite.choose(names, group), columns.choose(keys)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not chosen:
        raise typer.BadParameter(f"none of these programs is in group {group}")
    with progress() as report:
        results = bench_cpu(
            chosen,
            chosen_columns,
            size="quick" if quick else "full",
            rounds=rounds_of(rounds, quick),
            progress=report,
            finished=lambda result: stderr().print(printable(brief(result)), soft_wrap=True, highlight=False),
            journal_file=journal_file,
        )
    show(program_table(results))
    show(summary_table(results))
    for note in missing_notes(results):
        stdout().print(f"missing: {printable(note)}", soft_wrap=True)
    return results
