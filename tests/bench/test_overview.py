"""Several CPUs side by side."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from tmebox_bench.machine import REMARK, WHEN, cpu_model, machine, slug
from tmebox_bench.overview import groups_table, overview_file, read_all, targets_table
from tmebox_bench.report import report_files
from tmebox_bench.results import write_all
from tmebox_bench.targets import Measured

from . import samples

DOCS = Path(__file__).parents[2] / "docs"


def of(cpu: str, ratio: float) -> Measured:
    measured = samples.everything(ratio)
    facts = {"CPU": cpu, WHEN: "2026-11-29"}
    return dataclasses.replace(measured, cpu=dataclasses.replace(measured.cpu, machine=facts))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    for measured in (
        of("AMD EPYC (family 25, model 1, stepping 1)", 1.01),
        of("Intel(R) Xeon(R) (family 6, model 207)", 1.2),
    ):
        write_all({tmp_path / name: text for name, text in report_files(measured).items()})
    return tmp_path


def test_a_cpu_has_a_short_name_for_files() -> None:
    assert slug("AMD EPYC (family 25, model 17, stepping 1)") == "amd-25-17"
    assert slug("Intel(R) Xeon(R) Gold 6530 (family 6, model 207, stepping 2)") == "intel-6-207"
    assert slug(cpu_model("")) == "unknown"
    assert re.fullmatch(r"[a-z0-9-]+", slug(machine()["CPU"]))


def test_cpus_stand_side_by_side_and_what_missed_its_must_is_bold(report: Path) -> None:
    found = read_all(report)
    assert list(found) == ["amd-25-1", "intel-6-207"]
    rows = {row[0]: row[1:] for row in targets_table(found).rows}
    assert rows["gs code+data, worst program"] == ("≤ 1.150", "≤ 1.080", "1.010", "**1.200**")
    groups = {row[0]: row[1:] for row in groups_table(found).rows}
    assert groups["calls"][:2] == ("1.010", "1.200")
    text = overview_file(found)["benchmarks.md"]
    assert "](benchmarks/intel-6-207.md)" in text and "2026-11-29" in text
    assert not re.search(r"[{}]", text)


def test_a_new_run_takes_the_place_of_its_cpus_last_one(report: Path) -> None:
    again = of("AMD EPYC (family 25, model 1, stepping 1)", 1.05)
    found = read_all(report, again)
    assert list(found) == ["amd-25-1", "intel-6-207"]
    assert found["amd-25-1"] is again


def test_what_has_to_be_known_about_a_run_stands_beside_it_until_the_next(report: Path) -> None:
    path = report / "benchmarks" / "intel-6-207" / "cpu.json"
    document = json.loads(path.read_text())
    document["machine"][REMARK] = "of an older form"
    path.write_text(json.dumps(document))
    assert "of an older form" in overview_file(read_all(report))["benchmarks.md"]
    again = read_all(report, of("Intel(R) Xeon(R) (family 6, model 207)", 1.1))
    assert "of an older form" not in overview_file(again)["benchmarks.md"]


def test_what_is_read_back_is_what_was_written(report: Path) -> None:
    assert read_all(report)["intel-6-207"] == of("Intel(R) Xeon(R) (family 6, model 207)", 1.2)


@pytest.mark.parametrize("name", ["cpu", "calls", "build", "instances"])
def test_a_file_that_is_no_result_is_named(report: Path, name: str) -> None:
    (report / "benchmarks" / "amd-25-1" / f"{name}.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(ValueError, match="amd-25-1"):
        read_all(report)


def test_the_document_is_what_its_numbers_give() -> None:
    """Who changes a number, a target or the text makes it anew: `tmebox bench all`, or `overview_file`."""
    assert (DOCS / "benchmarks.md").read_text() == overview_file(read_all(DOCS))["benchmarks.md"]
