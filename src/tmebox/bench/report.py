"""The report of `tmebox bench all`: Markdown, charts and the numbers behind them."""

from __future__ import annotations

from tmebox.bench import instances_report, paper
from tmebox.bench.calls import CallResults
from tmebox.bench.calls_table import calls_table
from tmebox.bench.charts import charts
from tmebox.bench.instances import InstanceResults
from tmebox.bench.results import Results, to_json
from tmebox.bench.tables import markdown, missing_notes, program_table, summary_table

REPORT = "benchmarks.md"
FOLDER = "benchmarks"

_TEXT = """\
# Benchmarks

One run of `tmebox bench all` on the machine below. `tmebox bench cpu`, `calls` and `instances` measure the
same on yours.

{machine}

## CPU time

{count} programs, {rounds} rounds, every column in each round, on one processor. A time is the CPU time of the
program's thread, kernel time included, from its start-up code to its exit; creating a process or a sandbox,
loading and verifying are not in it. A ratio compares the runs of one round; shown are the median over the
rounds and, in brackets, the least and greatest. Every run's output is compared with the native one's.

Native means the same compiler with the same options, less those that sandboxing needs, and the same C library
(the sandboxed one's sources, without instrumentation), linked statically, as PIE and as non-PIE: the faster
one of each program is its baseline. `v3` is `-march=x86-64-v3`; those columns compare to native code that is
built so too. The wasmtime column is the same source, `-O2 -msimd128`, with wasi-libc.

{summary}

{charts}{programs}

{missing}## Calls

Median time of one operation, and in brackets the least and greatest of the rounds. Python's loop is in every
figure. A C extension, cffi and ctypes contain nothing: a bad access ends their process.

{calls}
{instances}"""


def report_files(
    results: Results, calls: CallResults, instances: InstanceResults | None = None
) -> dict[str, str]:
    """benchmarks.md, and what it links to in a folder beside it: contents by relative name."""
    drawn = charts(results)
    missing = [*missing_notes(results), *calls.missing, *(instances.missing if instances else ())]
    text = _TEXT.format(
        machine="\n".join(f"- {name}: {value}" for name, value in results.machine.items()),
        count=len(results.programs),
        rounds=results.rounds,
        summary=markdown(summary_table(results)),
        charts="".join(_figure(name) for name in drawn),
        programs=markdown(program_table(results)),
        missing=_missing(missing),
        calls=markdown(calls_table(calls)),
        instances="" if instances is None else f"\n{instances_report.section(instances, f'{FOLDER}/')}",
    )
    beside = {"cpu.json": to_json(results), **drawn}
    if instances is not None:
        beside |= {
            "instances.json": instances_report.to_json(instances),
            **instances_report.charts(instances),
        }
    return {REPORT: text, **{f"{FOLDER}/{name}": content for name, content in beside.items()}}


def _figure(name: str) -> str:
    base = name.removeprefix("overhead-").removesuffix(".svg")
    mean, number = paper.GEOMEANS[base], paper.FIGURES[base]
    return (
        f"![Overhead per program, {base}]({FOLDER}/{name})\n\n"
        f"In the form of the TME-Box paper's figure {number}. Its geometric means, of SPEC CPU2017 at -O3 on "
        f"a Xeon Gold 6530, are the dashed lines: {mean.data:g} % (data) and {mean.code_and_data:g} % "
        "(code+data).\n\n"
    )


def _missing(notes: list[str]) -> str:
    return "".join(["Missing in this run:\n\n", *(f"- {note}\n" for note in notes), "\n"]) if notes else ""
