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
from tmebox.verify import depth_everywhere, facts_everywhere, rules, sequences, tables_everywhere
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.depth import Claims as DepthClaims
from tmebox.verify.depth import Problem
from tmebox.verify.facts_everywhere import Claims
from tmebox.verify.reading import Block, Places, Positions, read
from tmebox.verify.rules import Refusal
from tmebox.verify.stack_everywhere import unanchored
from tmebox.verify.targets import INSIDE, START, Found, TargetMap

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
    optional_features: those that optional code needs: where they are lacking it ends in a trap, as confined.
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
    optional_features: frozenset[str] = frozenset()
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
    optional: tuple[int, int] = (0, 0),
    locate: Locate | None = None,
) -> VerifiedText:
    """Prove that `code` is confined when it runs at `address`, or raise VerificationError.

    base: where the code has its window's base, "gs" or "r15". functions, labels: addresses claimed as targets
    of indirect branches. table_entries: how many addresses of 8 bytes `code` ends with, for jumps to read.
    fact_places, facts: claims about registers: at each address, register number << 8 | fact (see `facts`), in
    the order of address and register. depth_places, depths: claims about the stack (see `depth`), from each
    address on, ascending. gates: addresses outside the text that direct branches may go to. isolation "data"
    trusts the compiler with control flow: returns and indirect branches need no check, and no other text may
    enter this one (an empty target map). optional: from which address to which code is claimed to run only
    where the CPU has what it needs. locate: gives the source place of an address, for messages only.

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
        (optional[0] - address, optional[1] - address),
        locate,
    )
    with suppress(_EnoughViolations):
        walk.check_place()
        for block in read(walk.code, walk.table):
            walk.check_block(block)
        walk.check_end()
        walk.check_branches()
        walk.check_table_entries()
        walk.refuse_all(walk.target_map.claim(functions, abi.TARGET_FUNCTION))
        if walk.table.has_depth:
            about_depth = walk.claims_about_depth(labels, depth_places, depths)
        else:
            walk.refuse_all(walk.target_map.claim(labels, abi.TARGET_LABEL))
        claims = walk.claims_about_registers(np.asarray(fact_places, np.int64), np.asarray(facts, np.int64))
        arrivals = walk.arrivals(claims)
        walk.refuse_by(rules.TABLE_WITHIN_TEXT, walk.tables.known(walk.facts, arrivals, claims))
        if walk.table.has_depth:
            walk.check_depth(about_depth)
        walk.check_facts(arrivals, claims)
    if walk.violations:
        raise VerificationError(tuple(sorted(walk.violations, key=lambda violation: violation.address)))
    return VerifiedText(
        address=address,
        code=instructions + tables,
        target_map=(walk.target_map.bytes.tobytes() if checks_control else bytes(size_bytes))
        + bytes(len(tables)),
        features=frozenset(walk.features),
        uses_x87=walk.uses_x87,
        instruction_count=walk.instruction_count,
        optional_features=frozenset(walk.optional_features - walk.features),
        returns=walk.depth.returns(),
        proof=_PROOF,
    )


class _EnoughViolations(Exception):
    """There is no point in looking further."""


CONTROL_RULES = frozenset({rules.RETURN_CHECKED, rules.INDIRECT_BRANCH_CHECKED})


class _Walk:
    """One verification. Positions are byte positions within the text, indexes count a block's instructions.

    code: the text without its tables, which are after it. size_bytes: of the text.
    marks: START or INSIDE for each position where an instruction starts.
    branches: positions and target positions of direct branches. tables: told of all jumps through them.
    functions: positions of those that the target map has. facts: told of all instructions.
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
        optional: tuple[int, int],
        locate: Locate | None,
    ) -> None:
        self.code = code
        self.tables = tables_everywhere.Text(address + len(code), tables)
        self.size_bytes = len(code) + len(tables)
        self.address = address
        self.gates = gates
        self.table = table
        self.checks_control = checks_control
        self.optional = optional
        self.locate = locate
        self.violations: list[Violation] = []
        self.marks = np.zeros(len(code), np.uint8)
        self.target_map = TargetMap(address, self.marks, table.target_shift)
        self.branches: list[tuple[Places, Positions]] = []
        self.functions: Positions = np.empty(0, np.int64)
        self.facts = facts_everywhere.Text()
        self.depth = depth_everywhere.Text()
        self.last = self.position = 0
        self.ends_control = False
        self.features: set[str] = set()
        self.optional_features: set[str] = set()
        self.uses_x87 = False
        self.instruction_count = 0

    def check_place(self) -> None:
        end = self.address + self.size_bytes
        if self.size_bytes > abi.TEXT_MAX or not abi.CODE_BASE <= self.address <= end <= abi.GATE_BASE:
            self.refuse(
                None,
                rules.TEXT_IN_CODE_REGION,
                f"{self.size_bytes} bytes of text do not fit there: the region is "
                f"[{abi.CODE_BASE:#x}, {abi.GATE_BASE:#x}), the limit {abi.TEXT_MAX} bytes",
            )
            raise _EnoughViolations

    def check_block(self, block: Block) -> None:
        """Everything about some instructions in a row but where their branches go."""
        self.note_features(block)
        self.uses_x87 |= any(form.is_x87 for form in block.forms)
        self.instruction_count += len(block)
        self.marks[block.starts] = START
        branches = block.where(lambda form: form.target)
        targets = block.referents(branches, lambda form: form.target)
        self.branches.append((block.starts[branches], targets))
        if not self.table.has_depth:
            after_calls = block.ends[block.where(lambda form: form.calls)]
            self.target_map.set(after_calls[after_calls < len(self.code)], abi.TARGET_RETURN)
        self.check_instructions(block)
        self.check_operands(block)
        self.facts.read(block)
        rebases = self.check_sequences(block)
        if self.table.has_depth:
            self.depth.read(block, branches, targets)
        else:
            for position, reason in unanchored(block, rebases):
                self.refuse(position, rules.RSP_STAYS_IN_PRIVATE_HALF, reason)
        self.last, self.position = int(block.starts[-1]), int(block.ends[-1])
        self.ends_control = block.form(-1).ends
        if self.position < len(self.code) and not self.ends_control:
            self.refuse(
                self.last, rules.CONTROL_ENDS_REGULARLY, "too many instructions before it ends control"
            )

    def note_features(self, block: Block) -> None:
        """All that its instructions need; apart, what is claimed to be optional and can be: see OPTIONAL."""
        start, end = self.optional
        optional = (start <= block.starts) & (block.starts < end)
        if not optional.any():
            self.features.update(*(form.features for form in block.forms))
            return
        for kind in set(block.kinds[~optional].tolist()):
            self.features |= block.forms[kind].features
        for kind in set(block.kinds[optional].tolist()):
            form = block.forms[kind]
            found = self.optional_features if form.is_optional else self.features
            found |= form.features

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
        for sequence in block.sequences(self.table.sequences):
            last = block.runs(sequence)
            for before in range(sequences.proven(sequence)):
                covered[last - before] = True
            for before in range(len(sequence) - 1):
                self.marks[block.starts[last - before]] = INSIDE
            if sequence == sequences.REBASE:
                rebases.update(last.tolist())
            if sequence in sequences.TABLE_JUMPS:
                self.refuse_by(rules.TABLE_WITHIN_TEXT, self.tables.bounded(block, last))
            if sequence in sequences.TO_FUNCTIONS:
                self.depth.jumps(last, 0)
            if sequence in sequences.TO_LABELS:
                self.depth.jumps(last, sequences.TO_LABELS[sequence])
        needing = block.where(lambda form: form.needs_sequence)
        through_tables = block.where(lambda form: form.table_index is not None)
        self.tables.others(block, through_tables[~covered[through_tables]])
        for index in needing[~covered[needing]].tolist():
            refusal = block.form(index).needs_sequence
            if refusal and (self.checks_control or refusal[0] not in CONTROL_RULES):
                self.refuse(int(block.starts[index]), *refusal)
        return rebases

    def check_table_entries(self) -> None:
        """Direct branches could go wherever the tables lead."""
        targets = self.tables.targets - np.uint64(self.address)
        inside = targets < len(self.code)
        marks = np.zeros(len(targets), np.uint8)
        marks[inside] = self.marks[targets[inside]]
        for number in np.flatnonzero(marks != START).tolist():
            self.refuse(
                len(self.code) + number * abi.TABLE_ENTRY,
                rules.TABLE_LEADS_TO_INSTRUCTIONS,
                "the entry is no address of an instruction that control may arrive at",
            )

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

    def claims_about_depth(
        self, labels: Iterable[int], places: npt.ArrayLike, claimed: npt.ArrayLike
    ) -> DepthClaims:
        """Those that can be looked at; and what the target map says of labels, which depends on them."""
        addresses, depths = np.asarray(places, np.int64), np.asarray(claimed, np.int64)
        if addresses.shape != depths.shape or addresses.ndim != 1:
            raise ValueError(f"{addresses.shape} places and {depths.shape} depths")
        self.functions = np.flatnonzero(self.target_map.bytes)
        claims = DepthClaims(addresses - self.address, depths)
        malformed = claims.malformed()
        for position in claims.positions[malformed].tolist():
            why = "a claim that is none about a depth, or out of order"
            self.refuse(position, rules.STACK_DEPTH_KNOWN, why)
        claims = DepthClaims(claims.positions[~malformed], depths[~malformed])
        self.refuse_all(self.target_map.claim_labels(labels, claims))
        return claims

    def check_depth(self, claims: DepthClaims) -> None:
        """Rule `stack-depth-known`."""
        labels, jumps, entries = self.target_map.labels, self.tables.jumps(), self.entries()
        found = self.depth.problems(len(self.code), self.functions, labels, claims, jumps, entries)
        self.refuse_by(rules.STACK_DEPTH_KNOWN, found)

    def entries(self) -> Positions:
        """Positions where the entries of all tables lead."""
        positions: Positions = (self.tables.targets - np.uint64(self.address)).astype(np.int64)
        return positions

    def direct_branches(self) -> tuple[Positions, Positions]:
        """Their positions, and those of their targets."""
        none = np.empty(0, np.int64)
        positions = np.concatenate([none, *(positions for positions, _ in self.branches)])
        return positions, np.concatenate([none, *(targets for _, targets in self.branches)])

    def arrivals(self, claims: Claims) -> Positions:
        """Where control may arrive from anywhere but the instruction before, in order."""
        arrives = self.target_map.bytes != 0
        targets = self.direct_branches()[1]
        for places in (targets, self.entries(), claims.positions, self.target_map.labels):
            arrives[places[(places >= 0) & (places < len(arrives))]] = True
        return np.flatnonzero(arrives)

    def check_facts(self, arrivals: Positions, claims: Claims) -> None:
        """Facts about registers hold where accesses need them and where they are claimed."""
        through_tables = self.tables.jumps(), self.entries()
        unproven = self.facts.unproven(arrivals, claims, *self.direct_branches(), *through_tables)
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
        reached = self.target_map.bytes != 0
        reached[self.target_map.labels] = True
        usable = inside & (self.marks[at] == START) & ~reached[at] if len(self.code) else inside
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

    def refuse_by(self, rule: str, problems: Iterable[Problem]) -> None:
        for position, reason in problems:
            self.refuse(position, rule, reason)

    def refuse_all(self, found: Found) -> None:
        for position, rule, reason in found:
            self.refuse(position, rule, reason)

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
            in_tables = len(self.code) <= position < self.size_bytes
            return "(an entry of a table)" if in_tables else "(outside the text)"
        instruction = Decoder(64, window, ip=self.address + position).decode()
        if instruction.is_invalid:
            return f"(bytes {window.hex(' ')})"
        return Formatter(FormatterSyntax.GAS).format(instruction)
