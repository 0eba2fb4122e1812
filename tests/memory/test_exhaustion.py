"""What happens when something runs out: an error that names it, and life goes on when some is given back."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.memory.module import module, sandbox
from tmebox import _native, abi
from tmebox.memory.code_region import HLT
from tmebox.memory.windows import WINDOWS

pytestmark = pytest.mark.slow

Forked = Callable[..., ChildOutcome]
ROOT = Path(__file__).parents[2]


def address_space_used() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * abi.PAGE_SIZE


def test_windows_run_out_and_come_back(forked: Forked) -> None:
    module()

    def child() -> tuple[int, str, int]:
        limit = address_space_used() + 150 * abi.GIB
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        boxes: list[tmebox.Sandbox] = []
        with pytest.raises(tmebox.LimitError) as caught:
            while len(boxes) < 100:
                boxes.append(sandbox())
        reached = len(boxes)
        boxes.pop().close()
        boxes.append(sandbox())
        with pytest.raises(tmebox.LimitError):
            sandbox()
        for box in boxes[:5]:
            box.close()
        return reached, str(caught.value), sum(sandbox().add(3, 4) for _ in range(5))

    reached, message, total = forked(child).result()
    assert 10 < reached < 40
    assert "ulimit -v" in message
    assert f"{reached} in use" in message
    assert total == 35


def test_a_window_that_another_module_used_serves_when_there_is_no_other(forked: Forked) -> None:
    other = tmebox.compile(source_text="char large[100000]; int one(void) { return large[5] + 1; }")
    module()

    def child() -> list[int]:
        limit = address_space_used() + 100 * abi.GIB
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        boxes: list[tmebox.Sandbox] = []
        try:
            while True:
                boxes.append(sandbox())
                boxes[-1].fill(boxes[-1].where_room(), 5000, 7)
        except tmebox.LimitError:
            count = len(boxes)
        for box in boxes:
            box.close()
        others = [tmebox.Sandbox(other) for _ in range(count)]
        return [box.one() for box in others]

    assert set(forked(child).result()) == {1}


def use_up_mappings(leave: int) -> list[mmap.mmap]:
    """Until vm.max_map_count is met, less `leave`. Neighbours that had the same protection would merge."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    used = Path("/proc/self/maps").read_text().count("\n")
    pages = int(Path("/proc/sys/vm/max_map_count").read_text()) - used - leave
    room = mmap.mmap(-1, pages * abi.PAGE_SIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(room))
    for page in range(0, pages, 2):
        if libc.mprotect(start + page * abi.PAGE_SIZE, abi.PAGE_SIZE, mmap.PROT_READ) != 0:
            break
    return [room]


def test_mappings_run_out_without_harm(forked: Forked) -> None:
    """Without userfaultfd each sandbox needs some of its own."""
    if int(Path("/proc/sys/vm/max_map_count").read_text()) > 200_000:
        pytest.skip("there are too many mappings to use up")
    module()

    def child() -> tuple[str, int]:
        first = sandbox()
        room = use_up_mappings(leave=60)
        boxes: list[tmebox.Sandbox] = []
        try:
            while len(boxes) < 12:
                boxes.append(sandbox())
            message = ""
        except tmebox.LimitError as error:
            message = str(error)
        total = sum(box.add(3, 4) for box in [first, *boxes])
        assert total == 7 * (len(boxes) + 1)
        for box in boxes:
            box.close()
        del room
        return message, sandbox().add(3, 4)

    message, total = forked(child).result()
    assert total == 7
    assert "vm.max_map_count" in message if WINDOWS.substrate.name == "plain" else not message


@contextmanager
def no_mapping_left() -> Iterator[None]:
    """Not one more; in a child, which has few of its own."""
    room = use_up_mappings(leave=0)
    last: list[Any] = []
    with contextlib.suppress(OSError):
        while True:
            last.append(mmap.mmap(-1, abi.PAGE_SIZE, prot=(mmap.PROT_READ, mmap.PROT_WRITE)[len(last) % 2]))
    yield
    last.clear()
    room.clear()


def test_text_that_cannot_be_taken_away_does_not_become_other_instructions(forked: Forked) -> None:
    """Zeros are `add %al, (%rax)`. Here the page in the middle cannot get a protection of its own."""
    if int(Path("/proc/sys/vm/max_map_count").read_text()) > 200_000:
        pytest.skip("there are too many mappings to use up")

    def child() -> tuple[bool, bytes, bytes]:
        start, middle = _native.reserve(0, 3 * abi.PAGE_SIZE), abi.PAGE_SIZE
        _native.map_zero(start, 3 * abi.PAGE_SIZE, _native.PROT_READ | _native.PROT_WRITE)
        _native.write(start, HLT * (3 * abi.PAGE_SIZE))
        _native.protect(start, 3 * abi.PAGE_SIZE, _native.PROT_READ | _native.PROT_EXEC)
        with no_mapping_left():
            try:
                _native.map_zero(start + middle, abi.PAGE_SIZE, _native.PROT_NONE)
                refused = False
            except OSError:
                refused = True
            kept = ctypes.string_at(start + middle, 4) if refused else b""
        _native.map_zero(start + middle, abi.PAGE_SIZE, _native.PROT_READ)
        return refused, kept, ctypes.string_at(start + middle, 4)

    assert forked(child).result() == (True, HLT * 4, bytes(4))


CONSTANTS = """
const char table[200000] = {1, 2, 3};
int at(int index) { return table[index]; }
"""


def test_sandboxes_end_and_begin_again_where_no_mapping_is_left(forked: Forked) -> None:
    if int(Path("/proc/sys/vm/max_map_count").read_text()) > 200_000:
        pytest.skip("there are too many mappings to use up")
    constants = tmebox.compile(source_text=CONSTANTS)
    short_lived = tmebox.compile(source_text="int two(void) { return 2; }")
    module()

    def child() -> tuple[list[str], int, int]:
        shared = [tmebox.Sandbox(constants) for _ in range(5)]
        boxes = [sandbox() for _ in range(5)]
        array = boxes[0].array(10_000)
        array[:] = 1
        boxes[1].fill(boxes[1].where_room(), 5000, 7)
        view = shared[0].memory.view(abi.IMAGE_START, abi.PAGE_SIZE)
        messages: list[str] = []
        with no_mapping_left():
            # A thread needs some for its first call, and a view to become blank.
            for attempt in (partial(boxes[0].add, 1, 2), sandbox, boxes[1].reset, shared[0].close):
                try:
                    attempt()
                except tmebox.LimitError as error:
                    messages.append(str(error))
            for box in (*shared, *boxes):
                box.close()
            assert not array.any()
            del view  # its window cannot be taken back now
            with contextlib.suppress(tmebox.LimitError):
                tmebox.Module.from_bytes(short_lived.to_bytes())
        assert tmebox.stats().windows_live == 1, "the array's"
        again = [sandbox() for _ in range(10)] + [tmebox.Sandbox(constants) for _ in range(10)]
        sums = sum(box.add(1, 2) for box in again[:10]), sum(box.at(1) for box in again[10:])
        assert all(box.look(box.where_room(), 10_000) == 0 for box in again[:10])
        return messages, *sums

    messages, additions, constants_read = forked(child).result()
    assert all("vm.max_map_count" in message for message in messages)
    assert (additions, constants_read) == (30, 20)


@pytest.mark.parametrize(("kind", "name"), [("RLIMIT_AS", "ulimit -v"), ("RLIMIT_DATA", "ulimit -d")])
def test_the_limit_that_was_met_is_named(forked: Forked, kind: str, name: str) -> None:
    """With userfaultfd windows can be written from the start, and count as data."""
    module()

    def child() -> tuple[str, int]:
        sandbox().add(1, 2)
        limit = address_space_used() + 100 * abi.GIB
        resource.setrlimit(getattr(resource, kind), (limit, limit))
        most = tmebox.limits().windows.most
        boxes: list[tmebox.Sandbox] = []
        with pytest.raises(tmebox.LimitError) as caught:
            while len(boxes) < 2000:
                boxes.append(sandbox())
        assert len(boxes) <= most <= len(boxes) + 10
        boxes.pop().close()
        return str(caught.value), sandbox().add(1, 2)

    if kind == "RLIMIT_DATA" and WINDOWS.substrate.name == "plain":
        pytest.skip("without userfaultfd only what sandboxes have counts as data")
    message, total = forked(child).result()
    assert f"raise `{name}`" in message
    assert total == 3


def test_first_contents_that_need_a_descriptor_are_a_limit_and_pass(forked: Forked) -> None:
    constants = tmebox.compile(source_text=CONSTANTS)
    module()

    def child() -> tuple[str, int]:
        sandbox().add(1, 2)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        message = "ulimit -n"
        try:
            tmebox.Sandbox(constants)
        except tmebox.LimitError as error:
            message = str(error)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with tmebox.Sandbox(constants) as box:
            return message, box.at(2)

    message, value = forked(child).result()
    assert "ulimit -n" in message
    assert value == 3


def test_descriptors_run_out_and_come_back(forked: Forked, tmp_path: Path) -> None:
    module()

    def child() -> tuple[str, int]:
        lowest = os.dup(0)  # whoever started this process may have left one far above
        os.close(lowest)
        limit = lowest + 40
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        boxes = [sandbox()]
        with pytest.raises(tmebox.LimitError) as caught:
            while len(boxes) < 100:
                boxes.append(tmebox.Sandbox(module(), dirs=[(tmp_path, "/")], memory="128MiB"))
        for box in boxes:
            box.close()
        with tmebox.Sandbox(module(), dirs=[(tmp_path, "/")], memory="128MiB") as box:
            return str(caught.value), box.add(3, 4)

    message, total = forked(child).result()
    assert "ulimit -n" in message
    assert total == 7


# -- both ways -----------------------------------------------------------------------------------------
CORE = (
    "tests/runtime/test_sandbox_life.py",
    "tests/runtime/test_reset.py",
    "tests/runtime/test_limits.py",
    "tests/memory/test_windows.py",
    "tests/memory/test_arena.py",
    "tests/memory/test_exhaustion.py::test_sandboxes_end_and_begin_again_where_no_mapping_is_left",
    "tests/memory/test_exhaustion.py::test_the_limit_that_was_met_is_named",
)


@pytest.mark.parametrize("substrate", ["userfault", "plain"])
def test_the_core_tests_hold_on_the_other_substrate(substrate: str) -> None:
    if substrate == WINDOWS.substrate.name:
        pytest.skip("that is the one of this run")
    environment = {**os.environ, "TMEBOX_SUBSTRATE": substrate}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CORE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    refused = substrate == "userfault" and "LimitError" in done.stdout
    assert done.returncode == 0 or refused, done.stdout[-4000:]


def test_an_unknown_substrate_is_refused() -> None:
    code = "import tmebox; tmebox.stats()"
    environment = {**os.environ, "TMEBOX_SUBSTRATE": "sand"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "userfault or plain" in done.stderr


LOCKED = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
from tests.memory.module import sandbox
libc = ctypes.CDLL(None, use_errno=True)
box = sandbox()
box.fill(box.where_room(), 1 << 20, 1)
if libc.mlockall(3):
    print("refused")
    sys.exit()
other = sandbox()
for used in (box, other, sandbox()):
    used.fill(used.where_room() + (9 << 20), 1 << 20, 1)
    used.reset()
    assert used.look(used.where_room(), 16 << 20) == 0
    used.close()
print(sandbox().add(3, 4))
"""


def test_a_host_that_locks_its_memory_does_not_lock_the_windows() -> None:
    command = [sys.executable, "-c", LOCKED, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout in ("7\n", "refused\n"), done


LOCKED_LATE = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
import tmebox
from tests.memory.module import sandbox
from tests.memory.test_exhaustion import CONSTANTS, no_mapping_left
libc = ctypes.CDLL(None, use_errno=True)
constants = tmebox.compile(source_text=CONSTANTS)
boxes = [sandbox() for _ in range(3)]
shared = [tmebox.Sandbox(constants) for _ in range(3)]
for box in boxes:
    box.fill(box.where_room(), 1 << 20, 1)
if libc.mlockall(1):
    print("refused")
    sys.exit()
with no_mapping_left():
    for box in boxes:
        box.reset()
        assert box.look(box.where_room(), 1 << 20) == 0
    for box in (*boxes, *shared):
        box.close()
libc.munlockall()
assert sandbox().look(sandbox().where_room(), 1 << 20) == 0
print(sandbox().add(3, 4))
"""


def test_locked_memory_is_taken_back_where_no_mapping_is_left() -> None:
    """The kernel takes nothing away that is locked, and to unlock a part of a mapping would part it."""
    if int(Path("/proc/sys/vm/max_map_count").read_text()) > 200_000:
        pytest.skip("there are too many mappings to use up")
    command = [sys.executable, "-c", LOCKED_LATE, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout in ("7\n", "refused\n"), done
