"""Random texts for the part `walks`: each of one mix of items, so that what belongs together meets often."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from tests.campaign import walk_items as make
from tests.campaign.walk_items import BRANCHES, REGISTERS, Item, little
from tmebox import abi

ADDRESS: Final = abi.TEXT_NOMINAL
MIB: Final = 1 << 20


@dataclass
class Text:
    """Items go by their number. functions: those claimed as targets; labels: likewise, with the depth that is
    claimed of each. table: where the entries of its tables lead."""

    items: list[Item]
    functions: list[int]
    labels: dict[int, int]
    table: list[int]

    def starts(self) -> list[int]:
        """Where each item begins in the text; and where the last one ends, which is where tables begin."""
        return list(accumulate((len(item.encoding) for item in self.items), initial=0))

    def code(self) -> bytes:
        """With the tables at its end."""
        starts = self.starts()
        code = b"".join(
            item.encoding[: len(item.encoding) - item.branch_bytes]
            + little(self._number_of(item, starts, end), item.branch_bytes)
            for item, end in zip(self.items, starts[1:], strict=True)
        )
        return code + b"".join(little(ADDRESS + starts[entry], abi.TABLE_ENTRY) for entry in self.table)

    def _number_of(self, item: Item, starts: list[int], end: int) -> int:
        """What stands in an item's last bytes."""
        if item.kind == "table":
            return ADDRESS + starts[-1] + abi.TABLE_ENTRY * item.number
        if item.kind in ("gate call", "gate jump"):
            return abi.GATE_HOSTCALL - ADDRESS - end
        return starts[item.target] - end if item.kind in BRANCHES else 0

    def mend(self, rng: random.Random, at_fault: set[int], kept: set[int]) -> None:
        """Replace most of these items, by what might be missing or by nothing; or where they lead, by the
        last item. Numbers beyond it are of the tables' entries. kept: where tables have to go on leading."""
        last = len(self.items) - 1
        for number in [number for number in at_fault if number > last]:
            at_fault.discard(number)
            self.table[number - last - 1] = last
        for number in sorted(at_fault):
            item = self.items[number]
            if rng.random() < 0.6:
                if item.kind == "nop" or number == last:  # it should not run on, or must not
                    self.items[number] = make.stop(by_ud2=False)
                elif item.kind in ("unless found", "unless in bounds") and item.target != last:
                    self.items[number] = replace(item, target=last)
                elif item.kind == "table" and not {*self.table} <= {*kept, last}:
                    entry = rng.choice([at for at, to in enumerate(self.table) if to not in {*kept, last}])
                    self.table[entry] = last
                elif item.kind == "access" and rng.random() < 0.5:
                    self.items[number] = make.load_base(item.source)
                elif item.kind == "return" and rng.random() < 0.5:
                    self.items[number] = make.pop(rng.choice(REGISTERS))
                else:
                    self.items[number] = make.nop()

    def number_at(self, place: int) -> int:
        """Of the item that begins there; or of the entry, if there had been as many items before it."""
        starts = self.starts()
        if place < starts[-1]:
            return starts.index(place)
        return len(self.items) + (place - starts[-1]) // abi.TABLE_ENTRY

    def settle(self) -> None:
        """Replace short branches that cannot reach so far, now that other items are as they are."""
        is_far = True
        while is_far:
            starts, is_far = self.starts(), False
            for number, item in enumerate(self.items):
                if item.branch_bytes == 1 and not -128 <= starts[item.target] - starts[number + 1] < 128:
                    self.items[number], is_far = make.nop(), True
                    break


class _Author:
    """Appends items, in pieces: the methods that `MIXES` names. few: the registers that most items have, so
    that they meet in them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.items: list[Item] = []
        self.few = rng.sample(REGISTERS, rng.choice((2, 2, 3)))

    def add(self, *items: Item) -> None:
        self.items += items

    def one(self) -> int:
        return self.rng.choice(self.few)

    def any(self) -> int:
        return self.rng.choice(REGISTERS)

    # The stack.

    def push(self) -> None:
        self.add(make.push(self.any()))

    def push_rsp(self) -> None:
        self.add(make.push(make.RSP))

    def pop(self) -> None:
        self.add(make.pop(self.any()))

    def move(self) -> None:
        down = self.rng.choice((8, 8, 16, 24, 3, 24 * MIB)) * self.rng.choice((1, -1))
        self.add(make.move_rsp(down, self.rng.random() < 0.3))

    def store(self) -> None:
        size_bytes = self.rng.choice((4, 8, 8, 16))
        self.add(make.store(self.any(), self.rng.choice((-16, -8, 0, 8, 16, -3)), size_bytes))

    def load(self) -> None:
        self.add(make.load(self.one(), self.rng.choice((-8, 0, 8, 16))))

    # Direct branches.

    def stop(self) -> None:
        self.add(make.stop(self.rng.random() < 0.5))

    def ret(self) -> None:
        self.add(make.ret())

    def call(self) -> None:
        self.add(make.call())

    def jump(self) -> None:
        self.add(make.jump())

    def branch(self) -> None:
        self.add(make.branch(self.rng.randrange(16)))

    def loop(self) -> None:
        self.add(self.rng.choice((make.loop(False), make.loop(True), make.jump_if_rcx_is_0())))

    def gate(self) -> None:
        self.add(self.rng.choice((make.gate_call, make.gate_jump))())

    # Computed branches. Some of each are wrong in one place.

    def _mostly(self, register: int) -> int:
        return register if self.rng.random() < 0.95 else self.any()

    def _check(self, register: int, of_function: bool) -> None:
        mark = self.rng.choice(abi.LABEL_MARKS[:3])
        tested = self._mostly(register)
        self.add(
            make.truncate(self._mostly(register)),
            make.check_function(tested) if of_function else make.check_label(tested, mark),
            make.unless_found(of_function == (self.rng.random() < 0.95)),
        )

    def call_function(self) -> None:
        register = self.any()
        self._check(register, of_function=True)
        self.add(make.call_of(register))

    def jump_to_checked(self) -> None:
        register = self.any()
        self._check(register, self.rng.random() < 0.4)
        self.add(make.jump_to(register))

    def jump_keeping(self) -> None:
        register = self.any()
        self._check(register, self.rng.random() < 0.4)
        self.add(make.keep_target(self._mostly(register)), make.restore(register), make.jump_to_slot())

    def table(self) -> None:
        others = [register for register in REGISTERS if register not in self.few]
        register = self.rng.choice(others) if self.rng.random() < 0.7 else self.one()
        if self.rng.random() < 0.7:
            self.add(make.mask(register, 3))
        first = self.rng.choice((0, 0, 0, 1))
        if self.rng.random() < 0.3:
            self.add(make.jump_through_table(register, first, is_inside=False))
            return
        bounded = self._mostly(register)
        compare = self.rng.choice((make.compare, make.compare_half))
        self.add(
            compare(bounded, self.rng.choice((0, 1, 3, 3))),
            make.unless_in_bounds(),
            make.jump_through_table(register, first, is_inside=True),
        )

    # Registers.

    def base(self) -> None:
        self.add(make.load_base(self.one()))

    def fill(self) -> None:
        """Most of these make something known of the register."""
        rng, register = self.rng, self.one()
        self.add(
            rng.choice(
                (
                    make.move_32(register, self.any()),
                    make.extend_16(register, rng.choice(make.LOW_BYTES)),
                    make.shift_32(register, rng.choice((1, 4, 8))),
                    make.shift_64(register, rng.choice((30, 32, 36, 40))),
                    make.mask(register, rng.choice((15, 127, -1))),
                )
            )
        )

    def spoil(self) -> None:
        """After these nothing is known of it."""
        rng, register = self.rng, self.one()
        self.add(
            rng.choice(
                (
                    make.move_64(register, self.any()),
                    make.move_low_byte(rng.choice(make.LOW_BYTES)),
                    make.move_perhaps(register, self.any()),
                    make.exchange_and_add(register, self.any()),
                )
            )
        )

    def access(self) -> None:
        base = self.one()
        if self.rng.random() < 0.35:
            self.add(make.load_base(base))
        self.add(make.access(self.any(), base, self.rng.choice((0, 8, 0x7FFFFFF8))))

    def indexed(self) -> None:
        rng, base, index = self.rng, self.one(), self.one()
        if rng.random() < 0.35:
            self.add(make.load_base(base))
        if rng.random() < 0.7:
            self.add(rng.choice((make.move_32, make.extend_16))(index, 1))
        displacement = rng.choice((0, 8, -8, 0x7FFFF, 0x7FFFFF00))
        self.add(make.access(self.any(), base, displacement, index, rng.choice((1, 1, 2, 4, 8))))


Piece = Callable[[_Author], None]
_STACK: Final[dict[Piece, int]] = {
    _Author.push: 6, _Author.pop: 4, _Author.move: 4, _Author.store: 4, _Author.push_rsp: 1, _Author.load: 1,
}  # fmt: skip
_REGISTERS: Final[dict[Piece, int]] = {
    _Author.base: 3, _Author.fill: 4, _Author.spoil: 2, _Author.access: 3, _Author.indexed: 3,
}  # fmt: skip
_BRANCHES: Final[dict[Piece, int]] = {
    _Author.branch: 4, _Author.jump: 2, _Author.loop: 1, _Author.stop: 2, _Author.ret: 2, _Author.call: 2,
    _Author.gate: 1,
}  # fmt: skip
_COMPUTED: Final[dict[Piece, int]] = {
    _Author.call_function: 1, _Author.jump_to_checked: 3, _Author.jump_keeping: 3,
}  # fmt: skip
MIXES: Final[dict[str, dict[Piece, int]]] = {
    "everything": {**_STACK, **_REGISTERS, **_BRANCHES, **_COMPUTED, _Author.table: 2},
    "stack": {**_STACK, **_BRANCHES},
    "facts at branches": {
        _Author.base: 4, _Author.access: 4, _Author.indexed: 2, _Author.fill: 1, _Author.spoil: 1,
        _Author.branch: 6, _Author.jump: 1, _Author.stop: 1, _Author.loop: 1,
    },
    "facts at tables": {
        _Author.base: 3, _Author.access: 4, _Author.indexed: 1, _Author.table: 3, _Author.spoil: 1,
        _Author.branch: 2,
    },
    "depths at tables": {
        _Author.push: 4, _Author.pop: 2, _Author.move: 1, _Author.table: 3, _Author.ret: 2, _Author.branch: 1,
        _Author.store: 1, _Author.call: 1,
    },
    "computed branches": {
        **_COMPUTED, _Author.push: 2, _Author.pop: 1, _Author.store: 1, _Author.gate: 2, _Author.call: 1,
        _Author.branch: 1, _Author.ret: 2, _Author.stop: 1, _Author.access: 1,
    },
}  # fmt: skip
"""How often each piece comes, in proportion."""


def random_text(rng: random.Random, mix: str) -> Text:
    author = _Author(rng)
    pieces, weights = list(MIXES[mix]), list(MIXES[mix].values())
    for piece in rng.choices(pieces, weights, k=rng.randint(3, 12)):
        piece(author)
    author.add(make.ret() if rng.random() < 0.2 else make.stop(by_ud2=False))
    items = author.items
    text = Text(
        [replace(item, target=_target(rng, items, number)) if item.kind in BRANCHES else item
         for number, item in enumerate(items)],
        [], {}, [],
    )  # fmt: skip
    tables = [number for number, item in enumerate(items) if item.kind == "table"]
    if tables:
        text.table = [_target(rng, items, tables[0]) for _ in range(rng.choice((4, 5, 5)))]
        if rng.random() < 0.3:
            text.table = [text.table[0]] * len(text.table)
    some = list({_target(rng, items, 0): None for _ in range(3)})
    text.functions = [0, *some[: rng.choice((0, 0, 1))]]
    text.labels = {
        label: rng.choice(abi.LABEL_DEPTHS[:3])
        for label in some[1 : rng.choice((1, 2, 2, 3))]
        if label not in text.functions
    }
    return text


def _target(rng: random.Random, items: list[Item], number: int) -> int:
    """Somewhere near, further down, most often, since there others come by, too."""
    if rng.random() < 0.08:  # perhaps into a sequence
        return rng.randrange(len(items))
    where = [place for place, item in enumerate(items) if not item.is_inside]
    near = [place for place in where if number < place <= number + 8]
    return rng.choice(near if near and rng.random() < 0.7 else where)
