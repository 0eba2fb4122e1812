"""Deciding whether a text may run: it is read once, then each kind of rule looks at what it is about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import InitVar, dataclass

import numpy as np
import numpy.typing as npt
from iced_x86 import Decoder, Formatter, FormatterSyntax

from tmebox import abi
from tmebox.errors import VerificationError, Violation
from tmebox.verify import depth_everywhere, facts_everywhere, rules, sequences
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.depth import NEVER
from tmebox.verify.depth import Claims as DepthClaims
from tmebox.verify.depth_everywhere import DEPTH_OF_MARK, MARK_OF_DEPTH
from tmebox.verify.facts_everywhere import Claims, TableJumps
from tmebox.verify.forms import Form
from tmebox.verify.reading import Block, Indexes, Places, Positions, read
from tmebox.verify.rules import Refusal
from tmebox.verify.stack import adjustment_problem

_PROOF = object()
MOST_VIOLATIONS = 1000
"""Where listing violations stops: a hostile text could have hundreds of millions."""

Locate = Callable[[int], "str | None"]


@dataclass(frozen=True)
class VerifiedText:
    """The proof that a text may run at `address`, and what the verifier learnt. Only `verify` makes one.

    code: with the tables at its end. target_map: one byte per byte of it, TARGET_* bits; goes to
    `address + TARGET_MAP`.
    features: CPU features needed beyond x86-64's baseline, as /proc/cpuinfo spells them.
    returns: where calls return to and where labels are, from the text's start, and the stack's depth there;
    u32 each.
    uses_x87: some instruction changes x87 state.
    """

    address: int
    code: bytes
    target_map: bytes
    features: frozenset[str]
    uses_x87: bool
    instruction_count: int
    returns: tuple[bytes, bytes] = (b"", b"")
    proof: InitVar[object] = None

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only tmebox.verify.verify() makes a VerifiedText")


def verify(
    code: bytes,
    address: int,
    *,
    functions: Iterable[int],
    labels: Iterable[int],
    table_entries: int = 0,
    fact_places: npt.ArrayLike = (),
    facts: npt.ArrayLike = (),
    depth_places: npt.ArrayLike = (),
    depths: npt.ArrayLike = (),
    gates: Collection[int] = frozenset(abi.GATES.values()),
    base: str = "gs",
    isolation: str = "code+data",
    locate: Locate | None = None,
) -> VerifiedText:
    """Prove that `code` is confined when it runs at `address`, or raise VerificationError.

    base: where the code has its window's base, "gs" or "r15". functions, labels: addresses claimed as targets
    of indirect branches. table_entries: how many addresses of 8 bytes `code` ends with, for jumps to read.
    fact_places, facts: claims about registers: at each address, register number << 8 | fact (see `facts`), in
    the order of address and register. depth_places, depths: claims about the stack (see `depth`), from each
    address on, ascending. gates: addresses outside the text that direct branches may go to. isolation "data"
    trusts the compiler with control flow: returns and indirect branches need no check, and no other text may
    enter this one (an empty target map). locate: gives the source place of an address, for messages only.

    Raises VerificationError with every violation (the first MOST_VIOLATIONS), ValueError for a base or an
    isolation that does not exist, or more table entries than fit.
    """
    if base not in TABLES:
        raise ValueError(f"no rules for base {base!r}")
    if isolation not in abi.ISOLATIONS:
        raise ValueError(f"no isolation {isolation!r}")
    size_bytes = len(code) - table_entries * abi.TABLE_ENTRY
    if not 0 <= size_bytes <= len(code):
        raise ValueError(f"{table_entries} table entries at the end of {len(code)} bytes")
    instructions, tables = bytes(code[:size_bytes]), bytes(code[size_bytes:])
    checks_control = isolation == "code+data"
    walk = _Walk(
        instructions,
        tables,
        address,
        frozenset(gates),
        TABLES[abi.form(base, isolation)],
        checks_control,
        locate,
    )
    with suppress(_EnoughViolations):
        walk.check_place()
        for block in read(walk.code, walk.table):
            walk.check_block(block)
        walk.check_end()
        walk.check_branches()
        walk.check_table_entries()
        walk.claim(functions, abi.TARGET_FUNCTION)
        if walk.table.has_depth:
            walk.check_depth(labels, np.asarray(depth_places, np.int64), np.asarray(depths, np.int64))
        else:
            walk.claim(labels, abi.TARGET_LABEL)
        walk.check_facts(fact_places, facts)
    if walk.violations:
        raise VerificationError(tuple(sorted(walk.violations, key=lambda violation: violation.address)))
    forms = walk.forms
    return VerifiedText(
        address=address,
        code=instructions + tables,
        target_map=(walk.target_map.tobytes() if checks_control else bytes(size_bytes)) + bytes(len(tables)),
        features=frozenset().union(*(form.features for form in forms)),
        uses_x87=any(form.is_x87 for form in forms),
        instruction_count=walk.instruction_count,
        returns=walk.depth.returns(),
        proof=_PROOF,
    )


class _EnoughViolations(Exception):
    """There is no point in looking further."""


START = 1
"""An instruction starts here."""
INSIDE = 2
"""An instruction starts here, but it may be reached only from the one before it."""

CONTROL_RULES = frozenset({rules.RETURN_CHECKED, rules.INDIRECT_BRANCH_CHECKED})


class _Walk:
    """One verification. Positions are byte positions within the text, indexes count a block's instructions.

    code, tables: the text's two parts, the second one after the first.
    marks: START or INSIDE for each position where an instruction starts.
    branches: positions and target positions of direct branches. table_jumps: positions of jumps through
    tables, and the first and the last entry that each can read. facts: told of all instructions.
    last, position: of the last instruction read, and behind it. ends_control: control never gets there.
    """

    def __init__(
        self,
        code: bytes,
        tables: bytes,
        address: int,
        gates: frozenset[int],
        table: Table,
        checks_control: bool,
        locate: Locate | None,
    ) -> None:
        self.code = code
        self.tables = tables
        self.address = address
        self.gates = gates
        self.table = table
        self.checks_control = checks_control
        self.locate = locate
        self.violations: list[Violation] = []
        self.marks = np.zeros(len(code), np.uint8)
        self.target_map = np.zeros(len(code), np.uint8)
        self.branches: list[tuple[Places, Positions]] = []
        self.table_jumps: list[Positions] = []
        self.facts = facts_everywhere.Text()
        self.depth = depth_everywhere.Text()
        self.labels: Positions = np.empty(0, np.int64)
        self.last = self.position = 0
        self.ends_control = False
        self.forms: set[Form] = set()
        self.instruction_count = 0

    def check_place(self) -> None:
        size_bytes = len(self.code) + len(self.tables)
        end = self.address + size_bytes
        if size_bytes > abi.TEXT_MAX or not abi.CODE_BASE <= self.address <= end <= abi.GATE_BASE:
            self.refuse(
                None,
                rules.TEXT_IN_CODE_REGION,
                f"{size_bytes} bytes of text do not fit there: the region is "
                f"[{abi.CODE_BASE:#x}, {abi.GATE_BASE:#x}), the limit {abi.TEXT_MAX} bytes",
            )
            raise _EnoughViolations

    def check_block(self, block: Block) -> None:
        """Everything about some instructions in a row but where their branches go."""
        self.forms.update(block.forms)
        self.instruction_count += len(block)
        self.marks[block.starts] = START
        branches = block.where(lambda form: form.target)
        targets = block.referents(branches, lambda form: form.target)
        self.branches.append((block.starts[branches], targets))
        if self.table.has_depth:
            self.depth.read(block, branches, targets)
        else:
            after_calls = block.ends[block.where(lambda form: form.calls)]
            self.target_map[after_calls[after_calls < len(self.code)]] |= self.target_bit(abi.TARGET_RETURN)
        self.check_instructions(block)
        self.check_operands(block)
        self.facts.read(block)
        rebases = self.check_sequences(block)
        if not self.table.has_depth:
            self.check_stack(block, rebases)
        self.last, self.position = int(block.starts[-1]), int(block.ends[-1])
        self.ends_control = block.form(-1).ends
        if self.position < len(self.code) and not self.ends_control:
            self.refuse(
                self.last, rules.CONTROL_ENDS_REGULARLY, "too many instructions before it ends control"
            )

    def check_instructions(self, block: Block) -> None:
        """What each instruction breaks wherever it stands."""
        for index in block.where(lambda form: form.refusals):
            for rule, reason in block.form(index).refusals:
                self.refuse(int(block.starts[index]), rule, reason)

    def check_operands(self, block: Block) -> None:
        """rip-relative operands are judged by where they stand."""
        indexes = block.where(lambda form: form.operand)
        positions = block.referents(indexes, lambda form: form.operand)
        for index, position in zip(indexes, positions.tolist(), strict=True):
            problem = self.table.offset_problem(self.address + position)
            if problem:
                self.refuse(int(block.starts[index]), self.table.memory.name, problem)

    def check_sequences(self, block: Block) -> set[int]:
        """Find the sequences, and refuse what is safe only in one but is in none.

        Returns the indexes of instructions after which rsp is known to be in the private half.
        """
        covered = np.zeros(len(block), bool)
        rebases: set[int] = set()
        by_last_step = self.table.sequences.by_last_step
        for sequence in (sequence for step in block.steps for sequence in by_last_step.get(step, ())):
            last = block.runs(sequence)
            for before in range(sequences.proven(sequence)):
                covered[last - before] = True
            for before in range(len(sequence) - 1):
                self.marks[block.starts[last - before]] = INSIDE
            if sequence == sequences.REBASE:
                rebases.update(last.tolist())
            if sequence in sequences.TABLE_JUMPS:
                self.check_tables(block, last)
            if sequence in sequences.TO_FUNCTIONS:
                self.depth.jumps(block.starts[last], 0)
            if sequence in sequences.TO_LABELS:
                self.depth.jumps(block.starts[last], DEPTH_OF_MARK[sequences.TO_LABELS[sequence]])
        needing = block.where(lambda form: form.needs_sequence)
        for index in needing[~covered[needing]].tolist():
            refusal = block.form(index).needs_sequence
            if refusal and (self.checks_control or refusal[0] not in CONTROL_RULES):
                self.refuse(int(block.starts[index]), *refusal)
        return rebases

    def check_tables(self, block: Block, jumps: Indexes) -> None:
        """What each of these jumps can read, by its bound, is among the text's tables."""
        most = block.numbers(jumps - 2, lambda form: form.number)
        first = block.numbers(jumps, lambda form: form.number) - self.address - len(self.code)
        is_entry = (first >= 0) & (first % abi.TABLE_ENTRY == 0)
        fits = is_entry & (most >= 0) & (first + (most + 1) * abi.TABLE_ENTRY <= len(self.tables))
        entry = first[fits] // abi.TABLE_ENTRY
        self.table_jumps.append(np.column_stack([block.starts[jumps[fits]], entry, entry + most[fits]]))
        for jump in jumps[~fits].tolist():
            self.refuse(
                int(block.starts[jump]),
                rules.TABLE_WITHIN_TEXT,
                "it can read outside the tables at the text's end",
            )

    def check_table_entries(self) -> None:
        """Direct branches could go wherever the tables lead."""
        targets = np.frombuffer(self.tables, "<u8") - np.uint64(self.address)
        inside = targets < len(self.code)
        marks = np.zeros(len(targets), np.uint8)
        marks[inside] = self.marks[targets[inside]]
        for number in np.flatnonzero(marks != START).tolist():
            self.refuse(
                len(self.code) + number * abi.TABLE_ENTRY,
                rules.TABLE_LEADS_TO_INSTRUCTIONS,
                "the entry is no address of an instruction that control may arrive at",
            )

    def check_stack(self, block: Block, rebases: set[int]) -> None:
        """How far rsp can be from its last anchor, from each adjustment on.

        Up and down do not cancel out: `sub $N, %rsp; L: add $N, %rsp; jmp L` would move rsp on and on. As a
        sum of magnitudes this is an upper bound on every path, because a branch arrives with 0.
        """
        index = 0
        for adjustment in block.where(lambda form: form.adjusts).tolist():
            index = max(index, adjustment)
            unanchored = 0
            while index < len(block) and (unanchored or index == adjustment):
                form = block.form(index)
                if form.anchors or index in rebases:
                    unanchored = 0
                unanchored += form.adjusts
                problem = adjustment_problem(unanchored, form.branches) if unanchored else None
                if problem:
                    self.refuse(int(block.starts[index]), rules.RSP_STAYS_IN_PRIVATE_HALF, problem)
                if problem or form.ends:
                    unanchored = 0
                index += 1

    def check_end(self) -> None:
        """Reading came to the end of the text, and control goes no further."""
        if self.position != len(self.code) or not self.ends_control:
            self.refuse(self.last, rules.TEXT_DOES_NOT_FALL_OFF, "control runs past the last instruction")

    def check_branches(self) -> None:
        """Direct branches go to marked positions, or to gates."""
        for positions, targets in self.branches:
            inside = (targets >= 0) & (targets < len(self.code))
            marks = np.where(inside, self.marks[np.where(inside, targets, 0)], 0)
            for number in np.flatnonzero(marks != START):
                refusal = self.target_refusal(int(targets[number]))
                if refusal:
                    self.refuse(int(positions[number]), *refusal)

    def target_refusal(self, target: int) -> Refusal | None:
        """Why no direct branch may go to a position."""
        if not 0 <= target < len(self.code):
            leaves = rules.BRANCH_TO_INSTRUCTION_START, "it leaves the text, and not to a gate"
            return None if self.address + target in self.gates else leaves
        return {
            START: None,
            INSIDE: (rules.NO_BRANCH_INTO_SEQUENCE, "it skips the beginning of a sequence"),
            0: (rules.BRANCH_TO_INSTRUCTION_START, "no instruction starts at its target"),
        }[int(self.marks[target])]

    def claim(self, addresses: Iterable[int], bit: int) -> None:
        """Set `bit`, shifted, in the target map at each claimed address that control may arrive at."""
        for address in map(int, addresses):
            position = address - self.address
            mark = self.marks[position] if 0 <= position < len(self.marks) else 0
            if mark == START:
                self.target_map[position] |= self.target_bit(bit)
            elif mark == INSIDE:
                self.refuse(
                    position,
                    rules.NO_BRANCH_INTO_SEQUENCE,
                    "a claimed target skips the beginning of a sequence",
                )
            else:
                self.refuse(
                    position,
                    rules.TARGET_IS_INSTRUCTION_START,
                    "no instruction of the text starts at this target",
                )

    def check_depth(self, labels: Iterable[int], addresses: Positions, depths: Positions) -> None:
        """Rule `stack-depth-known`; and what the target map says of labels, which depends on their depth."""
        if addresses.shape != depths.shape or addresses.ndim != 1:
            raise ValueError(f"{addresses.shape} places and {depths.shape} depths")
        functions = np.flatnonzero(self.target_map).astype(np.int64)
        claims = DepthClaims(addresses - self.address, depths)
        malformed = claims.malformed()
        for position in claims.positions[malformed].tolist():
            self.refuse(
                position, rules.STACK_DEPTH_KNOWN, "a claim that is none about a depth, or out of order"
            )
        claims = DepthClaims(claims.positions[~malformed], depths[~malformed])
        self.claim_labels(np.fromiter(labels, np.int64), claims)
        entries = (np.frombuffer(self.tables, "<u8") - np.uint64(self.address)).astype(np.int64)
        jumps = np.concatenate([np.empty((0, 3), np.int64), *self.table_jumps]).T
        found = self.depth.problems(functions, self.labels, claims, TableJumps(*jumps), entries)
        for position, reason in found:
            self.refuse(position, rules.STACK_DEPTH_KNOWN, reason)

    def claim_labels(self, addresses: Positions, claims: DepthClaims) -> None:
        """Mark each label by its depth in the target map, if there is a mark for that. Only the core leads to
        others."""
        self.claim(addresses.tolist(), abi.TARGET_LABEL)
        inside = addresses[(addresses >= self.address) & (addresses < self.address + len(self.code))]
        positions = inside - self.address
        positions = positions[self.target_map[positions] != 0]
        for position, depth in zip(positions.tolist(), claims.at(positions).tolist(), strict=True):
            if self.target_map[position] & abi.TARGET_FUNCTION:
                self.refuse(position, rules.STACK_DEPTH_KNOWN, "a label that is a function, too")
            elif depth == NEVER:
                self.refuse(position, rules.STACK_DEPTH_KNOWN, "a label whose depth is not claimed")
            else:
                self.target_map[position] = MARK_OF_DEPTH.get(depth, 0)
        self.labels = np.unique(positions)

    def target_bit(self, bit: int) -> int:
        """The bit of the target map that means `bit` to code with this base."""
        return bit << self.table.target_shift

    def check_facts(self, addresses: npt.ArrayLike, facts: npt.ArrayLike) -> None:
        """Facts about registers hold where accesses need them and where they are claimed."""
        claims = self.claims_about_registers(np.asarray(addresses, np.int64), np.asarray(facts, np.int64))
        entries = (np.frombuffer(self.tables, "<u8") - np.uint64(self.address)).astype(np.int64)
        none = np.empty(0, np.int64)
        positions = np.concatenate([none, *(positions for positions, _ in self.branches)])
        targets = np.concatenate([none, *(targets for _, targets in self.branches)])
        jumps = np.concatenate([np.empty((0, 3), np.int64), *self.table_jumps]).T
        arrives = self.target_map != 0
        for places in (targets, entries, claims.positions, self.labels):
            arrives[places[(places >= 0) & (places < len(arrives))]] = True
        arrivals = np.flatnonzero(arrives)
        unproven = self.facts.unproven(arrivals, claims, positions, targets, TableJumps(*jumps), entries)
        for position, missing, is_access in unproven:
            rule = self.table.memory.name if is_access else rules.CLAIMS_ABOUT_REGISTERS_HOLD
            claimed = "" if is_access else ", as is claimed of where control goes from here"
            self.refuse(position, rule, missing + claimed)

    def claims_about_registers(self, addresses: Positions, facts: Positions) -> Claims:
        """Those that can be looked at; others are refused: they are about no instruction's start, or about
        one that control may reach by more than this text's own direct branches and tables."""
        if addresses.shape != facts.shape or addresses.ndim != 1:
            raise ValueError(f"{addresses.shape} places and {facts.shape} facts")
        positions = addresses - self.address
        inside = (positions >= 0) & (positions < len(self.code))
        at = np.where(inside, positions, 0)
        usable = inside & (self.marks[at] == START) & (self.target_map[at] == 0) if len(self.code) else inside
        usable &= ~np.isin(positions, self.labels)
        claims = Claims(positions, facts >> 8, facts & 0xFF).only(usable)
        malformed = claims.malformed()
        for places, why in (
            (
                positions[~usable],
                "a claim about a place where other branches may arrive, or that is no instruction",
            ),
            (claims.positions[malformed], "a claim that is none about a register, or out of order"),
        ):
            for position in places.tolist():
                self.refuse(position, rules.CLAIMS_ABOUT_REGISTERS_HOLD, why)
        return claims.only(~malformed)

    def refuse(self, position: int | None, rule: str, reason: str) -> None:
        """Record a violation; `position` None stands for the text as a whole."""
        address = self.address + (position or 0)
        text = "the text" if position is None else self.text_at(position)
        source = self.locate(address) if self.locate else None
        self.violations.append(Violation(address, rule, text, reason, source))
        if len(self.violations) >= MOST_VIOLATIONS:
            raise _EnoughViolations

    def text_at(self, position: int) -> str:
        """The instruction at a position as an assembler would have it, for messages."""
        window = self.code[position : position + 15] if position >= 0 else b""
        if not window:
            in_tables = 0 <= position - len(self.code) < len(self.tables)
            return "(an entry of a table)" if in_tables else "(outside the text)"
        instruction = Decoder(64, window, ip=self.address + position).decode()
        if instruction.is_invalid:
            return f"(bytes {window.hex(' ')})"
        return Formatter(FormatterSyntax.GAS).format(instruction)
