"""Where failed checks end: each at an `hlt` near it, put where nothing falls into it.

Positions are indices into the emitter's list of texts, and only grow while a section is emitted.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable

from tmebox.records import dataclass, field
from tmebox.toolchain.rewrite.control import TRAP
from tmebox.toolchain.rewrite.replacement import lines

NEAR = 12
"""Texts that a short jump surely spans. An `hlt` more costs one byte, a long jump four."""


def trap(label: str) -> str:
    return f"{label}:\n{lines('hlt')}"


@dataclass
class Traps:
    """Of one stretch of a section.

    wanted: texts in which TRAP stands for a label. labels, present: the `hlt`s there are, by position.
    possible: empty texts that control does not reach from above. beside: a text that wants a trap → an empty
    text after it, where control does arrive.
    """

    wanted: list[int] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    present: list[int] = field(default_factory=list)
    possible: list[int] = field(default_factory=list)
    beside: dict[int, int] = field(default_factory=dict)

    def add(self, position: int, label: str) -> None:
        self.labels[position] = label
        insort(self.present, position)

    def resolve(self, texts: list[str], new_label: Callable[[], str]) -> None:
        """Put `hlt`s where they are missing, and fill in all labels."""
        for position in self.wanted:
            texts[position] = texts[position].replace(TRAP, self._label_for(position, texts, new_label))

    def _label_for(self, position: int, texts: list[str], new_label: Callable[[], str]) -> str:
        place = _nearest(self.present, position)
        if place is not None and abs(place - position) <= NEAR:
            return self.labels[place]
        place = _nearest(self.possible, position)
        if place is not None and place in self.labels:
            return self.labels[place]
        label = new_label()
        if place is not None:
            texts[place] = trap(label)
        else:
            place, around = self.beside[position], new_label()
            texts[place] = f"{lines(f'jmp {around}')}\n{trap(label)}\n{around}:"
        self.add(place, label)
        return label


def _nearest(places: list[int], position: int) -> int | None:
    index = bisect_left(places, position)
    return min(places[max(index - 1, 0) : index + 1], key=lambda place: abs(place - position), default=None)
