"""What the verifier knows about one instruction from its bytes alone.

A `Form` does not depend on where the instruction stands, so it is worked out once per distinct encoding;
positions enter only as displacements relative to the instruction's start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Final

from iced_x86 import Code

from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.borrowed import access_steps, offset_steps
from tmebox.verify.decoded import Decoded, decode, signed
from tmebox.verify.encoding import encoding_problem
from tmebox.verify.memory import memory_problems
from tmebox.verify.opcodes import opcode_of
from tmebox.verify.rules import Refusal
from tmebox.verify.sequences import READS_MAP, steps_of
from tmebox.verify.stack import adjustment, is_anchor, stack_problem
from tmebox.verify.tables import Table


@dataclass(frozen=True, slots=True)
class Form:
    """Everything about one encoding that the walk over a text needs.

    refusals: rules that it breaks wherever it stands.
    needs_sequence: the rule that it breaks unless a sequence covers it, or None.
    steps: what it can be in a sequence.
    anchors: it surely accesses memory near rsp.
    adjusts: bytes that it moves rsp by, at most, without accessing anything.
    branches, calls, ends: it can go elsewhere; it leaves a return address; control never runs past it.
    target, operand: displacement from its own start of its direct branch target, of its rip-relative operand.
    is_plain: it needs no attention at the place where it stands, except as an anchor.
    """

    refusals: tuple[Refusal, ...] = ()
    needs_sequence: Refusal | None = None
    steps: frozenset[str] = frozenset()
    anchors: bool = False
    adjusts: int = 0
    branches: bool = False
    calls: bool = False
    ends: bool = False
    target: int | None = None
    operand: int | None = None
    features: frozenset[str] = frozenset()
    is_avx: bool = False
    is_x87: bool = False
    is_plain: bool = False


_SHORT_BRANCHES: Final = frozenset(bytes([opcode]) for opcode in (*range(0x70, 0x80), 0xEB))
_NEAR_BRANCHES: Final = frozenset(
    [b"\xe8", b"\xe9", *(bytes([0x0F, opcode]) for opcode in range(0x80, 0x90))]
)


@lru_cache(maxsize=1 << 16)
def classify(encoding: bytes, table: Table) -> Form:
    """The form of the one instruction that `encoding` holds, by the rules of `table`."""
    for size_bytes, opcodes in ((1, _SHORT_BRANCHES), (4, _NEAR_BRANCHES)):
        opcode = encoding[:-size_bytes]
        if opcode in opcodes:  # many, and they differ only in where they go
            displacement = int.from_bytes(encoding[-size_bytes:], "little", signed=True)
            return replace(_branch(opcode, size_bytes, table), target=len(encoding) + displacement)
    return _classify(encoding, table)


@cache
def _branch(opcode: bytes, size_bytes: int, table: Table) -> Form:
    return _classify(opcode + bytes(size_bytes), table)


def _classify(encoding: bytes, table: Table) -> Form:
    decoded = decode(encoding)
    if decoded is None:
        return Form(refusals=((rules.KNOWN_INSTRUCTION, "these bytes are no instruction"),))
    instruction = decoded.instruction
    opcode = opcode_of(instruction)
    unknown = _segment_refusal(decoded) or opcode.refusal or _register_refusal(decoded)
    if opcode.is_absolute and not unknown:
        unknown = table.memory_rule, "a 64-bit absolute address"
    if unknown:
        return Form(refusals=(unknown,))
    code = instruction.code
    steps = steps_of(instruction, encoding, table.sequences.exact)
    is_borrowed = False
    if table.base == "gs":
        accesses = access_steps(decoded)
        is_borrowed = bool(accesses)
        steps |= offset_steps(decoded) | accesses
    refusals = tuple(_refusals(decoded, READS_MAP in steps or is_borrowed, table))
    needs_sequence = _needs_sequence(decoded, steps, is_borrowed, table)
    adjusts = adjustment(decoded) or 0
    branches = code in known.BRANCHES
    ends = code in known.NEVER_CONTINUES
    reads_text = instruction.is_ip_rel_memory_operand and decoded.accesses_operand
    return Form(
        refusals=refusals,
        needs_sequence=needs_sequence,
        steps=steps,
        anchors=is_anchor(decoded),
        adjusts=adjusts,
        branches=branches,
        calls=code in known.CALLS,
        ends=ends,
        target=signed(instruction.near_branch64) if decoded.has_branch_target else None,
        operand=signed(instruction.memory_displacement) if reads_text else None,
        features=opcode.features,
        is_avx=opcode.is_avx,
        is_x87=opcode.is_x87,
        is_plain=not (refusals or needs_sequence or adjusts or branches or ends or reads_text),
    )


def _segment_refusal(decoded: Decoded) -> Refusal | None:
    if known.SEGMENT_REGISTERS.isdisjoint([*decoded.written, *decoded.register_operands]):
        return None
    return rules.SEGMENT_REGISTERS_UNTOUCHED, "it reads or writes a segment register"


def _register_refusal(decoded: Decoded) -> Refusal | None:
    if known.REGISTERS.issuperset(decoded.register_operands):
        return None
    return rules.KNOWN_INSTRUCTION, "it has an operand register that no table names"


def _refusals(decoded: Decoded, needs_sequence: bool, table: Table) -> Iterator[Refusal]:
    problem = encoding_problem(decoded)
    if problem:
        yield rules.CANONICAL_ENCODING, problem
    if not needs_sequence:
        yield from memory_problems(decoded, table.memory_rule, table.address_rule)
    written = table.reserved_problem(decoded)
    if written:
        yield rules.RESERVED_REGISTERS_KEPT, written


def _needs_sequence(
    decoded: Decoded, steps: frozenset[str], is_borrowed: bool, table: Table
) -> Refusal | None:
    code = decoded.instruction.code
    if code in known.STRINGS:
        return rules.STRING_INSTRUCTION_REBASED, "not at the end of the sequence that rebases its pointers"
    if code == Code.RETNQ:
        return rules.RETURN_CHECKED, "not at the end of the sequence that checks its target"
    if code in known.INDIRECT_BRANCHES:
        return rules.INDIRECT_BRANCH_CHECKED, "not at the end of a sequence that checks its target"
    if READS_MAP in steps:
        return table.memory_rule, "a read of the target map outside a sequence"
    if is_borrowed:
        return table.memory_rule, "an address in 64-bit registers, and not at the end of a sequence for it"
    reason = stack_problem(decoded)
    return (rules.RSP_STAYS_IN_PRIVATE_HALF, reason) if reason else None
