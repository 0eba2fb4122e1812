"""A program that uses all that is mapped at fixed addresses, once for each such mapping, which then fails.
Its argument is the library that `failing_maps.c` is compiled to, loaded before all others."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import partial

import tmebox
from tests.forked import run_forked
from tests.heap.conftest import TOUCH_C
from tests.memory.windows import PAGE, gaps
from tmebox import abi
from tmebox.memory.windows import WINDOWS

CONSTANTS_C = """
const char table[200000] = {1, 2, 3};
int at(int index) { return table[index]; }
"""
PAGES = 40
"""More than are carried at least."""


def use_a_heap(touching: tmebox.Module) -> None:
    with (
        tmebox.SharedHeap("16MiB") as heap,
        tmebox.Sandbox(touching, heap=heap) as a,
        tmebox.Sandbox(touching, heap=heap) as b,
    ):
        array, secret = heap.array(PAGES * PAGE, owner=a), heap.array(PAGE, owner=a)
        for page in range(PAGES):
            a.poke(array[page * PAGE :], 3)
        for owner in (b, a, b):
            heap.transfer(array, to=owner)
            assert [owner.peek(array[page * PAGE :]) for page in (0, 1, PAGES - 1)] == [3, 3, 3]
            assert not gaps()
        with suppress(tmebox.IntegrityViolation):
            raise AssertionError(b.peek(secret))
        heap.revoke(array)


def use_sandboxes(constants: tmebox.Module) -> None:
    boxes = [tmebox.Sandbox(constants) for _ in range(3)]
    for box in boxes:
        assert [box.at(index) for index in (0, 2, 190_000)] == [1, 3, 0]
        box.array(500_000)[:] = 1
    view = boxes[0].memory.view(abi.IMAGE_START, PAGE)
    boxes[1].reset()
    assert boxes[1].at(1) == 2
    for box in boxes:
        box.close()
    assert not any(view)


def with_failure(shim: ctypes.CDLL, number: int, modules: list[tmebox.Module]) -> int:
    """How many mappings there were."""
    calls, failing = (ctypes.c_int.in_dll(shim, name) for name in ("fixed_calls", "failing_call"))
    calls.value, failing.value = 0, number
    for use, module in zip((use_a_heap, use_sandboxes) * 2, modules * 2, strict=True):
        with suppress(tmebox.TmeboxError, OSError):
            use(module)
    WINDOWS.tidy()
    count, failing.value = calls.value, 0
    assert not gaps(), f"fixed mapping {number} leaves a hole"
    for use, module in zip((use_a_heap, use_sandboxes) * 3, modules * 3, strict=True):
        use(module)
    assert not gaps(), f"after fixed mapping {number} there is a hole"
    return count


def main(library: str) -> None:
    shim = ctypes.CDLL(library)
    modules = [tmebox.compile(source_text=text) for text in (TOUCH_C, CONSTANTS_C)]
    count = run_forked(lambda: with_failure(shim, 0, modules)).result()
    for number in range(1, count + 1):
        run_forked(partial(with_failure, shim, number, modules)).result()
    print(count)


if __name__ == "__main__":
    main(sys.argv[1])
