"""A string is not taken for a list of letters, in any argument that is a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tmebox.listing import listed, texts
from tmebox.toolchain.libc import libc

SOURCE = "int main(int argc, char **argv) { return argc; } int one(void) { return 1; }"


def compile_with(**options: Any) -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, **options)


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return compile_with()


CALLS: dict[str, Callable[[tmebox.Module, Any], object]] = {
    "argv": lambda module, value: tmebox.Sandbox(module).run(value),
    "dirs": lambda module, value: tmebox.Sandbox(module, dirs=value),
    "dirs of a run": lambda module, value: tmebox.Sandbox(module).run(dirs=value),
    "imports": lambda module, value: tmebox.Sandbox(module, imports=value),
    "flags": lambda _, value: compile_with(flags=value),
    "exports": lambda _, value: compile_with(exports=value),
    "include_dirs": lambda _, value: compile_with(include_dirs=value),
    "defines": lambda _, value: compile_with(defines=value),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("value", ["add", b"add", Path("add"), 5])
def test_one_item_is_no_list(module: tmebox.Module, name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"{name.split(maxsplit=1)[0]}=.*where a list is expected"):
        CALLS[name](module, value)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("dirs", "dirs of a run", "imports")])
def test_items_that_are_no_text_are_named(module: tmebox.Module, name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name}\[1\]=7 is int"):
        CALLS[name](module, ["x", 7])


def test_any_iterable_is_a_list() -> None:
    assert listed(iter([1, 2]), "x") == (1, 2) and listed({"a": 1}, "x") == ("a",)
    assert texts([b"by\xfftes", "str", Path("p")], "x") == ("by\udcfftes", "str", "p")


def test_arguments_of_a_program_are_text_bytes_or_paths(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.run(["p", b"\xff", Path("x"), ""]).exit_code == 4
        with pytest.raises(ValueError, match=r"argv\[1\]=.*NUL"):
            sandbox.run(["p", "a\0b"])


def test_more_arguments_than_a_stack_takes_are_counted(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        sandbox.run(["x"] * 32_000)
        with pytest.raises(tmebox.LimitError, match="40,000 arguments"):
            sandbox.run(["x"] * 40_000)


@pytest.mark.parametrize(
    ("env", "error", "words"),
    [
        ({"A\0": "x"}, ValueError, "NUL"),
        ({"A": "x\0"}, ValueError, "NUL"),
        ({"": "x"}, ValueError, "name of a variable"),
        ({"A=B": "x"}, ValueError, "name of a variable"),
        ({"A": 1}, TypeError, r"env\['A'\]=1"),
        ({1: "A"}, TypeError, "env: name=1"),
    ],
)
def test_variables_that_cannot_be_are_named(
    module: tmebox.Module, env: dict[Any, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        tmebox.Sandbox(module, env=env)
    with tmebox.Sandbox(module) as sandbox, pytest.raises(error, match=words):
        sandbox.run(env=env)


@pytest.mark.parametrize(
    "item",
    [":/x", "/tmp:", "/tmp:/a:/b", "/tmp:/a:rx", "/tmp", ("/tmp",), ("/tmp", "/a", "x"), ("/tmp", "/a", 2),
     ("/tmp", "/a", []), ("", "/a"), ("/tmp", "/a", "ro", "ro"), ("/tmp", "/a", None)],
)  # fmt: skip
def test_a_directory_that_is_written_wrongly_is_explained(module: tmebox.Module, item: Any) -> None:
    with pytest.raises(ValueError, match="write HOST:GUEST"):
        tmebox.Sandbox(module, dirs=[item])


@pytest.mark.parametrize("item", [5, None, b"/tmp:/a"])
def test_what_cannot_be_a_directory_is_explained(module: tmebox.Module, item: Any) -> None:
    with pytest.raises(TypeError, match="write HOST:GUEST"):
        tmebox.Sandbox(module, dirs=[item])
    with pytest.raises(TypeError, match="guest path"):
        tmebox.Sandbox(module, dirs=[("/tmp", 5)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="NUL"):
        tmebox.Sandbox(module, dirs=[("/tmp", "/a\0b")])


WRITER = r"""
#include <fcntl.h>
int can_write(void) { return open("/g/new", O_CREAT | O_WRONLY, 0644) >= 0; }
"""


def test_a_directorys_third_part_is_read_as_it_is_written(tmp_path: Path) -> None:
    writer = tmebox.compile(source_text=WRITER)
    here = str(tmp_path)
    expected: list[tuple[Any, int]] = [
        (f"{here}:/g", 1), (f"{here}:/g:rw", 1), (f"{here}:/g:ro", 0), ((here, "/g"), 1),
        ((here, "/g", "rw"), 1),
        ((here, "/g", "ro"), 0), ((tmp_path, "/g", True), 0), ([here, "/g", False], 1),
    ]  # fmt: skip
    for item, can_write in expected:
        with tmebox.Sandbox(writer, dirs=[item]) as sandbox:
            assert sandbox.can_write() == can_write, item


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimize": 2}, "optimize=2 is none of '-O0'"),
        ({"optimize": "-O9"}, "optimize='-O9' is none of"),
        ({"isolation": "none"}, "isolation='none' is none of 'code\\+data', 'data'"),
        ({"base": "fs"}, "base='fs' is none of 'gs', 'r15'"),
        ({"base": None}, "base=None is none of"),
    ],
)
def test_a_choice_that_there_is_not_is_one_kind_of_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compile_with(**options)


def test_sources_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(tmebox.CompileError, match=r"no source file missing\.c"):
        tmebox.compile("missing.c")
    with pytest.raises(tmebox.CompileError, match="no sources are directly in there"):
        tmebox.compile([tmp_path])
    with pytest.raises(TypeError, match="source_text is bytes"):
        tmebox.compile(source_text=b"int f(void) { return 1; }")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"source\[0\]=7"):
        tmebox.compile([7])  # type: ignore[list-item]


def test_a_cache_that_cannot_be_written_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A libc that lies there from building wheels needs no cache."""
    monkeypatch.setattr(libc, "SHIPPED", Path("/proc/nowhere/shipped"))
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    with pytest.raises(
        tmebox.CompileError, match=r"cache /proc/nowhere/tmebox cannot be written.*XDG_CACHE_HOME"
    ):
        compile_with()
