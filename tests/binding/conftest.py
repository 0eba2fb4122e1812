"""A small library, and what `tmebox bind` makes of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tmebox.binding.bind import bind
from tmebox.binding.package import write_package

HEADER = r"""
#ifndef SHAPES_H
#define SHAPES_H
#include <stddef.h>
#include "shapes_more.h"
#define SHAPES_VERSION "1.2"
#define SHAPES_MOST 0xffffffffffffffffull
#define SHAPES_SCALE 2.5
#define SHAPES_TWICE(x) ((x) * 2)
#define SHAPES_API extern
#define SHAPES_BITS (1 << 4 | SHAPES_TWICE(2))
enum shapes_kind { SHAPES_POINT = 3, SHAPES_LINE, /* not SHAPES_LOST */ SHAPES_LAST = 'z' };
struct point { double x, y; };
typedef struct { size_t offset; const char *text; int counts[2]; } shapes_part;
typedef struct shapes shapes;
/* Called for each point. Returns whether to go on. */
typedef int (*shapes_visitor)(void *user, const struct point *point, int index);
/* Makes room for some points.
 * Free it with shapes_free. */
SHAPES_API shapes *shapes_new(size_t count);
SHAPES_API void shapes_free(shapes *s);
SHAPES_API int shapes_set(shapes *s, size_t index, struct point to);
SHAPES_API int shapes_visit(const shapes *s, shapes_visitor visitor, void *user);
SHAPES_API const char *shapes_name(enum shapes_kind kind);
SHAPES_API int shapes_never_written(void);
SHAPES_API double shapes_area(const struct point *points, size_t count);
extern int shapes_verbose;
extern const double shapes_table[3];
#endif
"""
SOURCE = r"""
#include "shapes.h"
#include <config.h>
#include <stdlib.h>
#include <errno.h>
struct shapes { size_t count; struct point points[]; };
int shapes_verbose = 4;
const double shapes_table[3] = { 1, 2, 3 };
static int used(void) { return 1; }
int internal_only(void) { return used(); }
shapes *shapes_new(size_t count)
{
    shapes *s = calloc(1, sizeof *s + count * sizeof s->points[0]);
    if (s) s->count = count;
    return s;
}
void shapes_free(shapes *s) { free(s); }
int shapes_set(shapes *s, size_t index, struct point to)
{
    if (index >= s->count) { errno = ERANGE; return -1; }
    s->points[index] = to;
    return 0;
}
int shapes_visit(const shapes *s, shapes_visitor visitor, void *user)
{
    for (size_t i = 0; i < s->count; i++)
        if (!visitor(user, &s->points[i], i)) return i;
    return -1;
}
const char *shapes_name(enum shapes_kind kind) { return kind == SHAPES_LINE ? "line" : NULL; }
double shapes_area(const struct point *points, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += points[i].x * points[i].y;
    return sum;
}
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("library")
    (directory / "shapes.h").write_text(HEADER)
    (directory / "shapes_more.h").write_text("#define SHAPES_MORE 9\n")
    (directory / "shapes.c").write_text(SOURCE)
    return directory


@pytest.fixture(scope="session")
def package(library: Path) -> Iterator[ModuleType]:
    write_package(bind(library / "shapes.h", [library], "shapes_box"), library / "shapes_box")
    sys.path.insert(0, str(library))
    try:
        yield importlib.import_module("shapes_box")
    finally:
        sys.path.remove(str(library))


@pytest.fixture
def box(package: ModuleType) -> Iterator[Any]:
    with package.open(memory="16MiB", timeout=10.0) as box:
        yield box
