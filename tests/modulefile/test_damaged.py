"""Hostile bytes raise ModuleError only."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.modulefile.examples import T, example, metadata, patched, plain, with_metadata
from tmebox import abi
from tmebox.errors import ModuleError
from tmebox.modulefile import codec, elf
from tmebox.modulefile.file import Relocations, Segment


# -- damaged and hostile files -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too short"),
        (b"\x7fELF", "too short"),
        (b"MZ" + bytes(200), "no ELF header"),
        (codec.encode(example())[:5000], "truncated"),
    ],
    ids=["empty", "four bytes", "another format", "cut in the middle"],
)
def test_what_is_no_module_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModuleError, match=reason):
        codec.decode(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (patched(4, "<B", 1), "another machine"),
        (patched(5, "<B", 2), "another machine"),
        (patched(18, "<H", 183), "another machine"),
        (patched(16, "<H", 3), "type 3"),
        (patched(54, "<H", 32), "sizes"),
        (patched(56, "<H", 0xFFFF), "program"),
        (patched(32, "<Q", 1 << 63), "truncated"),
        (patched(40, "<Q", (1 << 64) - 8), "truncated"),
        (patched(64 + 8, "<Q", (1 << 64) - 1), "truncated"),
        (patched(64 + 32, "<Q", 1 << 40), "truncated"),
        (patched(64 + 40, "<Q", 1), "smaller than its data"),
        (patched(64 + 4, "<I", elf.PF_R | elf.PF_W | elf.PF_X), "not writable"),
        (patched(64 + 4, "<I", elf.PF_R), "exactly one text"),
        (patched(64 + 56 + 4, "<I", elf.PF_X), "exactly one text"),
        (patched(64 + 16, "<Q", 1 << 63), "code region"),
        (patched(64 + 56 + 40, "<Q", 1 << 62), "private part"),
    ],
    ids=[
        "32-bit",
        "big-endian",
        "AArch64",
        "position-independent",
        "odd header size",
        "65535 headers",
        "program headers far away",
        "section headers that wrap",
        "segment that wraps",
        "segment beyond the end",
        "segment smaller than its data",
        "writable text",
        "no text",
        "two texts",
        "text far away",
        "endless zeros",
    ],
)
def test_a_forged_header_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModuleError, match=reason):
        codec.decode(data)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"format":2}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        metadata(format=1),
        metadata(format=True),
        metadata(format=None),
        metadata(exports=5),
        metadata(exports=[["f", "here", None]]),
        metadata(exports=[["f", 1.5, None]]),
        metadata(exports=[["f", True, None]]),
        metadata(exports=[[["f"], T, None]]),
        metadata(exports=[["f", T, {"name": "f"}]]),
        metadata(imports=[["f", {"name": "f", "result": {"struct": "s", "size": 10**400}}]]),
        metadata(imports=[["f", {"name": "f", "result": {"pointer": 5}}]]),
        metadata(files=[1, 2]),
        metadata(start="x"),
        *[metadata(table_entries=count) for count in (-1, 16, 17, 1 << 70, True, 1.0, 1.5, "1", None, [1])],
        metadata().replace(b'"table_entries"', b'"entries"'),
        *[
            metadata(optional=claim)
            for claim in (
                None,
                1,
                [],
                [T],
                [T, T],
                [T + 1, T],
                [T, T + 999],
                [T - 1, T + 1],
                [0, 1],
                [T, True],
                [T, "x"],
                [[T], T],
                [T, 1 << 70],
                [T, T + 1, T + 2],
            )
        ],
        metadata(isolation=["data"]),
        metadata(producer=None),
        metadata().replace(b'"start"', b'"end"'),
        b'{"format":2,"isolation":1e999}',
        b'{"format":NaN}',
    ],
)
def test_forged_metadata_is_refused(text: bytes) -> None:
    with pytest.raises(ModuleError):
        codec.decode(with_metadata(text))


def vectors(count: int) -> Any:
    """Of each other, and last of a type with a deep name."""
    if count == 0:
        return {"int": 32, "signed": True, "name": "DEEP"}
    return {"vector": vectors(count - 1), "count": 1, "size": 4}


NESTED = [
    {"format": "DEEP"},
    {"producer": "DEEP"},
    {"files": ["DEEP"]},
    {"exports": [["DEEP", T, None]]},
    {"imports": [["f", {"name": "DEEP", "result": "void", "parameters": [], "variadic": False}]]},
    {"imports": [["f", {"name": "f", "result": vectors(31), "parameters": [], "variadic": False}]]},
]


@pytest.mark.parametrize("changes", NESTED, ids=str)
def test_deep_metadata_is_refused_at_every_depth(changes: dict[str, Any]) -> None:
    """Just below what the parser takes, the next one who looks at it has too little stack left."""
    for depth in range(sys.getrecursionlimit() - 250, sys.getrecursionlimit()):
        text = metadata(**changes).replace(b'"DEEP"', b"[" * depth + b"]" * depth)
        with contextlib.suppress(ModuleError):
            codec.decode(with_metadata(text))


def test_a_file_from_before_there_were_tables_says_what_to_do() -> None:
    with pytest.raises(ModuleError, match="format 1; this version reads format 4: compile it again"):
        codec.decode(with_metadata(metadata(format=1)))


def test_another_format_version_is_named() -> None:
    with pytest.raises(ModuleError, match="format 7"):
        codec.decode(with_metadata(metadata(format=7)))


def test_a_million_symbols_of_one_long_name_do_not_fill_the_memory() -> None:
    table = np.zeros(200_000, dtype=codec._SYMBOL)
    table["info"], table["name"] = 2, 1
    sections = {".symtab": memoryview(table.tobytes()), ".strtab": memoryview(b"\0" + b"x" * 4000 + b"\0")}
    with pytest.raises(ModuleError, match="absurdly long"):
        codec._symbols(sections)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.tbx"
    codec.write(example(), path)
    monkeypatch.setattr("tmebox.modulefile.codec.MAX_FILE_BYTES", 100)
    with pytest.raises(ModuleError, match="larger than"):
        codec.read(path)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.tbx"
    path.write_bytes(b"not one")
    with pytest.raises(ModuleError, match=r"m\.tbx: not a module file"):
        codec.read(path)


GOOD = codec.encode(example())


def test_a_section_with_a_name_that_is_no_text_is_refused() -> None:
    """It was read as another name, and would have been written as that."""
    damaged = GOOD.replace(b".debug_frame\0", b".debug_\x80rame\0")
    assert damaged != GOOD
    with pytest.raises(ModuleError, match="x80rame"):
        codec.decode(damaged)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_bytes_raise_module_errors_only(data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        where = data.draw(st.integers(0, len(damaged) - 1))
        damaged[where] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(len(damaged) // 2, len(damaged) * 4)) :]
    try:
        module = codec.decode(bytes(damaged))
    except ModuleError:
        return
    assert plain(codec.decode(codec.encode(module))) == plain(module)


def test_every_single_byte_of_header_and_notes_may_be_damaged() -> None:
    interesting = [*range(64 + 56 * 4), *range(GOOD.index(b"tmebox\0") - 12, len(GOOD), 3)]
    outcomes = set()
    for where in interesting:
        damaged = bytearray(GOOD)
        damaged[where] ^= 0xFF
        try:
            codec.decode(bytes(damaged))
            outcomes.add("accepted")
        except ModuleError:
            outcomes.add("refused")
    assert outcomes == {"accepted", "refused"}


@pytest.mark.parametrize("writable", [(True, True), (False, False), (True, False), (True, True, True, False)])
def test_segments_of_any_kind_in_any_order_survive(writable: tuple[bool, ...]) -> None:
    page = abi.PAGE_SIZE
    segments = tuple(
        Segment(abi.IMAGE_START + 2 * page * index, bytes([index + 1]) * 100, page + index, flag)
        for index, flag in enumerate(writable)
    )
    empty = np.zeros(0, np.uint32)
    module = dataclasses.replace(example(), segments=segments, relocations=Relocations(*[empty] * 5))
    assert plain(codec.decode(codec.encode(module))) == plain(module)
