"""`tmebox bench boxes`: what recipes ask for is built natively, too; results become a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tmebox_bench.boxes import builds, faces
from tmebox_bench.boxes.measure import TASKS, BoxResults, Row, bench_boxes, boxes_table, to_json
from tmebox_bench.debian import SourcesUnavailableError
from tmebox_bench.statistics import Spread
from tmebox_bench.variants import MissingError


@pytest.mark.network
def test_a_recipe_says_what_the_native_library_is_built_of(tmp_path: Path) -> None:
    try:
        asked = builds._asked("lz4", tmp_path, tmp_path)
    except MissingError as error:
        pytest.skip(str(error))
    assert Path(asked["header"]).name == "lz4.h" and asked["output"] == tmp_path / "lz4_box"
    assert [Path(path).name for path in asked["more"]] == ["lz4hc.h", "lz4frame.h"]
    assert asked["optimize"] == "-O2" and not (tmp_path / "lz4_box").exists()


def test_what_cannot_be_had_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(package: str) -> Path:
        raise SourcesUnavailableError(f"no {package} today")

    monkeypatch.setattr(builds, "fetch", refuse)
    results = bench_boxes(["call"], tmp_path)
    assert results.rows == [] and results.missing == ["call: zlib: no zlib today"]


def test_every_task_has_cffi_to_compare_with_and_a_box() -> None:
    for task in TASKS.values():
        assert "cffi" in task.ways and any(way.startswith("tmebox") for way in task.ways)
        assert task.library in builds.PACKAGES and (builds.RECIPES / f"{task.library}.sh").is_file()


def test_results_are_a_table_and_json() -> None:
    rows = [
        Row("a call", "cffi", 5, Spread(1e-7, 1e-7, 2e-7), None),
        Row("a call", "tmebox", 2, Spread(1e-7, 2e-6, 3e-6), Spread(0.5, 0.75, 1.0)),
    ]
    results = BoxResults({"CPU": "one"}, rows, ["nothing"])
    table = boxes_table(results)
    assert table.rows[0] == ("a call", "cffi", "5", "100 ns", "1")
    assert table.rows[1] == ("a call", "tmebox", "2", "2 us", "0.75 (0.5 to 1)")
    assert json.loads(to_json(results))["rows"][1]["lines"] == 2


def test_boxes_take_fewer_lines_than_cffi() -> None:
    from tmebox_bench.boxes.measure import _lines

    for boxed, other in ((faces.png_boxed, faces.png_cffi), (faces.events_boxed, faces.events_cffi)):
        assert 0 < _lines(boxed) < _lines(other)
