"""Rule `stack-depth-known` for a whole text: which places are asked for which depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from tmebox.abi import LABEL_DEPTHS, LABEL_MARKS
from tmebox.verify.depth import NEVER, Branches, Claims, Depths, Jumps, Positions, Problem
from tmebox.verify.facts_everywhere import TableJumps
from tmebox.verify.reading import Block, Indexes

_ENTRY: Final = 0
"""The depth where functions are entered, and where they return."""
DEPTH_OF_MARK: Final = dict(zip(LABEL_MARKS, LABEL_DEPTHS, strict=True))
MARK_OF_DEPTH: Final = dict(zip(LABEL_DEPTHS, LABEL_MARKS, strict=True))
_Truths = np.ndarray[Any, np.dtype[np.bool_]]


class Text:
    """Told of a text's instructions in their order, then asked what is wrong with the depth of its stack."""

    def __init__(self) -> None:
        self._starts: list[Positions] = []
        self._deepening: list[Positions] = []
        self._ends: list[_Truths] = []
        self._found: Depths | None = None
        self._labels: Positions = np.empty((0, 2), np.int64)
        self._stops: list[Positions] = []
        self._writes: list[Positions] = []
        self._returns: list[Positions] = []
        self._calls: list[Positions] = []
        self._jumps: list[Positions] = []
        self._direct: list[Positions] = []

    def read(self, block: Block, branches: Indexes, targets: Positions) -> None:
        """branches: indexes of the block's direct branches; targets: where they lead."""
        kinds, starts = block.kinds, block.starts.astype(np.int64)
        self._starts.append(starts)
        self._deepening.append(np.array([form.deepens for form in block.forms], np.int64)[kinds])
        self._ends.append(np.array([form.ends for form in block.forms], bool)[kinds])
        writing = block.where(lambda form: form.writes_stack is not None)
        ends = np.array([form.writes_stack or 0 for form in block.forms], np.int64)[kinds[writing]]
        self._writes.append(np.column_stack([starts[writing], ends]))
        self._stops.append(starts[block.where(lambda form: form.ends and not form.branches)])
        self._returns.append(starts[block.where(lambda form: form.returns)])
        calls = np.array([form.calls for form in block.forms], bool)[kinds]
        self._calls.append(starts[calls])
        self._direct.append(np.column_stack([starts[branches], targets, calls[branches]]))

    def returns(self) -> tuple[bytes, bytes]:
        """Places that calls return to, and labels, and the depth there, once it is known to be right."""
        if self._found is None:
            return b"", b""
        places, depths = self._found.after(_joined(self._calls))
        places, first = np.unique(np.concatenate([places, self._labels[:, 0]]), return_index=True)
        depths = np.concatenate([depths, self._labels[:, 1]])[first]
        return places.astype("<u4").tobytes(), depths.astype("<u4").tobytes()

    def jumps(self, positions: Positions, depth: int) -> None:
        """Jumps to computed targets, all of which need this depth."""
        self._jumps.append(np.column_stack([positions, np.full(len(positions), depth, np.int64)]))

    def problems(
        self,
        functions: Positions,
        labels: Positions,
        claims: Claims,
        table_jumps: TableJumps,
        entries: Positions,
    ) -> Iterator[Problem]:
        """functions, labels: positions that the target map says are such. claims: well formed. entries: of
        the text's tables, all of them starts of instructions."""
        self._labels = np.column_stack([labels, claims.at(labels)])
        starts = _joined(self._starts)
        if not len(starts):
            return
        deepening, ends = _joined(self._deepening), np.concatenate(self._ends)
        direct = _rows(self._direct, 3)
        branches = Branches(direct[:, 0], direct[:, 1], direct[:, 2] != 0)
        inside = (branches.targets >= 0) & (branches.targets <= starts[-1])
        called = branches.targets[inside & branches.calls]
        entered = np.union1d(functions, called)
        jumped = branches.targets[inside & ~branches.calls]
        # Where nobody arrives a claim may be true as well: functions that nothing calls.
        others = np.setdiff1d(np.concatenate([jumped, entries, labels, claims.positions]), entered)
        places = np.concatenate([entered, others])
        wanted = np.concatenate([np.full(len(entered), _ENTRY, np.int64), claims.at(others)])
        order = np.argsort(places)
        places, wanted = places[order], wanted[order]
        is_start = np.isin(places, starts)  # where a branch leads elsewhere, that is refused already
        places, wanted = places[is_start], wanted[is_start]
        wanted[np.isin(places, _joined(self._stops))] = NEVER  # nothing comes of arriving there
        self._found = depths = Depths(starts, deepening, ends, places, wanted)
        yield from depths.moves(deepening == NEVER)
        writes = _rows(self._writes, 2)
        yield from depths.writes(writes[:, 0], writes[:, 1])
        returns = _joined(self._returns)
        yield from depths.needing(returns, np.full(len(returns), _ENTRY, np.int64), "is what a return needs")
        yield from depths.live(_joined(self._calls))
        jumps = Jumps(*_rows(self._jumps, 2).T)
        yield from depths.needing(jumps.positions, jumps.depths, "is what this jump needs")
        going = ~branches.calls
        to = np.where(
            inside, _at(places, wanted, branches.targets), _ENTRY
        )  # a gate is entered like a function
        yield from depths.needing(branches.positions[going], to[going], "is what there is where it leads")
        yield from depths.runs()
        yield from _through_tables(depths, table_jumps, _at(places, wanted, entries))


def _through_tables(depths: Depths, jumps: TableJumps, wanted: Positions) -> Iterator[Problem]:
    """All that a jump can read of a table has the jump's own depth, or needs none."""
    if not len(jumps.positions):
        return
    bounds = np.column_stack([jumps.first, jumps.last + 1]).ravel()
    most = np.where(wanted == NEVER, -1, wanted)
    highest = np.maximum.reduceat(np.append(most, -1), bounds)[::2]
    lowest = np.minimum.reduceat(np.append(wanted, NEVER), bounds)[::2]
    one = np.where(highest < 0, NEVER, highest)
    yield from depths.needing(jumps.positions, one, "is what there is where it leads")
    yield from depths.needing(jumps.positions, lowest, "is what there is where it leads")


def _at(places: Positions, wanted: Positions, positions: Positions) -> Positions:
    """What is wanted at positions; NEVER where they are no places."""
    if not len(places):
        return np.full(len(positions), NEVER, np.int64)
    index = np.minimum(np.searchsorted(places, positions), len(places) - 1)
    return np.where(places[index] == positions, wanted[index], NEVER)


def _joined(parts: list[Positions]) -> Positions:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _rows(parts: list[Positions], columns: int) -> Positions:
    return np.concatenate([np.empty((0, columns), np.int64), *parts])
