"""The report of `tmebox bench all` on one CPU: Markdown, charts and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence

from tmebox_bench import building, instances_report, paper, suite, variants
from tmebox_bench.building import BuildResults
from tmebox_bench.calls import to_json as calls_json
from tmebox_bench.calls_table import calls_table, crossings_table, duration_text, watched_table
from tmebox_bench.charts import charts
from tmebox_bench.columns import BY_KEY
from tmebox_bench.machine import WHEN, slug
from tmebox_bench.results import Results, to_json
from tmebox_bench.tables import (
    Table,
    markdown,
    missing_notes,
    program_table,
    size_table,
    summary_table,
)
from tmebox_bench.targets import Measured, targets_table

FOLDER = "benchmarks"
_HOW = {
    "cold": ("Loading", "with nothing cached"),
    "known": ("Verifying", "whose encodings are all known"),
    "again": ("Loading", "a second time"),
}

_TEXT = """\
# Benchmarks: {cpu}

One run of `tmebox bench all` on the machine below; the numbers behind it are in the folder `{folder}`.
`tmebox bench cpu`, `calls`, `build` and `instances` measure the same on yours.
[Other CPUs](../benchmarks.md).

{machine}

How to read it: every figure was taken beside what it is compared to, in turns, and what disturbed a round
disturbed both. Ratios are of one round's runs; what is shown is the median over the rounds and, in brackets,
the least and the greatest. No round is left out but the first, which warms up. What a peer or a machine
cannot do is missing, with the reason, and not estimated.

Every build is one placement of its code, and CPUs predict branches by where they lie: a program that jumps
through tables or pointers can take a fifth more or less with a function 16 bytes further, native code too.
Means over many programs say more than any single one.

## Targets

What this project set out to reach, and what this run reached. CPU time is over native code of the same
compiler with the same options.{later}

{targets}

## CPU time

{count} programs, {rounds} rounds. In a round every column runs once, on one processor, all in turns of a
twentieth of a second. A time is the CPU time of the program's thread, kernel time included, from its start-up
code to its exit; creating a process or a sandbox, loading and verifying are not in it. Every run's output is
compared with the native one's.

Native means the same compiler with the same options, less those that sandboxing needs, and the same C library
(the sandboxed one's sources, without instrumentation), linked statically, as PIE and as non-PIE: the faster
one of each program is its baseline. gs columns and WebAssembly are clang's, and compared to clang's native
code; r15 columns are gcc's, which can keep registers free, and compared to gcc's. `v3` is
`-march=x86-64-v3`; those columns compare to native code that is built so too. The wasmtime column is the same
source, `-O2 -msimd128`, with wasi-libc. wasm2c is that without SIMD, turned into C by Debian's wasm2c and
compiled like the native code. Each program is linked in {placements} placements of its code, and each round
measures another one.

{summary}

Beside the TME-Box paper, which has SPEC CPU2017 at -O3 on a Xeon Gold 6530, in hardware: other programs on
another machine, to be compared by form and size.

{paper}

{charts}Native times, and how many times as long the others took:

{programs}

{remarks}{missing}### Size of machine code

The C library's part is in it. Native in KiB, the others as multiples of their baseline. A module's text is in
memory once, however many sandboxes there are.

{sizes}

## Calls

Time of one operation, from Python. Python's loop is in every figure. A C extension, cffi and ctypes contain
nothing: a bad access ends their process. "Beside another thread" is where the GIL is released during the
call; where there is no other Python thread, tmebox keeps it for a moment.

{calls}

What entering a sandbox and leaving it costs without Python around it. The function is empty; what it shares
with every call is the code that clears registers, switches stacks and puts the host's control registers back.
"Enter and leave, sandboxes in turn" among the targets is entering again, and what the calls in turn take more
than those of the same sandbox. In turn, each gs sandbox's base is written to gs; r15 is written anyway.

{crossings}

What it costs that a call can be interrupted, in CPU time of the process, over a call that nobody watches:

{watched}

## Compiling and verifying

{build}
{instances}"""


def report_files(measured: Measured) -> dict[str, str]:
    """The CPU's report, and what it links to in a folder beside it: contents by name, relative to where
    benchmarks.md is."""
    results, instances = measured.cpu, measured.instances
    folder = slug(results.machine["CPU"])
    drawn = charts(results)
    missing = [*missing_notes(results), *measured.calls.missing]
    missing += [note for part in (measured.build, instances) if part for note in part.missing]
    text = _TEXT.format(
        cpu=results.machine["CPU"],
        folder=folder,
        machine="\n".join(f"- {name}: {value}" for name, value in results.machine.items()),
        later=_later(measured),
        targets=markdown(targets_table(measured)),
        count=len(results.programs),
        rounds=results.rounds,
        summary=markdown(summary_table(results)),
        placements=variants.PLACEMENTS,
        paper=markdown(paper_table(results)),
        charts="".join(_figure(folder, name) for name in drawn),
        programs=markdown(program_table(results)),
        remarks=_listed("Remarks:", _remarks(results)),
        missing=_listed("Missing in this run:", missing),
        sizes=markdown(size_table(results)),
        calls=markdown(calls_table(measured.calls)),
        crossings=markdown(crossings_table(measured.calls)),
        watched=markdown(watched_table(measured.calls)),
        build=_build(measured.build),
        instances="" if instances is None else f"\n{instances_report.section(instances, f'{folder}/')}",
    )
    beside = {"cpu.json": to_json(results), "calls.json": calls_json(measured.calls), **drawn}
    if measured.build is not None:
        beside["build.json"] = building.to_json(measured.build)
    if instances is not None:
        beside |= {
            "instances.json": instances_report.to_json(instances),
            **instances_report.charts(instances),
        }
    return {
        f"{FOLDER}/{folder}.md": text,
        **{f"{FOLDER}/{folder}/{name}": content for name, content in beside.items()},
    }


def _later(measured: Measured) -> str:
    """Which parts are not of the same day as CPU times."""
    parts = (
        ("Calls", measured.calls),
        ("Compiling and verifying", measured.build),
        ("Instances", measured.instances),
    )
    day = measured.cpu.machine.get(WHEN)
    days = ((what, part.machine.get(WHEN)) for what, part in parts if part is not None)
    return "".join(f"\n{what}: measured on {found}." for what, found in days if found and found != day)


def paper_table(results: Results) -> Table:
    """Overheads in percent: the paper's geometric mean and worst program, and this run's."""
    rows = []
    for base, mean in paper.GEOMEANS.items():
        worst = paper.WORST[base]
        for key, theirs, theirs_worst in (
            (f"{base}-data", mean.data, worst.data),
            (f"{base}-code", mean.code_and_data, worst.code_and_data),
        ):
            ours, ours_worst = results.geomean_of(key), max(results.ratios_of(key), default=None)
            here = (_percent(ours), _percent(ours_worst))
            rows.append((BY_KEY[key].label, f"{theirs:g} %", f"{theirs_worst:g} %", *here))
    return Table(("overhead", "paper, mean", "paper, worst", "here, mean", "here, worst"), tuple(rows))


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{(ratio - 1) * 100:.1f} %"


def _figure(folder: str, name: str) -> str:
    base = name.removeprefix("overhead-").removesuffix(".svg")
    return (
        f"![Overhead per program, {base}]({folder}/{name})\n\n"
        f"In the form of the paper's figure {paper.FIGURES[base]}; dashed: its geometric means.\n\n"
    )


def _remarks(results: Results) -> list[str]:
    names = {program.name for program in results.programs}
    return [f"{p.name}: {p.remark}" for p in suite.PROGRAMS if p.remark and p.name in names]


def build_lines(results: BuildResults) -> list[str]:
    """What compiling and verifying took, a sentence each."""
    lines = []
    if results.compile_s is not None:
        found = results.compile_s
        low, middle, high = map(duration_text, (found.min, found.median, found.max))
        lines.append(f"A C file of {results.lines:,} lines to a verified module: {middle} ({low}–{high}).")
    for how, speed in results.verify_bytes_per_s.items():
        low, middle, high = (f"{value / 1e6:.1f}" for value in (speed.min, speed.median, speed.max))
        does, when = _HOW[how]
        lines.append(
            f"{does} {results.program}, {results.text_bytes:,} bytes of machine code, {when}: "
            f"{middle} MB/s ({low}–{high})."
        )
    return lines


def _build(results: BuildResults | None) -> str:
    lines = build_lines(results) if results else []
    return "".join(f"- {line}\n" for line in lines) or "Not measured.\n"


def _listed(title: str, notes: Sequence[str]) -> str:
    return "".join([title, "\n\n", *(f"- {note}\n" for note in notes), "\n"]) if notes else ""
