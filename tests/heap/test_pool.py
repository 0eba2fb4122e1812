"""A pool whose sandboxes have a shared heap."""

from __future__ import annotations

import tmebox
from tests.heap.test_guest import GUEST_C


def test_a_pools_sandboxes_have_the_heap_and_its_limit(heap: tmebox.SharedHeap) -> None:
    module = tmebox.compile(source_text=GUEST_C)
    with tmebox.SandboxPool(module, size=2, heap=heap, heap_limit=64) as pool:
        with pool.lease() as sandbox:
            block = heap.allocate(64, owner=sandbox)
            sandbox.poke8(block, 3)
            assert sandbox.alloc(1) == 0
        assert block.owner is None
        assert block.read(0, 1) == b"\x03"
    assert heap.stats().keys == 0
