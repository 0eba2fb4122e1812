"""Views of a sandbox's memory may be handed to the kernel, which finds only pages that are there: whatever
the sandbox and the host did since."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.memory.module import sandbox
from tmebox import _native, abi

PAGE = abi.PAGE_SIZE
SIZE = 3 * abi.MIB + 100
CHANGES: dict[str, Callable[[tmebox.Sandbox, int], object]] = {
    "nothing": lambda box, start: None,
    "reset": lambda box, start: box.reset(),
    "reset after much": lambda box, start: (box.fill(start + 20 * abi.MIB, 9 * abi.MIB, 1), box.reset()),
    "discard": lambda box, start: box.memory.discard(start, 4 * abi.MIB),
    "close": lambda box, start: box.close(),
    "reset and close": lambda box, start: (box.reset(), box.close()),
}


def written(path: Path, view: memoryview) -> tuple[int, bytes]:
    with path.open("w+b", buffering=0) as file:
        count = os.write(file.fileno(), view)
        file.seek(0)
        return count, file.read()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "written"


@pytest.mark.parametrize("change", CHANGES)
def test_the_kernel_can_read_all_of_a_view(path: Path, change: str) -> None:
    with sandbox() as box:
        room = box._tenancy.layout.heap_start
        views = {
            "heap": box.memory.view(room + 5 * abi.MIB + 50, SIZE),
            "data": box.memory.view(box.where_data(), 8192),
            "constant": box.memory.view(box.where_constant(), 8192),
            "stack": box.memory.view(abi.STACK_TOP - 300 * abi.KIB, 300 * abi.KIB),
        }
        box.fill(room + 5 * abi.MIB, 5 * abi.MIB, 7)
        if change != "nothing":
            CHANGES[change](box, room + 4 * abi.MIB)
        for name, view in views.items():
            count, contents = written(path, view)
            assert (name, count) == (name, len(view))
            assert contents == bytes(view)
        heap = bytes(views["heap"])
        assert change in ("nothing", "discard") or not any(heap)
        closed = "close" in change
        assert views["data"][:4] == (bytes(4) if closed else b"data")
        assert views["constant"][:8] == (bytes(8) if closed else b"constant")


def test_memory_that_the_program_frees_stays_for_views(path: Path) -> None:
    source = """
    #include <stdlib.h>
    #include <string.h>
    static char *kept;
    void *get(int size) { kept = malloc(size); memset(kept, 7, size); return kept; }
    void drop(void) { free(kept); }
    """
    with tmebox.Sandbox(tmebox.compile(source_text=source)) as box:
        view = box.memory.view(box.get(2 << 20), 2 << 20)
        assert written(path, view) == (2 << 20, b"\7" * (2 << 20))
        box.drop()
        assert written(path, view)[0] == 2 << 20


@pytest.mark.skipif(tmebox.limits().substrate != "userfault", reason="nothing is counted on this substrate")
def test_memory_goes_back_once_nobody_looks() -> None:
    with sandbox() as box:
        start = -(-box.where_room() // PAGE) * PAGE
        views = [box.memory.view(start + step * PAGE, 2 * PAGE) for step in range(0, 4000, 2)]
        box.fill(start, 4000 * PAGE, 1)
        box.reset()
        looked_at = _native.window_pages(box.base)
        del views
        box.fill(start, 4000 * PAGE, 1)
        box.reset()
        assert looked_at >= 4000
        assert _native.window_pages(box.base) < 600


def test_views_that_come_and_go_leave_nothing() -> None:
    """The same view again and again: what is remembered of it goes with it."""
    with sandbox() as box:
        start = box.where_room()
        window = box._tenancy.hold()
        for _ in range(20_000):
            box.memory.view(start, 100)
        assert not hasattr(window, "_viewed")
        box.reset()
        kept = [box.memory.view(start + step, 100) for step in range(0, 1 << 20, 997)]
        box.reset()
        assert sum(map(sum, kept)) == 0
