"""What the verifier knows about one instruction from its bytes alone.

A `Form` does not depend on where the instruction stands, so it is worked out once per distinct encoding;
positions enter only as displacements relative to the instruction's start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iced_x86 import Code, EncodingKind, RegisterExt

from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.decoded import WRITES, Decoded, decode, signed
from tmebox.verify.encoding import encoding_problem
from tmebox.verify.memory import Refusal, memory_problems
from tmebox.verify.sequences import reads_map, steps_of
from tmebox.verify.stack import adjustment, is_anchor, stack_problem


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
    avx: bool = False
    x87: bool = False
    is_plain: bool = False


def classify(encoding: bytes) -> Form:
    """The form of the one instruction that `encoding` holds."""
    decoded = decode(encoding)
    if decoded is None:
        return Form(refusals=((rules.KNOWN_INSTRUCTION, "these bytes are no instruction"),))
    unknown = _segment_refusal(decoded) or _unknown(decoded)
    if unknown:
        return Form(refusals=(unknown,))
    instruction = decoded.instruction
    code = instruction.code
    refusals = tuple(_refusals(decoded))
    needs_sequence = _needs_sequence(decoded)
    adjusts = adjustment(decoded) or 0
    branches = code in known.BRANCHES
    ends = code in known.NEVER_CONTINUES
    reads_text = instruction.is_ip_rel_memory_operand and decoded.accesses_operand
    features = (known.FEATURES[feature] for feature in instruction.cpuid_features())
    return Form(
        refusals=refusals,
        needs_sequence=needs_sequence,
        steps=steps_of(instruction, encoding),
        anchors=is_anchor(decoded),
        adjusts=adjusts,
        branches=branches,
        calls=code in known.CALLS,
        ends=ends,
        target=signed(instruction.near_branch64) if decoded.has_branch_target else None,
        operand=signed(instruction.memory_displacement) if reads_text else None,
        features=frozenset(feature for feature in features if feature),
        avx=instruction.encoding == EncodingKind.VEX,
        x87=instruction.mnemonic in known.X87,
        is_plain=not (refusals or needs_sequence or adjusts or branches or ends or reads_text),
    )


def _segment_refusal(decoded: Decoded) -> Refusal | None:
    named = any(RegisterExt.is_segment_register(register) for register in decoded.register_operands)
    written = any(
        RegisterExt.is_segment_register(used.register) and used.access in WRITES
        for used in decoded.used_registers
    )
    if named or written or decoded.instruction.mnemonic in known.SEGMENTS:
        return rules.SEGMENT_REGISTERS_UNTOUCHED, "it reads or writes a segment register or its base"
    return None


def _unknown(decoded: Decoded) -> Refusal | None:
    """The tables' verdict: is it an instruction that verified text may contain at all?"""
    instruction = decoded.instruction
    mnemonic = instruction.mnemonic
    if mnemonic in known.SYSTEM or (instruction.is_privileged and instruction.code != Code.HLT):
        return rules.NO_PRIVILEGED_INSTRUCTION, "it reaches state that is not the sandbox's"
    if mnemonic not in known.MNEMONICS and instruction.code not in known.CODES:
        return rules.KNOWN_INSTRUCTION, "no table names this instruction"
    if instruction.code in known.ALIASES:
        return rules.KNOWN_INSTRUCTION, "an alias that assemblers do not emit"
    if instruction.encoding not in (EncodingKind.LEGACY, EncodingKind.VEX):
        return rules.KNOWN_INSTRUCTION, "only legacy and VEX encodings are known"
    if any(feature not in known.FEATURES for feature in instruction.cpuid_features()):
        return rules.KNOWN_INSTRUCTION, "it needs a CPU feature that no table names"
    return None


def _refusals(decoded: Decoded) -> Iterator[Refusal]:
    for rule, reason in (
        (rules.CANONICAL_ENCODING, encoding_problem(decoded)),
        (rules.KNOWN_INSTRUCTION, _register_problem(decoded)),
    ):
        if reason:
            yield rule, reason
    if not reads_map(decoded.encoding):  # which needs a sequence instead
        yield from memory_problems(decoded)


def _register_problem(decoded: Decoded) -> str | None:
    ext = RegisterExt
    for register in decoded.register_operands:
        vector = ext.is_xmm(register) or ext.is_ymm(register)
        if not (ext.is_gpr(register) or vector or ext.is_st(register)):
            return "it names a register that verified text does not have (MMX, control, debug, mask, …)"
    return None


def _needs_sequence(decoded: Decoded) -> Refusal | None:
    code = decoded.instruction.code
    if code in known.STRINGS:
        return rules.STRING_INSTRUCTION_REBASED, "not at the end of the sequence that rebases its pointers"
    if code == Code.RETNQ:
        return rules.RETURN_CHECKED, "not at the end of the sequence that checks its target"
    if code in known.INDIRECT_BRANCHES:
        return rules.INDIRECT_BRANCH_CHECKED, "not at the end of a sequence that checks its target"
    if reads_map(decoded.encoding):
        return rules.MEMORY_THROUGH_GS, "a read of the target map outside a sequence"
    reason = stack_problem(decoded)
    return (rules.RSP_STAYS_IN_PRIVATE_HALF, reason) if reason else None
