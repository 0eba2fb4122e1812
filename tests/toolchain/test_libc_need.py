"""The C library is asked for only by programs that need it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmebox.modulefile import codec
from tmebox.toolchain import build as build_module
from tmebox.toolchain.build import build, compile_object
from tmebox.toolchain.libc import libc as libc_module
from tmebox.toolchain.libc.libc import libc
from tmebox.toolchain.libc.need import needs_libc
from tmebox.toolchain.options import SourceText

COMPLETE = {
    "nothing but code": "int add(int a, int b) { return a + b; }",
    "data of its own": 'static int n; int *p = &n; const char *text(void) { return "text" + *p; }',
    "a common variable": "int counter; int next(void) { return ++counter; }",
    "only headers": "#include <string.h>\n#include <math.h>\nint one(void) { return sizeof(size_t) == 8; }",
}
INCOMPLETE = {
    "a call": "#include <string.h>\nunsigned long n(const char *s) { return strlen(s); }",
    "a large copy": "struct big { char c[4096]; }; void f(struct big *a, struct big *b) { *a = *b; }",
    "a weak reference": "__attribute__((weak)) int maybe(void); int f(void) { return maybe ? maybe() : 0; }",
    "a function of the host's": "int host(int); int f(int x) { return host(x); }",
    "a program": "int main(void) { return 3; }",
    "a constructor": "volatile int n; __attribute__((constructor)) void set(void) { n = 1; }",
    "a destructor": "int n; __attribute__((destructor)) void unset(void) { n = 1; }",
}


def needs(text: str, folder: Path, *exports: str) -> bool:
    compile_object(SourceText(text), folder / "it.o")
    return needs_libc([folder / "it.o"], exports)


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_program_is_built_without_the_library(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not needs(COMPLETE[name], tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(build_module, "needs_libc", lambda *_: True)
        expected = build([SourceText(COMPLETE[name])])

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("asked for the library")

    monkeypatch.setattr(libc_module, "libc", fail)
    assert codec.encode(build([SourceText(COMPLETE[name])])) == codec.encode(expected)


@pytest.mark.parametrize("name", INCOMPLETE)
def test_what_is_missing_something_needs_the_library(name: str, tmp_path: Path) -> None:
    assert needs(INCOMPLETE[name], tmp_path)


def test_an_export_that_only_the_library_has_needs_it(tmp_path: Path) -> None:
    assert needs(COMPLETE["nothing but code"], tmp_path, "malloc")
    assert not needs(COMPLETE["nothing but code"], tmp_path, "add")


def test_objects_complete_each_other(tmp_path: Path) -> None:
    compile_object(SourceText("int two(void); int one(void) { return two(); }"), tmp_path / "one.o")
    compile_object(SourceText("int two(void) { return 2; }"), tmp_path / "two.o")
    assert needs_libc([tmp_path / "one.o"])
    assert not needs_libc([tmp_path / "one.o", tmp_path / "two.o"])
    assert needs_libc([tmp_path / "one.o", tmp_path / "two.o", libc().start_object])
