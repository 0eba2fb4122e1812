"""What the compiler warns of arrives as Python warnings, with place, text and caret."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import tmebox

SOURCE = """int shadow;
int f(int a)
{
    int left_over = 3;
    if (a = 4)
        return 1;
    return a;
}
"""
ASSIGNMENT = "{}:5:11: warning: using the result of an assignment as a condition without parentheses"


def said(**options: object) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tmebox.compile(**options)  # type: ignore[arg-type]
    return caught


def test_a_warning_has_place_text_and_caret_and_points_to_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "f.c"
    path.write_text(SOURCE)
    with pytest.warns(tmebox.CompileWarning) as caught:
        module = tmebox.compile(path, flags=("-Wall",))
    assert [item.filename for item in caught] == [__file__] * 2
    assert sorted(module.exports) == ["f"]
    by_line = {item.message.diagnostic.line: item.message for item in caught}  # type: ignore[union-attr]
    assert sorted(by_line) == [4, 5]
    lines = str(by_line[5]).splitlines()
    assert lines[0].startswith(ASSIGNMENT.format(path))
    assert lines[1] == "    5 |     if (a = 4)"
    assert lines[2].strip() == "|         ~~^~~"
    assert len(lines) == 3, "notes are left out"
    diagnostic = by_line[4].diagnostic  # type: ignore[union-attr]
    assert diagnostic is not None
    assert (diagnostic.file, diagnostic.column, diagnostic.severity) == (str(path), 9, "warning")
    assert "'left_over'" in diagnostic.message


@pytest.mark.parametrize(
    ("flags", "lines"), [((), [5]), (("-Wall", "-w"), []), (("-Wall", "-Wno-parentheses"), [4])], ids=str
)
def test_flags_choose_what_is_warned_of(flags: tuple[str, ...], lines: list[int]) -> None:
    caught = said(source_text=SOURCE, flags=flags)
    assert [item.message.diagnostic.line for item in caught] == lines  # type: ignore[union-attr]
    assert all(issubclass(item.category, tmebox.CompileWarning) for item in caught)


def test_one_warning_is_issued_once_however_many_sources_include_it(tmp_path: Path) -> None:
    (tmp_path / "shared.h").write_text("static inline int g(int a) { if (a = 4) return 1; return a; }\n")
    sources = [tmp_path / f"{name}.c" for name in "ab"]
    for source in sources:
        source.write_text(f'#include "shared.h"\nint {source.stem}(int n) {{ return g(n); }}\n')
    caught = said(source=sources)
    assert len(caught) == 1
    assert "shared.h:1:" in str(caught[0].message)


def test_filters_make_errors_of_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", tmebox.CompileWarning)
        with pytest.raises(tmebox.CompileWarning, match=r"source\.c:5:11") as caught:
            tmebox.compile(source_text=SOURCE)
        with pytest.raises(tmebox.CompileError, match="cannot export missing"):
            tmebox.compile(source_text=SOURCE, exports=["missing"])
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.diagnostic == caught.value.diagnostic


def test_warnings_come_with_an_error_of_the_link_too() -> None:
    with pytest.warns(tmebox.CompileWarning), pytest.raises(tmebox.CompileError):
        tmebox.compile(source_text=SOURCE, exports=["missing"])


def test_what_is_in_a_source_does_not_reach_the_terminal_as_it_is() -> None:
    source = 'int f(int a) { if (a = 4) return 1; return "\x1b]0;title\x07\x9b[31m"[a]; }\n'
    [item] = said(source_text=source)
    text = str(item.message)
    assert not [c for c in text if not c.isprintable() and c not in "\n\t"]
    assert "title" in text


def test_an_endless_line_is_cut() -> None:
    [item] = said(source_text=f"int f(int a) {{ if (a = {'0' * 100_000}4) return 1; return a; }}\n")
    assert len(str(item.message)) <= 4000


def test_cc_prints_what_it_printed(tmp_path: Path) -> None:
    (tmp_path / "f.c").write_text(SOURCE)
    command = [sys.executable, "-m", "tmebox", "cc", "-Wall", "-o", "f.tbx", "f.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ASSIGNMENT.format("f.c") in done.stderr
    assert "note: place parentheses" in done.stderr
    assert "2 warnings generated" in done.stderr
    assert "CompileWarning" not in done.stderr
