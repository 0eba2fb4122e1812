"""Which of the flags and general-purpose registers a program still needs at some instruction.

A backward data-flow analysis over the instructions as they were written. It errs on the side of "live".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from tmebox.records import replace
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.analysis import effects
from tmebox.toolchain.rewrite.mnemonics import FLAGS
from tmebox.toolchain.rewrite.replacement import Flow

_REGISTERS_SHIFT = 2
assert FLAGS < 1 << _REGISTERS_SHIFT


def resources(registers: int) -> int:
    """A mask of registers (see `effects`) as resources, beside the flags."""
    return registers << _REGISTERS_SHIFT


def registers_of(resources: int) -> int:
    """The mask of registers among them."""
    return resources >> _REGISTERS_SHIFT


R11_BIT = resources(effects.R11)
EVERYTHING = FLAGS | resources(effects.ALL)
_BY_CONVENTION = resources(effects.KEPT | effects.RESULTS)
_BY_ANY_CONVENTION = EVERYTHING & ~(FLAGS | R11_BIT)
_IN_A_TAIL_CALL = resources(effects.ARGUMENTS)

_CLOSE = 64
_FAR = 256
"""Instructions that one question may look at, so that no program makes the analysis quadratic."""

_TRAP = -2
"""In place of the index of a following instruction: there is a trap."""

_NUMERIC = regex(r"(\d+)([bf])\Z")
_COLD = regex(r"\.cold(\.\d+)?\Z")


def _passes_arguments(flow: Flow) -> bool:
    """Calls and tail calls; a return reads nothing."""
    is_outside = flow.target is not None and not flow.target.startswith(".") and not flow.target[0].isdigit()
    return flow.calls or (flow.leaves and flow.reads != 0) or (is_outside and not flow.falls_through)


class FlowGraph:
    """Filled in the order of the text, then asked. Each section is a stream of instructions of its own.

    is_conventional: every function obeys the C calling convention, as a compiler's do; people's assembly may
    leave a value anywhere but in r11 and the flags. marks_tail_calls: an indirect jump without a mark goes to
    a label of its own function. unwinds: any call may end in an exception, which restores the registers that
    calls keep, for a landing pad here or in a caller. keeps_r11: the file's functions keep r11, or give back
    a value in it.
    """

    def __init__(
        self,
        *,
        is_conventional: bool = False,
        marks_tail_calls: bool = False,
        unwinds: bool = False,
        keeps_r11: bool = False,
    ) -> None:
        self._keeps_r11 = keeps_r11
        self._read_by_calls = resources(effects.KEPT) if unwinds else 0
        self._at_exit = _BY_CONVENTION if is_conventional else _BY_ANY_CONVENTION
        self._at_exit |= R11_BIT if keeps_r11 else 0
        self._marks_tail_calls = marks_tail_calls
        self.flows: list[Flow] = []
        self._following: list[int] = []
        self._functions: list[str] = []
        self._labels: dict[str, int | None] = {}
        self._numeric: dict[str, list[int]] = {}
        self._open_labels: dict[str, list[str]] = {}
        self._last: dict[str, int] = {}
        self._function: dict[str, str] = {}
        self._taken: set[str] = set()
        self._live_in: list[int] | None = None
        self._tables: dict[str, int] = {}
        self._table_labels: dict[int, list[int]] = {}
        self._arrivals: set[int] | None = None

    # -- filling --

    def add_label(self, name: str, section: str) -> None:
        self._open_labels.setdefault(section, []).append(name)

    def begin_function(self, name: str, section: str) -> None:
        """A hot and a cold part count as one function."""
        self._function[section] = _COLD.sub("", name)

    def end_function(self, section: str) -> None:
        """Control does not run on into what follows. After a call that ends a function there is a trap."""
        last = self._last.pop(section, None)
        if last is not None and self.flows[last].calls:
            self._following[last] = _TRAP

    def take_addresses(self, names: Iterable[str]) -> None:
        """Labels that an indirect jump may reach."""
        self._taken.update(names)

    def add(self, flow: Flow, section: str) -> int:
        index = len(self.flows)
        if flow.calls or flow.leaves or flow.target is not None:
            flow = self._with_arguments(flow, section)
        self.flows.append(flow)
        if flow.takes:
            self._taken.update(flow.takes)
        self._following.append(-1)
        self._functions.append(self._function.get(section, ""))
        if (last := self._last.get(section)) is not None:
            self._following[last] = index
        self._last[section] = index
        for name in self._open_labels.pop(section, ()):
            if name.isdecimal():
                self._numeric.setdefault(name, []).append(index)
            else:
                self._labels[name] = index
        return index

    def _with_arguments(self, flow: Flow, section: str) -> Flow:
        """A call or a jump, with what its target may read."""
        if _passes_arguments(flow) and self._passes_r11(section):
            flow = replace(flow, reads=flow.reads | R11_BIT)
        if flow.calls and self._read_by_calls:
            flow = replace(flow, reads=flow.reads | self._read_by_calls)
        if flow.calls and self._keeps_r11:
            flow = replace(flow, reads=flow.reads | R11_BIT, kills=flow.kills & ~R11_BIT)
        return flow

    def _passes_r11(self, section: str) -> bool:
        """Whether r11 holds an argument here, as the eleventh of a `preserve_none` function: it was set, for
        its own sake, and nothing has read it since. Other code does not leave a value there unread."""
        index, function = self._last.get(section, -1), self._function.get(section, "")
        for place in range(index, max(index - _CLOSE, -1), -1):
            flow = self.flows[place]
            ends = flow.calls or not flow.falls_through
            if self._functions[place] != function or ends:
                return False
            if flow.writes & R11_BIT:
                return not flow.writes & ~(FLAGS | R11_BIT)
            if flow.reads & R11_BIT:
                return False
        return False

    # -- asking --

    def is_label(self, name: str) -> bool:
        """Whether an instruction of the file stands at that label."""
        return self._labels.get(name) is not None

    def taken(self) -> frozenset[str]:
        """Symbols whose address is used as a value."""
        return frozenset(self._taken)

    def arrivals(self) -> set[str]:
        """Labels that a branch names or whose address is taken."""
        return {flow.target for flow in self.flows if flow.target is not None} | self._taken

    def live_after(self, index: int, wanted: int = FLAGS | R11_BIT) -> int:
        """Those of the `wanted` resources that are needed after instruction `index` (as it was written)."""
        flow = self.flows[index]
        if flow.falls_through and flow.target is None and self._following[index] != _TRAP:
            live = self._scan(self._following[index], wanted)
            if live is not None:
                return live & wanted
        return self.live_out(index, self.live_everywhere()) & wanted

    def live_everywhere(self) -> list[int]:
        """By index: resources that are needed before each instruction."""
        if self._live_in is None:
            self._add_table_nodes()
            self._live_in = self._solve()
        return self._live_in

    def function_at(self, index: int) -> str:
        """The name of the function that an instruction is in; empty if it is in none."""
        return self._functions[index]

    def runs_into(self, index: int, following: int) -> bool:
        """Whether control goes from one instruction to the next one in the text."""
        return (
            0 <= index < following and self.flows[index].falls_through and self._following[index] == following
        )

    def loops(self, longest: int) -> list[tuple[int, int]]:
        """First and last instruction of loops with up to `longest` instructions and without calls, as they
        stand in the text: from where a branch back goes to the last such branch."""
        ends: dict[int, int] = {}
        for index, flow in enumerate(self.flows):
            if flow.target is None:
                continue
            start = self.resolve(flow.target, index)
            if start is not None and index - longest < start <= index:
                ends[start] = index
        return [
            (start, end)
            for start, end in ends.items()
            if not any(flow.calls or flow.leaves for flow in self.flows[start : end + 1])
        ]

    def bits(self, index: int, register: str) -> tuple[int, int | None]:
        """What a register is below 2 to the power of before an instruction, if the block's code tells (else
        64), and the instruction that has made it so."""
        wanted = resources(effects.mask(register))
        while self.comes_from_above(index):
            index -= 1
            flow = self.flows[index]
            if flow.writes & wanted:
                return flow.bits, index
        return 64, None

    def comes_from_above(self, index: int) -> bool:
        """Whether control gets to an instruction from the one before it in the text, and no other way."""
        if self._arrivals is None:
            names = self.arrivals()
            known = (place for name, place in self._labels.items() if name in names and place is not None)
            self._arrivals = {*known, *(place for places in self._numeric.values() for place in places)}
        return index > 0 and index not in self._arrivals and self._following[index - 1] == index

    def can_move_down(self, index: int, to: int) -> bool:
        """Whether an instruction could as well stand before a later one of its block, going by registers and
        flags alone."""
        moved = self.flows[index]
        between = self.flows[index + 1 : to]
        return not any(
            moved.writes & (flow.reads | flow.writes) or moved.reads & flow.writes for flow in between
        )

    def conditions_after(self, index: int) -> frozenset[str] | None:
        """Condition codes that may be asked of the flags after `index`; None if anything else reads them, or
        if that takes too long to find out. To be asked after `live_after`."""
        conditions: set[str] = set()
        seen: set[int] = set()
        waiting = self._successors(index)
        while waiting:
            index = waiting.pop()
            if index < 0 or len(seen) > _FAR or len(self._table_labels.get(index, ())) > _FAR:
                return None
            if index in seen:
                continue
            seen.add(index)
            flow = self.flows[index]
            if flow.reads & FLAGS:
                if flow.condition is None:
                    return None
                conditions.add(flow.condition)
            if flow.kills & FLAGS != FLAGS:
                waiting += self._successors(index)
        return frozenset(conditions)

    def _scan(self, index: int, wanted: int) -> int | None:
        """The answer, if a few instructions of straight-line code give it."""
        live = known = 0
        for _ in range(_CLOSE):
            if index < 0:
                return None
            flow = self.flows[index]
            live |= flow.reads & ~known
            known |= flow.reads | flow.kills
            if known & wanted == wanted:
                return live
            if flow.target is not None or flow.is_table_jump:
                return None
            if not flow.falls_through or self._following[index] == _TRAP:
                return live | (self._needed_outside(index) & ~known)
            index = self._following[index]
        return None

    def _add_table_nodes(self) -> None:
        """One node per function between its table jumps and its labels, so that edges do not multiply."""
        labels: dict[str, list[int]] = {}
        for name in self._taken:
            if (index := self._labels.get(name)) is not None:
                labels.setdefault(self._functions[index], []).append(index)
        for function, targets in labels.items():
            self._tables[function] = len(self.flows)
            self._table_labels[len(self.flows)] = targets
            self.flows.append(Flow(falls_through=False))

    def _successors(self, index: int) -> list[int]:
        """-1: unknown. Where control leaves the file, `_needed_outside` says what is needed."""
        flow = self.flows[index]
        if flow.falls_through and flow.target is None:
            return [self._following[index]] if self._following[index] != _TRAP else []
        if index in self._table_labels:
            return list(self._table_labels[index])
        follows = flow.falls_through and self._following[index] != _TRAP
        successors = [self._following[index]] if follows else []
        if flow.target is not None and (target := self.resolve(flow.target, index)) is not None:
            successors.append(target)
        if flow.is_table_jump and (table := self._tables.get(self._functions[index])) is not None:
            successors.append(table)
        return successors

    def _needed_outside(self, index: int) -> int:
        """Resources that whoever gets control outside of the file may need; 0 if control stays."""
        flow = self.flows[index]
        if flow.leaves:
            return self._at_exit
        if flow.target is not None:
            return self._at_exit | _IN_A_TAIL_CALL if self.resolve(flow.target, index) is None else 0
        if flow.is_table_jump and not self._marks_tail_calls:
            return self._at_exit | _IN_A_TAIL_CALL
        return 0

    def _solve(self) -> list[int]:
        """Live-in sets of all nodes: what changes is passed on to predecessors until nothing does."""
        successors = [self._successors(index) for index in range(len(self.flows))]
        outside = [
            0
            if flow.falls_through and not flow.leaves and flow.target is None
            else self._needed_outside(index)
            for index, flow in enumerate(self.flows)
        ]
        predecessors: list[list[int]] = [[] for _ in self.flows]
        for index, targets in enumerate(successors):
            for target in targets:
                if target >= 0:
                    predecessors[target].append(index)
            if any(target < 0 for target in targets):
                outside[index] = EVERYTHING
        live_in, live_out = [0] * len(self.flows), outside
        waiting = list(range(len(self.flows)))
        while waiting:
            index = waiting.pop()
            flow = self.flows[index]
            live = flow.reads | (live_out[index] & ~flow.kills)
            if live != live_in[index]:
                live_in[index] = live
                for place in predecessors[
                    index
                ]:  # told what is new: to ask all their successors is quadratic
                    if live & ~live_out[place]:
                        live_out[place] |= live
                        waiting.append(place)
        return live_in

    def live_out(self, index: int, live_in: list[int]) -> int:
        """What is needed after an instruction, of `live_everywhere`."""
        live = self._needed_outside(index)
        for successor in self._successors(index):
            live |= live_in[successor] if successor >= 0 else EVERYTHING
        return live

    def resolve(self, name: str, index: int) -> int | None:
        """The instruction at a label, as one that branches there has it."""
        numeric = _NUMERIC.match(name)
        if numeric is None:
            return self._labels.get(name)
        places = self._numeric.get(numeric[1], [])
        position = bisect_right(places, index)
        if numeric[2] == "b":
            position -= 1
        return places[position] if 0 <= position < len(places) else None
