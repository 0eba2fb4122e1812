"""The target map: which places indirect branches may lead to, of those that a text's metadata claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np

from tmebox import abi
from tmebox.verify import rules
from tmebox.verify.depth import UNKNOWN, Claims, Positions

START: Final = 1
"""An instruction starts here."""
INSIDE: Final = 2
"""An instruction starts here, but it may be reached only from the one before it."""
MARK_OF_DEPTH: Final = dict(zip(abi.LABEL_DEPTHS, abi.LABEL_MARKS, strict=True))

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Found = Iterator[tuple[int, str, str]]
"""Positions, the rules that are broken there, and why."""


class TargetMap:
    """One byte for each of a text. labels: positions of them, once their depth is looked at.

    marks: START or INSIDE for each position where an instruction starts; shift: of the bits that code with
    this base has.
    """

    def __init__(self, address: int, marks: Bytes, shift: int) -> None:
        self.address = address
        self.marks = marks
        self.shift = shift
        self.bytes: Bytes = np.zeros(len(marks), np.uint8)
        self.labels: Positions = np.empty(0, np.int64)

    def set(self, positions: Any, bit: int) -> None:
        self.bytes[positions] |= bit << self.shift

    def claim(self, addresses: Iterable[int], bit: int) -> Found:
        """Set the bit at each claimed address that control may arrive at."""
        for address in map(int, addresses):
            position = address - self.address
            mark = self.marks[position] if 0 <= position < len(self.marks) else 0
            if mark == START:
                self.set(position, bit)
            elif mark == INSIDE:
                why = "a claimed target skips the beginning of a sequence"
                yield position, rules.NO_BRANCH_INTO_SEQUENCE, why
            else:
                why = "no instruction of the text starts at this target"
                yield position, rules.TARGET_IS_INSTRUCTION_START, why

    def claim_labels(self, addresses: Iterable[int], claims: Claims) -> Found:
        """Mark each label by its depth, if there is a mark for that. Only the core leads to others."""
        functions = self.bytes != 0
        places = list(map(int, addresses))
        yield from self.claim(places, abi.TARGET_LABEL)
        inside = [place - self.address for place in places if 0 <= place - self.address < len(self.bytes)]
        positions = np.array(sorted(set(inside)), np.int64)
        self.labels = positions[self.bytes[positions] != 0]
        for position, depth in zip(self.labels.tolist(), claims.at(self.labels).tolist(), strict=True):
            if functions[position]:
                yield position, rules.STACK_DEPTH_KNOWN, "a label that is a function, too"
            elif depth == UNKNOWN:
                yield position, rules.STACK_DEPTH_KNOWN, "a label whose depth is not claimed"
            else:
                self.bytes[position] = MARK_OF_DEPTH.get(depth, 0)
