"""Numbers for pointers: offsets, NULL, the -1 that C gives a meaning, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tmebox

SOURCE = """
struct point { int x, y; };
struct size { int x, y; };
unsigned long any(void *p) { return (unsigned long)p; }
unsigned long point(const struct point *p) { return (unsigned long)p; }
unsigned long size(const struct size *s) { return (unsigned long)s; }
int first(const char *p) { return *p; }
unsigned long function(void (*f)(void)) { return (unsigned long)f; }
int look(void *p) { return *(char *)p; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def test_null_offsets_and_all_ones_arrive(module: tmebox.Module) -> None:
    with tmebox.Box(module) as box:
        ones = (1 << 64) - 1
        assert [box.any(v) for v in (None, 0, 4096, np.int64(4096), -1, np.int64(-1))] == [
            0,
            0,
            4096,
            4096,
            ones,
            ones,
        ]
        assert [box.function(v) for v in (None, -1)] == [0, ones]
        assert box.point(np.uint32(1 << 31)) == 1 << 31
        with pytest.raises(tmebox.MemoryFault):
            box.look(-1)


@pytest.mark.parametrize("number", [-2, 1 << 32, np.int64(-2), -(1 << 63), 1 << 64, (1 << 64) - 1])
def test_numbers_that_are_no_place_are_refused(module: tmebox.Module, number: Any) -> None:
    with tmebox.Box(module) as box:
        for name in ("any", "point", "first"):
            with pytest.raises(OverflowError, match="is not an offset"):
                box.call(name, number)


@pytest.mark.parametrize("number", [-1, np.int64(-1)])
def test_all_ones_are_no_typed_pointer(module: tmebox.Module, number: Any) -> None:
    with tmebox.Box(module) as box, pytest.raises(OverflowError, match="is not an offset"):
        box.point(number)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float64(0), np.int64, 1j, {1}, object()])
def test_nothing_else_silently_becomes_a_pointer(module: tmebox.Module, value: Any) -> None:
    with tmebox.Box(module) as box:
        for name in ("any", "point"):
            with pytest.raises(TypeError):
                box.call(name, value)


def test_pointers_of_another_type_or_sandbox_are_refused(module: tmebox.Module) -> None:
    with tmebox.Box(module) as box, tmebox.Box(module) as other:
        for wrong in (box.new("struct size"), box.new("int"), other.new("struct point")):
            with pytest.raises(TypeError):
                box.point(wrong)
        buffers: list[Any] = [np.zeros(2, np.float64), bytearray(8), memoryview(bytearray(8)).cast("d")]
        for buffer in buffers:
            assert box.any(buffer)
        with pytest.raises(TypeError):
            box.point(np.zeros(1, np.float64))
