"""Owners change while the former owner runs: nothing of it is late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import tmebox
from tests.heap.conftest import Sandboxes
from tests.heap.test_guest import GUEST_C
from tmebox import abi

PAGE = abi.PAGE_SIZE
ROUNDS = 300


def started(call: Callable[..., Any], *arguments: Any) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call(*arguments)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0)


def written(words: Any, *places: int) -> bool:
    return any(bool(words[place]) for place in places)


Ending = Callable[[tmebox.SharedHeap, Any, tmebox.Sandbox], None]
ENDINGS: dict[str, Ending] = {
    "transfer": lambda heap, array, other: heap.transfer(array, to=other),
    "revoke": lambda heap, array, other: heap.revoke(array),
    "free": lambda heap, array, other: heap.free(array),
    "share": lambda heap, array, other: heap.share(array, {other: "rw"}),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_no_write_is_late(heap: tmebox.SharedHeap, running: tmebox.Module, name: str) -> None:
    with tmebox.Sandbox(running, heap=heap, timeout=20) as a, tmebox.Sandbox(running, heap=heap) as b:
        for round_number in range(ROUNDS if heap.backend == "mmu" else ROUNDS // 10):
            array = heap.array(PAGE, owner=a)
            words = array.view("u8")
            lines = 64 if round_number % 2 else 1
            thread, raised = started(a.write_on, words, lines)
            wait_until(partial(written, words, 0, 8))
            ENDINGS[name](heap, array, b)
            seen = words.copy()
            time.sleep(0)
            assert (words == seen).all()
            thread.join()
            assert isinstance(raised[0], tmebox.IntegrityViolation)
            assert (words == seen).all()
            a.reset()


def test_closing_the_heap_stops_who_runs(running: tmebox.Module) -> None:
    for _ in range(20):
        heap = tmebox.SharedHeap("1MiB")
        with tmebox.Sandbox(running, heap=heap, timeout=20) as a:
            array = heap.array(PAGE, owner=a)
            words = array.view("u8")
            thread, raised = started(a.write_on, words, 64)
            wait_until(partial(written, words, 8))
            heap.close()
            seen = words.copy()
            thread.join()
            assert isinstance(raised[0], tmebox.IntegrityViolation)
            assert (words == seen).all()


def test_pages_that_come_and_go_are_read_and_written_by_their_owner_only(
    heap: tmebox.SharedHeap, running: tmebox.Module
) -> None:
    """Two that write for ever take turns with one page; whose turn it is not, traps."""
    with (
        tmebox.Sandbox(running, heap=heap, timeout=30) as a,
        tmebox.Sandbox(running, heap=heap, timeout=30) as b,
    ):
        array = heap.array(PAGE)
        words = array.view("u8")
        for turn in range(40):
            owner, other = (a, b) if turn % 2 else (b, a)
            heap.transfer(array, to=owner)
            mine, mine_raised = started(owner.write_on, words, 64)
            theirs, theirs_raised = started(other.write_on, words, 64)
            theirs.join()
            assert isinstance(theirs_raised[0], tmebox.IntegrityViolation)
            assert theirs_raised[0].owner_key_id == owner.key_id
            heap.revoke(array)
            seen = words.copy()
            mine.join()
            assert (words == seen).all()
            assert isinstance(mine_raised[0], tmebox.IntegrityViolation)
            a.reset()
            b.reset()


def test_a_neighbour_in_a_mixed_page_is_undisturbed(heap: tmebox.SharedHeap, running: tmebox.Module) -> None:
    with tmebox.Sandbox(running, heap=heap, timeout=30) as a, tmebox.Sandbox(running, heap=heap) as b:
        theirs = heap.allocate(64, owner=b, placement="dense")
        theirs.write(b"kept" * 16)
        mine = heap.allocate(128, owner=a, placement="dense")
        thread, raised = started(a.write_on, mine, 2)
        for _ in range(200):
            more = [heap.allocate(64, owner=b, placement="dense") for _ in range(5)]
            assert all(block.read() == bytes(64) for block in more)
            for block in more:
                heap.free(block)
        heap.free(mine)
        thread.join()
        assert isinstance(raised[0], tmebox.IntegrityViolation)
        assert theirs.read() == b"kept" * 16


def test_sandboxes_that_come_and_go_find_nothing_of_each_other(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    guest = tmebox.compile(source_text=GUEST_C)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(60):
                with tmebox.Sandbox(guest, heap=heap) as sandbox:
                    blocks = [sandbox.alloc(size) for size in (64, 4096, 200)]
                    for block in blocks:
                        assert sandbox.peek8(block) == 0
                        sandbox.poke8(block, number)
                    for block in blocks:
                        assert sandbox.peek8(block) == number
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
