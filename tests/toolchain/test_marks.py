"""Objects that were not instrumented, or for something else, are refused by name and with what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tmebox.errors import CompileError
from tmebox.toolchain import marks
from tmebox.toolchain.build import CompileOptions, SourceText, compile_object
from tmebox.toolchain.cc.archive import main_ar
from tmebox.toolchain.cc.driver import main_cc
from tmebox.toolchain.link import linked
from tmebox.toolchain.link.link import link

SOURCE = "int f(int x) { return x + 1; }"


def native(output: Path, *flags: str) -> Path:
    """An object of the same compiler that nobody has instrumented."""
    source = output.with_suffix(".c")
    source.write_text(SOURCE)
    command = [sys.executable, "-m", "ziglang", "clang", "-target", "x86_64-linux-musl", "-c", *flags]
    subprocess.run([*command, str(source), "-o", str(output)], check=True)
    return output


def ours(output: Path, **options: Any) -> Path:
    compile_object(SourceText(SOURCE), output, CompileOptions(use_libc=False, **options))
    return output


def test_an_object_that_was_not_instrumented_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        link([native(tmp_path / "theirs.o")], [], CompileOptions(use_libc=False))
    message = str(caught.value)
    assert "theirs.o" in message and "not compiled for a sandbox" in message and "tmebox cc -c" in message


def test_so_is_one_in_an_archive_by_its_members_name(tmp_path: Path) -> None:
    native(tmp_path / "theirs.o")
    assert main_ar(["rcs", f"{tmp_path}/l.a", str(tmp_path / "theirs.o")]) == 0
    with pytest.raises(CompileError, match=r"l\.a\(theirs\.o\): not compiled for a sandbox"):
        link([ours(tmp_path / "a.o")], [tmp_path / "l.a"], CompileOptions(use_libc=False))


@pytest.mark.parametrize("isolation", ["code+data", "data"])
def test_what_was_compiled_for_another_isolation_is_refused(isolation: str, tmp_path: Path) -> None:
    other = "data" if isolation == "code+data" else "code+data"
    path = ours(tmp_path / "a.o", isolation=other)
    with pytest.raises(CompileError) as caught:
        link([path], [], CompileOptions(use_libc=False, isolation=isolation))
    assert f"compiled with --base gs --isolation {other}, and this links for" in str(caught.value)
    assert f"--base gs --isolation {isolation}: compile and link" in str(caught.value)


def test_the_base_counts_as_well(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"--base gs .*this links for --base r15"):
        link([ours(tmp_path / "a.o")], [], CompileOptions(use_libc=False, base="r15"))


def test_assembly_by_hand_is_marked_and_instrumented_assembly_stays_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.s").write_text(".globl f\n.type f,@function\nf: movl (%rdi), %eax\n ret\n.size f, .-f\n")
    Path("b.S").write_text('#include "a.s"\n')
    for source in ("a.s", "b.S"):
        assert main_cc(["-c", source, "-o", "f.o"]) == 0
        assert main_cc(["-nostdlib", "f.o", "-o", "f.tbx"]) == 0


def test_the_note_is_one_that_other_tools_read_and_is_not_loaded(tmp_path: Path) -> None:
    path = ours(tmp_path / "a.o")
    done = subprocess.run(["readelf", "-n", "-W", path], capture_output=True, text=True, check=True)
    assert "tmebox" in done.stdout and "warning" not in done.stderr.lower()
    note = linked.Elf(path.read_bytes(), "a.o").section(marks.SECTION)
    assert note is not None and not note.loaded
    module = link([path], [], CompileOptions(use_libc=False))
    assert b"gs code+data" not in b"".join(segment.data for segment in module.segments)


@pytest.mark.parametrize("note", [b"", b"\0" * 40, b"\7\0\0\0", b"\7\0\0\0\x0c\0\0\0\1\0\0\0tmebox\0\0"])
def test_a_damaged_note_is_none(note: bytes) -> None:
    with pytest.raises(CompileError, match=r"a\.o: not compiled for a sandbox"):
        marks.require_mark(note, "a.o", "code+data", "gs")
