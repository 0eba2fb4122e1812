"""How deep the stack is at labels: what modules claim of it, and what checks of jumps to labels ask for.

Reads finished assembly, and follows its branches from the beginning of each function on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tmebox.abi import LABEL_DEPTHS, LABEL_MARKS, TARGET_MAP
from tmebox.toolchain.rewrite.asm import Immediate, Instruction, Memory, Register, constant
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS, Kind
from tmebox.toolchain.rewrite.replacement import Refusal, lines
from tmebox.toolchain.rewrite.speed.listing import Listing, read
from tmebox.toolchain.sections import KEPT_CLAIM as KEPT
from tmebox.toolchain.sections import depth_claims

MARK = "__tmebox_mark"
"""Stands in a check for the mark of labels of the depth there."""
_SLOT = 8
_NESTED_HANDLERS = 100
_NUMBER = "\tmovl\t$"
"""Behind a trap is a number that the trap's handler looks for."""


def to_label(text: str, mask: int, register: str) -> str:
    """A checked jump as `control` makes it, with a check for labels of the depth there."""
    check = lines(f"testb ${mask}, {TARGET_MAP:#x}(%{register})", "je")
    assert check in text
    return text.replace(check, lines(f"cmpb ${MARK}, {TARGET_MAP:#x}(%{register})", "jne"))


def deepening(instruction: Instruction) -> int | None:
    """By how much an instruction moves rsp down; None if that is not a constant."""
    facts = MNEMONICS[instruction.mnemonic]
    operands = instruction.operands
    if facts.kind is Kind.PUSH:
        return _SLOT
    last = operands[-1] if operands else None
    if facts.kind is Kind.POP:
        return None if last == Register("rsp") else -_SLOT
    if not isinstance(last, Register) or last.name not in ("rsp", "esp", "sp", "spl"):
        return 0
    if facts.base in ("cmp", "test") or facts.kind in (Kind.CALL, Kind.JUMP):
        return 0
    first = operands[0]
    if facts.base in ("add", "sub") and isinstance(first, Immediate):
        amount = constant(first.expression)
        return None if amount is None else amount if facts.base == "sub" else -amount
    if facts.kind is Kind.LEA and isinstance(first, Memory) and first.base == "rsp" and first.index is None:
        amount = constant(first.displacement) if first.displacement else 0
        return None if amount is None else -amount
    return None


def with_depths(text: str, pads: Mapping[str, str], *, is_compiled: bool) -> str:
    """With claims about the stack. pads: of landing pads, a label where it is as deep. Raises Refusal."""
    listing = read(text)
    if listing is None:
        raise Refusal("assembly that is not understood well enough")
    return _Depths(listing, pads, is_compiled).text()


class Depths:
    """The same for a compiler's assembly that has been read already, whatever is done to it meanwhile, as
    long as rsp moves and control goes as before. Without labels that are numbers."""

    def __init__(self, listing: Listing, claimed: Sequence[str], pads: Mapping[str, str]) -> None:
        """`claimed`: labels that something has been claimed of since. pads: as of `with_depths`. Raises
        Refusal."""
        listing.open.update(claimed)
        listing.graph.take_addresses(claimed)
        found = _Depths(listing, pads, is_compiled=True)
        self._marks = [found.mark(index) for index in found.marked]
        self._claims = list(found.claims())

    def added_to(self, text: str) -> str:
        first, *rest = text.split(MARK)
        text = "".join([first, *(f"{mark}{piece}" for mark, piece in zip(self._marks, rest, strict=True))])
        return f"{text}\n{depth_claims(self._claims)}" if self._claims else text


def _is_function(name: str) -> bool:
    """Or a label of the program's own assembly: neither a compiler's label nor a number."""
    return not name.startswith(".") and not name[0].isdigit()


class _Depths:
    def __init__(self, listing: Listing, pads: Mapping[str, str], is_compiled: bool) -> None:
        self._listing = listing
        self._pads = pads
        self._is_compiled = is_compiled
        self._named: dict[int, str] = {}
        """Labels of ours, by the index of their instruction: a number is no name."""
        self._graph = listing.graph
        self._labels: dict[int, list[str]] = {}
        for name, index in listing.labels.items():
            self._labels.setdefault(index, []).append(name)
        for index in listing.numbered:
            self._labels.setdefault(index, ["0"])
        self._depth: dict[int, int] = {}
        self._called: set[int] = set()
        self._called_here: set[int] = set()
        """Functions, and those of them that this file calls: all others may be called by nobody."""
        self.marked = [index for index, place in enumerate(listing.places) if MARK in listing.lines[place]]
        """Jumps to labels."""
        self._followed: set[str] = set()
        self._find()

    def text(self) -> str:
        listing = self._listing
        out = list(listing.lines)
        for index in self.marked:
            place = listing.places[index]
            out[place] = out[place].replace(MARK, str(self.mark(index)))
        if not self._is_compiled:
            self._without_dead_code(out)
        claims = list(self.claims())
        for index, name in self._named.items():
            out[listing.places[index]] = f"{name}:\n{out[listing.places[index]]}"
        text = "\n".join(out)
        return text + "\n" + depth_claims(claims) if claims else text

    def mark(self, index: int) -> int:
        """Of labels that a jump may lead to."""
        depth = self._depth.get(index, 0)
        if depth not in LABEL_DEPTHS:
            raise Refusal(f"a jump to labels from a frame of {depth} bytes")
        return LABEL_MARKS[LABEL_DEPTHS.index(depth)]

    def _without_dead_code(self, out: list[str]) -> None:
        """Nobody knows its depth, so it could not be accepted."""
        listing = self._listing
        opened = {listing.labels[name] for name in listing.open if name in listing.labels}
        if not self._called or opened - self._depth.keys():
            return
        for index, place in enumerate(listing.places):
            stops = MNEMONICS[listing.instructions[index].mnemonic].kind is Kind.STOP
            if index not in self._depth and not stops and not out[place].startswith(_NUMBER):
                out[place] = "\thlt"

    def claims(self) -> Iterator[tuple[str, int]]:
        arrivals = self._graph.arrivals() | {
            name for labels in self._listing.tables.values() for name in labels
        }
        for index, names in sorted(self._labels.items()):
            stops = MNEMONICS[self._listing.instructions[index].mnemonic].kind is Kind.STOP
            if stops or index not in self._depth:
                continue
            if index in self._called:  # for who jumps there; and what was claimed before ends
                yield self._name(index, names[0]), 0 if index in self._called_here else KEPT
                continue
            if any(name in arrivals or name in self._pads or name[0].isdigit() for name in names):
                yield self._name(index, names[0]), self._depth[index]

    def _name(self, index: int, name: str) -> str:
        if name[0].isdigit():
            name = self._named[index] = f".Ltmebox_depth{index}"
        return name

    def _find(self) -> None:
        listing, graph = self._listing, self._graph
        waiting: list[tuple[int, int]] = []
        for name, index in listing.labels.items():
            if _is_function(name):
                self._called.add(index)
                waiting.append((index, 0))
        for index, instruction in enumerate(listing.instructions):
            target = instruction.operands[0] if instruction.operands else None
            if MNEMONICS[instruction.mnemonic].kind is Kind.CALL and isinstance(target, Memory):
                called = graph.resolve(target.displacement, index)
                if called is not None:
                    self._called.add(called)
                    self._called_here.add(called)
                    waiting.append((called, 0))
        self._follow(waiting)
        self._follow_pads()
        around: dict[str, int] = {}
        """Of labels that computed jumps lead to: what the function's own ones have."""
        for place in self.marked:
            if place in self._depth:
                around.setdefault(graph.function_at(place), self._depth[place])
        opened = [listing.labels[name] for name in listing.open if name in listing.labels and name[0] == "."]
        functions = [graph.function_at(index) for index in opened]
        self._follow([(index, around[f]) for index, f in zip(opened, functions, strict=True) if f in around])

    def _follow_pads(self) -> None:
        """What goes to one may begin behind another: as often as handlers stand within handlers."""
        known = self._listing.labels.keys()
        places = [(pad, begin) for pad, begin in self._pads.items() if pad in known and begin in known]
        pads = [(self._listing.labels[pad], self._listing.labels[begin]) for pad, begin in places]
        for _ in range(_NESTED_HANDLERS):
            reached = [(pad, self._depth[begin]) for pad, begin in pads if begin in self._depth]
            pads = [(pad, begin) for pad, begin in pads if begin not in self._depth]
            self._follow(reached)

    def _follow(self, waiting: list[tuple[int, int]]) -> None:
        listing, graph = self._listing, self._graph
        count = len(listing.instructions)
        while waiting:
            index, depth = waiting.pop()
            while 0 <= index < count and index not in self._depth:
                self._depth[index] = depth
                for target in self._targets(index):
                    waiting.append((target, depth))
                moved = deepening(listing.instructions[index])
                if moved is None:
                    raise Refusal(
                        f"`{str(listing.instructions[index]).strip()}`: "
                        "moves the stack pointer by what is not a constant"
                    )
                depth += moved
                if not graph.runs_into(index, index + 1):
                    following = graph._following[index] if graph.flows[index].falls_through else -1
                    if following <= index:
                        break
                    index = following
                else:
                    index += 1

    def _targets(self, index: int) -> Iterator[int]:
        flow = self._graph.flows[index]
        if flow.target is not None and (target := self._graph.resolve(flow.target, index)) is not None:
            yield target
        table = self._listing.through.get(index, "")
        if table in self._followed:  # by many jumps through one
            return
        self._followed.add(table)
        for name in self._listing.tables.get(table, ()):
            if name in self._listing.labels:
                yield self._listing.labels[name]
