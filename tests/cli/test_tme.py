"""`tmebox tme`: the tour in a terminal and as a page, and what an access does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command_line import Run


def test_the_lab_runs_in_a_terminal(tmebox: Run) -> None:
    shown = tmebox("tme", "lab")
    assert shown.code == 0, shown.err
    assert "16. Forging a MAC" in shown.out
    assert "core" in shown.out and "engine" in shown.out
    assert "IntegrityError" in shown.out


def test_the_lab_follows_the_rule_that_is_asked_for(tmebox: Run) -> None:
    assert "The store: IntegrityError" in tmebox("tme", "lab", "--detection", "specification").out
    assert tmebox("tme", "lab", "--detection", "magic").code == 2


def test_the_lab_writes_a_page(tmebox: Run, tmp_path: Path) -> None:
    shown = tmebox("tme", "lab", "--html", tmp_path / "tour.html")
    assert shown.code == 0, shown.err
    assert (tmp_path / "tour.html").read_text().startswith("<!DOCTYPE html>")
    assert tmebox("tme", "lab", "--html", tmp_path / "nowhere" / "tour.html").code == 1


def test_explain_says_what_an_access_does(tmebox: Run) -> None:
    shown = tmebox("tme", "explain", "0x1040", "--key-id", "3")
    assert shown.code == 0, shown.err
    assert "KeyID 3 in bits 51:46" in shown.out
    assert "the MAC fits" in shown.out
    other = tmebox("tme", "explain", "0x1040", "--key-id", "3", "--key-id-bits", "4", "--physical-bits", "46")
    assert "KeyID 3 in bits 45:42" in other.out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("here",), 2, "no number"),
        (("0x1000", "--key-id", "64"), 1, "key-id"),
        (("0x1000", "--key-id-bits", "16"), 1, "option-key-bits"),
        (("0x1000", "--algorithm", "rot13"), 1, "option-algorithm"),
    ],
)
def test_explain_refuses_what_cannot_be(
    tmebox: Run, arguments: tuple[str, ...], code: int, text: str
) -> None:
    shown = tmebox("tme", "explain", *arguments)
    assert shown.code == code
    assert text in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("command", [(), ("lab",), ("explain",)])
def test_the_help_teaches_by_example(tmebox: Run, command: tuple[str, ...]) -> None:
    shown = tmebox("tme", *command, "--help")
    assert shown.code == 0
    assert "Examples:" in shown.out
