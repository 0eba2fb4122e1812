"""What a forked child has where its parent's windows and heaps are: zeros, and nothing of it is ever put over
its own memory, or unmapped with it."""

from __future__ import annotations

import ctypes
import gc
import mmap
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import TOUCH_C
from tests.memory.preloading import environment_with
from tests.memory.windows import PAGE
from tmebox.memory.windows import WINDOWS

Forked = Callable[..., ChildOutcome]
ROOT = Path(__file__).parents[2]


def mapped(ranges: list[range]) -> set[str]:
    """The rights of all mappings in some ranges of addresses."""
    found = set()
    for row in Path("/proc/self/maps").read_text().splitlines():
        (start, end), rights = (int(text, 16) for text in row.split()[0].split("-")), row.split()[1]
        if any(start < place.stop and end > place.start for place in ranges):
            found.add(rights)
    return found


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("limit", [resource.RLIMIT_DATA, resource.RLIMIT_AS], ids=["data", "addresses"])
def test_arrays_of_the_parent_are_zeros_in_the_child(forked: Forked, limit: int, limited: bool) -> None:
    module = tmebox.compile(source_text=TOUCH_C)
    with tmebox.SharedHeap("64MiB") as heap, tmebox.Sandbox(module, heap=heap) as box:
        used = tmebox.Sandbox(module)  # its window serves again
        used.array(300_000)[:] = 3
        used.close()
        del used
        again = tmebox.Sandbox(module)
        arrays = [again.array(200_000), box.array(100), heap.array(10 * PAGE, owner=box)]
        for array in arrays:
            array[:] = 7
        box.fill(arrays[2], PAGE, 8)  # through its view
        ranges = [*WINDOWS._addresses, range(heap.host_address, heap.host_address + (64 << 20))]

        before = resource.getrlimit(limit)
        if limited and limit == resource.RLIMIT_AS:
            del arrays[2]  # nothing can be mapped in its place, and it is not there

        def child() -> tuple[int, list[bool], int]:
            shared = [rights for rights in mapped(ranges) if rights[1] == "w" and rights[3] == "s"]
            shown = [bool(array.any()) for array in arrays]
            heap.close()
            gc.collect()
            resource.setrlimit(limit, before)
            with tmebox.SharedHeap("1MiB") as own, tmebox.Sandbox(module, heap=own) as box:
                block = own.array(PAGE, owner=box)
                box.fill(block, PAGE, 1)
                return len(shared), shown, box.sum(block, PAGE)

        if limited:  # to less than there is already
            resource.setrlimit(limit, (1 << 30, before[1]))
        try:
            assert forked(child).result() == (0, [False] * len(arrays), PAGE)
        finally:
            resource.setrlimit(limit, before)
        assert all(array.all() for array in arrays)


def test_a_limit_below_what_the_parent_has_leaves_the_child_its_own_memory(forked: Forked) -> None:
    heap = tmebox.SharedHeap("2000MiB")
    host = range(heap.host_address, heap.host_address + (2000 << 20))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, before[1]))

    def child() -> tuple[int, int]:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        mine = [mmap.mmap(-1, 512 << 20) for _ in range(200)]
        starts = [ctypes.addressof(ctypes.c_char.from_buffer(one)) for one in mine]
        for one in mine:
            one[0] = 77
        heap.close()
        gc.collect()
        return sum(start in host for start in starts), sum(one[0] == 77 for one in mine)

    try:
        assert forked(child).result() == (0, 200)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


EARLY = """
import ctypes, gc, os, sys
import tmebox
from tests.heap.conftest import TOUCH_C
module = tmebox.compile(source_text=TOUCH_C)
heap = tmebox.SharedHeap("64MiB")
box = tmebox.Sandbox(module, heap=heap)
arrays = [box.array(100_000), heap.array(4096, owner=box)]
box.fill(arrays[1], 4096, 1)
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
early = ctypes.CDLL(sys.argv[1])
blocks = (ctypes.c_void_p * 2).in_dll(early, "early")
sizes = (ctypes.c_size_t * 2).in_dll(early, "early_size")
def intact():
    return all(ctypes.string_at(block, size) == b"Z" * size for block, size in zip(blocks, sizes))
good = intact()
assert not arrays[0].any()
heap.close()
box.close()
del heap, box, arrays
gc.collect()
good = good and intact()
with tmebox.SharedHeap("64MiB") as heap, tmebox.Sandbox(module, heap=heap) as box:
    array = heap.array(4096, owner=box)
    box.fill(array, 4096, 1)
    good = good and box.sum(array, 4096) == 4096
os._exit(0 if good and intact() else 1)
"""


@pytest.mark.parametrize("substrate", ["userfault", "plain"])
def test_what_other_libraries_map_in_the_child_stays(substrate: str, tmp_path: Path) -> None:
    environment = environment_with("early_child.c", substrate, tmp_path)
    command = [sys.executable, "-c", EARLY, environment["LD_PRELOAD"]]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if substrate == "userfault" and "no room for windows" in done.stderr:
        pytest.skip("no userfaultfd")
    assert done.returncode == 0, done.stderr
