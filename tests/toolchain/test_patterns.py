"""Patterns that an installation keeps are what `re` makes of them, and nothing depends on the file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tmebox.toolchain.objects
from tmebox.toolchain import patterns

PROGRAM = """
import re, sys
sys.argv = ["tmebox", "cc", "-O2", "-c", "one.c"]
compiled = []
library = re._compiler if hasattr(re, "_compiler") else re.sre_compile
for name in ("_code", "compile"):
    def counting(*given, plain=getattr(library, name)):
        frame = sys._getframe(1)
        while frame.f_globals["__name__"].startswith(("re", "sre_", "tmebox.toolchain.patterns")):
            frame = frame.f_back
        compiled.append(frame.f_globals["__name__"])
        return plain(*given)
    setattr(library, name, counting)
from tmebox.__main__ import main
assert main() == 0
from tmebox import records
print(sum(name.startswith("tmebox.") for name in compiled), len(records.new_constructors))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "one.c").write_text("int one(int *p) { return *p; }\n")
    return tmp_path


def compiled(place: Path, **variables: str) -> int:
    """How many patterns and constructors a compiler's process compiles."""
    kept = {"PYTHONPYCACHEPREFIX": str(place / "bytecode"), "PYTHONDONTWRITEBYTECODE": "", **variables}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=place, env={**os.environ, **kept}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return sum(map(int, done.stdout.split()))


def files(place: Path) -> list[Path]:
    return list((place / "bytecode").rglob("*.regex"))


def test_they_are_compiled_once_for_an_installation(place: Path) -> None:
    assert compiled(place) > 50
    assert len(files(place)) == 1
    assert compiled(place) == 0


@pytest.mark.parametrize("contents", [b"", b"no table", b"\xfa\x00", b"i\x01\x00\x00\x00"])
def test_a_damaged_file_is_written_anew(place: Path, contents: bytes) -> None:
    compiled(place)
    (file,) = files(place)
    whole = file.read_bytes()
    for broken in (contents, whole[: len(whole) // 2]):
        file.write_bytes(broken)
        assert compiled(place) > 50
        assert file.read_bytes() == whole


def test_nothing_is_written_where_no_bytecode_is(place: Path) -> None:
    assert compiled(place, PYTHONDONTWRITEBYTECODE="1") > 50
    assert files(place) == []


def test_a_program_that_compiles_writes_none(place: Path) -> None:
    """Only the commands do: whoever uses the package has its files as they were."""
    program = "import tmebox; tmebox.compile('one.c')"
    variables = {**os.environ, "PYTHONPYCACHEPREFIX": str(place / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", program], cwd=place, env=variables, check=True)
    assert files(place) == []


def test_they_are_what_the_library_makes() -> None:
    assert tmebox.toolchain.objects.compile_object is not None
    assert len(patterns._made) > 50
    for (text, flags), made in patterns._made.items():
        assert made == re.compile(text, flags)
        assert made.groupindex == re.compile(text, flags).groupindex


def test_another_python_without_these_parts_compiles_them_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_COMPILER", None)
    assert patterns.regex(r"(?P<never>seen) before") == re.compile(r"(?P<never>seen) before")
