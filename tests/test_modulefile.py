"""The module file: exact round trips, other tools that understand it, hostile bytes that raise ModuleError
only."""

from __future__ import annotations

import dataclasses
import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmebox import abi
from tmebox.errors import ModuleError
from tmebox.modulefile import codec, elf
from tmebox.modulefile.file import Export, Import, LineTable, ModuleFile, Relocations, Segment, Symbol
from tmebox.modulefile.prototypes import Integer, Parameter, Pointer, Prototype, Struct, StructField, Void

T = abi.TEXT_NOMINAL
D = abi.IMAGE_START
INT = Integer(32, True, "int")
PAIR = Struct("struct pair", 8, 4, (StructField("a", 0, INT), StructField("b", 4, INT)))
ADD = Prototype("add", INT, (Parameter("p", Pointer(PAIR, const=True)), Parameter("n", INT)))


def u32(*values: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return np.array(values, dtype=np.uint32)


def example(**changes: Any) -> ModuleFile:
    """A module with something of everything."""
    module = ModuleFile(
        isolation="code+data",
        base="gs",
        text_address=T,
        text=bytes(range(64)) * 2,
        segments=(Segment(D, b"read-only", 16, False), Segment(D + 0x1000, b"\1" * 100, 9000, True)),
        exports=(Export("add", T, ADD), Export("sub", T + 32)),
        imports=(Import("log", Prototype("log", Void(), (), variadic=True)), Import("other")),
        functions=u32(T, T + 32),
        labels=u32(T + 5),
        relocations=Relocations(u32(1, 9), u32(16), u32(40), u32(D + 0x1000), u32(D, D + 0x1008)),
        symbols=(Symbol(T, 32, "add"), Symbol(T + 32, 96, "sub"), Symbol(T + 64, 0, "inner")),
        lines=LineTable(u32(T, T + 4), np.array([0, 1], np.uint16), u32(7, 8), ("a.c", "b.h")),
        start=T + 64,
        debug_frame=b"frame" * 3,
        producer="test",
        debug_sections=((".debug_info", b"info"),),
    )
    return dataclasses.replace(module, **changes)


def plain(value: Any) -> Any:
    """Arrays as lists, so that modules compare."""
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.tolist())
    if isinstance(value, (ModuleFile, Relocations, LineTable)):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def test_a_round_trip_is_exact() -> None:
    module = example()
    again = codec.decode(codec.encode(module))
    assert plain(again) == plain(module)
    assert codec.encode(again) == codec.encode(module)


@pytest.mark.parametrize("count", [0, 1, 15])
def test_the_number_of_table_entries_round_trips(count: int) -> None:
    again = codec.decode(codec.encode(example(table_entries=count)))
    assert (again.table_entries, again.code_bytes) == (count, 128 - 8 * count)
    assert type(again.table_entries) is int


@pytest.mark.parametrize("count", [-1, 16, 17, 1 << 70, True, 1.0, "1", None])
def test_table_entries_that_leave_no_code_or_are_no_number_are_not_written(count: Any) -> None:
    with pytest.raises(ModuleError, match="table entries do not fit the text"):
        codec.encode(example(table_entries=count))


def test_a_library_without_data_lines_or_imports_round_trips() -> None:
    none = u32()
    module = example(
        segments=(),
        imports=(),
        start=None,
        symbols=(),
        relocations=Relocations(none, none, none, none, none),
        lines=LineTable(none, np.zeros(0, np.uint16), none, ()),
        debug_frame=b"",
        debug_sections=(),
    )
    assert plain(codec.decode(codec.encode(module))) == plain(module)


def test_arrays_read_from_a_file_cannot_be_changed() -> None:
    module = codec.decode(bytearray(codec.encode(example())))
    with pytest.raises(ValueError):
        module.functions[0] = 0


@given(
    text=st.binary(min_size=1, max_size=300),
    data=st.binary(max_size=200),
    zeros=st.integers(0, 1 << 20),
    names=st.lists(
        st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20), unique=True, max_size=4
    ),
)
def test_any_module_round_trips(text: bytes, data: bytes, zeros: int, names: list[str]) -> None:
    none = u32()
    module = example(
        text=text,
        segments=(Segment(D, data, len(data) + zeros + 1, True),),
        exports=tuple(Export(name, T + len(text) - 1) for name in names),
        functions=u32(T),
        labels=none,
        relocations=Relocations(none, none, none, none, none),
        symbols=(),
        start=None,
        lines=LineTable(none, np.zeros(0, np.uint16), none, tuple(names)),
    )
    assert plain(codec.decode(codec.encode(module))) == plain(module)


# -- other tools --------------------------------------------------------------------------------------
needs_binutils = pytest.mark.skipif(not shutil.which("readelf"), reason="readelf is not installed")


@needs_binutils
def test_readelf_understands_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.tbx"
    codec.write(example(), path)
    done = subprocess.run(["readelf", "-aW", path], capture_output=True, text=True, check=True)
    assert "Warning" not in done.stderr + done.stdout
    assert "Error" not in done.stderr + done.stdout
    for line in ("EXEC (Executable file)", "Advanced Micro Devices X86-64", ".note.tmebox", ".bss", "add"):
        assert line in done.stdout
    assert f"{T:#018x} {T:#018x} 0x000080 0x000080 R E" in done.stdout


@needs_binutils
def test_objdump_disassembles_the_text_with_its_symbols(tmp_path: Path) -> None:
    path = tmp_path / "m.tbx"
    codec.write(example(text=b"\x8d\x04\x37\xc3" + bytes([0xF4]) * 124), path)
    done = subprocess.run(["objdump", "-d", path], capture_output=True, text=True, check=True)
    assert f"{T:016x} <add>:" in done.stdout
    assert "lea    (%rdi,%rsi,1),%eax" in done.stdout


def test_a_written_file_is_executable_and_complete_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "prog"
    codec.write(example(), path)
    assert path.stat().st_mode & 0o100
    with pytest.raises(ModuleError):
        codec.write(example(text=b""), path)
    assert plain(codec.read(path)) == plain(example())
    assert [item.name for item in tmp_path.iterdir()] == ["prog"]


# -- digest -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {"text": bytes(128)},
        {"isolation": "data"},
        {"start": None},
        {"functions": u32(T)},
        {"labels": u32(T + 6)},
        {"table_entries": 1},
        {"exports": (Export("add", T),)},
        {"segments": (Segment(D, b"read-only", 16, True), Segment(D + 0x1000, b"\1" * 100, 9000, True))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_digest_depends_on_whatever_runs(changes: dict[str, Any]) -> None:
    assert codec.digest(example(**changes)) != codec.digest(example())


def test_the_digest_does_not_depend_on_names_of_files_or_on_the_producer() -> None:
    other = example(producer="another", symbols=(), debug_frame=b"")
    assert codec.digest(other) == codec.digest(example())
    assert codec.digest(codec.decode(codec.encode(example()))) == codec.digest(example())


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


def patched(offset: int, layout: str, *values: int) -> bytes:
    data = bytearray(codec.encode(example()))
    struct.pack_into(layout, data, offset, *values)
    return bytes(data)


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


def with_metadata(text: bytes) -> bytes:
    """The example with other bytes as its JSON note."""
    data = codec.encode(example())
    found = elf.notes(elf.read(data).notes, codec.OWNER)
    others = [elf.note("tmebox", kind, bytes(body)) for kind, body in found.items() if kind != 0x100]
    notes = b"".join([elf.note("tmebox", 0x100, text), *others])
    sections = [
        elf.Section(".text", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_EXECINSTR, T, example().text),
        elf.Section(".note.tmebox", elf.SHT_NOTE, data=notes, align=4),
    ]
    loads = [(elf.PT_LOAD, elf.PF_R | elf.PF_X, [".text"]), (elf.PT_NOTE, elf.PF_R, [".note.tmebox"])]
    return elf.write(sections, loads, 0)


def metadata(**changes: Any) -> bytes:
    return json.dumps({**codec._metadata(example()), **changes}).encode()


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


def test_a_file_from_before_there_were_tables_says_what_to_do() -> None:
    with pytest.raises(ModuleError, match="format 1; this version reads format 3: compile it again"):
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
