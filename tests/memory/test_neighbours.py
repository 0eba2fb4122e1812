"""Windows beside other processes, the host, and each other."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.memory.module import sandbox
from tests.memory.windows import PAGE, Forked, needs_userfault
from tmebox import _native, abi
from tmebox.memory.windows import WINDOWS


def windows_reach(base: int) -> tuple[int, int]:
    return base - abi.GUARD, base + abi.WINDOW_SIZE + abi.GUARD


def _ranges_around(boxes: list[tmebox.Sandbox]) -> list[list[tuple[int, int, list[str]]]]:
    """For each the mappings within its reach, by start and end."""
    rows = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    bounds = [[int(part, 16) for part in row[0].split("-")] for row in rows]
    ranges = [(start, end, row) for (start, end), row in zip(bounds, rows, strict=True)]
    reaches = [windows_reach(box.base) for box in boxes]
    return [[one for one in ranges if one[0] < high and low < one[1]] for low, high in reaches]


def test_nothing_of_the_host_is_within_a_windows_reach(forked: Forked) -> None:
    """While threads allocate, map files and load libraries. In a child, whose windows are all new: where a
    window had a heap's view, a hole stays until another view comes (decision 39)."""

    def child() -> str:
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
            found = _ranges_around(boxes)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for box, inside in zip(boxes, found, strict=True):
            low, high = windows_reach(box.base)
            rows = [row for _, _, row in inside]
            if sum(min(end, high) - max(start, low) for start, end, _ in inside) != high - low:
                return f"a hole, where anything may be mapped next: {rows}"
            if not all(row[1] in ("rw-p", "r--p", "---p") and len(row) == 5 for row in rows):
                return f"not a window's: {rows}"
            if WINDOWS.substrate.name == "userfault" and len(rows) != 1:
                return f"more than one mapping: {rows}"
        return ""

    assert forked(child).result() == ""


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
