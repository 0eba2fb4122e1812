"""Statistics, ratios, the JSON document, tables and charts, from made-up samples."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tmebox_bench import charts, columns, paper, statistics, suite, tables
from tmebox_bench.calls_table import time_text
from tmebox_bench.results import (
    Cell,
    ProgramResult,
    Results,
    compared,
    from_json,
    measured,
    to_json,
    write_all,
)
from tmebox_bench.statistics import Spread

GS = columns.choose("gs-data,gs-code")


def made_up(*ratios: float, failure: str = "", missing: str = "") -> Results:
    """A program per ratio: gs-code costs it, gs-data costs half of what that adds."""
    programs = []
    for index, ratio in enumerate(ratios):
        cells = compared(
            {
                "native": measured(
                    {"non-PIE": [1.0, 2.0, 3.0], "PIE": [9.0, 9.0, 9.0]}, {"non-PIE": 100, "PIE": 1}
                ),
                "gs-data": measured({"": [(1 + ratio) / 2 * n for n in (1.0, 2.0, 3.0)]}, {"": 110}),
                "gs-code": measured({"": [ratio * n for n in (1.0, 2.0, 3.0)]}, {"": 120}),
            }
        )
        programs.append(ProgramResult(f"p{index}", "even" if index % 2 == 0 else "odd", cells))
    if failure or missing:
        cells = {
            "native": programs[0].cells["native"],
            "gs-data": Cell(missing=missing),
            "gs-code": Cell(failure=failure),
        }
        programs.append(ProgramResult("bad", "odd", cells))
    return Results({"CPU": "imaginary"}, "tiny", 3, GS, tuple(programs))


def test_a_spread_is_least_median_and_greatest() -> None:
    assert statistics.spread([3, 1, 2]) == Spread(1, 2, 3)
    assert statistics.spread([4, 1, 2, 3]) == Spread(1, 2.5, 4)


def test_no_samples_have_no_spread_and_no_mean() -> None:
    with pytest.raises(ValueError, match="no samples"):
        statistics.spread([])
    with pytest.raises(ValueError, match="no values"):
        statistics.geomean([])


def test_the_geometric_mean_of_a_ratio_and_its_inverse_is_one() -> None:
    assert statistics.geomean([2, 0.5]) == pytest.approx(1)
    assert statistics.geomean([1, 10, 100]) == pytest.approx(10)


def test_ratios_pair_the_samples_of_a_round_so_that_a_slow_round_disturbs_nothing() -> None:
    assert statistics.ratios([1.1, 11.0, 1.1], [1.0, 10.0, 1.0]) == Spread(*[pytest.approx(1.1)] * 3)  # type: ignore[arg-type]


def test_ratios_of_different_numbers_of_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        statistics.ratios([1.0, 2.0], [1.0])


def test_the_faster_native_build_is_the_baseline() -> None:
    results = made_up(1.5)
    cells = results.programs[0].cells
    assert cells["native"].chosen == "non-PIE"
    assert cells["gs-code"].ratio == Spread(1.5, 1.5, 1.5)
    assert results.geomean_of("native") == pytest.approx(1)


def test_means_are_by_group_and_over_all() -> None:
    results = made_up(1.0, 1.21, 4.0)
    assert results.geomean_of("gs-code", "even") == pytest.approx(2)
    assert results.geomean_of("gs-code", "odd") == pytest.approx(1.21)
    assert results.geomean_of("gs-code") == pytest.approx((1.21 * 4) ** (1 / 3))
    assert results.geomean_of("wasmtime") is None
    assert results.text_ratio_of("gs-code") == pytest.approx(1.2)


def test_the_json_document_gives_back_the_same_results() -> None:
    results = made_up(1.1, 1.2, failure="it crashed", missing="no such package")
    assert from_json(to_json(results)) == results


@pytest.mark.parametrize("text", ["{}", '{"schema": 2}', "[]", "nonsense"])
def test_a_foreign_json_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_json(text)


def test_missing_and_failed_programs_are_named_and_not_in_the_means() -> None:
    results = made_up(1.1, failure="prints 'x'", missing="no such package")
    assert results.failures == ["bad, gs code+data: prints 'x'"]
    assert results.ratios_of("gs-code") == [pytest.approx(1.1)]
    assert tables.missing_notes(results) == ["bad in gs data: no such package"]
    rows = {row[0]: row for row in tables.program_table(results).rows}
    assert rows["bad"][2:] == (tables.MISSING, tables.FAILED)
    assert "(of 1)" in tables.summary_table(results).rows[-3][1]


def test_a_column_that_nothing_could_run_in_is_a_note_and_not_a_column() -> None:
    nothing = Cell(missing="base 'r15' is not supported")
    cells = {"native-gcc": made_up(1.5).programs[0].cells["native"], "r15-code": nothing}
    wanted = columns.choose("r15-code")
    results = Results({}, "tiny", 3, wanted, (ProgramResult("p0", "even", cells),))
    assert tables.program_table(results).headings == ("program", "native gcc -O2")
    assert tables.missing_notes(results) == ["all programs in r15 code+data: base 'r15' is not supported"]


def test_tables_have_a_cell_per_heading() -> None:
    results = made_up(1.1, 1.2)
    for table in (tables.program_table(results), tables.summary_table(results)):
        assert {len(row) for row in table.rows} == {len(table.headings)}
        assert tables.markdown(table).count("\n") == len(table.rows) + 1


def test_a_cell_shows_the_median_and_the_spread() -> None:
    row = tables.program_row(made_up(1.25), made_up(1.25).programs[0])
    assert row == ("p0", "2000 ms non-PIE", "1.125 (1.12–1.12)", "1.250 (1.25–1.25)")


def test_a_program_in_brief_has_its_ratios_and_what_went_wrong() -> None:
    programs = made_up(1.25, failure="it crashed", missing="no such package").programs
    assert tables.brief(programs[0]) == "p0: gs data 1.125, gs code+data 1.250"
    assert tables.brief(programs[1]) == "bad: gs data missing, gs code+data FAILED"


def test_sizes_are_kib_of_native_code_and_multiples_of_it() -> None:
    table = tables.size_table(made_up(1.25, failure="it crashed", missing="no such package"))
    assert table.rows[0] == ("p0", "0 KiB", "1.10 ×", "1.20 ×")
    assert table.rows[1][2:] == (tables.MISSING, tables.FAILED)


def test_bars_are_overheads_in_percent_and_end_with_the_geometric_mean() -> None:
    found = charts.bars(made_up(1.5, 0.75), "gs")
    assert [bar.name for bar in found] == ["p0", "p1", "geomean"]
    assert [bar.code_and_data for bar in found[:2]] == [pytest.approx(50), pytest.approx(-25)]
    assert found[-1].code_and_data == pytest.approx((1.125**0.5 - 1) * 100)
    assert charts.bars(made_up(1.5), "r15") == []


def test_charts_are_well_formed_with_two_bars_per_program_and_the_papers_marks() -> None:
    drawn = charts.charts(made_up(1.5, 0.75, 1.0))
    assert list(drawn) == ["overhead-gs.svg"]
    root = ElementTree.fromstring(drawn["overhead-gs.svg"])
    name = "{http://www.w3.org/2000/svg}"
    titles = [title.text for title in root.iter(f"{name}title")]
    assert len(titles) == 2 * 4
    assert "p1, code+data: -25.0 %" in titles
    text = " ".join(element.text or "" for element in root.iter(f"{name}text"))
    assert f"paper, data: {paper.GEOMEANS['gs'].data:g} %" in text
    heights = [float(bar.get("height", "-1")) for bar in root.iter(f"{name}rect")]
    assert min(heights) >= 0


def test_taller_bars_stand_for_greater_overheads() -> None:
    scale = charts._Scale(-5, 60)
    assert scale.y(-5) > scale.y(0) > scale.y(10) > scale.y(60) >= charts.TOP
    assert scale.low <= -5 and scale.high >= 60


def test_names_from_outside_cannot_break_a_chart() -> None:
    drawn = charts.chart([charts.Bars("<&\"'>", 1.0, 2.0)], "a < b", "gs")
    ElementTree.fromstring(drawn)


def test_times_are_shown_in_the_unit_that_fits() -> None:
    assert time_text(Spread(9e-9, 1.05e-8, 2e-8)) == "10.5 ns (9–20)"
    assert time_text(Spread(1e-6, 2.5e-6, 3e-6)) == "2.5 µs (1–3)"
    assert time_text(Spread(1, 2, 3)) == "2 s (1–3)"


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    kept, other = tmp_path / "kept", tmp_path / "folder" / "other"
    kept.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_all({kept: "half \ud800"})
    assert kept.read_text() == "before"
    write_all({kept: "after", other: "new"})
    assert (kept.read_text(), other.read_text()) == ("after", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["kept", "folder"] or len(
        list(tmp_path.iterdir())
    ) == 2


def test_columns_bring_their_baselines() -> None:
    assert columns.choose("gs-code-v3") == tuple(columns.BY_KEY[key] for key in ("native-v3", "gs-code-v3"))
    assert columns.choose(None) == columns.COLUMNS
    for wrong in ("gs", "", ","):
        with pytest.raises(ValueError, match="no column"):
            columns.choose(wrong)


def test_programs_are_chosen_by_name_and_group() -> None:
    assert [program.name for program in suite.choose(["json", "fib"])] == ["fib", "json"]
    assert {program.group for program in suite.choose(group="calls")} == {"calls"}
    with pytest.raises(ValueError, match="no program nonsense"):
        suite.choose(["nonsense"])
    with pytest.raises(ValueError, match="no group nonsense"):
        suite.choose(group="nonsense")


def test_the_suite_is_large_enough_and_every_source_belongs_to_a_program() -> None:
    assert len(suite.PROGRAMS) >= 30
    sources = {*suite.PROGRAMS_DIR.glob("*/*.c"), *suite.PROGRAMS_DIR.glob("*/*.cpp")}
    assert sources == {program.own_source for program in suite.PROGRAMS}
    assert len({program.name for program in suite.PROGRAMS}) == len(suite.PROGRAMS)
