"""`bench instances`: results, JSON, tables and chart from made-up samples, and operations that really run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tmebox
from tmebox_bench import instances, instances_live, instances_peers
from tmebox_bench.calls import CallResults
from tmebox_bench.instances import OPERATIONS, REPEATS, InstanceResults
from tmebox_bench.instances_chart import chart
from tmebox_bench.instances_live import Live, hold
from tmebox_bench.instances_report import (
    from_json,
    live_table,
    scaling_table,
    section,
    times_table,
    to_json,
)
from tmebox_bench.report import report_files
from tmebox_bench.results import Results
from tmebox_bench.statistics import Spread
from tmebox_bench.targets import Measured


@pytest.fixture
def made_up() -> InstanceResults:
    return InstanceResults(
        {"CPU": "made of wood"},
        {
            "tmebox": {"trivial": (8e-6, 9e-6, 1e-5), "reset-lua": (1e-5, 1e-5, 1e-5)},
            "wasmtime-py": {"trivial": (8e-5, 8.1e-5, 1.1e-4)},
        },
        {
            "tmebox": Live(32_000, 32_000, "", 12_500.0, 12_400.0, 9e-6),
            "wasmtime-py": Live(16_350, 16_350, "WasmtimeError: no <memory>", 13e3, 13e3, 3e-5),
        },
        {"calls": Spread(1.8, 1.9, 1.95), "tasks": Spread(1.7, 1.8, 1.9)},
        ("process: no compiler",),
    )


def test_every_operation_has_a_number_of_repetitions() -> None:
    assert OPERATIONS.keys() == REPEATS.keys()


def test_ratios_compare_the_rounds_of_one_run(made_up: InstanceResults) -> None:
    ratio = made_up.ratio("wasmtime-py", "trivial")
    assert ratio is not None
    assert (ratio.min, ratio.median, ratio.max) == pytest.approx((9.0, 10.0, 11.0))
    assert made_up.ratio("wasmtime-py", "reset-lua") is None
    assert made_up.times_s("tmebox", "trivial") == Spread(8e-6, 9e-6, 1e-5)


def test_json_is_read_back_as_it_was_written(made_up: InstanceResults) -> None:
    assert from_json(to_json(made_up)) == made_up
    for damaged in ("[]", "{}", "nothing", to_json(made_up).replace('"schema": 1', '"schema": 2')):
        with pytest.raises(ValueError):
            from_json(damaged)


def test_tables_show_what_was_measured_and_a_dash_for_what_was_not(made_up: InstanceResults) -> None:
    table = times_table(made_up)
    assert table.headings == ("operation", "tmebox", "wasmtime-py")
    assert table.rows == (
        (OPERATIONS["trivial"], "9 µs (8–10)", "81 µs (80–110)"),
        (OPERATIONS["reset-lua"], "10 µs (10–10)", "–"),
    )
    disturbed = replace(made_up, samples_s={"tmebox": {"trivial": (1e-6, 2e-5, 1.5e-3)}})
    assert times_table(disturbed).rows == ((OPERATIONS["trivial"], "20 µs (1–1500)"),)
    rows = live_table(made_up).rows
    assert rows[0][1:4] == ("32,000", "32,000", "12.5 kB (12.4 kB by the process's own count)")
    assert rows[1][-1] == "WasmtimeError: no <memory>"
    assert [row[1] for row in scaling_table(made_up).rows] == ["1.90 × (1.80–1.95)", "1.80 × (1.70–1.90)"]


def test_the_chart_has_a_bar_for_every_measurement_and_longer_ones_for_more_time(
    made_up: InstanceResults,
) -> None:
    root = ElementTree.fromstring(chart(made_up))
    bars = {
        bar.findtext("{*}title", "").split(" (")[0]: float(bar.get("width", ""))
        for bar in root.iter("{http://www.w3.org/2000/svg}rect")
        if bar.find("{*}title") is not None
    }
    assert bars.keys() == {"tmebox: 9 µs", "tmebox: 10 µs", "wasmtime-py: 81 µs"}
    assert bars["tmebox: 9 µs"] < bars["tmebox: 10 µs"] < bars["wasmtime-py: 81 µs"]


def test_a_chart_of_nothing_is_a_chart(made_up: InstanceResults) -> None:
    assert ElementTree.fromstring(chart(InstanceResults({}, {}, {}, {})))
    assert "Not measured." in section(InstanceResults({}, {}, {}, {}))


def test_the_report_has_a_section_with_its_chart_and_numbers_beside_it(made_up: InstanceResults) -> None:
    empty = Results({"CPU": "imaginary"}, "quick", 1, (), ())
    files = report_files(Measured(empty, CallResults({}, {}), None, made_up))
    text = files["benchmarks/imaginary.md"]
    assert "## Instances" in text and "](imaginary/instances.svg)" in text
    assert "- process: no compiler" in text
    assert from_json(files["benchmarks/imaginary/instances.json"]) == made_up
    assert "benchmarks/imaginary/instances.svg" in files
    assert "## Instances" not in report_files(Measured(empty, CallResults({}, {})))["benchmarks/imaginary.md"]


def test_what_is_alive_is_called_after_the_last_was_made_and_what_stopped_it_is_told() -> None:
    made: list[int] = []

    def create() -> int:
        if len(made) == 40:
            raise MemoryError("no more\nof it")
        made.append(1)
        return len(made)

    live = hold(create, lambda number: 7 if len(made) == 40 and number != 3 else 0, 100)
    assert (live.reached, live.called, live.stopped_by) == (40, 39, "MemoryError: no more")
    assert hold(lambda: 1, lambda _: 7, 5).reached == 5


def test_sandboxes_of_another_process_are_kept_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "trivial.tbx"
    tmebox.compile(instances_peers.PROGRAMS / "trivial.c").save(path)
    live = instances_live.measure("tmebox", path, 100)
    assert (live.reached, live.called, live.stopped_by) == (100, 100, "")
    assert live.own_bytes > 0 and live.create_s > 0
    with pytest.raises(RuntimeError, match="tmebox"):
        instances_live.measure("tmebox", tmp_path / "none", 1)


@pytest.mark.parametrize("name", ["tmebox", "process", "os.fork"])
def test_operations_do_what_they_say_and_return_seconds(name: str, tmp_path: Path) -> None:
    """A wrong answer raises, in each of them."""
    sources = {n: s for n, s in instances_peers.subjects()[0].items() if n != "lua"}
    with instances_peers.PEERS[name](sources, tmp_path) as peer:
        assert {"trivial", "stdio"} <= peer.operations.keys() <= OPERATIONS.keys()
        for action in peer.operations.values():
            assert 0 < action(2) < 60


def test_an_answer_that_is_wrong_fails_the_run() -> None:
    with pytest.raises(RuntimeError, match="answers 8, not 7"):
        instances_peers.expect(8, 7)


def test_the_process_that_forks_notices_a_wrong_answer(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("int add(int a, int b) { return a - b; }")
    wrong = {"trivial": instances_peers.Sources((source,), ("add",))}
    with instances_peers.fork(wrong, tmp_path) as peer, pytest.raises(RuntimeError, match="ended"):
        peer.operations["trivial"](1)


def test_without_lua_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from tmebox_bench import debian

    def unavailable(_: object) -> None:
        raise debian.SourcesUnavailableError("no network")

    monkeypatch.setattr(instances_peers.suite.Program, "sources", unavailable)
    found, why = instances_peers.subjects()
    assert found.keys() == {"trivial", "stdio"} and why == "Lua: no network"


def test_one_processor_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances.os, "sched_getaffinity", lambda _: {0})
    missing: list[str] = []
    assert instances._scaling(True, missing, lambda *_: None) == {}
    assert missing == ["two threads: there is one processor"]


def test_the_forking_process_loads_nothing_of_ours() -> None:
    text = (Path(instances_peers.__file__).parent / "instances_fork.py").read_text()
    imported = {line.split()[1] for line in text.splitlines() if line.startswith("import ")}
    assert imported <= {"ctypes", *sys.stdlib_module_names}
    assert "tmebox" not in imported
