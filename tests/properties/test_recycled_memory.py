"""Whatever somebody did in a window, and however it ended: whoever comes next finds none of it.

Owners leave a marker, eight random bytes, wherever they can. The next owner looks at all memory that it can
read, by itself until it traps, and the host looks too.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tmebox
from tmebox import abi

pytestmark = pytest.mark.slow

OWNER_C = r"""
#include <stdlib.h>
#include <string.h>

CONSTANTS
volatile unsigned long data[] = {1, 2, 3}; /* volatile: what is written is to be written */
volatile unsigned long zeros[WORDS];
volatile unsigned long *heap;
unsigned long found;

void mark_data(unsigned long with)
{
    for (int i = 0; i < 3; i++) data[i] = with;
    for (int i = 0; i < WORDS; i++) zeros[i] = with;
}
void mark_heap(unsigned long with, long size)
{
    heap = malloc(size);
    if (!heap) return;
    for (long i = 0; i < size / 8; i++) heap[i] = with;
    if (size & 64) free((void *)heap);
}
__attribute__((noinline)) void mark_stack(unsigned long with, int depth)
{
    volatile unsigned long frame[64];
    for (int i = 0; i < 64; i++) frame[i] = with;
    if (depth) mark_stack(with, depth - 1);
}
void take(const unsigned char *bytes) { data[0] = (unsigned long)bytes; }
void crash(void) { *(volatile int *)16 = 1; }
void spin(void) { for (volatile int i = 0;; i++); }

/* Reads until it may not. Never finds its own variables: the marker is given with its bits flipped. */
void search(unsigned long from, unsigned long flipped)
{
    for (volatile unsigned long *word = (volatile unsigned long *)from;; word++)
        if ((*word ^ flipped) == ~0ul) found = (unsigned long)word;
}
unsigned long *where(void) { return &found; }
"""
VARIANTS = (
    {"WORDS": "16", "CONSTANTS": ""},
    {"WORDS": "16", "CONSTANTS": "const char text[20000] = {1}; const char *more(void) { return text; }"},
    {"WORDS": "6000", "CONSTANTS": ""},
)
"""Images of different extent, so that what is data of one is a constant or heap of another."""
LIMITS: tuple[dict[str, Any], ...] = (
    {"memory": "1MiB", "stack": "64KiB"},
    {"memory": "2MiB", "stack": "16KiB"},
)
FLIP = (1 << 64) - 1


@pytest.fixture(scope="module")
def modules() -> list[tmebox.Module]:
    return [tmebox.compile(source_text=OWNER_C, defines=variant) for variant in VARIANTS]


def mark(sandbox: tmebox.Sandbox, ways: list[tuple[str, int]], marker: int) -> list[Any]:
    """Leave the marker in these ways; what must be kept alive for it to stay."""
    kept: list[Any] = []
    for way, amount in ways:
        with suppress(tmebox.LimitError):  # no room left: enough was marked
            mark_one(sandbox, way, amount, marker, kept)
    return kept


def mark_one(sandbox: tmebox.Sandbox, way: str, amount: int, marker: int, kept: list[Any]) -> None:
    if way == "data":
        sandbox.mark_data(marker)
    elif way == "heap":
        sandbox.mark_heap(marker, amount)
    elif way == "stack":
        sandbox.mark_stack(marker, amount % 20)
    elif way == "argument":
        sandbox.take(np.full(amount // 8 + 1, marker, np.uint64).view(np.uint8))
    else:
        array = sandbox.array(amount // 8 + 1, np.uint64)
        array[:] = marker
        sandbox.take(array)
        if way == "kept array":
            kept.append(array)


def end(sandbox: tmebox.Sandbox, how: str) -> None:
    if how == "crash":
        with pytest.raises((tmebox.MemoryFault, tmebox.OutOfMemory)):
            sandbox.crash()
    elif how == "time out":
        with pytest.raises(tmebox.Timeout):
            sandbox.call("spin", timeout=0.001)
    if how != "drop":
        sandbox.close()


def find(sandbox: tmebox.Sandbox, marker: int) -> list[str]:
    """Where the marker is, by the sandbox's own search and by the host's."""
    found = []
    layout = sandbox._tenancy.layout
    needle = marker.to_bytes(8, "little")
    if needle in sandbox.memory.read(layout.stack_low, layout.heap_end - layout.stack_low):
        found.append("private memory, seen by the host")
    place = sandbox.where()
    # An array makes the arena's first chunk readable; what lies beside the array is nobody's.
    sandbox.array(8)
    for start in (layout.stack_low, abi.IMAGE_START, layout.heap_start, abi.ARENA_START):
        with pytest.raises(tmebox.MemoryFault):
            sandbox.search(start, marker ^ FLIP)
        offset = int.from_bytes(sandbox.memory.read(place, 8), "little")
        if offset:
            found.append(f"{offset:#x}, seen from inside")
        sandbox.reset()
        sandbox.array(8)
    return found


WAYS = st.lists(
    st.tuples(
        st.sampled_from(["data", "heap", "stack", "argument", "array", "kept array"]),
        st.sampled_from([8, 100, 4096, 70_000, 300_000, 600_064]),
    ),
    min_size=1,
    max_size=5,
)
ENDS = st.sampled_from(["close", "crash", "time out", "drop"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    owners=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), WAYS, ENDS, st.booleans()), min_size=1, max_size=3
    ),
    last=st.tuples(st.integers(0, 2), st.integers(0, 1)),
    spawned=st.booleans(),
)
def test_a_new_sandbox_finds_nothing_of_those_before(
    modules: list[tmebox.Module], owners: list[Any], last: tuple[int, int], spawned: bool
) -> None:
    module, limits = modules[last[0]], LIMITS[last[1]]
    snapshot = None
    if spawned:
        with tmebox.Sandbox(module, **limits) as clean:
            snapshot = clean.snapshot()
    marker = int.from_bytes(os.urandom(8), "little") | 1
    kept: list[Any] = []
    for number, size, ways, how, from_snapshot in owners:
        sandbox = tmebox.Sandbox(modules[number], **LIMITS[size])
        if from_snapshot:
            # The marker is in the snapshot's pages then.
            mark(sandbox, ways, marker)
            taken = sandbox.snapshot()
            sandbox.close()
            sandbox = taken.spawn()
        kept += mark(sandbox, ways, marker)
        end(sandbox, how)
        del sandbox
    with tmebox.Sandbox(module, **limits) if snapshot is None else snapshot.spawn() as last_one:
        assert find(last_one, marker) == []
    assert all(not array.any() for array in kept), "an array of a closed sandbox shows something"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 2), size=st.integers(0, 1), ways=WAYS, how=ENDS, rounds=st.integers(1, 3))
def test_a_sandbox_that_was_reset_finds_nothing_of_itself(
    modules: list[tmebox.Module], number: int, size: int, ways: list[tuple[str, int]], how: str, rounds: int
) -> None:
    marker = int.from_bytes(os.urandom(8), "little") | 1
    ways = [("array" if way == "kept array" else way, amount) for way, amount in ways]
    with tmebox.Sandbox(modules[number], **LIMITS[size]) as sandbox:
        for _ in range(rounds):
            mark(sandbox, ways, marker)
            if how == "crash":
                with pytest.raises((tmebox.MemoryFault, tmebox.OutOfMemory)):
                    sandbox.crash()
            sandbox.reset()
        assert find(sandbox, marker) == []


def test_the_search_finds_what_is_there(modules: list[tmebox.Module]) -> None:
    """Each way of leaving a marker leaves one that is found, while it is there."""
    marker = 0x1122334455667788
    for way in ("data", "heap", "stack", "argument", "array"):
        with tmebox.Sandbox(modules[0], **LIMITS[0]) as sandbox:
            mark(sandbox, [(way, 4096)], marker)
            layout = sandbox._tenancy.layout
            private = sandbox.memory.read(layout.stack_low, layout.heap_end - layout.stack_low)
            arena = sandbox.memory.read(abi.ARENA_START, 4096) if way in ("argument", "array") else b""
            assert marker.to_bytes(8, "little") in private + arena, way
            place = sandbox.where()
            start = abi.ARENA_START if arena else layout.stack_low if way == "stack" else abi.IMAGE_START
            with pytest.raises(tmebox.MemoryFault):
                sandbox.search(start, marker ^ FLIP)
            assert sandbox.memory.read(place, 8) != bytes(8), way
