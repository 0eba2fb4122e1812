"""Rule `stack-depth-known` for a whole text: which places are asked for which depth.

What is asked is noted while the text is read, by the index of the instruction. Then one array says what each
byte wants of who arrives there, and every question is a look-up in it or in `Depths`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from tmebox.verify.depth import DEEPEST, NOBODY, UNKNOWN, Claims, Depths, Positions, Problem
from tmebox.verify.facts_everywhere import TableJumps
from tmebox.verify.reading import Block, Indexes

_ENTRY: Final = 0
"""The depth where functions are entered, and where they return."""
_Truths = np.ndarray[Any, np.dtype[np.bool_]]
_Small = np.ndarray[Any, np.dtype[np.int32]]


class Text:
    """Told of a text's instructions in their order, then asked what is wrong with the depth of its stack."""

    def __init__(self) -> None:
        self._count = 0
        self._starts: list[Positions] = []
        self._deepening: list[Positions] = []
        self._ends: list[_Truths] = []
        self._moving: list[Positions] = []
        self._stops: list[_Small] = []
        self._writes: list[Positions] = []
        self._returns: list[Positions] = []
        self._calls: list[Positions] = []
        self._jumps: list[Positions] = []
        self._direct: list[Positions] = []
        self._found: Depths | None = None
        self._labels: Positions = np.empty((0, 2), np.int64)

    def read(self, block: Block, branches: Indexes, targets: Positions) -> None:
        """branches: indexes of the block's direct branches; targets: where they lead."""
        kinds, first = block.kinds, self._count
        self._count += len(block)
        self._starts.append(block.starts)
        self._deepening.append(np.array([form.deepens for form in block.forms], np.int64)[kinds])
        self._moving.append(first + block.where(lambda form: form.deepens))
        self._ends.append(np.array([form.ends for form in block.forms], bool)[kinds])
        stops = block.where(lambda form: form.ends and not form.branches)
        self._stops.append(block.starts[stops].astype(np.int32))
        self._returns.append(first + block.where(lambda form: form.returns))
        calls = np.array([form.calls for form in block.forms], bool)[kinds]
        self._calls.append(first + np.flatnonzero(calls))
        self._direct.append(np.column_stack([first + branches, targets, calls[branches]]))
        writing = block.where(lambda form: form.writes_stack)
        own = np.array([form.writes_stack.end if form.writes_stack else 0 for form in block.forms], np.int64)
        spelled = block.numbers(writing, lambda form: form.writes_stack and form.writes_stack.displacement)
        self._writes.append(np.column_stack([first + writing, own[kinds[writing]] + spelled]))

    def jumps(self, indexes: Indexes, depth: int) -> None:
        """Jumps to computed targets, of the block read next, all of which need this depth."""
        self._jumps.append(np.column_stack([self._count + indexes, np.full(len(indexes), depth, np.int64)]))

    def returns(self) -> tuple[bytes, bytes]:
        """Places that calls return to, and labels, and the depth there, once it is known to be right."""
        if self._found is None:
            return b"", b""
        calls = _joined(self._calls)
        calls = calls[calls + 1 < self._count]
        places = np.concatenate([_joined(self._starts)[calls + 1], self._labels[:, 0]])
        depths = np.concatenate([self._found.depth[calls], self._labels[:, 1]])
        places, first = np.unique(places, return_index=True)
        return places.astype("<u4").tobytes(), depths[first].astype("<u4").tobytes()

    def problems(
        self,
        size_bytes: int,
        functions: Positions,
        labels: Positions,
        claims: Claims,
        table_jumps: TableJumps,
        entries: Positions,
    ) -> Iterator[Problem]:
        """functions, labels: positions that the target map says are such. claims: well formed. entries: of
        the text's tables, all of them starts of instructions."""
        self._labels = np.column_stack([labels, claims.at(labels)])
        if not self._count:
            return
        starts = _joined(self._starts)
        branches, targets, is_call = _rows(self._direct, 3).T
        is_call = is_call != 0
        inside = (targets >= 0) & (targets < size_bytes)
        wanted_at = np.full(size_bytes, NOBODY, np.int32)
        # Where nobody arrives a claim may be true as well: functions that nothing calls.
        for places in (claims.positions, entries, labels, targets[inside & ~is_call]):
            here = places[(places >= 0) & (places < size_bytes)]
            wanted_at[here] = claims.at(here)
        wanted_at[functions] = wanted_at[targets[inside & is_call]] = _ENTRY
        wrong = wanted_at[labels] != self._labels[:, 1]
        for position in labels[wrong].tolist():
            yield position, "a label that is called, too, has another depth than 0"
        stops = np.concatenate(self._stops)
        wanted_at[stops] = np.minimum(wanted_at[stops], UNKNOWN)  # nothing comes of arriving there
        ends = np.concatenate(self._ends)
        self._found = depths = Depths(
            starts, _joined(self._deepening), ends, wanted_at[starts].astype(np.int64)
        )
        yield from depths.moves(_joined(self._moving))
        yield from depths.writes(*_rows(self._writes, 2).T)
        returns = _joined(self._returns)
        yield from depths.needing(returns, np.full(len(returns), _ENTRY), "is what a return needs")
        yield from depths.live(_joined(self._calls))
        jumps, needs = _rows(self._jumps, 2).T
        yield from depths.needing(jumps, needs, "is what this jump needs")
        going, to = branches[~is_call], targets[~is_call]
        # A gate is entered like a function.
        to = np.where(inside[~is_call], wanted_at[np.where(inside[~is_call], to, 0)], _ENTRY)
        yield from depths.needing(going, to, "is what there is where it leads")
        yield from depths.runs()
        at_entries = wanted_at[np.where((entries >= 0) & (entries < size_bytes), entries, 0)]
        yield from _through_tables(depths, starts, table_jumps, at_entries.astype(np.int64))


def _through_tables(
    depths: Depths, starts: Positions, jumps: TableJumps, wanted: Positions
) -> Iterator[Problem]:
    """All that a jump can read of a table has the jump's own depth, or needs none."""
    if not len(jumps.positions):
        return
    at = np.searchsorted(starts, jumps.positions)
    bounds = np.column_stack([jumps.first, jumps.last + 1]).ravel()
    highest = np.maximum.reduceat(np.append(wanted, UNKNOWN), bounds)[::2]
    wanted = np.where(wanted < 0, DEEPEST + 1, wanted)
    lowest = np.minimum.reduceat(np.append(wanted, DEEPEST + 1), bounds)[::2]
    lowest = np.where(lowest > DEEPEST, UNKNOWN, lowest)
    for one in (highest, lowest):
        yield from depths.needing(at, one, "is what there is where it leads")


def _joined(parts: list[Positions] | list[_Small]) -> Positions:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _rows(parts: list[Positions], columns: int) -> Positions:
    return np.concatenate([np.empty((0, columns), np.int64), *parts])
