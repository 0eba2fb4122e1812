"""What `--vs-previous` shows, from made-up results."""

from __future__ import annotations

from dataclasses import replace

from tests.bench import samples
from tmebox_bench import previous


def test_a_program_whose_spreads_are_apart_is_marked() -> None:
    table = previous.change_table(samples.cpu(1.2), samples.cpu(1.1))
    assert table.headings[0] == "program"
    assert table.rows[0][0] == "fib"
    assert set(table.rows[0][1:]) == {"1.100 → 1.200 ▲"}
    assert set(table.rows[-1][1:]) == {"1.100 → 1.200 ▲"}
    better = previous.change_table(samples.cpu(1.0), samples.cpu(1.1))
    assert set(better.rows[0][1:]) == {"1.100 → 1.000 ▼"}


def test_what_did_not_change_is_not_marked() -> None:
    table = previous.change_table(samples.cpu(1.1), samples.cpu(1.1))
    assert set(table.rows[0][1:]) == {"1.100 → 1.100  "}


def test_programs_of_one_run_only_are_left_out() -> None:
    now = samples.cpu(1.1)
    (program,) = now.programs
    more = replace(now, programs=(program, replace(program, name="new")))
    table = previous.change_table(more, samples.cpu(1.1))
    assert [row[0] for row in table.rows] == ["fib", "geometric mean of both's"]


def test_other_machines_are_named() -> None:
    before = samples.cpu(1.1)
    now = replace(before, machine={"CPU": "another"}, rounds=5)
    assert previous.machine_note(now, before) == "rounds 2 → 5; CPU imaginary → another"
    assert previous.machine_note(before, before) == ""
