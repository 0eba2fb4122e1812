"""Keys are numbers of 15 bits: they run out, come back, and a number that is used again is a stranger."""

from __future__ import annotations

import pytest

import tmebox
from tests.heap.conftest import violation
from tests.heap.test_guest import GUEST_C
from tmebox import abi

PAGE = abi.PAGE_SIZE
SANDBOX_KEYS = 2


@pytest.fixture(scope="module")
def guest() -> tmebox.Module:
    return tmebox.compile(source_text=GUEST_C)


def test_keys_run_out_and_the_oldest_comes_back_first(guest: tmebox.Module) -> None:
    """Each block that is shared has a key of its own."""
    with (
        tmebox.SharedHeap((abi.SHARED_KEYS + 16) * PAGE) as heap,
        tmebox.Sandbox(guest, heap=heap) as a,
        tmebox.Sandbox(guest, heap=heap) as b,
    ):
        blocks = []
        with pytest.raises(tmebox.LimitError, match="key"):
            for _ in range(abi.SHARED_KEYS):
                blocks.append(heap.allocate(PAGE, owner=a, shareable=True))
                heap.share(blocks[-1], {a: "rw", b: "r"})
        assert len(blocks) == abi.SHARED_KEYS - 1 - SANDBOX_KEYS + 1  # the last has none; 0 is the host's
        assert blocks[-1].owner is a
        with pytest.raises(tmebox.LimitError, match="key"):
            tmebox.Sandbox(guest, heap=heap)
        a.poke8(blocks[5], 55)
        assert b.peek8(blocks[5]) == 55
        for number in (7, 3):
            heap.revoke(blocks[number])
        with tmebox.Sandbox(guest, heap=heap) as c:
            assert c.key_id == SANDBOX_KEYS + 1 + 7
            assert violation(c.peek8, blocks[7]).owner_key_id == 0
            c.reset()
            assert violation(c.peek8, blocks[5]).owner_key_id == SANDBOX_KEYS + 1 + 5
            with pytest.raises(tmebox.LimitError, match="key"):
                heap.share(blocks[-1], {a: "r"})
                heap.share(blocks[7], {a: "r"})


def test_code_gives_nothing_to_a_key_that_is_another_sandboxs_now(guest: tmebox.Module) -> None:
    """The permit was for who had the number before."""
    with tmebox.SharedHeap("1MiB") as heap, tmebox.Sandbox(guest, heap=heap) as a:
        made = a.alloc(64)
        first = tmebox.Sandbox(guest, heap=heap)
        heap.allow(a, to=first)
        key = first.key_id
        first.close()
        assert a.give(made, key) == -1
        for _ in range(abi.SHARED_KEYS):
            with tmebox.Sandbox(guest, heap=heap) as again:
                if again.key_id == key:
                    assert a.give(made, key) == -1
                    assert violation(again.peek8, made).owner_key_id == a.key_id
                    break
        else:
            pytest.fail("the key did not come back")
        assert heap.owner_of(made) is a
