"""A sandbox that is closed once its code has returned: results are read whole, or the caller hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox import _native
from tmebox.memory.windows import WINDOWS
from tmebox.runtime.calls import functions
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.runtime.tenancy import Tenancy

SOURCE = r"""
struct point { int x, y; };
struct large { long words[64]; };
int two(struct point *a, struct point *b, const char *text) { a->x = 11; b->x = 22; b->y = 33; return 5; }
int fill(unsigned char *bytes, const char *text) { bytes[0] = 7; return 1; }
struct large give(const char *text) { struct large l = {{1}}; return l; }
const char *text(const char *text) { return text; }
"""
LONG = "t" * 5000
"""More than the core passes by itself."""


@pytest.fixture
def box() -> tmebox.Sandbox:
    return tmebox.Sandbox(tmebox.compile(source_text=SOURCE))


CALLS: dict[str, Callable[[tmebox.Sandbox], Any]] = {
    "structs": lambda box: box.two({"x": 1}, {"x": 2}, LONG),
    "bytes": lambda box: box.fill(bytearray(4), LONG),
    "an array": lambda box: box.fill(np.zeros(4, np.uint8), LONG),
    "a result": lambda box: box.give(LONG),
    "a text": lambda box: box.text(LONG),
}


@pytest.mark.parametrize("what", CALLS)
def test_what_was_not_read_before_is_no_result(
    what: str, box: tmebox.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another thread closes it."""
    entered = functions._entered

    def closed_then(*arguments: Any) -> Any:
        registers = entered(*arguments)
        box.close()
        return registers

    monkeypatch.setattr(functions, "_entered", closed_then)
    with pytest.raises(tmebox.SandboxClosed):
        CALLS[what](box)


USES: dict[str, Callable[[tmebox.Box], Any]] = {
    "read": lambda box: box.memory.read(box.memory._layout.heap_start, 8),
    "a slice": lambda box: box.memory[box.memory._layout.heap_start : box.memory._layout.heap_start + 8],
    "write": lambda box: box.memory.write(box.memory._layout.heap_start, b"12345678"),
    "text": lambda box: box.text("x"),
    "new": lambda box: box.new("int[4]", [1, 2, 3, 4]),
}


@pytest.mark.parametrize("what", USES)
@pytest.mark.parametrize("where", [(Tenancy, "scratch"), (SandboxMemory, "_check")], ids=lambda w: w[1])
def test_memory_that_went_is_neither_read_nor_written(
    what: str, where: tuple[type, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = tmebox.Box(tmebox.compile(source_text=SOURCE))
    reached: list[None] = []
    usual = getattr(*where)

    def closed_then(*arguments: Any) -> Any:
        result = usual(*arguments)
        box.close()
        reached.append(None)
        return result

    monkeypatch.setattr(*where, closed_then)
    try:
        USES[what](box)
    except tmebox.SandboxClosed:
        assert reached
    else:
        assert not reached


def test_what_is_first_needed_when_it_was_closed_keeps_nothing(
    box: tmebox.Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window by its arena, which another thread made meanwhile."""
    live, set_first, made = WINDOWS.live, _native.set_first, []

    def closed_before(owner: Any, name: str, value: Any) -> Any:
        if name == "_arena":
            box.close()
            made.append(value)
        return set_first(owner, name, value)

    monkeypatch.setattr(_native, "set_first", closed_before)
    with pytest.raises(tmebox.SandboxClosed):
        box.array(1 << 20)
    assert made and WINDOWS.live < live


@pytest.mark.parametrize("text", ["t", LONG])
def test_what_closes_it_finds_all_results_read(box: tmebox.Sandbox, text: str) -> None:
    class Closing(int):
        def __del__(self) -> None:
            box.close()

    a: dict[str, Any] = {"x": Closing(1)}
    b: dict[str, Any] = {"x": 2}
    assert box.two(a, b, text) == 5
    assert (a, b) == ({"x": 11, "y": 0}, {"x": 22, "y": 33})
    assert box.closed
