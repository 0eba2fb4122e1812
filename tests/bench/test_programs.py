"""Every program of the suite compiles, verifies, and prints in a sandbox what it prints natively."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import tmebox
from tmebox_bench import columns, cpu, suite, variants
from tmebox_bench.debian import SourcesUnavailableError
from tmebox_bench.results import Cell
from tmebox_bench.runners import NativeRun, Run, RunError, Worker, WorkerRun, begun, pinned
from tmebox_bench.suite import Program
from tmebox_bench.turns import take_turns
from tmebox_bench.variants import Variant

pytestmark = pytest.mark.slow

OWN = [program for program in suite.PROGRAMS if program.upstream is None]
# SQLite takes more than a minute to instrument; `tmebox bench cpu` compares its output like any other's.
UPSTREAM = [program for program in suite.PROGRAMS if program.upstream and program.name != "sqlite"]
GS_CODE = columns.choose("gs-code")


def run(one: NativeRun | WorkerRun) -> Run:
    try:
        take_turns([one])
        return one.result()
    finally:
        one.close()


def run_both(program: Program) -> tuple[str, str]:
    """What a tiny run prints natively (non-PIE) and in a sandbox."""
    sources = program.sources()
    built = {column.key: variants.variants(program, column, sources) for column in GS_CODE}
    arguments = [str(program.tiny)]
    native = run(NativeRun(built["native"][0].path, arguments)).stdout
    with tmebox.Sandbox(tmebox.Module.load(built["gs-code"][0].path), memory="128MiB", timeout=60) as sandbox:
        completed = sandbox.run([program.name, *arguments])
    assert completed.exit_code == 0, completed.stderr.decode()
    return native, completed.stdout.decode()


@pytest.mark.parametrize("program", OWN, ids=lambda program: program.name)
def test_a_program_prints_the_same_natively_and_sandboxed(program: Program) -> None:
    native, sandboxed = run_both(program)
    assert native.strip()
    assert sandboxed == native


LONG = ("duktape", "quickjs")
"""Over a minute to build twice; mujs is the JavaScript of all runs (tests/programs)."""


@pytest.mark.network
@pytest.mark.parametrize(
    "program",
    [pytest.param(one, marks=pytest.mark.packages if one.name in LONG else ()) for one in UPSTREAM],
    ids=lambda program: program.name,
)
def test_a_program_from_debian_prints_the_same_natively_and_sandboxed(program: Program) -> None:
    try:
        native, sandboxed = run_both(program)
    except SourcesUnavailableError as error:
        pytest.skip(str(error))
    assert native.strip()
    assert sandboxed == native


FIB = next(program for program in suite.PROGRAMS if program.name == "fib")


def test_a_run_measures_every_column_and_gives_ratios_to_the_native_one() -> None:
    results = cpu.bench_cpu([FIB], GS_CODE, size="tiny", rounds=2)
    assert results.failures == []
    cells = results.programs[0].cells
    assert set(cells["native"].samples_s) == {"PIE", "non-PIE"}
    assert len(cells["gs-code"].samples_s[""]) == 2
    assert cells["gs-code"].ratio is not None
    assert cells["gs-code"].text_bytes > 0


def test_a_program_whose_output_differs_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = WorkerRun.result

    def tampered(one: WorkerRun) -> Run:
        done = honest(one)
        return Run(done.cpu_s, done.stdout.replace("0", "1"))

    monkeypatch.setattr(WorkerRun, "result", tampered)
    results = cpu.bench_cpu([FIB], GS_CODE, size="tiny", rounds=1)
    assert len(results.failures) == 1
    assert results.failures[0].startswith("fib, gs code+data: prints '1")
    assert results.programs[0].cells["gs-code"].ratio is None


def test_a_mismatch_says_where_outputs_part() -> None:
    assert cpu.mismatch("abc", "abd") == "prints 'd' at 2, where its baseline prints 'c'"
    assert cpu.mismatch("abc", "ab") == "prints '' at 2, where its baseline prints 'c'"


def test_a_missing_package_is_missing_and_not_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: Program) -> None:
        raise SourcesUnavailableError("apt-get source: E: Unable to find it")

    monkeypatch.setattr(Program, "sources", nowhere)
    results = cpu.bench_cpu([FIB], GS_CODE, size="tiny", rounds=1)
    assert results.failures == []
    nothing = Cell(missing="Unable to find it")
    assert results.programs[0].cells == {"native": nothing, "gs-code": nothing}


def test_a_runtime_that_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu.wasm, "is_installed", lambda: False)
    assert "./bench[peers]" in cpu.why_missing(columns.BY_KEY["wasmtime"])
    assert cpu.why_missing(columns.BY_KEY["gs-code"]) == ""


def test_a_program_that_fails_natively_is_an_error_with_its_message() -> None:
    column = columns.BY_KEY["native"]
    path = variants.variants(FIB, column, FIB.sources())[0].path
    with pytest.raises(RunError, match="exit code 2: usage"):
        run(NativeRun(path, []))


def test_a_worker_reports_a_bad_module_and_goes_on(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tbx"
    bad.write_bytes(b"not a module")
    good = variants.variants(FIB, columns.BY_KEY["gs-code"], FIB.sources())[0]
    with Worker() as worker:
        with pytest.raises(RunError, match="ModuleError"):
            run(WorkerRun(worker, "sandbox", bad, ["1"]))
        with pytest.raises(RunError, match="exit code 2"):
            run(WorkerRun(worker, "sandbox", good.path, []))
        assert run(WorkerRun(worker, "sandbox", good.path, ["10"])).stdout == "0000000000000037\n"


def test_a_worker_that_dies_is_an_error_and_another_one_starts() -> None:
    good = variants.variants(FIB, columns.BY_KEY["gs-code"], FIB.sources())[0]
    with Worker() as worker:
        worker.started().kill()
        worker.started().wait()
        with pytest.raises(RunError, match="the worker ended with -9"):
            run(WorkerRun(worker, "sandbox", good.path, ["10"]))
        assert run(WorkerRun(worker, "sandbox", good.path, ["10"])).stdout == "0000000000000037\n"


def test_runs_that_are_given_up_leave_nobody_stopped() -> None:
    """A native and a sandboxed one, each stopped in the middle."""
    built = {
        column.key: variants.variants(FIB, column, FIB.sources())[0] for column in columns.choose("gs-code")
    }
    with Worker() as worker:
        runs = [begun(variant, [str(FIB.full)], worker) for variant in built.values()]
        for one in runs:
            one.go()
            assert not one.ends_within(0.01)
            one.stop()
        processes = [one.process for one in runs]
        for one in runs:
            one.close()
        assert all(process is not None and process.poll() == -9 for process in processes)


@pytest.mark.parametrize("key", ["native", "gs-code"])
def test_each_round_measures_another_placement_of_the_same_code(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = columns.BY_KEY[key]
    variant = variants.variants(FIB, column, FIB.sources())[0]
    assert len(variant.paths) == variants.PLACEMENTS
    texts = {path.read_bytes() for path in variant.paths}
    assert len(texts) == variants.PLACEMENTS
    seen = []

    def noting(variant: Variant, arguments: list[str], worker: Worker, number: int) -> NativeRun | WorkerRun:
        seen.append(variant.placed(number))
        return begun(variant, arguments, worker, number)

    monkeypatch.setattr(cpu, "begun", noting)
    results = cpu.bench_cpu([FIB], (column,), size="tiny", rounds=variants.PLACEMENTS)
    assert results.failures == []
    assert set(variant.paths) <= set(seen)


def test_a_program_turned_into_c_by_wasm2c_prints_the_same() -> None:
    column = columns.BY_KEY["wasm2c"]
    if missing := cpu.why_missing(column):
        pytest.skip(missing)
    words = next(program for program in suite.PROGRAMS if program.name == "words")
    results = cpu.bench_cpu([FIB, words], columns.choose("wasm2c"), size="tiny", rounds=1)
    assert results.failures == []
    assert [program.cells["wasm2c"].missing for program in results.programs] == ["", ""]
    assert all(program.cells["wasm2c"].ratio is not None for program in results.programs)


def test_pinning_ends_with_its_block() -> None:
    before = os.sched_getaffinity(0)
    with pinned() as processor:
        assert os.sched_getaffinity(0) == {processor}
    assert os.sched_getaffinity(0) == before
