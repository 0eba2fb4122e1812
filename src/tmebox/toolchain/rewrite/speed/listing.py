"""Instrumented assembly, read again: its instructions, their lines, and how control goes among them."""

from __future__ import annotations

from functools import lru_cache

from tmebox.records import dataclass, field
from tmebox.toolchain import steps
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.analysis.liveness import FlowGraph
from tmebox.toolchain.rewrite.asm import Directive, Instruction, Label, Memory, own_label, parse_line, symbols
from tmebox.toolchain.rewrite.directives import ASSIGNMENTS, DATA, SECTIONS, SectionState
from tmebox.toolchain.rewrite.instruction import flow_of
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS
from tmebox.toolchain.rewrite.replacement import Flow
from tmebox.toolchain.sections import TABLES_PREFIX

_SAYING_NOTHING = ("\t.loc\t", "\t.cfi_")
"""Of registers, memory and where control goes."""
_TABLE_JUMP = regex(r"\tjmp\t\*([^%()]+)\(,%\w+,8\)\Z")


@lru_cache(maxsize=1 << 15)
def _flow(line: str) -> Flow:
    (instruction,) = parse_line(line)
    assert isinstance(instruction, Instruction)
    return flow_of(instruction)


@dataclass
class Listing:
    """instructions, places: by index in the graph: what it is, and its line.
    labels: of the code, with the index of the instruction there. numbered: indexes where labels are that are
    numbers, of which there may be many. open: those at which control may arrive by
    more than this file's direct branches and the tables behind the text. through: indexes of jumps → their
    table. tables: name → labels.
    """

    lines: list[str]
    graph: FlowGraph
    instructions: list[Instruction] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    numbered: set[int] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    through: dict[int, str] = field(default_factory=dict)
    tables: dict[str, list[str]] = field(default_factory=dict)

    def arriving(self) -> set[int]:
        """Instructions with a label at which control may arrive: of those that are numbers, all."""
        arrivals = self.graph.arrivals() | {name for labels in self.tables.values() for name in labels}
        named = {index for name, index in self.labels.items() if name in arrivals or name in self.open}
        return named | self.numbered


def read(text: str) -> Listing | None:
    """None if something stands there that is not understood well enough."""
    listing = Listing(text.split("\n"), FlowGraph(is_conventional=True))
    reading = _Reading(listing)
    for place, line in enumerate(steps.watched(listing.lines)):
        if line and not line.startswith(_SAYING_NOTHING) and not reading.line(place, line):
            return None
    listing.open |= reading.functions
    return listing


class _Reading:
    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._sections = SectionState()
        self._waiting: dict[str, list[str]] = {}
        self._table: list[str] | None = None
        self.functions: set[str] = set()

    def line(self, place: int, line: str) -> bool:
        """False if it is not understood."""
        if (label := own_label(line)) is not None:
            self._label(label)
            return True
        statements = parse_line(line)
        if not statements:
            return True
        if len(statements) > 1:
            return False
        statement = statements[0]
        if isinstance(statement, Instruction):
            return self._instruction(statement, place, line)
        if isinstance(statement, Label):
            self._label(statement.name)
        elif isinstance(statement, Directive):
            self._directive(statement)
        return True

    def _label(self, name: str) -> None:
        section = self._sections.current
        if section.name.startswith(TABLES_PREFIX):
            self._table = self._listing.tables.setdefault(name, [])
            return
        if not section.is_code:
            return
        if name in self.functions:
            self._listing.graph.begin_function(name, section.name)
        self._listing.graph.add_label(name, section.name)
        self._waiting.setdefault(section.name, []).append(name)

    def _instruction(self, instruction: Instruction, place: int, line: str) -> bool:
        listing, section = self._listing, self._sections.current
        if not section.is_code or not instruction.mnemonic:
            return False
        if instruction.mnemonic not in MNEMONICS:
            return False
        flow = _flow(line)
        index = listing.graph.add(flow, section.name)
        listing.instructions.append(instruction)
        listing.places.append(place)
        if flow.takes:
            listing.open.update(flow.takes)
        for name in self._waiting.pop(section.name, ()):
            listing.labels[name] = index
            if name[0].isdigit():
                listing.numbered.add(index)
        if line.startswith("\tjmp\t*") and (found := _TABLE_JUMP.fullmatch(line)):
            listing.through[index] = found[1]
        return True

    def _directive(self, directive: Directive) -> None:
        name, section = directive.name, self._sections.current
        if name in SECTIONS:
            self._sections.apply(directive)
            self._table = None
        elif name == ".type" and "function" in directive.arguments.lower():
            self.functions.add(directive.arguments.split(",")[0].strip())
        elif name in (".globl", ".global", ".weak"):
            self._listing.open.update(symbols(directive.arguments))
        elif name in ASSIGNMENTS or (name in DATA and not section.is_debug):
            named = symbols(directive.arguments)
            self._listing.graph.take_addresses(named)
            if self._table is not None:
                self._table += named
            else:
                self._listing.open.update(named)
        elif name == ".size" and section.is_code:
            self._listing.graph.end_function(section.name)


def memory_of(instruction: Instruction) -> tuple[int, Memory] | None:
    """Which operand is in memory, and its address."""
    for place, operand in enumerate(instruction.operands):
        if isinstance(operand, Memory):
            return place, operand
    return None
