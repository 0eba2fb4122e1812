"""Escapes from other sandboxes: each has rejected files here, or a reason why it has none."""

import re
from pathlib import Path

from tests.verify.corpus import REJECT

ROWS = [
    tuple(column.strip() for column in line.split("|"))
    for line in (Path(__file__).parent / "escapes.txt").read_text().splitlines()
    if not line.startswith("#")
]
IS_FILE = re.compile(r"[a-z-]+--[a-z0-9-]+")


def files_of(note: str) -> list[str]:
    names = note.split(", ")
    return names if IS_FILE.fullmatch(names[0]) else []


def test_every_row_says_what_happened_and_what_is_done_about_it() -> None:
    assert all(len(row) == 3 and all(row) for row in ROWS)


def test_every_file_that_a_row_names_is_there() -> None:
    named = [name for _, _, note in ROWS for name in files_of(note)]
    assert len(named) > 20
    assert not [name for name in named if not (REJECT / f"{name}.s").exists()]


def test_every_rejected_file_that_names_a_cve_is_in_a_row_for_it() -> None:
    for source in REJECT.glob("*.s"):
        for number in re.findall(r"CVE-\d+-\d+", source.read_text()):
            rows = [row for row in ROWS if row[0] == number]
            assert any(source.stem in files_of(note) for _, _, note in rows), f"{source.name}: {number}"
