"""Which of the flags and r11 a program still needs at some instruction.

A backward data-flow analysis over the instructions as they were written. It errs on the side of "live".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tmebox.toolchain.mnemonics import FLAGS
from tmebox.toolchain.template import Flow

R11_BIT = 4
EVERYTHING = FLAGS | R11_BIT

_NUMERIC = re.compile(r"(\d+)([bf])\Z")
_COLD = re.compile(r"\.cold(\.\d+)?\Z")


class FlowGraph:
    """Filled in the order of the text, then asked. Each section is a stream of instructions of its own."""

    def __init__(self) -> None:
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
        self._tables: dict[str, list[int]] | None = None

    # -- filling --

    def add_label(self, name: str, section: str) -> None:
        self._open_labels.setdefault(section, []).append(name)

    def begin_function(self, name: str, section: str) -> None:
        """A hot and a cold part count as one function."""
        self._function[section] = _COLD.sub("", name)

    def take_addresses(self, names: Iterable[str]) -> None:
        """Labels that an indirect jump may reach."""
        self._taken.update(names)

    def add(self, flow: Flow, section: str) -> int:
        index = len(self.flows)
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

    # -- asking --

    def live_after(self, index: int) -> int:
        """Resources needed after instruction `index` (as it was written)."""
        flow = self.flows[index]
        if flow.falls_through and flow.target is None and not flow.is_table_jump:
            live = self._scan(self._following[index])
            if live is not None:
                return live
        if self._live_in is None:
            self._live_in = self._solve()
        return self._live_out(index, self._live_in)

    def conditions_after(self, index: int) -> frozenset[str] | None:
        """Condition codes that may be asked of the flags after `index`; None if anything else reads them."""
        conditions: set[str] = set()
        seen: set[int] = set()
        waiting = self._successors(index)
        while waiting:
            index = waiting.pop()
            if index < 0:
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

    def _successors(self, index: int) -> list[int]:
        """-1: unknown. A branch out of the file is a tail call, which needs neither flags nor r11."""
        flow = self.flows[index]
        successors = [self._following[index]] if flow.falls_through else []
        if flow.target is not None and (target := self._resolve(flow.target, index)) is not None:
            successors.append(target)
        if flow.is_table_jump:
            successors += self._table_targets().get(self._functions[index], ())
        return successors

    def _scan(self, index: int) -> int | None:
        """The answer, if straight-line code gives it."""
        live = known = 0
        while index >= 0:
            flow = self.flows[index]
            live |= flow.reads & ~known
            known |= flow.reads | flow.kills
            if known & EVERYTHING == EVERYTHING:
                return live
            if flow.target is not None or flow.is_table_jump or not flow.falls_through:
                is_end = flow.target is None and not flow.is_table_jump
                return live if is_end else None
            index = self._following[index]
        return None

    def _solve(self) -> list[int]:
        """Live-in sets of all instructions: sweep backwards until nothing changes."""
        live_in = [0] * len(self.flows)
        changed = True
        while changed:
            changed = False
            for index in range(len(self.flows) - 1, -1, -1):
                flow = self.flows[index]
                live = flow.reads | (self._live_out(index, live_in) & ~flow.kills)
                if live != live_in[index]:
                    live_in[index] = live
                    changed = True
        return live_in

    def _live_out(self, index: int, live_in: list[int]) -> int:
        live = 0
        for successor in self._successors(index):
            live |= live_in[successor] if successor >= 0 else EVERYTHING
        return live

    def _resolve(self, name: str, index: int) -> int | None:
        numeric = _NUMERIC.match(name)
        if numeric is None:
            return self._labels.get(name)
        places = self._numeric.get(numeric[1], [])
        if numeric[2] == "f":
            return next((place for place in places if place > index), None)
        return next((place for place in reversed(places) if place <= index), None)

    def _table_targets(self) -> dict[str, list[int]]:
        if self._tables is None:
            self._tables = {}
            for name in self._taken:
                if (index := self._labels.get(name)) is not None:
                    self._tables.setdefault(self._functions[index], []).append(index)
        return self._tables
