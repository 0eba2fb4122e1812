"""Arrays of a shared heap: whole pages that change hands without being copied."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.heap.conftest import Sandboxes, violation
from tmebox import abi

PAGE = abi.PAGE_SIZE


def test_an_image_goes_from_one_sandbox_to_the_next_and_the_first_one_stops(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b = sandboxes(2)
    image = heap.array((108, 192, 3), "u1", owner=a)
    a.fill(image, image.size, 3)
    assert (image == 3).all()
    heap.transfer(image, to=b)
    assert b.sum(image, image.size) == 3 * image.size
    stopped = violation(a.poke, image, 1)
    assert (stopped.offset, stopped.access) == (heap.offset_of(image), "write")
    assert (stopped.key_id, stopped.owner_key_id) == (a.key_id, b.key_id)
    assert (image == 3).all()


@pytest.mark.parametrize("name", ["peek", "poke"])
def test_nobody_but_the_owner_touches_an_array(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes, name: str
) -> None:
    a, b = sandboxes(2)
    array = heap.array(PAGE, owner=a)
    more = () if name == "peek" else (1,)
    stopped = violation(getattr(b, name), array, *more)
    assert stopped.owner_key_id == a.key_id
    getattr(a, name)(array, *more)


def test_the_host_owns_what_nobody_was_given(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    array = heap.array(PAGE)
    assert violation(a.peek, array).owner_key_id == 0
    a.reset()
    heap.transfer(array, to=a)
    a.poke(array, 7)
    heap.revoke(array)
    assert violation(a.peek, array).owner_key_id == 0
    assert array[0] == 7


def test_what_was_freed_is_nobodys(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    array = heap.array(PAGE, owner=a)
    offset = heap.offset_of(array)
    a.poke(array, 1)
    heap.free(array)
    assert violation(a.peek, offset).owner_key_id == 0


def test_what_is_looked_at_is_not_used_again_before_the_last_view_is_gone(heap: tmebox.SharedHeap) -> None:
    array = heap.array(PAGE)
    array[:] = 5
    offset, part = heap.offset_of(array), array[10:20]
    heap.free(array)
    other = heap.array(PAGE)
    assert heap.offset_of(other) != offset
    other[:] = 6
    del array
    assert (part == 5).all()
    del part
    again = heap.array(PAGE)
    assert heap.offset_of(again) == offset
    assert not again.any()


def test_an_array_ends_with_its_last_view(heap: tmebox.SharedHeap) -> None:
    array = heap.array(10 * PAGE)
    view = array[PAGE:].reshape(9, PAGE)
    del array
    assert heap.stats().block_bytes == 10 * PAGE
    del view
    assert heap.stats().block_bytes == 0


def test_new_arrays_are_zero_whatever_was_there(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    for _ in range(3):
        array = heap.array(20 * PAGE, owner=a)
        assert a.sum(array, array.size) == 0
        a.fill(array, array.size, 255)
        del array
    gc.collect()


def test_pages_beside_an_array_are_not_its_owners(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    first, second = heap.array(PAGE, owner=a), heap.array(PAGE, owner=b)
    start = min(heap.offset_of(first), heap.offset_of(second))
    assert abs(heap.offset_of(first) - heap.offset_of(second)) == PAGE
    owner = a if heap.offset_of(first) == start else b
    owner.poke8(start + PAGE - 8, 1)
    stopped = violation(owner.poke8, start + PAGE - 4, -1 & (1 << 64) - 1)
    assert stopped.offset == start + PAGE
    assert not (second if owner is a else first).any()
    assert bytes(first if owner is a else second)[-8:] == (1).to_bytes(8, "little")


def test_reading_on_grants_no_page_of_another(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    arrays = [heap.array(PAGE, owner=(a, b)[i % 3 == 2]) for i in range(30)]
    for array in arrays:
        if heap.owner_of(array) is a:
            a.fill(array, PAGE, 1)
    for array in arrays:
        if heap.owner_of(array) is b:
            assert violation(a.peek, array).owner_key_id == b.key_id
            a.reset()


def test_offsets_are_the_same_in_all_windows(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    array = heap.array(4, "u8", owner=a)
    a.poke8(heap.offset_of(array) + 8, 1234)
    heap.transfer(array, to=b)
    assert b.peek8(heap.offset_of(array) + 8) == 1234
    assert array[1] == 1234


def test_parts_of_arrays_have_no_owner_of_their_own(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    array = heap.array((4, PAGE), owner=a)
    others: list[Any] = [array[1:], np.zeros(4), bytearray(PAGE)]
    for other in others:
        with pytest.raises(ValueError, match="not an array of this heap"):
            heap.transfer(other, to=a)
    heap.transfer(array.reshape(-1).view("u4"), to=a)
    heap.transfer(array.T, to=a)
    with pytest.raises(TypeError, match="expected a Block"):
        heap.transfer(3, to=a)  # type: ignore[arg-type]


def test_an_array_of_another_heap_is_a_stranger(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    with tmebox.SharedHeap("1MiB") as other:
        array = other.array(PAGE)
        with pytest.raises(ValueError, match="not an array of this heap"):
            heap.transfer(array, to=a)
        with pytest.raises(ValueError, match="pass heap= to Sandbox"):
            other.transfer(array, to=a)
        array[:] = 2
        assert a.sum(array, PAGE) == 2 * PAGE  # copied, like any other memory of the host


def test_a_transfer_keeps_bytes_of_many_pages(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    array = heap.array(70 * PAGE, owner=a)
    array[:] = np.random.default_rng(1).integers(0, 256, array.size)
    expected = int(array.sum())
    for _ in range(3):
        assert a.sum(array, array.size) == expected
        heap.transfer(array, to=b)
        assert b.sum(array, array.size) == expected
        heap.transfer(array, to=a)


class Node:
    """In a cycle: only the collector finds it."""

    def __init__(self, thing: object) -> None:
        self.me, self.thing = self, thing


@pytest.mark.parametrize("limited", [False, True])
def test_garbage_is_collected_before_a_heap_is_full(
    heap: tmebox.SharedHeap, touching: tmebox.Module, limited: bool
) -> None:
    """Or before an owner has reached its limit. Who has turned the collector off is told at once."""
    assert gc.isenabled()
    with tmebox.Sandbox(touching, heap=heap, heap_limit="1MiB") as box:
        owner, size = box if limited else None, 768 << 10
        rest = heap.array(heap.size_bytes - (1 << 20))
        for _ in range(5):
            Node(heap.array(size, owner=owner))
        gc.disable()
        try:
            with pytest.raises(tmebox.LimitError):
                heap.array(size, owner=owner)
        finally:
            gc.enable()
        kept = heap.array(size, owner=owner)
        with pytest.raises(tmebox.LimitError) as caught:
            heap.array(size, owner=owner)
        assert caught.value.__context__ is None
        del kept, rest
