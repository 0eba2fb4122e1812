"""Texts in structs and lists, and texts that are none: every public border names what was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tmebox

SOURCE = r"""
#include <string.h>
struct entry { const char *key; int count; char name[8]; };
int length(const char *text) { return strlen(text); }
int total(const char **texts) { int n = 0; while (*texts) n += strlen(*texts++); return n; }
int both(const struct entry *e) { return strlen(e->key) * 10 + strlen(e->name); }
int bump(struct entry *e) { e->count++; return strlen(e->key); }
int forget(struct entry *e) { e->key = 0; return e->count; }
int value(struct entry e) { return strlen(e.key) * 10 + strlen(e.name); }
int all(const struct entry *e, int n) { int sum = 0; while (n--) sum += strlen(e[n].key); return sum; }
"""
ALONE = "a\ud800b"


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[Any]:
    with tmebox.Box(module) as made:
        yield made


def test_texts_are_members_of_what_is_passed(box: Any) -> None:
    for _ in range(2):
        assert box.both({"key": "four", "name": "me"}) == 42
        assert box.both(("é", 1, b"me")) == box.both({"key": "é", "name": b"me"}) == 22
        assert box.value({"key": b"four", "name": "me"}) == 42
        assert box.all([{"key": "one"}, {"key": "three"}], 2) == 8
        assert box.both(box.new("struct entry", key="four", name="me")) == 42
    with pytest.raises(TypeError, match=r"e\)\.name: expected 8 items|name"):
        box.both({"key": "k", "name": "much too long"})


def test_a_dict_keeps_its_texts_where_they_are_still_pointed_to(box: Any) -> None:
    entry = {"key": "four", "count": 1}
    assert box.bump(entry) == 4
    assert (entry["key"], entry["count"]) == ("four", 2)
    assert box.forget(entry) == 2
    assert entry["key"] == 0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda box: box.length(ALONE), r"argument 1 \(const char \*text\)"),
        (lambda box: box.total([b"x", ALONE]), r"argument 1 \(const char \*\*texts\)\[1\]"),
        (lambda box: box.both({"key": ALONE}), r"argument 1 .*\.key"),
        (lambda box: box.both({"key": "k", "name": ALONE}), r"argument 1 .*\.name"),
        (lambda box: box.text(ALONE), "text"),
        (lambda box: box.new("struct entry", key=ALONE), r"struct entry\.key"),
        (lambda box: box.new("char *[2]", ["x", ALONE]), r"\[1\]"),
        (lambda box: tmebox.compile(source_text=f"int f; // {ALONE}"), "source_text"),
        (lambda box: tmebox.compile(f"{ALONE}.c"), "source"),
        (lambda box: tmebox.compile(source_text="int f;", flags=[ALONE]), "flags"),
        (lambda box: tmebox.compile(source_text="int f;", exports=[ALONE]), "exports"),
        (lambda box: tmebox.compile(source_text="int f;", include_dirs=[ALONE]), "include_dirs"),
        (lambda box: tmebox.Sandbox(box.module, env={"A": ALONE}), r"env\['A'\]"),
        (lambda box: tmebox.Sandbox(box.module, env={ALONE: "A"}), "env: name"),
        (lambda box: tmebox.Sandbox(box.module, dirs=[("/tmp", f"/{ALONE}")]), "guest path"),
        (lambda box: tmebox.Sandbox(box.module, dirs=[(ALONE, "/tmp")]), "host path"),
        (lambda box: tmebox.Sandbox(box.module, listen=[f"{ALONE}:80"]), "not the name of a host"),
        (lambda box: tmebox.Sandbox(box.module, connect=["a..b:80"]), "not the name of a host"),
        (lambda box: box.run([ALONE]), "argv"),
    ],
)
def test_a_surrogate_alone_is_told_by_name(box: Any, call: Callable[[Any], Any], name: str) -> None:
    for _ in range(2):  # by Python, then by the core if it can
        with pytest.raises(ValueError, match=name) as told:
            call(box)
        assert type(told.value) is ValueError
        assert box.length("still there") == 11


@pytest.mark.parametrize(
    ("modules", "error", "name"),
    [
        ({"m": f"x = {ALONE!r}".replace("\\ud800", "\ud800")}, ValueError, r"modules\['m'\]"),
        ({ALONE: "x = 1"}, ValueError, "modules: the name"),
        ({"m": b"x = 1"}, TypeError, r"modules\['m'\]"),
        ({1: "x = 1"}, TypeError, r"modules\[1\]"),
    ],
)
def test_modules_of_python_programs_are_texts(modules: Any, error: type[Exception], name: str) -> None:
    from tmebox import python

    if not python.available():
        pytest.skip("the Python guest is not built: make python")
    with pytest.raises(error, match=name):
        python.Python(modules=modules)


def test_text_where_a_file_is_expected_is_told_from_one_that_is_not_there() -> None:
    with pytest.raises(tmebox.CompileError, match=r"text goes as compile\(source_text"):
        tmebox.compile("int f(void) { return 1; }\n")
    with pytest.raises(tmebox.CompileError, match=r"there is no source file missing\.c"):
        tmebox.compile("missing.c")
