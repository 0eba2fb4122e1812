"""Deciding whether a text may run: one linear walk, then a look at every place where control can arrive."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import InitVar, dataclass

from iced_x86 import Decoder, Formatter, FormatterSyntax

from tmebox import abi
from tmebox.errors import VerificationError, Violation
from tmebox.verify import rules, sequences
from tmebox.verify.forms import Form, classify
from tmebox.verify.rules import Refusal
from tmebox.verify.sequences import Sequence
from tmebox.verify.stack import adjustment_problem
from tmebox.verify.tables import TABLES, Table

_PROOF = object()
MOST_VIOLATIONS = 1000
"""Where listing violations stops: a hostile text could have hundreds of millions."""
MOST_FORMS = 1 << 20
"""How many forms are remembered at a time, for the same reason."""

Locate = Callable[[int], "str | None"]


@dataclass(frozen=True)
class VerifiedText:
    """The proof that a text may run at `address`, and what the verifier learnt. Only `verify` makes one.

    target_map: one byte per byte of code, TARGET_* bits; goes to `address + TARGET_MAP`.
    features: CPU features needed beyond x86-64's baseline, as /proc/cpuinfo spells them.
    """

    address: int
    code: bytes
    target_map: bytes
    features: frozenset[str]
    uses_avx: bool
    uses_avx512: bool
    uses_x87: bool
    instruction_count: int
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
    gates: Collection[int] = frozenset(abi.GATES.values()),
    base: str = "gs",
    isolation: str = "code+data",
    locate: Locate | None = None,
) -> VerifiedText:
    """Prove that `code` is confined when it runs at `address`, or raise VerificationError.

    base: where the code has its window's base, "gs" or "r15".
    functions, labels: addresses claimed as targets of indirect branches. gates: addresses outside the text
    that direct branches may go to. isolation "data" trusts the compiler with control flow: returns and
    indirect branches need no check, and no other text may enter this one (an empty target map).
    locate: gives the source place of an address, for messages only.

    Raises VerificationError with every violation (the first MOST_VIOLATIONS), ValueError for a base or an
    isolation that does not exist.
    """
    if base not in TABLES:
        raise ValueError(f"no rules for base {base!r}")
    if isolation not in ("code+data", "data"):
        raise ValueError(f"no isolation {isolation!r}")
    walk = _Walk(bytes(code), address, frozenset(gates), TABLES[base], isolation == "code+data", locate)
    with suppress(_EnoughViolations):
        walk.check_place()
        walk.check_instructions()
        walk.check_branches()
        walk.claim(functions, abi.TARGET_FUNCTION)
        walk.claim(labels, abi.TARGET_LABEL)
    if walk.violations:
        raise VerificationError(tuple(sorted(walk.violations, key=lambda violation: violation.address)))
    return VerifiedText(
        address=address,
        code=walk.code,
        target_map=bytes(walk.target_map) if walk.checks_control else bytes(len(walk.code)),
        features=frozenset(walk.features),
        uses_avx=walk.uses_avx,
        uses_avx512=False,  # no table names an EVEX encoding
        uses_x87=walk.uses_x87,
        instruction_count=walk.instruction_count,
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
    """One verification. Positions are byte positions within the text.

    marks: START or INSIDE for each position where an instruction starts.
    branches, branch_targets: position and target position of each direct branch.
    unproven: refusals of instructions that no sequence covers so far, by position.
    """

    def __init__(
        self,
        code: bytes,
        address: int,
        gates: frozenset[int],
        table: Table,
        checks_control: bool,
        locate: Locate | None,
    ) -> None:
        self.code = code
        self.address = address
        self.gates = gates
        self.table = table
        self.checks_control = checks_control
        self.locate = locate
        self.violations: list[Violation] = []
        self.forms: dict[bytes, Form] = {}
        self.marks = bytearray(len(code))
        self.target_map = bytearray(len(code))
        self.branches = array("q")
        self.branch_targets = array("q")
        self.unproven: dict[int, Refusal] = {}
        self.instruction_count = 0
        self.features: set[str] = set()
        self.uses_avx = self.uses_x87 = False

    def check_place(self) -> None:
        end = self.address + len(self.code)
        if len(self.code) > abi.TEXT_MAX or not abi.CODE_BASE <= self.address <= end <= abi.GATE_BASE:
            self.refuse(
                None,
                rules.TEXT_IN_CODE_REGION,
                f"{len(self.code)} bytes of text do not fit there: the region is "
                f"[{abi.CODE_BASE:#x}, {abi.GATE_BASE:#x}), the limit {abi.TEXT_MAX} bytes",
            )
            raise _EnoughViolations

    def check_instructions(self) -> None:
        """Decode from the first byte to the last, and judge each instruction by its form and its place."""
        code, forms, marks = self.code, self.forms, self.marks
        trail: deque[tuple[int, Form]] = deque(maxlen=self.table.sequences.longest)
        position = start = unanchored = 0
        form = Form()
        for instruction in Decoder(64, code):
            end = position + instruction.len
            encoding = code[position:end]
            known_form = forms.get(encoding)
            if known_form is None:
                known_form = self.learn(encoding)
            form = known_form
            marks[position] = START
            trail.append((position, form))
            if unanchored and form.anchors:
                unanchored = 0
            if not form.is_plain:
                self.check_instruction(position, end, form)
                if (
                    form.needs_sequence
                    and self.check_sequence(trail, form.needs_sequence) == sequences.REBASE
                ):
                    unanchored = 0
                unanchored = self.check_stack(position, form, unanchored)
            self.instruction_count += 1
            start, position = position, end
        if not form.ends:
            self.refuse(start, rules.TEXT_DOES_NOT_FALL_OFF, "control runs past the last instruction")
        self.refuse_unproven()

    def learn(self, encoding: bytes) -> Form:
        """Classify an encoding that is not remembered."""
        form = classify(encoding, self.table)
        self.features |= form.features
        self.uses_avx |= form.is_avx
        self.uses_x87 |= form.is_x87
        if len(self.forms) >= MOST_FORMS:
            self.forms.clear()
        self.forms[encoding] = form
        return form

    def check_instruction(self, position: int, end: int, form: Form) -> None:
        for rule, reason in form.refusals:
            self.refuse(position, rule, reason)
        if form.operand is not None:
            problem = self.table.offset_problem(self.address + position + form.operand)
            if problem:
                self.refuse(position, self.table.memory_rule, problem)
        if form.target is not None:
            self.branches.append(position)
            self.branch_targets.append(position + form.target)
        if form.calls and end < len(self.code):
            self.target_map[end] |= abi.TARGET_RETURN << self.table.target_shift

    def check_sequence(self, trail: deque[tuple[int, Form]], refusal: Refusal) -> Sequence | None:
        """The sequence that the last instruction of `trail` completes. If there is none, remember why the
        instruction must be part of one: it may be an earlier step of a sequence that goes on."""
        position, form = trail[-1]
        by_last_step = self.table.sequences.by_last_step
        for sequence in (sequence for step in form.steps for sequence in by_last_step.get(step, ())):
            candidates = tuple(trail)[-len(sequence) :]
            if len(candidates) == len(sequence) and all(
                step in candidate.steps for step, (_, candidate) in zip(sequence, candidates, strict=True)
            ):
                for start, _ in candidates:
                    self.unproven.pop(start, None)
                for start, _ in candidates[1:]:
                    self.marks[start] = INSIDE
                return sequence
        if self.checks_control or refusal[0] not in CONTROL_RULES:
            self.unproven[position] = refusal
        if len(self.unproven) > MOST_VIOLATIONS:
            self.refuse_unproven()
        return None

    def refuse_unproven(self) -> None:
        for position, (rule, reason) in self.unproven.items():
            self.refuse(position, rule, reason)

    def check_stack(self, position: int, form: Form, unanchored: int) -> int:
        """How far rsp can be from its last anchor after this instruction, given how far before it (bytes).

        Up and down do not cancel out: `sub $N, %rsp; L: add $N, %rsp; jmp L` would move rsp on and on. As a
        sum of magnitudes this is an upper bound on every path, because a branch arrives with 0.
        """
        unanchored += form.adjusts
        problem = adjustment_problem(unanchored)
        if form.branches and unanchored and not problem:
            problem = f"rsp moved by up to {unanchored:#x} bytes without an access before this branch"
        if problem:
            self.refuse(position, rules.RSP_STAYS_IN_PRIVATE_HALF, problem)
            return 0
        return 0 if form.ends else unanchored

    def check_branches(self) -> None:
        for position, target in zip(self.branches, self.branch_targets, strict=True):
            mark = self.marks[target] if 0 <= target < len(self.marks) else None
            if mark == INSIDE:
                self.refuse(position, rules.NO_BRANCH_INTO_SEQUENCE, "it skips the beginning of a sequence")
            elif mark is None and self.address + target not in self.gates:
                self.refuse(
                    position, rules.BRANCH_TO_INSTRUCTION_START, "it leaves the text, and not to a gate"
                )
            elif mark == 0:
                self.refuse(
                    position, rules.BRANCH_TO_INSTRUCTION_START, "no instruction starts at its target"
                )

    def claim(self, addresses: Iterable[int], bit: int) -> None:
        """Set `bit`, shifted, in the target map at each claimed address that control may arrive at."""
        for address in map(int, addresses):
            position = address - self.address
            mark = self.marks[position] if 0 <= position < len(self.marks) else 0
            if mark == START:
                self.target_map[position] |= bit << self.table.target_shift
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
            return "(outside the text)"
        instruction = Decoder(64, window, ip=self.address + position).decode()
        if instruction.is_invalid:
            return f"(bytes {window.hex(' ')})"
        return Formatter(FormatterSyntax.GAS).format(instruction)
