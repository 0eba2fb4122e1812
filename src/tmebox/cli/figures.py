"""Three states of a shared heap, in the form of figures 3 to 5 of the TME-Box paper, from one that lives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import tmebox
from tmebox.runtime.heap_picture import HeapPicture

SOURCE = "unsigned char first(const volatile unsigned char *p) { return *p; }\n"
SPARSE = 12
"""Pages that are nearly empty, before they are made dense."""


def figures() -> Iterator[tuple[str, HeapPicture]]:
    """Names and pictures. Raises RuntimeError if the heap is not what the figure is to show."""
    module = tmebox.compile(source_text=SOURCE)
    with ExitStack() as stack:
        heap = stack.enter_context(tmebox.SharedHeap("1MiB", placement="dense"))
        a, b, c = (stack.enter_context(tmebox.Sandbox(module, heap=heap)) for _ in range(3))
        sizes = {a: (640, 128), b: (320, 512), c: (64, 256, 384)}
        blocks = {owner: [heap.allocate(size, owner) for size in sizes[owner]] for owner in (a, b, c)}
        for owner, mine in blocks.items():
            for block in mine:
                owner.first(block)
        yield "figure-3", heap.show("3. Sandboxes share a page, and no line")
        moved = blocks[a][0]
        heap.transfer(moved, to=b)
        _stopped(a, moved)
        b.first(moved)
        yield (
            "figure-4",
            heap.show("4. Lines of the first sandbox are the second one's now; no byte was copied"),
        )
    yield from _relocated(module)


def _relocated(module: tmebox.Module) -> Iterator[tuple[str, HeapPicture]]:
    with tmebox.SharedHeap("1MiB") as heap, ExitStack() as stack:
        owners = [stack.enter_context(tmebox.Sandbox(module, heap=heap)) for _ in range(3)]
        kept = []
        for number in range(SPARSE):
            owner = owners[number % 3]
            block = heap.allocate(64 * (3 + number % 4), owner, movable=True)
            heap.relocate(block, "pages")  # a page of its owner's own
            filler = heap.allocate(4032, owner)
            kept.append((owner, block, filler))
        blocks = [(owner, block) for owner, block, _ in kept]
        del kept, filler
        yield "figure-5-before", heap.show("5. Relocation: pages that are nearly empty ...")
        for _, block in blocks:
            heap.relocate(block, "dense")
        yield "figure-5-after", heap.show("... and their data in one page, for all owners")
        for owner, block in blocks:
            owner.first(block)


def _stopped(sandbox: tmebox.Sandbox, block: tmebox.Block) -> None:
    try:
        sandbox.first(block)
    except tmebox.IntegrityViolation:
        return
    raise RuntimeError("a sandbox reads what is another's")
