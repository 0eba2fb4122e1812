"""Assembly that people wrote may move rsp by numbers that nobody knows: its frames become constant ones here.

It aligns rsp (`andq $-64, %rsp`), makes room for a number in a register (`subq %rcx, %rsp`), goes to an
address that it has computed, and comes back by a copy of what rsp was (`leaq (%rsi), %rsp`). The depth of a
control stack is a constant, so:

- rsp is aligned to 16 bytes, which its depth tells, and wider aligned moves need no alignment;
- room of unknown size is ROOM, and more is a trap;
- where rsp comes back, the way from there to the return tells the depth. That the copy is what rsp was is
  compared: a program that changes to another stack has a trap;
- what is pushed lies in the twin, since such code reads it by its address;
- where ways of different depths meet, the others go as deep as the deepest;
- a loop that goes deeper each time is written out as often as the depth behind it tells.

A file in which this does not fit together stays as it is, for the rewriter to refuse. What it becomes is
verified like any other text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tmebox.records import dataclass, field
from tmebox.toolchain import steps
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.alignment import FRAME_ALIGNMENT, unaligned
from tmebox.toolchain.rewrite.stack_moves import (
    ROOM,
    TRAP,
    Statement,
    UnclearError,
    back,
    down,
    pushed,
    statements,
)

_MAY_MOVE = regex(r"%rsp\s*(?:$|[;#\n])|xchgq?\s+%rsp\b|\bleaveq?\b|\.byte\b", re.MULTILINE)
_PADDING = regex(r"\s*\.byte\s+0x67\s*")
_NUMBERED = regex(r"(\d+)([bf])")
_NOTHING = (".cfi", ".align", ".p2align", ".balign")
_MOST_TURNS, _MOST_HOPS, _PASSES = 64, 4, 8


def made_static(text: str) -> str:
    """The text with as many lines."""
    if _MAY_MOVE.search(text) is None:
        return text
    found = statements(text)
    if any(one.is_unknown or (one.was_bytes and one.deepening) for one in found):
        with suppress(UnclearError):
            return _Frames(found).text()
    return _joined(found, [one.text for one in found]) if any(one.was_bytes for one in found) else text


def _joined(found: Sequence[Statement], texts: Sequence[str]) -> str:
    """Each line as it was, of what stands for its statements."""
    lines: list[str] = []
    for one, text in zip(found, texts, strict=True):
        if not one.continues:
            lines.append(text)
        elif text.strip():
            lines[-1] += f"; {text.strip()}"
    return "\n".join(lines)


_Moved = tuple[Sequence[str] | None, int | None]
"""What stands for a statement, None where it stays; and the depth after it, None where nothing goes on."""


@dataclass
class _Frames:
    """depths: at labels. turns: how often loops that go deeper are run."""

    all: list[Statement]
    depths: dict[str, int] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    is_last: bool = False

    def text(self) -> str:
        """Raises UnclearError."""
        self._places = dict(self._find_labels())
        self._loops = dict(self._deepening_loops())
        for _ in range(_PASSES):
            before = dict(self.depths), dict(self.turns)
            self._walk()
            if (self.depths, self.turns) == before:
                break
        else:
            raise UnclearError
        self.is_last = True
        lines = _joined(self.all, self._walk()).split("\n")
        return "\n".join(unaligned(line, anywhere=True) for line in lines)

    def _find_labels(self) -> Iterator[tuple[str, int]]:
        """Keys, and where they are. Tells jumps where they lead."""
        last: dict[str, str] = {}
        waiting: dict[str, list[Statement]] = {}
        for place, one in enumerate(steps.watched(self.all)):
            if one.label:
                one.key = f".{place}" if one.label.isdigit() else one.label
                last[one.label] = one.key
                for jump in waiting.pop(one.label, ()):
                    jump.target = one.key
                yield one.key, place
            if one.is_jump:
                numbered = _NUMBERED.fullmatch(one.operands)
                if numbered is None:
                    one.target = one.operands
                elif numbered[2] == "b":
                    one.target = last.get(numbered[1], "")
                else:
                    waiting.setdefault(numbered[1], []).append(one)

    def _walk(self) -> list[str]:
        """Each statement's text, and what is known of depths."""
        out: list[str] = []
        depth: int | None = None
        while (place := len(out)) < len(self.all):
            one = self.all[place]
            if not one.label:
                new, depth = self._moved(place, depth)
                out.append(one.text if new is None else "\t" + "; ".join(new))
                continue
            above, depth = depth, self._arrive(one.key, depth)
            loop = self._loops.get(one.key)
            if loop is not None and depth is not None and self._solve(one.key, depth):
                out += self._written_out(place, loop[0], depth)
                depth += self.turns[one.key] * loop[1]
                continue
            deeper = 0 if above is None or depth is None else depth - above
            out.append(f"\tleaq -{deeper}(%rsp), %rsp; {one.text}" if deeper > 0 else one.text)
        return out

    def _arrive(self, key: str, depth: int | None) -> int | None:
        """The depth at a label: the greatest of those from where it is reached."""
        if not key.startswith("."):
            return 0
        known = self.depths.get(key)
        if depth is not None and (known is None or depth > known):
            known = self.depths[key] = depth
        return known

    def _moved(self, place: int, depth: int | None) -> _Moved:
        one = self.all[place]
        if not one.mnemonic:
            # Padding of a move of rsp, which becomes another instruction.
            following = self.all[place + 1] if place + 1 < len(self.all) else one
            is_padding = _PADDING.fullmatch(one.text) and "%rsp" in following.operands
            return ("nop",) if is_padding else None, depth
        if one.mnemonic == "call":
            if one.operands.startswith("."):
                self.depths.setdefault(one.operands, 0)
            return None, depth
        if one.is_jump:
            return None if depth is None else self._jump(
                place, depth
            ), None if one.mnemonic == "jmp" else depth
        if one.mnemonic in ("ret", "ud2", "hlt"):
            if self.is_last and one.mnemonic == "ret" and depth:
                raise UnclearError
            return None, None
        if one.is_unknown:
            if depth is None and self.is_last:
                raise UnclearError
            return (None, None) if depth is None else self._constant(place, depth)
        moved = one.deepening
        if moved is None:
            raise UnclearError
        if one.mnemonic in ("push", "pop"):
            return pushed(one), None if depth is None else depth + moved
        if moved > 0 and self._is_walk(place):
            return (TRAP,), depth
        return None, None if depth is None else depth + moved

    def _jump(self, place: int, depth: int) -> Sequence[str] | None:
        """With what makes rsp as deep as it is where the jump leads."""
        one = self.all[place]
        if not one.target.startswith(".") or one.target in self.turns:
            return None
        if self._places.get(one.target, place + 1) <= place:
            if self.depths.setdefault(one.target, depth) != depth and (
                self.is_last or one.target not in self._loops
            ):
                raise UnclearError
            return None
        deeper = max(depth, self.depths.get(one.target, 0)) - depth
        self.depths[one.target] = depth + deeper
        if not deeper:
            return None
        jump = f"leaq -{deeper}(%rsp), %rsp", f"{one.mnemonic} {one.operands}"
        return jump if one.mnemonic == "jmp" else (*jump, f"leaq {deeper}(%rsp), %rsp")

    def _constant(self, place: int, depth: int) -> _Moved:
        one = self.all[place]
        if one.alignment is not None:
            amount = (
                8 - depth
            ) % FRAME_ALIGNMENT  # where a function begins, the return address is at 8 mod 16
            return (f"leaq -{amount}(%rsp), %rsp" if amount else "nop",), depth + amount
        if one.mnemonic != "sub" and self._needs_flags(place + 1):
            raise UnclearError
        after = self._until_return(place + 1)
        if one.mnemonic == "leave":
            if after is None:
                raise UnclearError
            return (*back("rbp", 0, depth - after - 8), "movq (%rsp), %rbp", "leaq 8(%rsp), %rsp"), after
        if after is not None and one.mnemonic != "sub" and (origin := one.origin) is not None:
            return back(*origin, depth - after), after
        room = ROOM if one.mnemonic == "sub" else ROOM + (8 - depth) % FRAME_ALIGNMENT
        return down(one, room), depth + room

    def _onwards(self, place: int) -> Iterator[Statement]:
        """What is run from there on, as far as no branch may be taken."""
        hops = 0
        while place < len(self.all):
            one = self.all[place]
            yield one
            place += 1
            if one.mnemonic == "jmp":
                hops += 1
                place = self._places.get(one.target, len(self.all)) if hops <= _MOST_HOPS else len(self.all)

    def _until_return(self, place: int) -> int | None:
        """The depth from which on the way leads to a return; None if it is not clear."""
        depth = 0
        for one in self._onwards(place):
            if one.mnemonic == "ret":
                return depth
            if one.mnemonic == "jmp":
                continue
            moved = one.deepening
            if one.is_jump or one.is_unknown or moved is None or one.mnemonic in ("ud2", "hlt"):
                return None
            depth -= moved
        return None

    def _needs_flags(self, place: int) -> bool:
        for one in self._onwards(place):
            if one.reads_flags:
                return True
            if one.sets_flags:
                return False
        return True

    def _is_walk(self, place: int) -> bool:
        """A loop that touches page after page on its way down, where there is room already."""
        before = [one for one in self.all[max(place - 3, 0) : place] if one.text.strip()]
        following = [one for one in self.all[place + 1 : place + 6] if one.mnemonic][:3]
        if not before or not before[-1].key or len(following) != 3:
            return False
        _, compare, jump = following
        return compare.mnemonic.startswith("cmp") and jump.is_jump and jump.target == before[-1].key

    def _deepening_loops(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Key → where the loop's jump back is, and by how much it goes deeper each time."""
        for end, jump in enumerate(self.all):
            begin = self._places.get(jump.target, end) if jump.is_jump and jump.mnemonic != "jmp" else end
            body = self.all[begin + 1 : end]
            if begin >= end or any(
                one.is_jump or one.label or one.is_unknown or one.mnemonic == "ret" for one in body
            ):
                continue
            moved = sum(one.deepening or 0 for one in body)
            if moved > 0 and not any(map(self._is_walk, range(begin, end))):
                yield jump.target, (end, moved)

    def _solve(self, key: str, depth: int) -> bool:
        """Whether it is known how often the loop runs: behind it the way leads back to a label whose depth is
        known. Raises UnclearError."""
        end, each = self._loops[key]
        deeper = 0
        for one in () if key in self.turns else self.all[end + 1 :]:
            moved = one.deepening
            if one.mnemonic == "ret" or one.is_unknown or moved is None:
                break
            deeper += moved
            if one.is_jump and one.target in self.depths and self._places.get(one.target, end + 1) <= end:
                total = self.depths[one.target] - deeper - depth
                if not 0 < total <= each * _MOST_TURNS or total % each:
                    raise UnclearError
                self.turns[key] = total // each
                break
        return key in self.turns

    def _written_out(self, begin: int, end: int, depth: int) -> list[str]:
        """A text for each statement of the loop: all but the first turn stand where the jump back was."""
        one, jump, named = self.all[begin], self.all[end].mnemonic, f".Lstatic{begin}"
        body: list[str] = []
        for place in range(begin + 1, end):
            new, after = self._moved(place, depth)
            depth = depth if after is None else after
            body.append(self.all[place].text if new is None else "\t" + "; ".join(new))
        again = [text for text in (line.partition("#")[0].strip() for line in body) if text]
        again = [text for text in again if not text.startswith(_NOTHING)]
        rest: list[str] = []
        for turn in range(2, self.turns[one.key] + 1):
            rest += [f"{jump} {named}_{turn}", TRAP, f"{named}_{turn}: nop", *again]
        rest += [f"{jump} {named}_more", f"jmp {named}_done", f"{named}_more: {TRAP}", f"{named}_done: nop"]
        return [one.text, *body, "\t" + "; ".join(rest)]
