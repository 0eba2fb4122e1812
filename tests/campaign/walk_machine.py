"""A machine that walks through a text of the part `walks`, as hostile as can be, and sees where it escapes.

It knows nothing of how the verifier judges. It has the registers, rsp, where return addresses stand, and what
the verifier has handed on: the target map, which checked branches read, and the depths by which the core
finds frames when it is asked for a longjmp. Conditions that it does not follow are as chance has it, and so
is what is loaded, and what registers hold after the host or another text had them.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final, NamedTuple

import numpy as np

from tests.campaign.walk_items import LOW_32, NONE, SLOT, Item
from tests.campaign.walk_texts import ADDRESS, MIB, Text
from tmebox import abi
from tmebox.verify import VerifiedText

WINDOW: Final = 0x7000 << 32
FIRST_RETURN: Final = (16 << 32) + abi.TWIN_DISTANCE + abi.STACK_TOP - 64
"""Where the core's call has written its return address; at a multiple of 8."""
OTHER_TEXT: Final = ADDRESS + 64 * MIB
"""Another one of the sandbox, which is verified, too: a function here, and behind it a label with each
mark."""
HOST: Final = -1
"""In place of an item: the core, which has called."""
MOST_STEPS: Final = 120
MOST_FRAMES: Final = 12
_MARKED: Final = dict(zip(abi.LABEL_MARKS, abi.LABEL_DEPTHS, strict=True))
_WHOLE: Final = (1 << 64) - 1


class Escape(Exception):
    """Something has happened that must not: what."""


class _Ended(Exception):
    """The walk is over, and nothing was wrong."""


class Return(NamedTuple):
    """A live return address. place: where it stands. target: the item that it leads to, or HOST."""

    place: int
    target: int


class Machine:
    """One walk. returns: the live return addresses, the innermost last. slots: words on the stack that are
    known. targets: what is marked in the target map. condition: whether a branch that directly follows a
    check is taken. steps: the items that control came to, and the depth there. kinds: counts them, and what
    runs elsewhere.
    """

    def __init__(self, rng: random.Random, text: Text, verdict: VerifiedText, kinds: Counter[str]) -> None:
        self.rng = rng
        self.text = text
        self.map = verdict.target_map
        self.depths = _depths(verdict)
        self.starts = text.starts()
        self.items_at = {place: number for number, place in enumerate(self.starts[:-1])}
        self.targets = [place for place, mark in enumerate(self.map) if mark]
        self.kinds = kinds
        self.registers = {register: self.hostile() for register in range(16)}
        self.rsp = FIRST_RETURN
        self.returns = [Return(FIRST_RETURN, HOST)]
        self.slots: dict[int, int] = {}
        self.condition: bool | None = None
        self.steps: list[tuple[int, int]] = []

    @property
    def depth(self) -> int:
        return self.returns[-1].place - self.rsp

    def walk(self) -> None:
        """Raises Escape."""
        try:
            number = self.another_text()
            while len(self.steps) < MOST_STEPS and len(self.returns) <= MOST_FRAMES:
                if number >= len(self.text.items):
                    raise Escape("control runs over the end of the text")
                self.steps.append((number, self.depth))
                if not 0 <= self.depth <= abi.CONTROL_GUARD - abi.STACK_REACH:
                    raise Escape(
                        f"rsp leaves its frame: it is {self.depth:#x} bytes below the return address"
                    )
                item = self.text.items[number]
                self.kinds[item.kind] += 1
                number = self.step(item, number + 1)
        except _Ended:
            return

    def hostile(self) -> int:
        rng = self.rng
        return rng.choice(
            (
                rng.getrandbits(64), rng.getrandbits(40), rng.getrandbits(32), rng.getrandbits(8),
                rng.randrange(4), rng.randrange(4), 1 << 31, 1 << 32, LOW_32, _WHOLE, WINDOW,
                WINDOW + rng.getrandbits(32),
            )
        )  # fmt: skip

    def all_hostile(self) -> None:
        for register in self.registers:
            self.registers[register] = self.hostile()

    # -- one instruction -----------------------------------------------------------------------------------

    def step(self, item: Item, following: int) -> int:
        """Do what the item says; returns the number of the one to go on with."""
        condition, self.condition = self.condition, None
        match item.kind:
            case "push":
                self.write(self.rsp - SLOT, SLOT)
                self.rsp -= SLOT
            case "pop" | "load" | "exchange and add":
                for register in item.writes:
                    self.registers[register] = self.hostile()
                self.rsp -= item.deepens
            case "move rsp":
                self.rsp -= item.deepens
            case "store":
                self.write(self.rsp + item.displacement, item.size_bytes)
            case "set" | "load base" | "move perhaps" | "truncate":
                self.registers[item.register] = self.computed(item)
            case "access":
                self.access(item)
            case "check function" | "check label":
                self.condition = self.finds_nothing(item)
            case "compare":
                self.condition = self.registers[item.register] > item.number
            case "compare half":
                self.condition = self.registers[item.register] & LOW_32 > item.number
            case "keep target":
                place = self.rsp + abi.SPILL_TARGET
                self.write(place, SLOT)
                self.slots[place] = self.registers[item.register]
            case "nop":
                pass
            case _:
                return self.go(item, following, condition)
        return following

    def computed(self, item: Item) -> int:
        old, source = self.registers[item.register], self.registers.get(item.source, 0)
        match item.kind:
            case "load base":
                return WINDOW
            case "move perhaps":
                return self.rng.choice((old, source)) & LOW_32
            case "truncate":
                return self.candidate() if self.rng.random() < 0.9 else old & LOW_32
        assert item.compute is not None
        return item.compute(old, source) & _WHOLE

    def access(self, item: Item) -> None:
        index = self.registers[item.index] * item.scale if item.index != NONE else 0
        address = (self.registers[item.source] + index + item.displacement) & _WHOLE
        end = address + item.size_bytes
        if address < WINDOW - abi.GUARD or end > WINDOW + abi.WINDOW_SIZE + abi.GUARD:
            raise Escape(f"an access at {address - WINDOW:#x} from the window's base")
        self.registers[item.register] = self.hostile()

    def write(self, place: int, size_bytes: int) -> None:
        for live in self.returns:
            if place < live.place + SLOT and live.place < place + size_bytes:
                raise Escape(f"a write at rsp{place - self.rsp:+#x} touches a live return address")
        for slot in [slot for slot in self.slots if place < slot + SLOT and slot < place + size_bytes]:
            del self.slots[slot]

    # -- where control goes --------------------------------------------------------------------------------

    def go(self, item: Item, following: int, condition: bool | None) -> int:
        match item.kind:
            case "jump":
                return item.target
            case "branch" | "loop":
                if item.compute is not None:
                    old = self.registers[item.register]
                    self.registers[item.register] = item.compute(old, 0) & _WHOLE
                return item.target if self.rng.random() < 0.5 else following
            case "unless found" | "unless in bounds":
                is_taken = self.rng.random() < 0.5 if condition is None else condition
                return item.target if is_taken else following
            case "call":
                self.push_return(following)
                return item.target
            case "call of register":
                self.push_return(following)
                return self.arrive(self.registers[item.register])
            case "jump to register":
                return self.arrive(self.registers[item.register])
            case "jump to slot":
                target = self.slots.get(self.rsp + abi.SPILL_TARGET)
                if target is None:
                    raise Escape("it jumps to what the sandbox may have written")
                return self.arrive(target)
            case "table":
                return self.through_table(item)
            case "return":
                return self.leave_function()
            case "gate call":
                self.push_return(following)
                return self.gate()
            case "gate jump":
                return self.gate()
            case "stop":
                raise _Ended
        raise ValueError(f"an item of kind {item.kind!r}")

    def push_return(self, following: int) -> None:
        self.write(self.rsp - SLOT, SLOT)
        self.rsp -= SLOT
        self.returns.append(Return(self.rsp, following))

    def leave_function(self) -> int:
        if self.depth != 0:
            raise Escape(f"a return at depth {self.depth}")
        target = self.returns.pop().target
        self.rsp += SLOT
        if target == HOST:
            raise _Ended
        return target

    def through_table(self, item: Item) -> int:
        """The address is of 32 bits, and so is the register."""
        tables = ADDRESS + self.starts[-1]
        address = tables + abi.TABLE_ENTRY * (item.number + self.registers[item.register]) & LOW_32
        entry, rest = divmod(address - tables, abi.TABLE_ENTRY)
        if rest or not 0 <= entry < len(self.text.table):
            raise Escape(f"it reads entry {entry} of {len(self.text.table)} in the tables")
        return self.text.table[entry]

    # -- checked branches ----------------------------------------------------------------------------------

    def candidate(self) -> int:
        """What the attacker has in a register that a branch will go by: 32 bits."""
        rng = self.rng
        marked = [ADDRESS + place for place in self.targets]
        others = [OTHER_TEXT + number for number in range(4)]
        anywhere = [ADDRESS + rng.randrange(len(self.map))]
        return rng.choice(rng.choice([marked or anywhere, marked or anywhere, others, anywhere]))

    def mark(self, address: int) -> int:
        """What the target map says of it."""
        if not 0 <= address <= LOW_32:
            raise Escape(f"it reads the target map for {address:#x}")
        if OTHER_TEXT <= address <= OTHER_TEXT + len(abi.LABEL_MARKS):
            return (abi.TARGET_FUNCTION, *abi.LABEL_MARKS)[address - OTHER_TEXT]
        place = address - ADDRESS
        return self.map[place] if 0 <= place < len(self.map) else 0

    def finds_nothing(self, item: Item) -> bool:
        """Whether the branch behind the check is taken."""
        mark = self.mark(self.registers[item.register])
        zero = mark & item.number == 0 if item.kind == "check function" else mark == item.number
        behind = self.text.items[self.steps[-1][0] + 1]
        return zero == bool(behind.number) if behind.kind == "unless found" else zero

    def arrive(self, address: int) -> int:
        """An indirect branch goes there."""
        if OTHER_TEXT <= address <= OTHER_TEXT + len(abi.LABEL_MARKS):
            wanted = (0, *abi.LABEL_DEPTHS)[address - OTHER_TEXT]
            if self.depth != wanted:
                raise Escape(f"another text is entered at depth {self.depth}, not {wanted}")
            return self.another_text()
        number = self.items_at.get(address - ADDRESS)
        if number is None:
            raise Escape(f"control goes to {address:#x}, where no instruction is")
        return number

    def another_text(self) -> int:
        """It runs in the same frame, and goes on as its own checks let it: to a function, to a label that
        has a mark, back to who has called, or to the host."""
        self.kinds["another text"] += 1
        self.all_hostile()
        entry, rng = self.returns[-1].place, self.rng
        self.rsp = entry
        if not self.targets or (self.steps and rng.random() < 0.5):
            return self.gate() if rng.random() < 0.3 else self.leave_function()
        place = rng.choice(self.targets)
        self.rsp = entry - _MARKED.get(self.map[place], 0)
        return self.arrive(ADDRESS + place)

    # -- the host ------------------------------------------------------------------------------------------

    def gate(self) -> int:
        """A host call, which returns, or goes back to a frame."""
        if self.depth != 0:
            raise Escape(f"the gate is entered at depth {self.depth}")
        self.all_hostile()
        target = self.longjmp() if self.depths and self.rng.random() < 0.4 else None
        return self.leave_function() if target is None else target

    def longjmp(self) -> int | None:
        """By the core's rule (returns.c), to where the sandbox asks for; None if it is refused."""
        position = self.rng.choice(sorted(self.depths))
        wanted = self.rng.choice(self.returns).place
        rsp = wanted - self.depths[position]
        live = {one.place: one.target for one in self.returns}
        place = self.rsp
        while place != wanted or place == self.rsp:
            if place not in live:
                raise Escape("the core takes other bytes for a return address")
            if live[place] == HOST:
                return None
            behind = self.depths.get(self.starts[live[place]])
            if behind is None:
                return None
            place += SLOT + behind
        if rsp % SLOT or rsp - SLOT < self.rsp:
            return None
        self.returns = [one for one in self.returns if one.place >= wanted]
        self.write(rsp - SLOT, SLOT)
        self.rsp = rsp
        self.kinds["longjmp"] += 1
        return self.arrive(ADDRESS + position)


def _depths(verdict: VerifiedText) -> dict[int, int]:
    """Where calls return to, and labels: the depth there."""
    places, depths = (np.frombuffer(numbers, "<u4").tolist() for numbers in verdict.returns)
    return dict(zip(places, depths, strict=True))
