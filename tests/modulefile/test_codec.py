"""The module file: exact round trips, and other tools that understand it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.modulefile.examples import D, T, example, plain, u32
from tmebox.errors import ModuleError
from tmebox.modulefile import codec, elf
from tmebox.modulefile.file import Export, LineTable, Relocations, Segment


def test_a_round_trip_is_exact() -> None:
    module = example()
    again = codec.decode(codec.encode(module))
    assert plain(again) == plain(module)
    assert codec.encode(again) == codec.encode(module)


def test_what_was_read_first_is_what_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write into a buffer may do so while it is being decoded."""
    module = example()
    data = bytearray(codec.encode(module))
    read = elf.read

    def then_written(given: Any) -> elf.Container:
        found = read(given)
        data[:] = bytes(len(data))
        return found

    monkeypatch.setattr(elf, "read", then_written)
    assert plain(codec.decode(memoryview(data))) == plain(module)


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


@settings(deadline=None)
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
