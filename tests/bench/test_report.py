"""The report and its table of targets, from made-up results."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.bench import samples
from tmebox.abi import BASES
from tmebox_bench import targets
from tmebox_bench.calls import OPERATIONS, CallResults
from tmebox_bench.calls_table import calls_table, crossings_table, duration_text, watched_table
from tmebox_bench.command import bench
from tmebox_bench.crossings import AGAIN, CALL, TURNS, in_base
from tmebox_bench.overview import read_all
from tmebox_bench.report import paper_table, report_files
from tmebox_bench.results import from_json, write_all
from tmebox_bench.targets import Measured, Target


def rows(measured: Measured) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in targets.targets_table(measured).rows}


def test_a_target_is_met_fully_enough_or_missed() -> None:
    less = Target("less", 10, 5, str, lambda _: None)
    assert [less.verdict(value) for value in (4, 5, 6, 10, 11)] == [
        "stretch",
        "stretch",
        "must",
        "must",
        "missed",
    ]
    more = Target("more", 5, 10, str, lambda _: None, at_least=True)
    assert [more.verdict(value) for value in (11, 10, 9, 5, 4)] == [
        "stretch",
        "stretch",
        "must",
        "must",
        "missed",
    ]
    assert less.verdict(None) == "not measured"
    assert Target("one bound", 10, None, str, lambda _: None).verdict(1) == "must"
    assert Target("the other", None, 5, str, lambda _: None).verdict(6) == "missed"


def test_every_target_finds_its_figure() -> None:
    found = rows(samples.everything(1.012))
    assert found["gs code+data, all programs, -O2"] == ("≤ 1.020", "≤ 1.010", "1.012", "must")
    assert found["machine code, gs code+data"][2:] == ("1.25 ×", "must")
    assert found["add(3, 4), beside cffi"][2:] == ("0.50 ×", "must")
    assert found["add(3, 4), beside a C extension"] == ("–", "≤ 2.00 ×", "1.33 ×", "stretch")
    assert found["enter and leave again, native"] == ("≤ 20 ns", "≤ 8 ns", "12 ns", "must")
    assert found["enter and leave, sandboxes in turn"] == ("≤ 20 ns", "–", "24 ns", "missed")
    assert found["the same, r15"] == ("≤ 20 ns", "–", "13 ns", "must")
    assert found["being interruptible"][3] == "must"
    assert found["verifier, nothing cached"] == ("≥ 2.0 MB/s", "≥ 20.0 MB/s", "3.0 MB/s", "must")
    assert found["compile and verify 1,000 lines"][2:] == ("1.25 s", "must")
    assert found["create, call, destroy"][2:] == ("9 µs", "must")
    assert found["sandboxes at once"] == ("≥ 32,000", "–", "32,000", "must")
    assert found["memory of each"][3] == "stretch"
    assert found["two threads' work over one's"][2:] == ("1.90 ×", "must")
    unmeasured = {name for name, row in found.items() if row[3] == "not measured"}
    assert unmeasured == {
        "1 MB array that lives there",
        "the same, malloc and stdio used",
        "spawn of a Lua snapshot",
        "reset",
    }


def test_what_was_left_out_is_not_measured_and_what_is_too_slow_is_missed() -> None:
    nothing = rows(Measured(samples.cpu(1.5), CallResults({}, {})))
    assert nothing["gs code+data, worst program"][2:] == ("1.500", "missed")
    assert nothing["verifier, nothing cached"][2:] == ("–", "not measured")
    assert nothing["sandboxes at once"][2:] == ("–", "not measured")
    assert nothing["add(3, 4), beside cffi"][2:] == ("–", "not measured")


def test_call_heavy_programs_are_those_of_two_groups() -> None:
    name = "gs code+data, calls and interpreters"
    assert rows(Measured(samples.cpu(1.05, "interpreters"), samples.calls()))[name][2] == "1.050"
    assert rows(Measured(samples.cpu(1.05, "numeric"), samples.calls()))[name][3] == "not measured"


def test_the_papers_figures_stand_beside_ours() -> None:
    found = {row[0]: row[1:] for row in paper_table(samples.cpu(1.02)).rows}
    assert found["gs code+data"] == ("9.7 %", "20.5 %", "2.0 %", "2.0 %")
    assert len(found) == 4


def test_the_report_has_every_table_chart_and_missing_peer() -> None:
    measured = samples.everything(1.1)
    assert {len(row) for row in calls_table(measured.calls).rows} == {4}
    files = report_files(measured)
    assert set(files) == {
        "benchmarks/imaginary.md",
        *(f"benchmarks/imaginary/{name}.json" for name in ("cpu", "calls", "build", "instances")),
        *(f"benchmarks/imaginary/{name}.svg" for name in ("overhead-gs", "overhead-r15", "instances")),
    }
    parts = ("imaginary", "| fib |", "wasmtime-py: not installed", "1,094 lines", "90.0 MB/s", "1.005")
    for part in (*parts, *OPERATIONS.values(), AGAIN, CALL, TURNS):
        assert part in files["benchmarks/imaginary.md"]


def test_what_the_report_links_to_is_written_and_nothing_is_left_open() -> None:
    files = report_files(samples.everything())
    linked = re.findall(r"\]\(([^)]+)\)", files["benchmarks/imaginary.md"])
    drawn = {name.removeprefix("benchmarks/") for name in files if name.endswith(".svg")}
    assert set(linked) == drawn | {"../benchmarks.md"}
    assert not re.search(r"[{}]", files["benchmarks/imaginary.md"])


def test_a_report_without_the_other_parts_says_so() -> None:
    text = report_files(Measured(samples.cpu(1.0), samples.calls()))["benchmarks/imaginary.md"]
    assert "Not measured." in text
    assert "## Instances" not in text


def test_the_numbers_behind_the_report_can_be_read_back() -> None:
    files = report_files(samples.everything(1.2))
    assert from_json(files["benchmarks/imaginary/cpu.json"]) == samples.cpu(1.2)
    calls = json.loads(files["benchmarks/imaginary/calls.json"])
    assert calls["times_s"]["tmebox"]["scalar"]["median"] == pytest.approx(40e-9)
    built = json.loads(files["benchmarks/imaginary/build.json"])
    assert set(calls["crossings_s"]) == {in_base(how, base) for how in (AGAIN, CALL, TURNS) for base in BASES}
    assert built["verify_bytes_per_s"]["cold"]["min"] == 3e6


def test_durations_have_the_unit_that_fits() -> None:
    assert [duration_text(value) for value in (4.2e-8, 3e-6, 0.25, 3.0)] == ["42 ns", "3 µs", "250 ms", "3 s"]


def test_being_interruptible_is_a_ratio_with_its_spread() -> None:
    (row,) = watched_table(samples.calls()).rows
    assert row[1] == "1.005 (1.00–1.00)"


def test_crossings_are_times_with_their_spread() -> None:
    assert crossings_table(samples.calls()).rows[0] == (AGAIN, "12 ns (12–12)")


def test_parts_that_were_measured_on_another_day_say_so() -> None:
    whole = samples.everything()
    later = replace(whole.calls, machine={"measured": "2027-02-03"})
    text = report_files(replace(whole, calls=later))["benchmarks/imaginary.md"]
    assert "\nCalls: measured on 2027-02-03.\n" in text
    assert "measured on" not in report_files(whole)["benchmarks/imaginary.md"]


def test_parts_are_measured_again_of_a_report_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tmebox_bench.machine.machine", lambda: {"CPU": "imaginary"})
    again = samples.calls(scalar_s=50e-9)
    monkeypatch.setattr("tmebox_bench.calls.bench_calls", lambda **_: again)
    run = CliRunner()
    arguments = ["all", "--report", str(tmp_path), "--parts"]
    assert "has no report on this CPU yet" in _words(run.invoke(bench, [*arguments, "calls"]).output)
    assert "one of cpu, calls" in _words(run.invoke(bench, [*arguments, "cpus"]).output)
    before = samples.everything(1.1)
    write_all({tmp_path / name: text for name, text in report_files(before).items()})
    assert run.invoke(bench, [*arguments, "calls"]).exit_code == 0
    assert read_all(tmp_path) == {"imaginary": replace(before, calls=again)}


def _words(shown: str) -> str:
    """Without the frame around it."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split())
