"""Windows: what of them is there, who gets them next, and what they find."""

from __future__ import annotations

import gc
import os
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tmebox
from tests.memory.module import module, sandbox
from tests.memory.windows import PAGE, needs_userfault, pages
from tmebox import _native, abi
from tmebox.memory.windows import KEPT_PAGES

MOST_AROUND = 32
"""Pages that one touch brings, of who goes on nowhere."""


# -- growing -------------------------------------------------------------------------------------------
@needs_userfault
def test_a_small_sandbox_has_few_pages() -> None:
    trivial = tmebox.compile(source_text="int add(int a, int b) { return a + b; }")
    with tmebox.Sandbox(trivial) as box:
        assert box.add(3, 4) == 7
        assert pages(box) == 1


@needs_userfault
def test_memory_grows_by_being_used() -> None:
    with sandbox() as box:
        before = pages(box)
        start = box.where_room()
        box.fill(start + 40 * abi.MIB, 1, 1)
        assert before < pages(box) <= before + 8
        box.fill(start + 20 * abi.MIB, abi.MIB, 1)
        assert pages(box) >= before + 256


@needs_userfault
def test_who_goes_to_few_places_gets_few_pages() -> None:
    with sandbox() as box:
        start, before = box.where_room(), pages(box)
        for place in range(0, 12 * abi.MIB, abi.MIB):
            box.fill(start + place, 1, 1)
        assert pages(box) == before + 12


@needs_userfault
@pytest.mark.parametrize("apart", [PAGE, 3 * PAGE, 15 * PAGE])
def test_who_goes_here_and_there_gets_the_pages_around(apart: int) -> None:
    places = [number * apart for number in range(1024)]
    random.Random(apart).shuffle(places)
    with sandbox() as box:
        start, before = box.where_room(), pages(box)
        faults, last = 0, before
        for place in places:
            box.fill(start + place, 1, 1)
            faults, last = faults + (pages(box) != last), pages(box)
        assert before + 1024 <= last <= before + min(1024 * apart // PAGE, 1024 * MOST_AROUND) + MOST_AROUND
        if apart < 4 * PAGE:  # who goes further has no neighbours to save a fault of
            assert faults < 1024 // 3
        found = np.frombuffer(box.memory.read(start, 1024 * apart), np.uint8).reshape(1024, -1)
        assert (found[:, 0] == 1).all() and not found[:, 1:].any()


def test_reading_much_that_was_never_written_gives_zeros() -> None:
    with sandbox() as box:
        start = box.where_room()
        assert not any(box.memory.read(start, 64 * abi.MIB))
        box.fill(start + 5 * abi.MIB, 3, 7)
        assert box.look(start + 5 * abi.MIB - 10, 20) == 21


def test_threads_grow_their_sandboxes_side_by_side() -> None:
    sums: list[int] = []

    def work() -> None:
        with sandbox() as box:
            start = box.where_room()
            for step in range(0, 8 * abi.MIB, 37 * PAGE):
                box.fill(start + step, 3, 5)
            sums.append(box.look(start, 8 * abi.MIB))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [15 * len(range(0, 8 * abi.MIB, 37 * PAGE))] * 6


def test_host_threads_may_look_while_the_sandbox_grows_and_resets() -> None:
    with sandbox() as box:
        start = box.where_room()
        view = np.frombuffer(box.memory.view(start, 4 * abi.MIB), np.uint8)
        stop = threading.Event()
        seen: list[int] = []

        def look() -> None:
            while not stop.is_set():
                seen.append(int(view.max()))

        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            box.fill(start, 4 * abi.MIB, 9)
            box.reset()
        stop.set()
        for thread in threads:
            thread.join()
        assert set(seen) <= {0, 9}
        assert box.look(start, 4 * abi.MIB) == 0


def test_the_kernel_can_fill_arrays_and_read_views(tmp_path: Path) -> None:
    """System calls of the host find pages there: they cannot wait for them to be installed."""
    path = tmp_path / "bytes"
    path.write_bytes(os.urandom(700_000))
    with sandbox() as box:
        array = box.array(700_000)
        with path.open("rb", buffering=0) as file:
            assert file.readinto(array) == 700_000  # type: ignore[arg-type]
        assert array.tobytes() == path.read_bytes()
        view = box.memory.view(box.where_room() + 9 * abi.MIB, 300_000)
        with (tmp_path / "copy").open("wb", buffering=0) as file:
            assert file.write(view) == 300_000
        box.close()
        with (tmp_path / "copy").open("wb", buffering=0) as file:
            assert file.write(view) == 300_000
            assert file.write(array) == 700_000  # type: ignore[arg-type]
    assert not any((tmp_path / "copy").read_bytes())


# -- what must not be written --------------------------------------------------------------------------
@pytest.mark.parametrize("reset", [False, True])
def test_read_only_data_and_the_control_page_stay_read_only(reset: bool) -> None:
    with sandbox() as box:
        constant = box.where_constant()
        assert box.look(constant, 8) == sum(b"constant")
        assert int.from_bytes(box.memory.read(abi.CONTROL_PAGE, 8), "little") == box.base
        for offset in (abi.CONTROL_PAGE, abi.CONTROL_PAGE + PAGE - 1, constant, constant + PAGE):
            if reset:
                box.reset()
            with pytest.raises(tmebox.MemoryFault) as caught:
                box.fill(offset, 1, 1)
            assert (caught.value.offset, caught.value.access) == (offset, "write")
            box.reset()
            assert box.look(constant, 8) == sum(b"constant")
            assert int.from_bytes(box.memory.read(abi.CONTROL_PAGE, 8), "little") == box.base


def test_the_stack_ends_where_it_ends() -> None:
    with tmebox.Sandbox(module(), memory="128MiB", stack="256KiB") as box:
        assert box.dig(30, 1) >= 0
        with pytest.raises(tmebox.StackOverflow):
            box.dig(100, 1)
        box.reset()
        low = abi.STACK_TOP - 256 * abi.KIB
        box.fill(low, 1, 1)
        for offset in (low - 1, abi.IMAGE_START + 128 * abi.MIB):
            with pytest.raises(tmebox.MemoryFault) as caught:
                box.fill(offset, 1, 1)
            assert caught.value.offset == offset
            box.reset()


# -- recycling -----------------------------------------------------------------------------------------
SPOTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 300), st.integers(0, 16_000)),  # pages of the room: many close, some far
        st.integers(1, 70),
    ),
    max_size=14,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(spots=SPOTS, depth=st.integers(0, 200), data=st.booleans(), arena=st.integers(0, 200_000))
def test_whatever_was_touched_the_next_owner_finds_the_beginning(
    spots: Any, depth: Any, data: Any, arena: Any
) -> None:
    """In a size that no other test asks for: windows are parked by what they hold, and another test's would
    be taken before one that so much was touched in that it was emptied."""
    first = tmebox.Sandbox(module(), memory="127MiB")
    base, room, where_data = first.base, first.where_room(), first.where_data()
    for page, count in spots:
        first.fill(room + page * PAGE, count * PAGE, 0xA5)
    if depth:
        first.dig(depth, 0xA5)
    if data:
        first.fill(where_data, 8192, 0xA5)
    if arena:
        first.array(arena)[:] = 0xA5
        first.fill(abi.ARENA_START, 16 * abi.KIB, 0xA5)
    first.close()
    with tmebox.Sandbox(module(), memory="127MiB") as second:
        assert second.base == base
        assert second.look(room, 64 * abi.MIB) == 0
        assert second.dig(200, 0) == 0
        assert second.look(where_data, 8192) == sum(b"data")
        assert second.look(abi.ARENA_START, 16 * abi.KIB) == 0
        assert not second.array(200_000).any()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(rounds=st.lists(st.tuples(SPOTS, st.integers(0, 200)), min_size=1, max_size=3))
def test_whatever_was_touched_a_reset_brings_the_beginning_back(rounds: Any) -> None:
    with sandbox() as box:
        array = box.array(50_000)
        array[:] = 3
        room, where_data = box.where_room(), box.where_data()
        for spots, depth in rounds:
            for page, count in spots:
                box.fill(room + page * PAGE, count * PAGE, 0xA5)
            box.dig(depth, 0xA5)
            box.fill(where_data, 8192, 0xA5)
            box.reset()
            assert box.look(room, 64 * abi.MIB) == 0
            assert box.dig(200, 0) == 0
            assert box.look(where_data, 8192) == sum(b"data")
        assert array.sum() == 150_000


@needs_userfault
def test_a_window_keeps_few_pages_and_gives_many_back() -> None:
    with sandbox() as box:
        base = box.base
        box.fill(box.where_room(), 20 * PAGE, 1)
    assert 20 <= _native.window_pages(base) <= KEPT_PAGES
    with sandbox() as box:
        assert box.base == base
        box.fill(box.where_room() + 8 * abi.MIB, 3 * abi.MIB, 1)
    assert _native.window_pages(base) <= KEPT_PAGES


@pytest.mark.slow
@needs_userfault
def test_windows_of_a_module_that_is_gone_serve_others() -> None:
    source = "int a(int n) {{ return n + {}; }}"
    bases = set()
    gc.collect()
    for number in range(5):
        short_lived = tmebox.compile(source_text=source.format(number))
        with tmebox.Sandbox(short_lived) as box:
            bases.add(box.base)
            assert box.a(1) == number + 1
        del box, short_lived
        gc.collect()
    assert len(bases) < 5
