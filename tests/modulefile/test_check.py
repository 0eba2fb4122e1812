"""Modules that make no sense are neither written nor read."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.modulefile.examples import D, T, example, u32
from tmebox import abi
from tmebox.errors import ModuleError
from tmebox.modulefile import codec
from tmebox.modulefile.file import Export, Import, Segment, Symbol


# -- modules that are refused in both directions -------------------------------------------------------
def moves(**changes: Any) -> dict[str, Any]:
    return {"relocations": dataclasses.replace(example().relocations, **changes)}


def lines(**changes: Any) -> dict[str, Any]:
    return {"lines": dataclasses.replace(example().lines, **changes)}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no text": ({"text": b""}, "text of 0 bytes"),
    "text below the code region": ({"text_address": abi.CODE_BASE - abi.TEXT_ALIGN}, "code region"),
    "text over the gates": ({"text_address": abi.GATE_BASE}, "code region"),
    "text at an odd address": ({"text_address": T + 16}, "aligned"),
    "unknown isolation": ({"isolation": "none"}, "isolation"),
    "unknown base": ({"base": "fs"}, "base"),
    "data in the control page": ({"segments": (Segment(abi.CONTROL_PAGE, b"x", 1, True),)}, "overlaps"),
    "data beyond the private part": (
        {"segments": (Segment(abi.PRIVATE_END - 4096, b"", 4097, True),)},
        "private",
    ),
    "data at an odd offset": ({"segments": (Segment(D + 1, b"x", 1, True),)}, "impossible"),
    "more data than room": ({"segments": (Segment(D, b"xyz", 2, True),)}, "impossible"),
    "an empty segment": ({"segments": (Segment(D, b"", 0, True),)}, "impossible"),
    "segments that overlap": (
        {"segments": (Segment(D, b"", 4097, False), Segment(D + 4096, b"", 1, True))},
        "overlaps",
    ),
    "segments out of order": (
        {"segments": (Segment(D + 4096, b"", 1, False), Segment(D, b"", 1, True))},
        "overlaps",
    ),
    "too many segments": (
        {"segments": tuple(Segment(D + i * 4096, b"", 1, False) for i in range(65))},
        "segments",
    ),
    "an export outside": ({"exports": (Export("f", T + 128),)}, "outside the text"),
    "two exports of one name": ({"exports": (Export("f", T), Export("f", T))}, "one name"),
    "an export without a name": ({"exports": (Export("", T),)}, "impossible name"),
    "too many imports": ({"imports": tuple(Import(f"f{i}") for i in range(4097))}, "too many"),
    "start outside": ({"start": T - 1}, "outside the text"),
    "a function claimed outside": ({"functions": u32(T, T + 128)}, "functions"),
    "a label claimed outside": ({"labels": u32(T - 1)}, "labels"),
    "claims out of order": ({"functions": u32(T + 32, T)}, "ascending"),
    "a claim twice": ({"labels": u32(T, T)}, "ascending"),
    "a relocation across the text's end": (moves(text_abs64=u32(121)), "text_abs64"),
    "relocations that overlap": (moves(text_pc32=u32(3)), "overlap"),
    "relocations that overlap in data": (moves(data_abs32=u32(D + 4)), "overlap"),
    "relocations out of order": (moves(text_abs32=u32(9, 1)), "ascending"),
    "a relocation outside the data": (moves(data_abs32=u32(D - 4)), "data_abs32"),
    "a relocation in zeros": (moves(data_abs32=u32(D + 0x1000 + 98)), "data_abs32"),
    "a relocation that wraps": (moves(data_abs64=u32(0xFFFFFFFC)), "data_abs64"),
    "line columns of different length": (lines(lines=u32(1)), "length"),
    "lines out of order": (lines(addresses=u32(T + 4, T)), "ascending"),
    "lines outside": (lines(addresses=u32(T, T + 200)), "leaves the text"),
    "a line in an unknown file": (lines(files=("a.c",)), "file that it does not list"),
    "symbols out of order": ({"symbols": (Symbol(T + 1, 0, "b"), Symbol(T, 0, "a"))}, "sorted"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_module_that_makes_no_sense_is_refused(case: str) -> None:
    changes, reason = REFUSED[case]
    with pytest.raises(ModuleError, match=reason):
        codec.encode(example(**changes))


UNWRITABLE = {"more data than room", "symbols out of order"}
"""What the writer cannot express, or the reader puts right."""


@pytest.mark.parametrize("case", [case for case in REFUSED if case not in UNWRITABLE])
def test_a_file_that_makes_no_sense_is_refused(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as unchecked:
        unchecked.setattr(codec, "check", lambda module: None)
        data = codec.encode(example(**REFUSED[case][0]))
    with pytest.raises(ModuleError):
        codec.decode(data)
