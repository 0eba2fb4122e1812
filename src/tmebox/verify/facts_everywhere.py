"""Where which facts about registers hold: along straight-line code, and from claim to claim.

Nothing is known where control arrives from elsewhere (a direct branch's target, a table's entry, whatever is
marked in the target map, and so the place after each call), but for what a *claim* says about that place. A
claim is checked on every way to the place: from the instruction before it, from each direct branch, and from
each jump through a table. Where other texts may arrive, or returns, there is no claim. From a place on,
a fact about a register holds until something writes the register; what writes it may make another fact true.

Behind an instruction past which control never runs, as in padding, any claim is true until control may
arrive again. Accesses there need facts all the same.

So whether a fact holds somewhere depends on the last thing before that: an arrival, a write of the register,
or an end of control. Every question is answered alone, by looking it up; there is no order in which to go,
and no fixpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from tmebox.verify.facts import BASE, NOTHING, OFFSET_BITS
from tmebox.verify.reading import Block, Indexes, Places, Positions
from tmebox.verify.registers import BY_NUMBER

_Facts = np.ndarray[Any, np.dtype[np.uint8]]
_Halves = np.ndarray[Any, np.dtype[np.uint16]]
_Truths = np.ndarray[Any, np.dtype[np.bool_]]


_ANYTHING: Final = 254
"""Whatever may be asked holds: control never gets there."""


class TableJumps(NamedTuple):
    """Where they stand, and the first and the last of the tables' entries that each can read."""

    positions: Positions
    first: Positions
    last: Positions


class _Questions:
    """Whether facts hold for one register: at the moments `keys`, `wanted` has to be. `positions` are for
    messages."""

    def __init__(self) -> None:
        self.keys: list[Positions] = []
        self.wanted: list[_Facts] = []
        self.positions: list[Positions] = []

    def ask(self, keys: Positions, wanted: _Facts, positions: Positions) -> None:
        self.keys.append(keys)
        self.wanted.append(wanted)
        self.positions.append(positions)


class Claims(NamedTuple):
    """What a text's metadata says about registers: where (a position of the text), a register's number, and a
    fact. All are taken as they come."""

    positions: Positions
    registers: Positions
    facts: Positions

    def malformed(self) -> _Truths:
        """Those that say nothing which could be a fact, or are out of order: ascending by position and
        register, so that there is one claim about each."""
        keys = self.positions * 16 + self.registers
        disordered = np.zeros(len(keys), bool)
        disordered[1:] = keys[1:] <= keys[:-1]
        is_fact = (self.facts >= 0) & (self.facts <= OFFSET_BITS) | (self.facts == BASE)
        malformed: _Truths = ~np.isin(self.registers, list(BY_NUMBER)) | ~is_fact | disordered
        return malformed

    def only(self, chosen: _Truths) -> Claims:
        return Claims(self.positions[chosen], self.registers[chosen], self.facts[chosen])


class Text:
    """Told of a text's instructions in their order, then asked for what does not hold."""

    def __init__(self) -> None:
        self._starts: list[Places] = []
        self._ends: list[_Truths] = []
        self._writes: list[_Halves] = []
        self._left: list[_Halves] = []
        self._accesses: list[Positions] = []

    def read(self, block: Block) -> None:
        kinds = block.kinds
        self._starts.append(block.starts)
        self._ends.append(np.array([form.ends for form in block.forms], bool)[kinds])
        self._writes.append(np.array([form.writes for form in block.forms], np.uint16)[kinds])
        left = [
            NOTHING if form.leaves is None else form.leaves[0] << 8 | form.leaves[1] for form in block.forms
        ]
        self._left.append(np.array(left, np.uint16)[kinds])
        accesses = block.where(lambda form: form.access)
        if len(accesses):
            needs = np.array([form.access or (-1, -1, 0) for form in block.forms], np.int64)[kinds[accesses]]
            self._accesses.append(np.column_stack([block.starts[accesses], needs]))

    def known(
        self, arrivals: Positions, claims: Claims, positions: Positions, registers: Positions
    ) -> _Facts:
        """What is known of each register, by number, when control has come to a position. arrivals, claims:
        as for `unproven`, which says whether the claims hold."""
        text = self._whole(arrivals, claims)
        known = np.full(len(positions), NOTHING, np.uint8)
        for number in set(registers.tolist()):
            mine = registers == number
            known[mine] = text.facts(number, _upon(positions[mine]))
        return known

    def _whole(self, arrivals: Positions, claims: Claims) -> _Whole:
        starts = np.concatenate(self._starts).astype(np.int64)
        ends = np.concatenate(self._ends)
        return _Whole(
            starts,
            ends,
            np.concatenate(self._writes),
            np.concatenate(self._left),
            _upon(arrivals),
            _past(starts[ends]),
            claims,
        )

    def unproven(
        self,
        arrivals: Positions,
        claims: Claims,
        branches: Positions,
        targets: Positions,
        jumps: TableJumps,
        entries: Positions,
    ) -> Iterator[tuple[int, str, bool]]:
        """What does not hold: a position, what is missing there, and whether it is an access that misses it.

        arrivals: positions where control may arrive from anywhere but the instruction before, in order; all
        of `targets`, where the direct branches at `branches` lead, of `entries`, those of the tables that
        `jumps` go through, and of the claims' places are among them if they are positions of the text.
        claims: at starts of instructions, ascending, well formed.
        """
        if not self._accesses and not len(claims.positions):
            return
        accesses = np.concatenate([np.empty((0, 4), np.int64), *self._accesses])
        text = self._whole(arrivals, claims)
        starts, ends = text.starts, text.ends
        to_claims = np.isin(targets, claims.positions, kind="table")
        branches, targets = branches[to_claims], targets[to_claims]
        for number in BY_NUMBER:
            mine = claims.registers == number
            places, facts = claims.positions[mine], claims.facts[mine].astype(np.uint8)
            needed = _Questions()
            _ask_for_accesses(needed, accesses, number)
            asked_by_accesses = sum(map(len, needed.keys))
            if len(places):
                _ask_for_branches(needed, places, facts, branches, targets)
                _ask_for_neighbours(needed, places, facts, starts, ends)
                _ask_for_table_jumps(needed, places, facts, jumps, entries)
            if not sum(map(len, needed.keys)):
                continue
            found = text.facts(number, np.concatenate(needed.keys))
            wanted, positions = np.concatenate(needed.wanted), np.concatenate(needed.positions)
            holds = np.where(wanted == BASE, found == BASE, found <= wanted)
            holds[asked_by_accesses:] |= found[asked_by_accesses:] == _ANYTHING
            for index in np.flatnonzero(~holds).tolist():
                missing = _described(number, int(wanted[index]))
                yield int(positions[index]), missing, index < asked_by_accesses


def _described(number: int, wanted: int) -> str:
    name = BY_NUMBER[number]
    if wanted == BASE:
        return f"%{name} is not known to hold the window's base"
    return f"%{name} is not known to be below 2^{wanted}"


# Moments, as numbers that ascend with the text: four for each position.


def _upon(positions: Positions) -> Positions:
    """Control has arrived at an instruction."""
    return 4 * positions


def _after(positions: Positions) -> Positions:
    """The instruction has run: also for who branches elsewhere."""
    return 4 * positions + 1


def _past(positions: Positions) -> Positions:
    """Control goes on to the next instruction."""
    return 4 * positions + 2


def _running_into(positions: Positions) -> Positions:
    """Control comes from the instruction above, and no other way."""
    return 4 * positions - 1


class _Whole(NamedTuple):
    """All of a text's instructions: where they start, which end control, the registers that they write, the
    facts that they leave; the moments at which control arrives, and behind which it never runs on."""

    starts: Positions
    ends: _Truths
    writes: _Halves
    left: _Halves
    arriving: Positions
    ending: Positions
    claims: Claims

    def facts(self, number: int, keys: Positions) -> _Facts:
        """What is known of one register at moments."""
        mine = self.claims.registers == number
        places, claimed = self.claims.positions[mine], self.claims.facts[mine].astype(np.uint8)
        writing = np.flatnonzero(self.writes & (1 << number) != 0)
        register = _Register(number, writing, self.starts[writing], self.left, places, claimed)
        return register.facts(keys, self.arriving, self.ending)


class _Register:
    """What is known of one register at each moment."""

    def __init__(
        self,
        number: int,
        writing: Indexes,
        written: Positions,
        left: _Halves,
        places: Positions,
        claimed: _Facts,
    ) -> None:
        """writing, written: the instructions that write it, and where they stand. left: of all instructions,
        a register << 8 | the fact about it. places, claimed: the claims about it."""
        self._number = number
        self._writing = writing
        self._written = _after(written)
        self._left = left
        self._claimed = _upon(places)
        self._claims = claimed

    def facts(self, keys: Positions, arrivals: Positions, ends: Positions) -> _Facts:
        """What is known at each of these moments: by the last thing that happened until then. arrivals, ends:
        moments at which control may arrive, and behind which it never runs on."""
        _, arrived = _last(arrivals, keys)
        write, wrote = _last(self._written, keys)
        _, ended = _last(ends, keys)
        claim, claimed = _last(self._claimed, keys)
        found = np.full(len(keys), NOTHING, np.uint8)
        by_write = wrote > arrived
        left = self._left[self._writing[write[by_write]]]
        found[by_write] = np.where(left >> 8 == self._number, left & 0xFF, NOTHING)
        by_claim = (claimed == arrived) & (arrived >= 0) & ~by_write
        found[by_claim] = self._claims[claim[by_claim]]
        found[(ended > arrived) & (ended > wrote)] = _ANYTHING
        return found


def _last(moments: Positions, keys: Positions) -> tuple[Positions, Positions]:
    """For each key, which of the moments was the last one until then, and when; -1 where there was none."""
    index = np.searchsorted(moments, keys, side="right") - 1
    when = np.full(len(keys), -1, np.int64)
    when[index >= 0] = moments[index[index >= 0]]
    return index, when


def _ask_for_accesses(needed: _Questions, accesses: Positions, number: int) -> None:
    positions, bases, indexes, bits = accesses.T
    through, indexed = positions[bases == number], indexes == number
    needed.ask(_upon(through), np.full(len(through), BASE, np.uint8), through)
    needed.ask(_upon(positions[indexed]), bits[indexed].astype(np.uint8), positions[indexed])


def _ask_for_branches(
    needed: _Questions, places: Positions, facts: _Facts, branches: Positions, targets: Positions
) -> None:
    """Whoever branches to a claim's place comes with what it says."""
    at = np.minimum(np.searchsorted(places, targets), len(places) - 1)
    going = places[at] == targets
    needed.ask(_after(branches[going]), facts[at[going]], branches[going])


def _ask_for_neighbours(
    needed: _Questions, places: Positions, facts: _Facts, starts: Positions, ends: Any
) -> None:
    """So does control that runs into it from above."""
    before = np.searchsorted(starts, places) - 1
    runs_in = (before >= 0) & ~ends[np.maximum(before, 0)]
    needed.ask(_running_into(places[runs_in]), facts[runs_in], starts[before[runs_in]])


def _ask_for_table_jumps(
    needed: _Questions, places: Positions, facts: _Facts, jumps: TableJumps, entries: Positions
) -> None:
    """And whoever jumps through a table to it. For each fact, entries that claim it are counted from the
    tables' beginning on, so that a jump costs the same whatever the size of its table."""
    if not len(entries) or not len(jumps.positions):
        return
    at = np.minimum(np.searchsorted(places, entries), len(places) - 1)
    claimed = np.where(places[at] == entries, facts[at], NOTHING)
    for fact in sorted(set(claimed[claimed != NOTHING].tolist())):
        count = np.concatenate([[0], np.cumsum(claimed == fact)])
        going = count[jumps.last + 1] > count[jumps.first]
        positions = jumps.positions[going]
        needed.ask(_after(positions), np.full(len(positions), fact, np.uint8), positions)
