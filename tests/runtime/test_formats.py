"""What is behind the `...` of a printf-like import: as printf would read it, from code that may lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox.runtime.calls.formats import MOST_ARGUMENTS, arguments

SOURCE = r"""
#include <stdarg.h>
#include <stdio.h>
int say(int level, const char *format, ...);
void only(const char *format, ...);
typedef void (*Log)(void *user, const char *format, ...);
static char out[4096];
#define SAY(...) (snprintf(out, sizeof out, __VA_ARGS__), say(3, __VA_ARGS__))
const char *printed(void) { return out; }
int integers(void) { return SAY("%d %i %u %x %X %o", -1, 2, 4294967295u, 255, 255, 8); }
int sizes(void) {
    return SAY("%hhd %hu %ld %llu %zu %jd %td",
               200, 70000, -1L, ~0ULL, sizeof out, (long)-5, (long)6);
}
int floats(void) { return SAY("%f %e %g %a", 1.5, 2.5, -3.5, 0.0); }
int many(void) {
    return SAY("%d%d%d%d%d%d%f%f%f%f%f%f%f%f%f%f|%d", 1,
               2, 3, 4, 5, 6, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 7);
}
int longs(void) { return SAY("%d %Lf %d %Lg", 1, 2.25L, 3, 4.5L); }
int texts(void) { return SAY("%s|%5s|%-5s|%.2s|%c", "one", "two", "three", "four", 'x'); }
int widths(void) { return SAY("%*d|%-*.*f|%.*s", 5, 42, 8, 2, 3.14159, 3, "abcdef"); }
int others(void) { return SAY("100%% %p %s", (void *)0x1234, (char *)0); }
int unended(void) { static char text[4] = {'a', 'b', 'c', 'd'}; return SAY("%.4s", text); }
int given(const char *format) { return say(1, format, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10); }
int wild(unsigned long at) { return say(1, "%s", (char *)at); }
void fixed(void) { only("%s %d", "a", 1); }
void by_pointer(Log log, void *user) { log(user, "%d of %s", 3, "four"); }
"""

Heard = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


def listening(module: tmebox.Module, heard: Heard) -> tmebox.Box:
    def say(level: int, format: str, *arguments: Any) -> int:
        heard.append((format, *arguments))
        return level + len(arguments)

    return tmebox.Box(
        module, imports={"say": say, "only": lambda format: heard.append((format,))}, timeout=60
    )


def test_arguments_arrive_as_printf_would_print_them(module: tmebox.Module) -> None:
    heard: Heard = []
    with listening(module, heard) as box:
        exports: Any = box
        for name in ("integers", "sizes", "floats", "many", "longs", "texts", "widths"):
            count = getattr(exports, name)()
            format, *values = heard[-1]
            assert count == 3 + len(values)
            python = format
            for length in ("hh", "h", "ll", "l", "z", "j", "t", "L"):
                for kind in "diufgxX":
                    python = python.replace(f"%{length}{kind}", f"%{kind}")
            python = python.replace("%a", "0x0p+0")
            values = values[: -1 if "%a" in format else None]
            assert (
                python % tuple(float(v) if isinstance(v, np.longdouble) else v for v in values)
                == box.printed()
            )


def test_values_are_what_c_has(module: tmebox.Module) -> None:
    heard: Heard = []
    with listening(module, heard) as box:
        for name in ("integers", "sizes", "longs", "others", "unended"):
            getattr(box, name)()
    assert heard[0][1:] == (-1, 2, 4294967295, 255, 255, 8)
    assert heard[1][1:] == (-56, 4464, -1, (1 << 64) - 1, 4096, -5, 6)
    assert heard[2][1:] == (1, 2.25, 3, 4.5)
    assert heard[3][1:] == (0x1234, None)
    assert heard[4][1:] == ("abcd",)


def test_functions_that_take_no_more_get_no_more(module: tmebox.Module) -> None:
    heard: Heard = []
    with listening(module, heard) as box:
        box.fixed()
    assert heard == [("%s %d",)]


def test_function_pointers_are_alike(module: tmebox.Module) -> None:
    heard: Heard = []
    user = object()
    with listening(module, heard) as box, box.handle(user) as handle:
        box.by_pointer(lambda *all: heard.append(all), handle)
    assert heard == [(user, "%d of %s", 3, "four")]


@pytest.mark.parametrize(
    "format",
    [
        "%n",
        "%hhn",
        "%5n",
        "%1$d",
        "%*1$d",
        "%ls",
        "%lc",
        "%S",
        "%C",
        "%",
        "%5",
        "%y",
        "%ll",
        "%\0",
        "%-",
        "%é",
    ],
)
def test_formats_that_are_none_are_refused(module: tmebox.Module, format: str) -> None:
    heard: Heard = []
    with listening(module, heard) as box, pytest.raises(ValueError, match="the format has"):
        box.given(format.rstrip("\0"))
    assert not heard


def test_hostile_formats_and_texts_are_exceptions(module: tmebox.Module) -> None:
    """More arguments than were passed, texts where there are none, and widths that no text has."""

    def attack() -> list[str]:
        heard: Heard = []
        ends = []
        with listening(module, heard) as box:
            acts: list[tuple[str, Any]] = [("wild", at) for at in (8, 1 << 30, (1 << 32) - 1, 1 << 31, 4096)]
            acts += [
                ("given", "%d" * 1001),
                ("given", "%s" * 8),
                ("given", "%.99999999999s"),
                ("given", "%Lf" * 900),
            ]
            acts += [("given", "%.*s%.*s%.*s"), ("given", "%d" * 900), ("given", "%f" * 900)]
            for name, argument in acts:
                try:
                    box.call(name, argument)
                    ends.append("heard")
                except (ValueError, IndexError, tmebox.Trap) as error:
                    ends.append(type(error).__name__)
                    box.reset()
        return ends

    ends = run_forked(attack).result()
    assert ends[:7] == ["BadPointer"] * 5 + ["ValueError", "BadPointer"]
    assert set(ends) <= {"BadPointer", "ValueError", "heard"}


def test_a_format_has_so_many_arguments_and_no_more() -> None:
    assert len(list(arguments("%d" * MOST_ARGUMENTS))) == MOST_ARGUMENTS
    with pytest.raises(ValueError, match="more than"):
        list(arguments("%*.*d" * MOST_ARGUMENTS))


MANY = "const char *a, const char *b, const char *c, const char *d, const char *e, const char *f"
ONE_TEXT = f"""
#include <string.h>
static char text[1 << 20];
int say(int level, const char *format, ...);
int hear({MANY}, const char *g, const char *h, const char *i);
int few({MANY});
static void fill(void) {{ memset(text, 'a', sizeof text - 1); }}
int formatted(void) {{ fill(); return say(1, "{"%s" * 9}", {", ".join(["text"] * 9)}); }}
int limited(void) {{ fill(); return say(1, "{"%.1048575s" * 9}", {", ".join(["text"] * 9)}); }}
int plain(void) {{ fill(); return hear({", ".join(["text"] * 9)}); }}
int short_ones(void) {{ return hear({", ".join(['"a"'] * 8)}, 0); }}
int as_few(void) {{ fill(); return few({", ".join(["text"] * 6)}); }}
"""


def test_texts_that_are_all_the_same_memory_have_a_limit_together() -> None:
    """A megabyte of a sandbox could be a gigabyte of the host's."""
    heard: list[Any] = []

    def hear(*texts: Any) -> int:
        heard.append(texts)
        return len(texts)

    def say(level: int, format: str, *texts: Any) -> int:
        return hear(*texts)

    module = tmebox.compile(source_text=ONE_TEXT, flags=("-w",))
    with tmebox.Sandbox(module, timeout=60, imports={"say": say, "hear": hear, "few": hear}) as box:
        for call in (box.formatted, box.limited, box.plain):
            with pytest.raises(tmebox.BadPointer, match="of text in one call"):
                call()
        assert not heard
        assert box.as_few() == 6 and len(heard[0][5]) == (1 << 20) - 1
        assert box.short_ones() == 9 and heard[1] == (*["a"] * 8, None)


@pytest.mark.parametrize("directive", ["%1{}$d", "%{}n", "%{}ls", "%{}y"])
def test_a_directive_that_is_refused_is_not_told_at_length(directive: str) -> None:
    for digits in (1, 100_000):
        with pytest.raises(ValueError, match="the format has '%") as caught:
            list(arguments(directive.format("1" * digits)))
        assert len(str(caught.value)) < 200
