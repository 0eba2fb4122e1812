"""The tables' verdict on an instruction whatever its operands: what `iced_x86.Code` alone decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from iced_x86 import Code, EncodingKind, Instruction, OpCodeOperandKind

from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.rules import Refusal


@dataclass(frozen=True, slots=True)
class Opcode:
    """refusal: why no instruction with this opcode is known, or None.
    is_absolute: it has a 64-bit absolute address.
    features: CPU features needed beyond the baseline.
    """

    refusal: Refusal | None
    is_absolute: bool
    features: frozenset[str]
    is_avx: bool
    is_x87: bool


_SEEN: Final[dict[int, Opcode]] = {}


def opcode_of(instruction: Instruction) -> Opcode:
    code = instruction.code
    opcode = _SEEN.get(code)
    if opcode is None:
        opcode = _SEEN[code] = _look_up(instruction)
    return opcode


def _look_up(instruction: Instruction) -> Opcode:
    features = (known.FEATURES.get(feature) for feature in instruction.cpuid_features())
    return Opcode(
        refusal=_refusal(instruction),
        is_absolute=OpCodeOperandKind.MEM_OFFS in instruction.op_code().op_kinds(),
        features=frozenset(feature for feature in features if feature),
        is_avx=instruction.encoding == EncodingKind.VEX,
        is_x87=instruction.mnemonic in known.X87,
    )


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
