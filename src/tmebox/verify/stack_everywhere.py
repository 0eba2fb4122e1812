"""Rule `rsp-stays-in-private-half` for some instructions in a row: how far rsp is from its last anchor."""

from __future__ import annotations

from collections.abc import Iterator

from tmebox.verify.reading import Block
from tmebox.verify.stack import adjustment_problem


def unanchored(block: Block, rebases: set[int]) -> Iterator[tuple[int, str]]:
    """Positions where rsp is too far from its last anchor, from each adjustment on, and why.

    rebases: indexes of instructions after which rsp is known to be in the private half. Up and down do not
    cancel out: `sub $N, %rsp; L: add $N, %rsp; jmp L` would move rsp on and on. As a sum of magnitudes this
    is an upper bound on every path, because a branch arrives with 0.
    """
    index = 0
    for adjustment in block.where(lambda form: form.adjusts).tolist():
        index = max(index, adjustment)
        moved = 0
        while index < len(block) and (moved or index == adjustment):
            form = block.form(index)
            if form.anchors or index in rebases:
                moved = 0
            moved += form.adjusts
            problem = adjustment_problem(moved, form.branches) if moved else None
            if problem:
                yield int(block.starts[index]), problem
            if problem or form.ends:
                moved = 0
            index += 1
