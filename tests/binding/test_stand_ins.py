"""Libraries that nobody has configured: headers that a build makes, and programs among the sources."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import tmebox
from tmebox.binding.bind import Bound, bind
from tmebox.binding.package import write_package
from tmebox.binding.stand_ins import missing_headers, stand_in

HEADER = '#include "tiny_export.h"\nTINY_EXPORT int tiny(int value);\nTINY_DEPRECATED int old(void);\n'
SOURCE = """
#include "tiny.h"
#include "config.h"
#ifdef HAVE_STDINT_H
#include <stdint.h>
#endif
#ifdef HAVE_NO_SUCH_THING_H
#error there is none
#endif
int old(void) { return IS_BIG + 10 * WAS_ASKED; }
int tiny(int value) { return (int32_t)value + ADDED; }
"""
TEMPLATE = """
/* of autoconf and CMake, both */
#undef HAVE_STDINT_H
#cmakedefine HAVE_NO_SUCH_THING_H
#cmakedefine01 IS_BIG
#cmakedefine WAS_ASKED @WAS_ASKED@
#undef ADDED
#ifndef ADDED
#define ADDED 100
#endif
"""
PROGRAM = "int helper(void) { return 1; }\nint main(void) { return helper(); }\n"


def library(folder: Path, **more: str) -> Path:
    files = {"tiny.h": HEADER, "tiny.c": SOURCE, "config.h.in": TEMPLATE, **more}
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def made(folder: Path, *defines: str) -> Bound:
    return bind(folder / "tiny.h", [folder], "tiny_box", defines=("WAS_ASKED=0", *defines), flags=("-w",))


@pytest.mark.parametrize(("added", "expected"), [((), (101, 0)), (("ADDED=5", "IS_BIG=1"), (6, 1))])
def test_a_template_is_answered_by_the_compiler_and_by_macros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, added: tuple[str, ...], expected: tuple[int, int]
) -> None:
    write_package(made(library(tmp_path), *added), tmp_path / "tiny_box")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tiny_box", raising=False)
    with importlib.import_module("tiny_box").open(memory="16MiB") as box:
        assert (box.tiny(1), box.old()) == expected


def test_programs_among_the_sources_are_left_out(tmp_path: Path) -> None:
    """Two of them cannot be linked together, and no library needs one; but what is declared stays."""
    both = "int main(void) { return 0; }\nint tiny(int value) { return value; }\n"
    folder = library(tmp_path, **{"one.c": PROGRAM, "two.c": PROGRAM})
    bound = made(folder)
    assert not {"main", "helper"} & {symbol.name for symbol in bound.file.symbols}
    (folder / "tiny.c").write_text(both)
    assert "tiny" in {symbol.name for symbol in made(folder).file.symbols}


def test_a_header_that_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    folder = library(tmp_path, **{"version.h.in": "#define TINY_VERSION @VERSION@\n"})
    (folder / "tiny.c").write_text(f'#include "version.h"\n{SOURCE}')
    with pytest.raises(
        tmebox.CompileError, match=r"'version\.h' is not there: .* --generated version\.h=FILE"
    ):
        made(folder)


def test_a_library_that_does_not_compile_says_what_was_made_up(tmp_path: Path) -> None:
    folder = library(tmp_path)
    (folder / "config.h.in").write_text("#undef WHATEVER\n")
    with pytest.raises(tmebox.CompileError, match=r"'config\.h', which the library's build would make"):
        made(folder)


def test_templates_are_read_beside_the_sources_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret.h.in").write_text("secret")
    (tmp_path / "in").mkdir()
    for name in ("../secret.h", "in/../../secret.h", "/etc/hosts.h"):
        assert stand_in(name, [tmp_path / "in"]) is None
    (tmp_path / "large.h.in").write_text(" " * ((1 << 20) + 1))
    assert stand_in("large.h", [tmp_path]) is None
    assert missing_headers("fatal error: 'a/b.h' file not found\n'c.c' file not found") == ["a/b.h"]


@pytest.mark.parametrize("name", ["{outside}/config.h", "../outside/config.h", "x/../../outside/config.h"])
def test_no_header_is_made_outside_of_our_directory(tmp_path: Path, name: str) -> None:
    """A source chooses what it includes, and what a compiler's message says."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.h.in").write_text("#undef SECRET\n")
    name = name.format(outside=outside)
    for told in (f'#include "{name}"\n', f"#error '{name}' file not found\n"):
        folder = tmp_path / str(len(told))
        folder.mkdir()
        library(folder, **{"tiny.c": told + SOURCE})
        with pytest.raises(tmebox.CompileError):
            made(folder)
        assert [entry.name for entry in outside.iterdir()] == ["config.h.in"]


def test_a_template_that_leads_elsewhere_is_none(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("#define SECRET 1\n")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.h.in").symlink_to(secret)
    assert stand_in("config.h", [tmp_path / "tiny"]) == ""
