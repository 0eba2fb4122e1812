"""Windows: what of them is there, who gets them next, and what they find."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tmebox
from tests.forked import ChildOutcome
from tests.memory.module import module, sandbox
from tmebox import _native, abi
from tmebox.memory.windows import KEPT_PAGES, WINDOWS

Forked = Callable[..., ChildOutcome]
PAGE = abi.PAGE_SIZE

needs_userfault = pytest.mark.skipif(
    WINDOWS.substrate.name != "userfault", reason="the substrate here is plain mappings"
)


def pages(box: tmebox.Sandbox) -> int:
    return _native.window_pages(box.base)


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


@settings(max_examples=60, deadline=None)
@given(spots=SPOTS, depth=st.integers(0, 200), data=st.booleans(), arena=st.integers(0, 200_000))
def test_whatever_was_touched_the_next_owner_finds_the_beginning(
    spots: Any, depth: Any, data: Any, arena: Any
) -> None:
    first = sandbox()
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
    with sandbox() as second:
        assert second.base == base
        assert second.look(room, 64 * abi.MIB) == 0
        assert second.dig(200, 0) == 0
        assert second.look(where_data, 8192) == sum(b"data")
        assert second.look(abi.ARENA_START, 16 * abi.KIB) == 0
        assert not second.array(200_000).any()


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


# -- processes and neighbours --------------------------------------------------------------------------
def windows_reach(base: int) -> tuple[int, int]:
    return base - abi.GUARD, base + abi.WINDOW_SIZE + abi.GUARD


def test_nothing_of_the_host_is_within_a_windows_reach() -> None:
    """While threads allocate, map files and load libraries."""
    stop = threading.Event()

    def churn() -> None:
        kept: list[object] = []
        while not stop.is_set():
            with tempfile.TemporaryFile() as file:
                file.truncate(abi.MIB)
                kept.append(mmap.mmap(file.fileno(), abi.MIB))
            kept.append(np.ones(3_000_000))
            if len(kept) > 40:
                kept.clear()

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        boxes: list[tmebox.Sandbox] = []
        for _ in range(60):
            boxes.append(sandbox())
            boxes[-1].fill(boxes[-1].where_room(), 100, 1)
        array = boxes[0].array(1_000_000)
        array[:] = 1
        rows = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    bounds = [[int(part, 16) for part in row[0].split("-")] for row in rows]
    ranges = [(start, end, row) for (start, end), row in zip(bounds, rows, strict=True)]
    for box in boxes:
        low, high = windows_reach(box.base)
        inside = [row for start, end, row in ranges if start < high and low < end]
        covered = sum(
            min(end, high) - max(start, low) for start, end, _ in ranges if start < high and low < end
        )
        assert covered == high - low, "a hole, where anything may be mapped next"
        assert all(row[1] in ("rw-p", "r--p", "---p") and len(row) == 5 for row in inside), inside
        if WINDOWS.substrate.name == "userfault":
            assert len(inside) == 1


@needs_userfault
def test_closing_every_descriptor_there_is_does_not_open_the_windows(forked: Forked) -> None:
    def child() -> tuple[int, list[str]]:
        boxes = [sandbox() for _ in range(5)]
        for box in boxes:
            box.fill(box.where_room(), 100, 1)
            box.look(abi.CONTROL_PAGE, 8)
        constant, room = boxes[0].where_constant(), boxes[0].where_room()
        for number, link in descriptors().items():
            if "userfaultfd" in link:
                os.close(number)
        total, ends = boxes[0].look(room, 100), []
        boxes[4].fill(room + 30 * abi.MIB, 1, 1)  # what belongs there is still installed
        places = (abi.CONTROL_PAGE, constant, abi.GUARD // 2, abi.PRIVATE_END)
        for box, offset in zip(boxes, places, strict=False):
            with pytest.raises(tmebox.MemoryFault) as caught:
                box.fill(offset, 1, 1)
            ends.append(caught.value.offset == offset)
        return total, ends

    assert forked(child).result() == (100, [True] * 4)


@needs_userfault
def test_a_forked_child_has_no_descriptor_into_its_parents_windows(forked: Forked) -> None:
    with sandbox() as box:
        box.add(1, 2)
        assert any("userfaultfd" in link for link in descriptors().values())
        assert (
            forked(lambda: [link for link in descriptors().values() if "userfaultfd" in link]).result() == []
        )


def descriptors() -> dict[int, str]:
    found = {}
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[int(number)] = os.readlink(f"/proc/self/fd/{number}")
    return found


def test_a_bus_error_of_the_hosts_own_is_the_hosts(forked: Forked) -> None:
    def child() -> None:
        with sandbox() as box, tempfile.TemporaryFile() as file:
            box.add(1, 2)
            file.truncate(PAGE)
            mapped = mmap.mmap(file.fileno(), PAGE)
            file.truncate(0)
            signal.signal(signal.SIGBUS, signal.SIG_DFL)
            _native.install_handlers()
            mapped[0]

    assert forked(child).signal == signal.SIGBUS


def test_random_bytes_are_new_for_every_owner_and_beginning() -> None:
    seen = []
    for _ in range(10):
        with sandbox() as box:
            for _ in range(3):
                seen.append(box.memory.read(abi.STACK_RANDOM, 16))
                box.reset()
    assert len(set(seen)) == 30
    assert bytes(16) not in seen


def test_a_forked_child_draws_other_random_bytes(forked: Forked) -> None:
    def draw() -> bytes:
        with sandbox() as box:
            return box.memory.read(abi.STACK_RANDOM, 16)

    draw()
    children = [forked(draw).result() for _ in range(3)]
    assert len({draw(), *children}) == 4


# -- read-only data that is shared ---------------------------------------------------------------------
TABLE = """
const unsigned long table[65536] = { [0 ... 65535] = 0x1122334455667788 };
unsigned long where(void) { return (unsigned long)table; }
unsigned long total(void) { unsigned long t = 0; for (int i = 0; i < 65536; i += 8) t += table[i]; return t; }
void write(unsigned long offset) { *(volatile char *)offset = 1; }
"""


@pytest.fixture(scope="module")
def table() -> tmebox.Module:
    return tmebox.compile(source_text=TABLE)


TOTAL = 0x1122334455667788 * 8192 % (1 << 64)


@needs_userfault
def test_large_read_only_data_is_in_memory_once(table: tmebox.Module) -> None:
    boxes = [tmebox.Sandbox(table) for _ in range(50)]
    assert {box.total() for box in boxes} == {TOTAL}
    assert all(pages(box) < 10 for box in boxes)
    # Shared memory without a file, as the system calls it.
    rows = [row for row in Path("/proc/self/maps").read_text().splitlines() if "/dev/zero" in row]
    for box in boxes:
        start = box.where() // PAGE * PAGE + box.base
        assert any(row.startswith(f"{start:x}-") and " r--s " in row for row in rows)


def test_large_read_only_data_cannot_be_written(table: tmebox.Module) -> None:
    boxes = [tmebox.Sandbox(table) for _ in range(3)]
    for box in boxes:
        with pytest.raises(tmebox.MemoryFault) as caught:
            box.write(box.where() + 123_456)
        assert caught.value.access == "write"
        box.reset()
        assert box.total() == TOTAL
        assert bytes(box.memory.view(box.where(), 500_000)) == box.memory.read(box.where(), 500_000)
        box.close()


def test_a_window_with_shared_data_serves_other_modules_afterwards(table: tmebox.Module) -> None:
    copy = tmebox.Module.from_bytes(table.to_bytes())
    box = tmebox.Sandbox(copy, memory="128MiB")
    base, where = box.base, box.where()
    assert box.total() == TOTAL
    view = box.memory.view(where, 300_000)
    box.close()
    assert not any(view), "views of a closed sandbox show zeros"
    del view, box, copy
    gc.collect()
    boxes: list[tmebox.Sandbox] = []
    while base not in [box.base for box in boxes] and len(boxes) < 2000:
        boxes.append(sandbox())
    box = boxes[-1]
    assert box.base == base
    start = where // PAGE * PAGE
    assert box.look(start, 600_000) == boxes[0].look(start, 600_000)
    box.fill(box.where_room(), 700_000, 5)
    assert box.look(box.where_room(), 700_000) == 3_500_000


def test_shared_data_is_there_in_a_forked_child_too(table: tmebox.Module, forked: Forked) -> None:
    with tmebox.Sandbox(table) as box:
        assert box.total() == TOTAL

    def child() -> int:
        with tmebox.Sandbox(table) as own:
            return own.total()

    assert forked(child).result() == TOTAL


@needs_userfault
@pytest.mark.parametrize("first", ["sandbox", "host"])
def test_a_window_that_had_shared_constants_serves_a_module_whose_pages_lie_across_their_end(
    first: str,
) -> None:
    """Its piece stays two mappings there, and the kernel installs pages into one at a time."""
    shared, constants = 24, 2
    constant = tmebox.compile(
        source_text=f"""
        const char big[{shared * PAGE}] = {{ 1 }};
        char lots[{2 * KEPT_PAGES * PAGE}]; /* more than a window keeps for the next sandbox of its kind */
        char at(int i) {{ for (int j = 0; j < sizeof lots; j += {PAGE}) lots[j] = 1; return big[i]; }}
        """
    )
    variable = tmebox.compile(
        source_text=f"""
        const char small[{constants * PAGE}] = {{ 1 }};
        static char room[{2 * shared * PAGE}];
        int fill(int pages) {{
            for (int page = pages - 1; page >= 0; page--) room[page * {PAGE}] += 1 + small[page & 1];
            int sum = 0;
            for (int page = 0; page < pages; page++) sum += room[page * {PAGE}];
            return sum;
        }}
        char *where(void) {{ return room; }}
        """
    )
    pages_all = 2 * shared
    with tmebox.Sandbox(constant) as box:
        base = box.base
        assert [box.at(0), box.at(PAGE)] == [1, 0]
    for round_number in range(3):  # the second one finds the window as the first one left it
        with tmebox.Sandbox(variable) as box:
            assert round_number or box.base == base, "the test is about one window"
            if first == "host":
                assert (
                    bytes(box.memory[box.where() : box.where() + pages_all * PAGE]).count(0)
                    == pages_all * PAGE
                )
            assert box.fill(pages_all) == pages_all + pages_all // 2
