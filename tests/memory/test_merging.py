"""A host that has the kernel merge pages with the same contents (KSM): nothing of a sandbox's is merged, for
who writes a merged page gets one that is not protected any more."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tests.memory.module import module, sandbox
from tests.memory.test_shared_constants import TABLE
from tests.memory.windows import Forked, needs_userfault
from tmebox import abi
from tmebox.memory.windows import WINDOWS

ROOT = Path(__file__).parents[2]
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
PR_SET_MEMORY_MERGE, PR_GET_MEMORY_MERGE = 67, 68
MADV_MERGEABLE, MADV_COLLAPSE = 12, 25
BELOW_PROGRAMS = 1 << 46
"""Texts and control stacks lie there; whatever else a process maps lies above."""

needs_merging = pytest.mark.skipif(
    LIBC.prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) != 0,
    reason="the kernel merges all pages of the process already, or cannot (before 6.4, without CONFIG_KSM)",
)


def begin_to_merge() -> None:
    assert LIBC.prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) == 0


def mappings() -> Iterator[tuple[range, list[str]]]:
    """With their flags."""
    here = range(0)
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            start, end = (int(number, 16) for number in first.split("-"))
            here = range(start, end)
        elif first == "VmFlags:":
            yield here, rest


def merged(address: int) -> bool:
    (found,) = (flags for place, flags in mappings() if address in place)
    return "mg" in found


def of_sandboxes() -> list[range]:
    """Mappings of sandboxes that may be merged."""
    found = []
    for place, flags in mappings():
        ours = place.start < BELOW_PROGRAMS or WINDOWS.holds(place.start) or WINDOWS.holds(place.stop - 1)
        if "mg" in flags and ours:
            found.append(place)
    return found


def use_everything() -> tuple[bool, list[range]]:
    """Whether other memory is merged, and what of sandboxes is."""
    table = tmebox.compile(source_text=TABLE)
    other = ctypes.create_string_buffer(1 << 24)
    heap = tmebox.SharedHeap("64MiB")
    boxes = [tmebox.Sandbox(module(), memory="128MiB", heap=heap) for _ in range(3)]
    constant = [tmebox.Sandbox(table) for _ in range(40)]
    arrays = [heap.array(5000, owner=box) for box in boxes]
    for box, array in zip(boxes, arrays, strict=True):
        box.fill(heap.offset_of(array), 5000, 1)
        box.array(300_000)
    assert all(box.total() for box in constant)
    found = of_sandboxes()
    for box in (*boxes[1:], *constant[::2]):
        box.close()
    boxes[0].reset()
    again = [sandbox(), tmebox.Sandbox(table)]
    assert again[0].add(1, 2) == 3 and sum(len(array) for array in arrays) == 15_000
    return merged(ctypes.addressof(other) + (1 << 20)), found + of_sandboxes()


MERGES = """
import ctypes, sys
assert ctypes.CDLL(None).prctl(67, 1, 0, 0, 0) == 0
sys.path.insert(0, sys.argv[1])
from tests.memory.test_merging import use_everything
print(*use_everything())
"""


@needs_merging
@pytest.mark.parametrize("substrate", ["userfault", "plain"])
def test_nothing_of_a_sandbox_is_merged_where_the_host_merges(substrate: str) -> None:
    if substrate == "userfault" != WINDOWS.substrate.name:
        pytest.skip("the substrate here is plain mappings")
    environment = {**os.environ, "TMEBOX_SUBSTRATE": substrate}
    command = [sys.executable, "-c", MERGES, str(ROOT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "True []\n", done


@needs_merging
@needs_userfault
@pytest.mark.parametrize("then", ["start", "reset", "long call", "first call", "a thread's first call"])
def test_what_is_read_only_is_not_merged_where_the_host_begins_later(forked: Forked, then: str) -> None:
    module()

    def child() -> tuple[bool, bool, bool]:
        """Whether pages were merged, and still are, and whether another sandbox works."""
        boxes = [sandbox() for _ in range(3)]
        for box in boxes:
            assert box.look(abi.CONTROL_PAGE, 64) and box.look(box.where_constant(), 64)
        time.sleep(1)  # the watchdog sleeps, and looks at nothing
        begin_to_merge()
        before = all(merged(box.base + abi.CONTROL_PAGE) for box in boxes)
        if then == "start":
            boxes.pop().close()
            boxes.append(sandbox())
        elif then == "reset":
            boxes[0].reset()
        elif then == "first call":
            boxes[0].dig(10, 0)
        elif then == "a thread's first call":
            thread = threading.Thread(target=boxes[0].dig, args=(10, 0))
            thread.start()
            thread.join()
        else:
            while merged(boxes[0].base + abi.CONTROL_PAGE):
                boxes[0].look(boxes[0].where_room(), 64 << 20)
        read_only = (abi.CONTROL_PAGE, boxes[0].where_constant())
        after = any(merged(box.base + place) for box in boxes for place in read_only)
        for box in boxes:
            assert box.look(read_only[1], 8192) == sum(b"constant")
            for place in read_only:
                with pytest.raises(tmebox.MemoryFault):
                    box.fill(place, 1, 1)
                box.reset()
        return before, after, sandbox().add(3, 4) == 7

    assert forked(child).result() == (True, False, True)


@needs_userfault
def test_a_huge_page_takes_the_place_of_no_page_that_is_read_only(forked: Forked) -> None:
    """Of no part of a window, in fact, in which one page is missing or protected."""
    size = 2 * abi.MIB
    hot = abi.STACK_TOP // size * size

    def child() -> int:
        box = sandbox()
        box.memory.write(box.where_room(), b"1")
        box.look(abi.STACK_TOP - abi.PAGE_SIZE, hot + size - abi.STACK_TOP + abi.PAGE_SIZE)
        assert LIBC.madvise(box.base + hot, size, MADV_COLLAPSE) == -1
        assert ctypes.get_errno() in (errno.EINVAL, errno.EAGAIN, errno.EBUSY, errno.ENOMEM)
        with pytest.raises(tmebox.MemoryFault):
            box.fill(abi.CONTROL_PAGE, 8, 1)
        return sandbox().add(3, 4)

    module()
    assert forked(child).result() == 7
