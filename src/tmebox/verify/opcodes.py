"""The tables' verdict on an instruction whatever its operands: what `iced_x86.Code` alone decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from iced_x86 import Code, EncodingKind, Instruction

from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.rules import Refusal


@dataclass(frozen=True, slots=True)
class Opcode:
    """refusal: why no instruction with this opcode is known, or None.
    needs_sequence: the rule that it breaks outside a sequence that checks it, whatever its operands; or None.
    is_absolute: it has a 64-bit absolute address.
    computes_only: it does not access its memory operand.
    moves_rsp: it pushes, pops, calls or returns, and accesses what it moves rsp to.
    branches, calls, ends: it can go elsewhere; it leaves a return address; control never runs past it.
    features: CPU features needed beyond the baseline.
    is_optional: to a CPU that lacks one of them it is undefined, and not another instruction.
    """

    refusal: Refusal | None
    needs_sequence: Refusal | None
    is_absolute: bool
    is_string: bool
    computes_only: bool
    moves_rsp: bool
    branches: bool
    calls: bool
    ends: bool
    features: frozenset[str]
    is_x87: bool
    is_optional: bool


_SEEN: Final[dict[int, Opcode]] = {}


def opcode_of(instruction: Instruction) -> Opcode:
    opcode = _SEEN.get(instruction.code)
    if opcode is None:
        opcode = _SEEN[instruction.code] = _look_up(instruction)
    return opcode


def _look_up(instruction: Instruction) -> Opcode:
    code, mnemonic = instruction.code, instruction.mnemonic
    found = (known.FEATURES.get(feature) for feature in instruction.cpuid_features())
    features = frozenset(feature for feature in found if feature)
    return Opcode(
        refusal=_refusal(instruction),
        needs_sequence=next((refusal for codes, refusal in _SEQUENCED.items() if code in codes), None),
        is_absolute=code in known.ABSOLUTE,
        is_string=code in known.STRINGS,
        computes_only=mnemonic in known.COMPUTES_ONLY,
        moves_rsp=code in known.MOVES_RSP,
        branches=code in known.BRANCHES,
        calls=code in known.CALLS,
        ends=code in known.NEVER_CONTINUES,
        features=features,
        is_x87=mnemonic in known.X87 - known.X87_UNCHANGING,
        is_optional=instruction.encoding == EncodingKind.VEX and features <= known.OPTIONAL,
    )


_SEQUENCED: Final[dict[frozenset[int], Refusal]] = {
    known.STRINGS: (
        rules.STRING_INSTRUCTION_REBASED,
        "not at the end of the sequence that rebases its pointers",
    ),
    known.RETURNS: (rules.RETURN_CHECKED, "not at the end of the sequence that checks its target"),
    known.INDIRECT_BRANCHES: (
        rules.INDIRECT_BRANCH_CHECKED,
        "not at the end of a sequence that checks its target",
    ),
}


def _refusal(instruction: Instruction) -> Refusal | None:
    mnemonic = instruction.mnemonic
    if mnemonic in known.SEGMENTS:
        return rules.SEGMENT_REGISTERS_UNTOUCHED, "it reads or writes a segment register or its base"
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
