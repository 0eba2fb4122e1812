"""Many pages go from view to view with their page tables, and leave holes where views were: nothing more
comes with them, and nothing stays."""

from __future__ import annotations

import mmap
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import Sandboxes, violation
from tests.heap.test_races import started, wait_until, written
from tmebox import abi

PAGE = abi.PAGE_SIZE
MANY = 300
"""Pages, more than are carried at least, and no multiple of a group."""
Forked = Callable[..., ChildOutcome]


def refused(sandbox: tmebox.Sandbox, name: str, *arguments: Any) -> int | None:
    """Whose it is that the call touched. The sandbox can be called again."""
    owner = violation(getattr(sandbox, name), *arguments).owner_key_id
    sandbox.reset()
    return owner


def mappings() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_what_lies_beside_carried_pages_stays_out_of_reach(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b, c = sandboxes(3)
    before, array, after = (heap.array(size * PAGE, owner=a) for size in (2, MANY, 2))
    for part in (before, array, after):
        a.fill(part, part.size, 7)
    heap.transfer(array, to=b)
    assert b.sum(array, array.size) == 7 * array.size
    first, last = heap.offset_of(array), heap.offset_of(array) + array.size
    for place in (first - 1, first - PAGE, last, last + PAGE):
        assert refused(b, "peek", place) == a.key_id
    for place in (first, first + PAGE, first + MANY // 2 * PAGE, last - 1):
        assert refused(a, "peek", place) == b.key_id
        assert refused(a, "poke", place, 1) == b.key_id
        assert refused(c, "peek", place) == b.key_id
    for part in (before, after):
        assert a.sum(part, part.size) == 7 * part.size
    assert (array == 7).all()


def test_pages_that_were_never_touched_are_carried_as_zeros(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b = sandboxes(2)
    array = heap.array(MANY * PAGE, owner=a)
    for page in (0, 100, MANY - 1):
        a.poke(array[page * PAGE :], 5)
    heap.transfer(array, to=b)
    assert b.sum(array, array.size) == 15
    heap.revoke(array)
    refused(b, "peek", array)
    assert array.sum() == 15


def test_pages_go_to_and_fro_among_many_owners(
    request: pytest.FixtureRequest, heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    """Also parts of them, in blocks that lie side by side, and to a domain and back."""
    owners = sandboxes(4)
    chosen = random.Random(3)
    rounds = {"views": 60, "model": 6}.get(request.node.callspec.id, 1)  # the others look at bytes one by one
    arrays = [heap.array(chosen.randint(30, 90) * PAGE, owner=owners[0]) for _ in range(5)]
    holders = dict.fromkeys(range(len(arrays)), owners[0])
    for turn in range(rounds):
        number = chosen.randrange(len(arrays))
        array, holder = arrays[number], holders[number]
        holder.fill(array, array.size, turn % 251)
        if chosen.random() < 0.2:
            reader = chosen.choice([owner for owner in owners if owner is not holder])
            heap.share(array, {holder: "rw", reader: "r"})
            assert reader.sum(array, array.size) == turn % 251 * array.size
            refused(reader, "poke", array, 1)
            holder.poke(array, turn % 251)
        to = chosen.choice(owners)
        heap.transfer(array, to=to)
        holders[number] = to
        assert to.sum(array, array.size) == turn % 251 * array.size
        for other in owners:
            if other is not to:
                place = heap.offset_of(array) + chosen.randrange(array.size)
                assert refused(other, "peek", place) == to.key_id


def test_carrying_takes_no_mappings(touching: tmebox.Module) -> None:
    with (
        tmebox.SharedHeap("64MiB") as heap,
        tmebox.Sandbox(touching, heap=heap) as a,
        tmebox.Sandbox(touching, heap=heap) as b,
    ):
        array = heap.array(MANY * PAGE, owner=a)
        for owner in (a, b, a, b):
            heap.transfer(array, to=owner)
            owner.fill(array, array.size, 1)
        before = mappings()
        for _ in range(50):
            for owner in (a, b):
                heap.transfer(array, to=owner)
        assert mappings() <= before + 2


def test_no_write_is_late_where_pages_are_carried(running: tmebox.Module) -> None:
    """The former owner writes to all of it, the new one reads, on threads of their own."""
    with (
        tmebox.SharedHeap("96MiB") as heap,
        tmebox.Sandbox(running, heap=heap, timeout=30) as a,
        tmebox.Sandbox(running, heap=heap, timeout=30) as b,
    ):
        for _ in range(60):
            array = heap.array(MANY * PAGE, owner=a)
            words = array.view("u8")
            writer, raised = started(a.write_on, words, MANY * 64)
            wait_until(partial(written, words, -8))
            heap.transfer(array, to=b)
            seen = words.copy()
            reader, read = started(b.read_on, words)
            writer.join()
            assert isinstance(raised[0], tmebox.IntegrityViolation)
            assert raised[0].owner_key_id == b.key_id
            assert (words == seen).all()
            heap.revoke(array)
            reader.join()
            assert isinstance(read[0], tmebox.IntegrityViolation)
            a.reset()
            b.reset()


def test_the_new_owner_reaches_nothing_more_while_pages_are_carried(running: tmebox.Module) -> None:
    """In between, the kernel provides pages by itself: so another thread of the new owner tries others'."""
    with (
        tmebox.SharedHeap("64MiB") as heap,
        tmebox.Sandbox(running, heap=heap, timeout=30) as a,
        tmebox.Sandbox(running, heap=heap, timeout=30) as b,
        tmebox.Sandbox(running, heap=heap, timeout=30) as c,
    ):
        array, secret = heap.array(MANY * PAGE, owner=a), heap.array(4 * PAGE, owner=c)
        ended, got_through = threading.Event(), []

        def pry() -> None:
            while not ended.is_set():
                try:
                    b.write_on(secret.view("u8"), 4 * 64)
                except tmebox.IntegrityViolation as error:
                    got_through.append(error.owner_key_id != c.key_id)
                b.reset()

        thread = threading.Thread(target=pry)
        thread.start()
        try:
            for _ in range(300):
                heap.transfer(array, to=b)
                heap.transfer(array, to=a)
        finally:
            ended.set()
            thread.join()
        assert got_through
        assert not any(got_through)
        assert not secret.any()


def test_without_mappings_left_pages_change_hands_all_the_same(
    touching: tmebox.Module, forked: Forked
) -> None:
    def child() -> bool:
        with (
            tmebox.SharedHeap("64MiB") as heap,
            tmebox.Sandbox(touching, heap=heap) as a,
            tmebox.Sandbox(touching, heap=heap) as b,
        ):
            array, secret = heap.array(MANY * PAGE, owner=a), heap.array(PAGE, owner=a)
            a.fill(array, array.size, 3)
            heap.transfer(array, to=b)  # the first time, the kernel is tried
            b.fill(array, array.size, 4)
            taken: list[Any] = []
            for left in (0, 1, 2, 3, 4, 6, 8):
                _take_mappings(taken)
                del taken[len(taken) - left :]
                for owner, other in ((a, b), (b, a)) * 3:
                    heap.transfer(array, to=owner)
                    for page in (0, 5, MANY // 2, MANY - 1):  # perhaps on the side, byte by byte
                        assert owner.peek(array[page * PAGE :]) == 4
                    refused(other, "peek", array[5 * PAGE :])
                refused(b, "peek", secret)
            return True

    assert forked(child, timeout_s=120).result()


def _take_mappings(taken: list[Any]) -> None:
    """All that the process may have."""
    try:
        while True:
            protection = mmap.PROT_READ | (mmap.PROT_WRITE if len(taken) % 2 else 0)
            taken.append(mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, protection))
    except OSError:
        pass


LOCKED = """
import ctypes, sys
import tmebox
from tests.heap.conftest import TOUCH_C
from tests.heap.test_carried import refused
module = tmebox.compile(source_text=TOUCH_C)
libc = ctypes.CDLL(None, use_errno=True)
if libc.mlockall(1 | 2) != 0:
    sys.exit("not permitted")
heap = tmebox.SharedHeap("16MiB")
with tmebox.Sandbox(module, heap=heap) as a, tmebox.Sandbox(module, heap=heap) as b:
    array, secret = heap.array(300 * 4096, owner=a), heap.array(4096, owner=a)
    a.fill(array, array.size, 1)
    for turn, (owner, other) in enumerate(((b, a), (a, b)) * 4):
        if turn == 3:
            libc.mlockall(1)
        heap.transfer(array, to=owner)
        assert owner.sum(array, array.size) == array.size
        refused(other, "poke", array, 2)
        refused(b, "peek", secret)
"""


def test_a_host_that_locks_its_memory_may_have_pages_carried() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LOCKED], cwd=root, capture_output=True, text=True, check=False
    )
    if "not permitted" in done.stderr:
        pytest.skip("the process may not lock its memory: `ulimit -l`")
    assert done.returncode == 0, done.stderr


# -- holes -------------------------------------------------------------------------------------------------
def test_a_window_that_had_a_view_has_nothing_there(touching: tmebox.Module, forked: Forked) -> None:
    """A sandbox without a heap gets it, one with a heap of another size, and one with as large a heap."""

    def child() -> bool:
        for size in ("1MiB", "4MiB", "4MiB", "1MiB"):
            with tmebox.SharedHeap(size) as heap, ExitStack() as stack:
                made = [stack.enter_context(tmebox.Sandbox(touching, heap=heap)) for _ in range(20)]
                for sandbox in made:
                    array = heap.array(PAGE, owner=sandbox)
                    sandbox.fill(array, PAGE, 9)
                    assert sandbox.sum(array, PAGE) == 9 * PAGE
                    refused(made[0] if sandbox is not made[0] else made[1], "peek", array)
            del made, heap, array, sandbox
            for _ in range(20):
                with tmebox.Sandbox(touching) as plain:
                    for offset in (abi.SHARED_START, abi.SHARED_START + PAGE):
                        for name, arguments in (("peek", ()), ("poke", (1,))):
                            with pytest.raises(tmebox.MemoryFault) as caught:
                                getattr(plain, name)(offset, *arguments)
                            assert not isinstance(caught.value, tmebox.IntegrityViolation)
                            assert caught.value.offset == offset
                            plain.reset()
        return True

    assert forked(child, timeout_s=60).result()


def test_holes_are_filled_when_mappings_run_out(touching: tmebox.Module, forked: Forked) -> None:
    from tmebox import _native

    def views(heap: tmebox.SharedHeap, count: int) -> int:
        made = []
        for _ in range(count):
            sandbox = tmebox.Sandbox(touching, heap=heap)
            sandbox.poke(heap.array(PAGE, owner=sandbox), 1)
            made.append(sandbox)
        mapped = _native.heap_views()
        for sandbox in made:
            sandbox.close()
        return mapped

    def child() -> tuple[int, int, int]:
        with tmebox.SharedHeap("1MiB") as heap:
            first = views(heap, 30)
        del heap
        between = _native.heap_views()
        with tmebox.SharedHeap("2MiB") as other:
            _native.window_allow_mappings(2 * 30)
            return first, between, views(other, 30)

    first, between, after = forked(child).result()
    if first == 0:
        pytest.skip("the system shows no views: no userfaultfd with shared memory")
    assert (first, between, after) == (30, 0, 30)
