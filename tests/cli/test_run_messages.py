"""`tmebox run` with what cannot be: each message says what was given and what was expected."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.cli.command_line import Run
from tmebox.cli.run import MOST_REFUSALS, _count

HOG = """
#include <fcntl.h>
int main(void) { int n = 0; while (open("/d/hog.c", O_RDONLY) >= 0) n++; return n; }
"""


@pytest.mark.parametrize(
    "entry", [":/x", "/tmp:", "/tmp", "/tmp:/a:/b", "/tmp:/a:rx", "/tmp:a", "/nowhere:/a"]
)
def test_a_directory_that_cannot_be_is_wrong_usage(tmebox: Run, tmp_path: Path, entry: str) -> None:
    (tmp_path / "x.c").write_text("int main(void) { return 0; }")
    finished = tmebox("run", "--dir", entry, tmp_path / "x.c")
    assert finished.code == 2 and "Traceback" not in finished.err
    assert "directory" in finished.err or "HOST:GUEST" in finished.err


def test_a_file_that_is_neither_module_nor_source_is_said_to_be_neither(tmebox: Run, tmp_path: Path) -> None:
    for name, contents in (("x.f90", "end"), ("empty", ""), ("notes.txt", "hello")):
        (tmp_path / name).write_text(contents)
        finished = tmebox("run", tmp_path / name)
        assert finished.code == 1 and f"{name}: neither a module" in finished.err
        assert ".c .i .s" in finished.err or ".S .c" in finished.err


def test_a_source_that_is_not_there_is_named(tmebox: Run, tmp_path: Path) -> None:
    finished = tmebox("run", tmp_path / "missing.c")
    assert finished.code == 1 and "missing.c" in finished.err and "zig" not in finished.err


def test_open_files_are_limited_as_asked(tmebox: Run, tmp_path: Path) -> None:
    source = tmp_path / "hog.c"
    source.write_text(HOG)
    assert tmebox("run", "--files", "10", "--dir", f"{tmp_path}:/d:ro", source).code == 7
    assert tmebox("run", "--files", "2", source).code == 2


def test_a_trace_lists_so_many_refusals_and_no_more() -> None:
    refusals: Counter[str] = Counter()
    for number in range(3 * MOST_REFUSALS):
        _count(refusals, f"stat '/{number}': ENOENT")
    _count(refusals, "stat '/1': ENOENT")
    assert len(refusals) == MOST_REFUSALS + 1
    assert refusals["stat '/1': ENOENT"] == 2 and refusals["others"] == 2 * MOST_REFUSALS
