"""Going on with an interrupted run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import samples
from tmebox_bench import columns, cpu, suite
from tmebox_bench.journal import Journal, run_key
from tmebox_bench.results import Cell, ProgramResult

RESULT = samples.cpu(1.1).programs[0]


def test_a_result_is_found_again_by_the_same_run_with_the_same_builds(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal"
    Journal(path, "key").add(RESULT, "builds")
    assert Journal(path, "key").find("fib", "builds") == RESULT
    assert Journal(path, "key").find("fib", "other builds") is None
    assert Journal(path, "key").find("tak", "builds") is None
    assert Journal(path, "other key").find("fib", "builds") is None


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "key")
    journal.add(ProgramResult("fib", "calls", {"native": Cell(failure="it crashed")}), "builds")
    assert journal.find("fib", "builds") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"key": "key", "programs": 3}', '{"key": "key"}'])
def test_a_damaged_journal_is_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal"
    path.write_text(text)
    journal = Journal(path, "key")
    assert journal.find("fib", "builds") is None
    journal.add(RESULT, "builds")
    assert Journal(path, "key").find("fib", "builds") == RESULT


def test_a_damaged_entry_is_none(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text(
        '{"key": "key", "programs": {"fib": {"builds": "builds", "result": {"cells": {"x": 1}}}}}'
    )
    assert Journal(path, "key").find("fib", "builds") is None


def test_another_machine_size_or_number_of_rounds_is_another_run() -> None:
    chosen = columns.choose("gs-code")
    keys = {
        run_key({"CPU": "a"}, chosen, "full", 5),
        run_key({"CPU": "b"}, chosen, "full", 5),
        run_key({"CPU": "a"}, chosen, "quick", 5),
        run_key({"CPU": "a"}, chosen, "full", 3),
        run_key({"CPU": "a"}, columns.choose("gs-data"), "full", 5),
    }
    assert len(keys) == 5
    assert run_key({"CPU": "a"}, chosen, "full", 5) in keys


def test_an_interrupted_run_goes_on_with_the_programs_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = [program for program in suite.PROGRAMS if program.name in ("fib", "tak")]
    chosen, path, ran = columns.choose("gs-code"), tmp_path / "journal", []
    measure = cpu._measure

    def interrupted(program: suite.Program, *rest: object) -> ProgramResult:
        ran.append(program.name)
        if ran == ["fib", "tak"]:
            raise KeyboardInterrupt
        return measure(program, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(cpu, "_measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cpu.bench_cpu(programs, chosen, size="tiny", rounds=1, journal_file=path)
    results = cpu.bench_cpu(programs, chosen, size="tiny", rounds=1, journal_file=path)
    assert ran == ["fib", "tak", "tak"]
    assert [program.name for program in results.programs] == ["fib", "tak"]
    assert results.failures == []
