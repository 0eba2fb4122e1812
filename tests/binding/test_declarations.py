"""Names in declarations, as headers write them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import tmebox
from tmebox.binding.bind import bind
from tmebox.binding.declarations import outermost, parameters_in, typedefs_in, variables_in
from tmebox.binding.header import read_headers


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("typedef struct point { int x, y; } point_t, *point_p;", ["point_t", "point_p"]),
        ("typedef const struct point *const_p;", ["const_p"]),
        ("typedef unsigned char Byte; typedef Byte Bytef;", ["Byte", "Bytef"]),
        ("typedef int table[3], *row;", ["table", "row"]),
        ("typedef struct { struct { int a; } b; } inner __attribute__((aligned(8)));", ["inner"]),
        ("typedef unsigned long long;", []),
        ("typedef int (*fn)(int); typedef int plain(int);", []),
        ("void f(void) { typedef int local; }", []),
        ("struct s { int a; }; int typedefs;", []),
        ("typedef enum { A, B } e;", ["e"]),
    ],
)
def test_names_of_types(code: str, names: list[str]) -> None:
    assert typedefs_in(outermost(code)) == names


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("extern int a, b[3], *c;", ["a", "b", "c"]),
        ("extern const char *const names[];", ["names"]),
        ("extern void (*logger)(int level, const char *, ...);", ["logger"]),
        ("extern int f(void); extern int g(int (*callback)(int));", []),
        ('extern struct s x __attribute__((visibility("default")));', ["x"]),
        ("int a; static int b;", []),
        ("extern int (*get(int))(void);", []),
    ],
)
def test_names_of_variables(code: str, names: list[str]) -> None:
    assert variables_in(outermost(code)) == names


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("int f(int a, const char *b, size_t c);", ("a", "b", "c")),
        ("int f(int, const char *, struct s *, struct s *p, unsigned long);", ("", "", "", "p", "")),
        ("int f(int (*cmp)(const void *, const void *), void *user);", ("cmp", "user")),
        ("int f(int a[4], char *const argv[], double m[][3]);", ("a", "argv", "m")),
        ("void f(void);", ("",)),
        ("extern unsigned (f)(const struct s *restrict png, int depth);", ("png", "depth")),
        ("typedef int (*g)(int a); int f(int b);", ("b",)),
        ("extern struct s *f(const struct s *p) __attribute__((nonnull(1)));", ("p",)),
        ("int f(const char *restrict format, ...);", ("format", "")),
    ],
)
def test_names_of_parameters(code: str, names: tuple[str, ...]) -> None:
    assert parameters_in(outermost(code))["f"] == names


def test_definitions_and_calls_name_no_parameters() -> None:
    assert parameters_in(outermost("static int f(int a) { return g(a); } int x = h(1);")) == {}


def test_a_hostile_header_takes_no_time() -> None:
    begun = time.process_time()
    for code in (
        "{" * 200_000,
        "}" * 200_000,
        "f(" * 50_000,
        "typedef " * 50_000,
        "extern (" * 50_000,
        "__attribute__((" * 20_000,
    ):
        outer = outermost(code)
        typedefs_in(outer), variables_in(outer), parameters_in(outer)
    assert time.process_time() - begun < 60


HEADER = """
typedef struct point { int x, y; } point_t, *point_p;
typedef struct hidden *handle_t;
extern int (*hook)(int value);
extern int limit, level;
/** Adds. */
int add(const point_t *left, const point_t *right);
handle_t open_one(int number);
int close_one(handle_t handle);
int call_hook(int value);
"""
SOURCE = """
#include "shapes.h"
#include <stdlib.h>
struct hidden { int number; };
int (*hook)(int);
int limit = 3, level = 4;
int add(const point_t *a, const point_t *b) { return a->x + b->y; }
handle_t open_one(int n) { handle_t h = malloc(sizeof *h); h->number = n; return h; }
int close_one(handle_t h) { int n = h->number; free(h); return n; }
int call_hook(int v) { return hook ? hook(v) : -1; }
"""


def test_a_package_has_the_headers_names(tmp_path: Path) -> None:
    (tmp_path / "shapes.h").write_text(HEADER)
    (tmp_path / "shapes.c").write_text(SOURCE)
    bound = bind(tmp_path / "shapes.h", [tmp_path / "shapes.c"], "shapes_box")
    with tmebox.Box(tmebox.Module(bound.file)) as box:
        add = box.exports["add"]
        assert add.__doc__ == "int add(const point_t *left, const point_t *right)"
        assert add(right=(1, 2), left={"x": 4}) == 6
        with pytest.raises(TypeError, match=r"argument 2 .*right"):
            add((1, 2), 1.5)
        place = box.new("point_p")
        point = box.new("point_t", x=5)
        place[0] = point
        assert place[0].x == 5
        handle = box.exports["open_one"](7)
        kept = box.new("handle_t[2]", [handle, None])
        assert box.exports["close_one"](kept[0]) == 7
        assert (box.variable("limit")[0], box.variable("level")[0]) == (3, 4)
        assert box.exports["call_hook"](4) == -1
        with pytest.raises(TypeError, match="callback"):
            box.variable("hook")[0] = lambda value: value * 2


def test_headers_elsewhere_are_neither_read_nor_written(tmp_path: Path) -> None:
    """A header chooses what it includes. The copy of what was read would have gone to that very place."""
    secret = tmp_path / "secret.h"
    secret.write_bytes(b"int secret(void); /* \xff */\n")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.h").symlink_to(secret)
    (folder / "beside.h").write_text("int beside(void);\n")
    names = (str(secret), "../secret.h", "link.h", "beside.h")
    (folder / "own.h").write_text("".join(f'#include "{name}"\n' for name in names) + "int own(void);\n")
    assert set(read_headers([folder / "own.h"])) == {"own.h", "beside.h"}
    (folder / "own.c").write_text("int own(void) { return 1; } int beside(void) { return 2; }\n")
    with pytest.raises(tmebox.CompileError):
        bind(folder / "own.h", [folder / "own.c"], "own_box")
    assert secret.read_bytes() == b"int secret(void); /* \xff */\n"
