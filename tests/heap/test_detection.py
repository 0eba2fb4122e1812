"""When a foreign access to a page of several owners is found, on each backend: as it declares it
(`tmebox.memory.backends.contract`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import tmebox
from tests.heap.conftest import WAYS
from tmebox import abi
from tmebox.memory.backends import mmu, model, tmemk

DETECTS = {backend.name: backend.detects for backend in (mmu.Mmu, model.Model, tmemk.Tmemk)}


class Page:
    """One page: two lines of `a`, two of `b`, one of the host, and then nobody's."""

    def __init__(self, heap: tmebox.SharedHeap, module: tmebox.Module, way: dict[str, Any]) -> None:
        self.heap = heap
        self.a, self.b = tmebox.Sandbox(module, heap=heap), tmebox.Sandbox(module, heap=heap)
        self.mine = heap.allocate(128, owner=self.a)
        self.theirs = heap.allocate(128, owner=self.b)
        self.hosts = heap.allocate(64)
        for block, byte in ((self.mine, b"a"), (self.theirs, b"b"), (self.hosts, b"h")):
            block.write(byte * block.size)
        self.stops_writes = not way.get("views", True) or DETECTS[heap.backend] == "access"

    def is_whole(self) -> bool:
        """What each owner, and the host, reads of its own."""
        return (
            (self.a.peek(self.mine), self.b.peek(self.theirs)) == (ord("a"), ord("b"))
            and self.mine.read() == b"a" * 128
            and self.theirs.read() == b"b" * 128
            and self.hosts.read() == b"h" * 64
        )


def stopped_at(sandbox: tmebox.Sandbox, function: str, *arguments: Any) -> tmebox.IntegrityViolation:
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        sandbox.call(function, *arguments)
    sandbox.reset()
    return caught.value


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def page(request: pytest.FixtureRequest, touching: tmebox.Module) -> Iterator[Page]:
    with tmebox.SharedHeap("1MiB", placement="dense", **request.param) as heap:
        page = Page(heap, touching, request.param)
        with page.a, page.b:
            assert len({block.offset // abi.PAGE_SIZE for block in (page.mine, page.theirs, page.hosts)}) == 1
            assert page.is_whole()
            yield page


@pytest.mark.parametrize("within", [0, 1, 63, 64, 127])
def test_a_foreign_read_is_found_at_the_access(page: Page, within: int) -> None:
    stopped = stopped_at(page.a, "peek", page.theirs.offset + within)
    assert (stopped.offset, stopped.access) == (page.theirs.offset + within, "read")
    assert (stopped.key_id, stopped.owner_key_id) == (page.a.key_id, page.b.key_id)
    assert page.is_whole()


def test_a_read_that_begins_in_an_own_line_is_found_at_the_foreign_one(page: Page) -> None:
    stopped = stopped_at(page.a, "peek8", page.theirs.offset - 4)
    assert stopped.offset == page.theirs.offset
    assert stopped.owner_key_id == page.b.key_id
    assert page.is_whole()


def test_a_loop_over_a_foreign_block_ends_in_it(page: Page) -> None:
    stopped = stopped_at(page.a, "sum", page.mine, 256)
    assert stopped.offset is not None
    assert 0 <= stopped.offset - page.theirs.offset < 128  # a compiler may begin at the end
    assert page.is_whole()


def test_the_hosts_and_nobodys_lines_are_foreign(page: Page) -> None:
    for sandbox in (page.a, page.b):
        assert stopped_at(sandbox, "peek", page.hosts).owner_key_id == 0
        assert stopped_at(sandbox, "peek", page.hosts.offset + 64).owner_key_id == 0
    assert page.is_whole()


def test_a_line_is_foreign_when_it_was_freed_or_went_to_another(page: Page) -> None:
    page.heap.transfer(page.mine, to=page.b)
    assert stopped_at(page.a, "peek", page.mine).owner_key_id == page.b.key_id
    assert page.b.peek(page.mine) == ord("a")
    before = page.theirs.offset
    page.heap.free(page.theirs)
    assert stopped_at(page.b, "peek", before).owner_key_id == 0


def test_a_foreign_write_is_found_when_the_backend_says(page: Page) -> None:
    """At the access, which then changes nothing; or when the owner reads, or the host for it."""
    theirs, b = page.theirs, page.b
    if page.stops_writes:
        assert stopped_at(page.a, "poke", theirs, 9).owner_key_id == b.key_id
        stopped = stopped_at(page.a, "fill", page.mine, 256, 9)
        assert stopped.offset is not None
        assert 0 <= stopped.offset - theirs.offset < 128  # a compiler may begin at the end
        page.mine.write(b"a" * 128)
        assert page.is_whole()
        return
    with suppress(tmebox.IntegrityViolation):
        page.a.poke(theirs, 9)
    page.heap.flush()
    stopped = stopped_at(b, "peek", theirs)
    assert (stopped.offset, stopped.key_id, stopped.owner_key_id) == (theirs.offset, b.key_id, b.key_id)
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        theirs.read()
    assert (caught.value.key_id, caught.value.owner_key_id) == (0, b.key_id)
    assert b.peek(theirs.offset + 64) == ord("b")
    assert page.mine.read() == b"a" * 128
    # The bytes are lost, and the line is not: whoever gets it next has zeros.
    page.heap.free(theirs)
    again = page.heap.allocate(128, owner=b)
    assert again.read() == bytes(128)
    assert b.peek(again) == 0
