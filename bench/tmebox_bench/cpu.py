"""`tmebox bench cpu`: every program in every column, in turns, outputs compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tmebox.errors import CompileError, TmeboxError
from tmebox.toolchain.build import CompileOptions, SourceText, build
from tmebox.toolchain.compile import gcc
from tmebox_bench import wasm, wasm2c
from tmebox_bench.columns import Column
from tmebox_bench.debian import SourcesUnavailableError
from tmebox_bench.journal import Journal, run_key
from tmebox_bench.machine import machine
from tmebox_bench.results import Cell, ProgramResult, Results, compared, measured
from tmebox_bench.runners import NativeRun, Run, RunError, Worker, WorkerRun, begun, pinned
from tmebox_bench.suite import Program, Sources
from tmebox_bench.turns import take_turns
from tmebox_bench.variants import MissingError, Progress, Variant, variants

Finished = Callable[[ProgramResult], None]


def bench_cpu(
    programs: Sequence[Program],
    columns: Sequence[Column],
    *,
    size: str,
    rounds: int,
    progress: Progress | None = None,
    finished: Finished | None = None,
    journal_file: Path | None = None,
) -> Results:
    """Build everything, then measure program by program, each round in another placement of the code.

    finished(result) is called after each program.

    size: one of suite.SIZES. journal_file: where results are kept as they come, and taken from if an earlier
    run was interrupted; the caller removes it. Missing columns and programs, failures and mismatches are in
    the cells.
    """
    built = _build_all(programs, columns, progress)
    here = machine()
    journal = Journal(journal_file, run_key(here, columns, size, rounds)) if journal_file else None
    found = []
    with pinned():
        for index, program in enumerate(programs):
            if progress is not None:
                progress("measuring", index, len(programs))
            builds = _identity(built[program.name])
            result = journal.find(program.name, builds) if journal else None
            if result is None:
                result = _measure(program, built[program.name], columns, size, rounds)
                if journal:
                    journal.add(result, builds)
            found.append(result)
            if finished is not None:
                finished(result)
    return Results(here, size, rounds, tuple(columns), tuple(found))


def _identity(built: Mapping[str, list[Variant] | Cell]) -> str:
    """Changes with any of a program's builds: their folders are named after everything that shapes them."""
    parts = {
        key: item.missing or item.failure if isinstance(item, Cell) else [v.path.parent.name for v in item]
        for key, item in built.items()
    }
    return repr(sorted(parts.items()))


def _build_all(
    programs: Sequence[Program], columns: Sequence[Column], progress: Progress | None
) -> dict[str, dict[str, list[Variant] | Cell]]:
    """Builds, or the cell that says why there are none, by program and column."""
    unavailable = {column.key: why_missing(column) for column in columns}
    sources = {program.name: _fetch(program) for program in programs}
    pairs = [(program, column) for program in programs for column in columns]
    built: dict[str, dict[str, list[Variant] | Cell]] = {program.name: {} for program in programs}
    # Threads: the compiler's work is in child processes.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [
            pool.submit(_build, program, column, sources[program.name], unavailable[column.key])
            for program, column in pairs
        ]
        try:
            for done, ((program, column), job) in enumerate(zip(pairs, jobs, strict=True)):
                if progress is not None:
                    progress("building programs", done, len(pairs))
                built[program.name][column.key] = job.result()
        finally:
            pool.shutdown(cancel_futures=True)
    return built


def why_missing(column: Column) -> str:
    """Why this machine or this version cannot run a column at all; empty if it can."""
    if column.kind == "wasm" and not wasm.is_installed():
        return "wasmtime is not installed: pip install './bench[peers]'"
    if column.kind == "wasm2c":
        return wasm2c.why_missing()
    if column.compiler == "gcc":
        try:
            gcc.gcc()
        except CompileError as error:
            return str(error)
    if column.kind == "sandbox" and column.base != "gs":
        empty = SourceText("int answer(void) { return 42; }", "probe.c")
        try:
            build([empty], CompileOptions(base=column.base, isolation=column.isolation, use_libc=False))
        except CompileError as error:
            return str(error).splitlines()[0]
    return ""


def _fetch(program: Program) -> Sources | str:
    """The program's sources, downloaded at first use, or why there are none."""
    try:
        return program.sources()
    except SourcesUnavailableError as error:
        return str(error).rpartition(": ")[2]  # the last part is apt's own words


def _build(
    program: Program, column: Column, sources: Sources | str, unavailable: str
) -> list[Variant] | Cell:
    if isinstance(sources, str) or unavailable:
        return Cell(missing=sources if isinstance(sources, str) else unavailable)
    try:
        return variants(program, column, sources)
    except MissingError as error:
        return Cell(missing=str(error))
    except TmeboxError as error:
        return Cell(failure=f"does not build: {error}")


@dataclass
class _Entry:
    """A build that is being measured."""

    column: Column
    variant: Variant
    worker: Worker = field(default_factory=Worker)
    samples_s: list[float] = field(default_factory=list)


def _measure(
    program: Program,
    built: dict[str, list[Variant] | Cell],
    columns: Sequence[Column],
    size: str,
    rounds: int,
) -> ProgramResult:
    cells = {key: item for key, item in built.items() if isinstance(item, Cell)}
    entries = [
        _Entry(column, variant)
        for column in columns
        if not isinstance(builds := built[column.key], Cell)
        for variant in builds
    ]
    outputs: dict[str, str] = {}
    with ExitStack() as stack:
        for entry in entries:
            stack.callback(entry.worker.close)
        # The first round is not counted: it loads modules, fills caches, and compares what is printed.
        for number in range(rounds + 1):
            running = [entry for entry in entries if entry.column.key not in cells]
            for entry, done in zip(running, _round(running, str(program.amount(size)), number), strict=True):
                key, baseline = entry.column.key, entry.column.baseline
                if isinstance(done, RunError):
                    cells[key] = Cell(failure=str(done))
                elif done.stdout != (expected := outputs.setdefault(baseline, done.stdout)):
                    cells[key] = Cell(failure=mismatch(expected, done.stdout))
                elif number:
                    entry.samples_s.append(done.cpu_s)
    for column in columns:
        own = [entry for entry in entries if entry.column is column]
        if column.key not in cells:
            cells[column.key] = measured(
                {entry.variant.label: entry.samples_s for entry in own},
                {entry.variant.label: entry.variant.text_bytes for entry in own},
            )
    return ProgramResult(program.name, program.group, compared({c.key: cells[c.key] for c in columns}))


def _round(entries: Sequence[_Entry], argument: str, number: int) -> list[Run | RunError]:
    """Every build runs once, and they take turns."""
    with ExitStack() as stack:
        runs = [begun(entry.variant, [argument], entry.worker, number) for entry in entries]
        for run in runs:
            stack.callback(run.close)
        take_turns(runs)
        return [_result(run) for run in runs]


def _result(run: NativeRun | WorkerRun) -> Run | RunError:
    try:
        return run.result()
    except RunError as error:
        return error


def mismatch(expected: str, printed: str) -> str:
    """Where two outputs part, in words."""
    at = next((i for i, (a, b) in enumerate(zip(expected, printed, strict=False)) if a != b), None)
    at = min(len(expected), len(printed)) if at is None else at
    return f"prints {printed[at : at + 40]!r} at {at}, where its baseline prints {expected[at : at + 40]!r}"
