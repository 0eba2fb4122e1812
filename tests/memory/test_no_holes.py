"""Whatever fails, every address of a window stays mapped: else somebody's next mapping would lie in a
sandbox's reach."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import TOUCH_C
from tests.memory.fixed_mappings import CONSTANTS_C
from tests.memory.preloading import environment_with
from tests.memory.refused_ioctls import refuse
from tests.memory.windows import PAGE, gaps

Forked = Callable[..., ChildOutcome]
ROOT = Path(__file__).parents[2]
PAGES = 300


@pytest.mark.parametrize("substrate", ["userfault", "plain"])
def test_a_mapping_that_fails_after_it_unmapped_leaves_no_hole(substrate: str, tmp_path: Path) -> None:
    environment = environment_with("failing_maps.c", substrate, tmp_path)
    command = [sys.executable, "-m", "tests.memory.fixed_mappings", environment["LD_PRELOAD"]]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if substrate == "userfault" and "no room for windows" in done.stderr:
        pytest.skip("no userfaultfd")
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout) > 5


@pytest.mark.parametrize("room", [-16 * PAGE, 16 * PAGE, 2 * PAGES * PAGE])
def test_no_address_space_for_a_view_and_for_pages_that_are_carried(forked: Forked, room: int) -> None:
    touching, constants = (tmebox.compile(source_text=text) for text in (TOUCH_C, CONSTANTS_C))

    def child() -> list[int]:
        heap = tmebox.SharedHeap("64MiB")
        a, b, c = (tmebox.Sandbox(touching, heap=heap) for _ in range(3))
        tmebox.Sandbox(constants).close()
        mixed = [heap.allocate(64, owner=owner, placement="dense") for owner in (a, b)]
        a.peek(mixed[0].offset)  # on the side, which takes memory at first
        array, other = (heap.array(PAGES * PAGE, owner=a) for _ in range(2))
        for part in (array, other):
            a.fill(part, part.size, 1)
        heap.transfer(other, to=b)  # the first time, the kernel is tried
        used = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
        resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
        heap.transfer(array, to=b)
        heap.transfer(other, to=c)
        box = tmebox.Sandbox(constants)
        assert not gaps()
        found = [b.peek(array), b.peek(array[-1:]), c.peek(other), box.at(2)]
        heap.revoke(array)
        for sandbox in (a, b, c, box):
            sandbox.close()
        assert not gaps()
        return found

    assert forked(child).result() == [1, 1, 1, 3]


UFFDIO_REGISTER = 0xC020AA00


@pytest.mark.parametrize("refused", ["the kernel", "a limit", "a limit where a view was"])
def test_a_window_whose_view_failed_is_all_there_for_another_owner(forked: Forked, refused: str) -> None:
    touching = tmebox.compile(source_text=TOUCH_C)

    def child() -> list[str]:
        before = resource.getrlimit(resource.RLIMIT_AS)
        if refused == "a limit where a view was":
            with tmebox.SharedHeap("512MiB") as heap, tmebox.Sandbox(touching, heap=heap) as box:
                box.poke(heap.array(PAGE, owner=box), 1)
            del heap, box
        heap = tmebox.SharedHeap("512MiB")
        box = tmebox.Sandbox(touching, heap=heap)
        base, array = box.base, heap.array(PAGE, owner=box)
        with tmebox.SharedHeap("1MiB", views=False) as aside, tmebox.Sandbox(touching, heap=aside) as other:
            other.poke(aside.array(PAGE, owner=other), 1)  # on the side, which takes memory at first
        if refused == "the kernel":
            refuse([UFFDIO_REGISTER])
        else:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
            resource.setrlimit(resource.RLIMIT_AS, (used, before[1]))
        box.poke(array, 5)
        assert array[0] == 5
        resource.setrlimit(resource.RLIMIT_AS, before)
        del array
        box.close()
        heap.close()
        del heap, box, other, aside
        large: list[tmebox.Sandbox] = []
        while not any(box.base == base for box in large) and len(large) < 14:
            try:
                large.append(tmebox.Sandbox(touching, memory="3GiB"))
            except tmebox.LimitError:
                return ["refused"]
        for start, end in large[-1]._tenancy.layout.heap_parts:
            for offset in range(start + 2 * PAGE, end - 2 * PAGE, 100 << 20):
                large[-1].poke(offset, 7)
        return ["whole"] if large[-1].base == base else []

    assert forked(child).result() == (["refused"] if refused == "the kernel" else ["whole"])
