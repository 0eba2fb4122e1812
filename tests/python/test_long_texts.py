"""What a program says of its end costs the host little, however much it is."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from tmebox.python import Opaque, Python, PythonError, wire
from tmebox.python.endings import LONGEST_NAME, LONGEST_TEXT, MOST_FRAMES, ending

PROGRAMS = {
    "message": "raise ValueError('\\0' * 6000000)",
    "characters of four bytes": "raise ValueError(chr(0x10ffff) * 1500000)",
    "names": "raise type('\\x01' * 200, (Exception,), {})('\\0' * 1000000)",
    "frames": "def f(n):\n    if n: f(n - 1)\n    else: raise ValueError('\\0' * 100000)\nf(200)",
    "str": "class E(Exception):\n    def __str__(self): return '\\x1b' * 6000000\nraise E",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_exception_is_shown_in_little_time_and_room(name: str) -> None:
    with Python(memory="32MiB", timeout=10.0) as python, pytest.raises(PythonError) as caught:
        python.run(PROGRAMS[name], filename="\x1b" * 200)
    require_cheap(caught.value)
    assert caught.value.frames[0].file == "\x1b" * 200


def test_also_what_no_guest_says() -> None:
    long = "\x1b" * 1_000_000
    said = (long, long, [(long, 1, long)] * 1_000_000, 0)
    error = ending(wire.RAISED, lambda: said, lambda number: None, 1)
    assert isinstance(error, PythonError)
    require_cheap(error)


def require_cheap(error: PythonError) -> None:
    begun = time.monotonic()
    tracemalloc.start()
    try:
        shown = (str(error), error.traceback, error._repr_html_(), *map(str, error.frames))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(text.replace("\n", "").isprintable() for text in shown)
    assert most < 30 << 20 and time.monotonic() - begun < 5
    assert len(error.type) < 2 * LONGEST_NAME and len(error.message) < LONGEST_TEXT + 100
    assert len(error.frames) <= MOST_FRAMES


def test_what_stays_inside_is_shown_in_printable_characters() -> None:
    with Python(memory="32MiB", timeout=10.0) as python:
        value = python.run("class A:\n    def __repr__(self): return '\\x1b[2J' * 1000000\nA()")
        assert isinstance(value, Opaque) and value.type == "A"
        assert value.text.startswith("\x1b[2J") and value.text.endswith("(cut: 4,000,000 characters)")
        assert repr(value).startswith("\\x1b[2J") and repr(value).isprintable()
        assert len(value.text) < LONGEST_TEXT + 100
        assert repr(python.run("len")) == python.run("len").text == "<function>"


def test_short_texts_are_whole() -> None:
    frames = [(f"{n}", n, "f") for n in range(MOST_FRAMES + 5)]
    for size in (0, 1, LONGEST_TEXT):
        said = ("T" * LONGEST_NAME, "x" * size, frames, 0)
        error = ending(wire.RAISED, lambda said=said: said, lambda number: None, 1)  # type: ignore[misc]
        assert isinstance(error, PythonError)
        assert (error.type, error.message) == said[:2]
        assert [frame.line for frame in error.frames] == list(range(5, MOST_FRAMES + 5))  # the innermost
