"""Rule `stack-depth-known`: where rsp stands, so that returns need no check.

For texts whose stack is the control stack, which no address in the window reaches. A function is entered with
rsp at its return address, which is depth 0. From there on each instruction that moves rsp moves it by a
constant, so that the depth, by how much rsp is below the return address, is known everywhere:

- a direct call's target, and what the target map calls a function, has depth 0;
- other places that direct branches and tables lead to have the depth that is claimed for them: the last claim
  at or before the place, since most of a function has one depth. Nobody believes a claim: whoever arrives
  must have it;
- after a call the depth is what it was before, since whatever was called has returned.

What follows is that a return address stays what the call pushed. Nothing writes through rsp at or above it,
rsp never comes above it, and `ret`, like every jump to a function, needs depth 0. So each `ret` returns to
its call.

Where nothing is claimed the depth is not known, which is fine for who does not need it. Nor is it known at an
`hlt` or `ud2`, whatever is claimed: failed checks of several functions branch there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from iced_x86 import Code, MemorySizeExt, OpAccess, Register

from tmebox.abi import CONTROL_GUARD, STACK_REACH
from tmebox.verify import instructions as known
from tmebox.verify.decoded import Decoded, signed

Positions = np.ndarray[Any, np.dtype[np.int64]]
_Truths = np.ndarray[Any, np.dtype[np.bool_]]

DEEPEST: Final = CONTROL_GUARD - 2 * STACK_REACH
"""Bytes. All that a function touches through rsp is nearer to its return address than the guard below control
stacks is wide."""
NEVER: Final = 1 << 40
"""Deeper than anything: a write of unknown size, a move of unknown length."""

_ADDS: Final = frozenset({Code.ADD_RM64_IMM8, Code.ADD_RM64_IMM32})
_SUBTRACTS: Final = frozenset({Code.SUB_RM64_IMM8, Code.SUB_RM64_IMM32})
_WRITING: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
SLOT: Final = 8
"""Bytes that pushes, pops, calls and returns move rsp by."""


def deepening(decoded: Decoded) -> int:
    """By how much the instruction moves rsp down, for what comes after it; NEVER if that is not known."""
    if Register.RSP not in decoded.written or decoded.code in known.CALLS or decoded.code in known.RETURNS:
        return 0
    if decoded.code in known.PUSHES:
        return SLOT
    if decoded.code in known.POPS:
        return NEVER if decoded.first_register == Register.RSP else -SLOT
    if decoded.first_register != Register.RSP:
        return NEVER
    if decoded.code in _ADDS:
        return -signed(decoded.instruction.immediate(1))
    if decoded.code in _SUBTRACTS:
        return signed(decoded.instruction.immediate(1))
    operand = decoded.operand
    if decoded.code == Code.LEA_R64_M and operand is not None:
        plain = operand.base == Register.RSP and operand.index == Register.NONE
        return -operand.displacement_i64 if plain else NEVER
    return NEVER


def written_up_to(decoded: Decoded) -> int | None:
    """Where what the instruction writes through rsp ends, counted from rsp; None if it writes nothing so."""
    ends = [
        access.displacement_i64 + (MemorySizeExt.size(access.memory_size) or NEVER)
        for access in decoded.accesses
        if access.base == Register.RSP and access.access in _WRITING
    ]
    return max(ends, default=None)


class Claims(NamedTuple):
    """Positions of the text, ascending, and the depth that places from there on have, up to the next
    claim."""

    positions: Positions
    depths: Positions

    def malformed(self) -> _Truths:
        out_of_order = np.zeros(len(self.positions), bool)
        out_of_order[1:] = self.positions[1:] <= self.positions[:-1]
        bad: _Truths = out_of_order | (self.depths < 0) | (self.depths > DEEPEST)
        return bad

    def at(self, positions: Positions) -> Positions:
        """The depth that is claimed for each; NEVER where none is."""
        index = np.searchsorted(self.positions, positions, side="right") - 1
        return (
            np.where(index >= 0, self.depths[np.maximum(index, 0)], NEVER)
            if len(self.positions)
            else (np.full(len(positions), NEVER, np.int64))
        )


class Branches(NamedTuple):
    """Direct ones: where they stand, where they lead, and whether they are calls. Targets outside the text
    are gates."""

    positions: Positions
    targets: Positions
    calls: _Truths


class Jumps(NamedTuple):
    """Jumps to computed targets, and the depth that each needs."""

    positions: Positions
    depths: Positions


_UNKNOWN: Final = 0
_KNOWN: Final = 1
_DEAD: Final = 2
"""Control never gets there, so that anything holds of who goes on from there."""

Problem = tuple[int, str]


class Depths:
    """The depth before each instruction of a text, and what is wrong with it."""

    def __init__(
        self, starts: Positions, deepening: Positions, ends: _Truths, places: Positions, depths: Positions
    ):
        """starts, deepening, ends: of all instructions, in order. places, depths: where control may arrive,
        in order, and the depth it has there; NEVER: not known."""
        self._starts = starts
        self._deepening = np.where(deepening == NEVER, 0, deepening)
        count = len(starts)
        self._arrived = np.searchsorted(starts, places)
        self._arrival_depths = depths
        begins = np.zeros(count, bool)
        begins[0] = True
        begins[1:] = ends[:-1]
        kind = np.where(begins, _DEAD, _UNKNOWN).astype(np.uint8)
        base = np.zeros(count, np.int64)
        is_known = depths != NEVER
        kind[self._arrived] = np.where(is_known, _KNOWN, _UNKNOWN)
        base[self._arrived] = np.where(is_known, depths, 0)
        begins[self._arrived] = True
        last = np.maximum.accumulate(np.where(begins, np.arange(count), 0))
        before = np.concatenate([[0], np.cumsum(self._deepening)[:-1]])
        self.depth = base[last] + before - before[last]
        self.kind = kind[last]
        self._ends = ends

    def at(self, positions: Positions) -> tuple[Positions, Positions]:
        """Kind and depth before these instructions."""
        index = np.searchsorted(self._starts, positions)
        return self.kind[index].astype(np.int64), self.depth[index]

    def after(self, calls: Positions) -> tuple[Positions, Positions]:
        """Where these calls return to, if there is anything, and the depth there."""
        index = np.searchsorted(self._starts, calls)
        index = index[index + 1 < len(self._starts)]
        return self._starts[index + 1], self.depth[index]

    def needing(self, positions: Positions, wanted: Positions, why: str) -> Iterator[Problem]:
        """Those that come with another depth than what is wanted. NEVER is content with any."""
        kinds, depths = self.at(positions)
        wrong = (wanted != NEVER) & (kinds != _DEAD) & ((kinds != _KNOWN) | (depths != wanted))
        for index in np.flatnonzero(wrong).tolist():
            yield (
                int(positions[index]),
                f"{_described(kinds[index], depths[index])}, and {int(wanted[index])} {why}",
            )

    def live(self, positions: Positions) -> Iterator[Problem]:
        """Those where the depth has to be known, and is not."""
        kinds, depths = self.at(positions)
        for index in np.flatnonzero(kinds != _KNOWN).tolist():
            yield int(positions[index]), _described(kinds[index], depths[index])

    def moves(self, unknown: _Truths) -> Iterator[Problem]:
        """Instructions that move rsp where or by what is not known, above the return address, or too deep."""
        moving = np.flatnonzero((self._deepening != 0) | unknown)
        after = self.depth[moving] + self._deepening[moving]
        bad = unknown[moving] | (self.kind[moving] != _KNOWN) | (after < 0) | (after > DEEPEST)
        for index in moving[bad].tolist():
            depth = int(self.depth[index] + self._deepening[index])
            why = (
                "it moves rsp by what is not known"
                if unknown[index]
                else _described(self.kind[index], 0)
                if self.kind[index] != _KNOWN
                else f"it moves rsp to {depth} bytes below the return address, not in [0, {DEEPEST:#x}]"
            )
            yield int(self._starts[index]), why

    def writes(self, positions: Positions, ends: Positions) -> Iterator[Problem]:
        """Writes through rsp that do not end below the return address."""
        kinds, depths = self.at(positions)
        for index in np.flatnonzero((kinds != _KNOWN) | (ends > depths)).tolist():
            known_depth = kinds[index] == _KNOWN
            yield (
                int(positions[index]),
                "it writes at or above the return address" if known_depth else _described(kinds[index], 0),
            )

    def runs(self) -> Iterator[Problem]:
        """Control that runs into a place where it arrives with another depth."""
        into = self._arrived[self._arrived > 0]
        wanted = self._arrival_depths[self._arrived > 0]
        runs_in = ~self._ends[into - 1] & (wanted != NEVER)
        into, wanted = into[runs_in], wanted[runs_in]
        kinds, depths = self.kind[into - 1], self.depth[into - 1] + self._deepening[into - 1]
        wrong = (kinds != _DEAD) & ((kinds != _KNOWN) | (depths != wanted))
        for index in np.flatnonzero(wrong).tolist():
            yield (
                int(self._starts[into[index] - 1]),
                f"{_described(kinds[index], depths[index])} where control runs on to a place of depth "
                f"{int(wanted[index])}",
            )


def _described(kind: int, depth: int) -> str:
    return f"the depth is {int(depth)}" if kind == _KNOWN else "the depth of the stack is not known here"
