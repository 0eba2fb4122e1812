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
from tmebox.verify.decoded import Decoded, Field, signed

Positions = np.ndarray[Any, np.dtype[np.int64]]
_Truths = np.ndarray[Any, np.dtype[np.bool_]]

DEEPEST: Final = CONTROL_GUARD - 2 * STACK_REACH
"""Bytes. All that a function touches through rsp is nearer to its return address than the guard below control
stacks is wide."""
_NO_SIZE: Final = 1 << 40
"""Of a write whose size is not known: larger than anything."""

_ADDS: Final = frozenset({Code.ADD_RM64_IMM8, Code.ADD_RM64_IMM32})
_SUBTRACTS: Final = frozenset({Code.SUB_RM64_IMM8, Code.SUB_RM64_IMM32})
_WRITING: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
SLOT: Final = 8
"""Bytes that pushes, pops, calls and returns move rsp by."""


def deepening(decoded: Decoded) -> int | None:
    """By how much the instruction moves rsp down, for what comes after it; None if that is not known."""
    if Register.RSP not in decoded.written or decoded.code in known.CALLS or decoded.code in known.RETURNS:
        return 0
    if decoded.code in known.PUSHES:
        return SLOT
    if decoded.code in known.POPS:
        return None if decoded.first_register == Register.RSP else -SLOT
    if decoded.first_register != Register.RSP:
        return None
    if decoded.code in _ADDS:
        return -signed(decoded.instruction.immediate(1))
    if decoded.code in _SUBTRACTS:
        return signed(decoded.instruction.immediate(1))
    operand = decoded.operand
    if decoded.code == Code.LEA_R64_M and operand is not None:
        plain = operand.base == Register.RSP and operand.index == Register.NONE
        return -operand.displacement_i64 if plain else None
    return None


class Writes(NamedTuple):
    """Where what an instruction writes through rsp ends, counted from rsp: `end` bytes beyond the number in
    `displacement`, if that is not None."""

    displacement: Field | None
    end: int


def writes_through_rsp(decoded: Decoded) -> Writes | None:
    """None if it writes nothing so. A push or a call writes right below rsp, whatever its operand is."""
    ends = [
        access.displacement_i64 + (MemorySizeExt.size(access.memory_size) or _NO_SIZE)
        for access in decoded.accesses
        if access.base == Register.RSP and access.access in _WRITING
    ]
    if not ends:
        return None
    operand = decoded.operand
    if operand is None or operand.base != Register.RSP or decoded.opcode.moves_rsp:
        return Writes(None, max(ends))
    return Writes(decoded.displacement(), max(ends) - operand.displacement_i64)


# In place of a depth:
NOBODY: Final = -1
"""Control arrives there from the instruction above, and no other way."""
UNKNOWN: Final = -2
_DEAD: Final = -3
"""Control never gets there, so that anything holds of who goes on from there."""


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
        """The depth that is claimed for each; UNKNOWN where none is."""
        index = np.searchsorted(self.positions, positions, side="right")
        return np.concatenate([[UNKNOWN], self.depths])[index]


Problem = tuple[int, str]


class Depths:
    """The depth before each instruction of a text, and what is wrong with it. Instructions go by their
    index."""

    def __init__(self, starts: Positions, deepening: Positions, ends: _Truths, arriving: Positions):
        """starts, deepening, ends: of all instructions, in order. arriving: the depth that is wanted of who
        arrives there, or UNKNOWN or NOBODY."""
        self._starts = starts
        self._deepening = deepening
        self._ends = ends
        self._arriving = arriving
        begins = arriving != NOBODY
        begins[0] = True
        begins[1:] |= ends[:-1]
        begin = np.flatnonzero(begins)  # from each to the next one control only runs on
        lengths = np.diff(begin, append=len(starts))
        first = arriving[begin]
        first[first == NOBODY] = _DEAD
        moved = np.cumsum(deepening) - deepening
        self.depth: Positions = moved + np.repeat(np.maximum(first, 0) - moved[begin], lengths)
        self.kind = np.repeat(np.minimum(first, 0).astype(np.int8), lengths)
        """0 where the depth is known, else UNKNOWN or _DEAD."""

    def needing(self, at: Positions, wanted: Positions, why: str) -> Iterator[Problem]:
        """Those that come with another depth than what is wanted, if any is."""
        wrong = (wanted >= 0) & (self.kind[at] != _DEAD)
        wrong &= (self.kind[at] != 0) | (self.depth[at] != wanted)
        for one, depth in zip(at[wrong].tolist(), wanted[wrong].tolist(), strict=True):
            yield int(self._starts[one]), f"{self._described(one)}, and {depth} {why}"

    def live(self, at: Positions) -> Iterator[Problem]:
        """Those where the depth has to be known, and is not."""
        for one in at[self.kind[at] != 0].tolist():
            yield int(self._starts[one]), self._described(one)

    def moves(self, at: Positions) -> Iterator[Problem]:
        """Instructions that move rsp where it is not known, above the return address, or too deep."""
        after = self.depth[at] + self._deepening[at]
        bad = (self.kind[at] != 0) | (after < 0) | (after > DEEPEST)
        for one, depth in zip(at[bad].tolist(), after[bad].tolist(), strict=True):
            too_far = f"it moves rsp to {depth} bytes below the return address, not in [0, {DEEPEST:#x}]"
            yield int(self._starts[one]), too_far if self.kind[one] == 0 else self._described(one)

    def writes(self, at: Positions, ends: Positions) -> Iterator[Problem]:
        """Writes through rsp that do not end below the return address."""
        for one in at[(self.kind[at] != 0) | (ends > self.depth[at])].tolist():
            is_known = self.kind[one] == 0
            yield (
                int(self._starts[one]),
                "it writes at or above the return address" if is_known else self._described(one),
            )

    def runs(self) -> Iterator[Problem]:
        """Control that runs into a place where it arrives with another depth."""
        into = np.flatnonzero(self._arriving >= 0)
        into = into[into > 0]
        into = into[~self._ends[into - 1]]
        wanted, kinds = self._arriving[into], self.kind[into - 1]
        depths = self.depth[into - 1] + self._deepening[into - 1]
        wrong = (kinds != _DEAD) & ((kinds != 0) | (depths != wanted))
        for one, depth in zip(into[wrong].tolist(), wanted[wrong].tolist(), strict=True):
            yield (
                int(self._starts[one - 1]),
                f"{self._described(one - 1)} before it, and control runs on to a place of depth {depth}",
            )

    def _described(self, one: int) -> str:
        is_known = self.kind[one] == 0
        return f"the depth is {self.depth[one]}" if is_known else "the depth of the stack is not known here"
