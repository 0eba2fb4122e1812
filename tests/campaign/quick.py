"""Which of a block's encodings may be accepted: a quick answer, that only ever says yes too often.

It goes by the instruction's Code, its prefixes and its ModRM and SIB bytes, and knows what
`canonical-encoding` and the memory rules make of these. What passes goes to `classify`, and so does a sample
of what does not.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from iced_x86 import Code, Instruction, MandatoryPrefix, Mnemonic, OpCodeInfo, OpCodeOperandKind

from tests.campaign.candidates import ESCAPES, LEGACY, Block
from tmebox.verify.opcodes import opcode_of

Rows = np.ndarray[Any, np.dtype[np.bool_]]

_CODES: Final = [number for name, number in vars(Code).items() if name.isupper()]
_MEMORY_KINDS: Final = frozenset(
    number
    for name, number in vars(OpCodeOperandKind).items()
    if name.isupper() and "MEM" in name and "OFFS" not in name
)
_BYTE_KINDS: Final = frozenset(
    {
        OpCodeOperandKind.R8_REG, OpCodeOperandKind.R8_OR_MEM, OpCodeOperandKind.R8_OPCODE,
    }
)  # fmt: skip
_SEGMENTS: Final = frozenset(b"\x26\x2e\x36\x3e\x64\x65")
_GS, _ADDRESS_SIZE = 0x65, 0x67


@cache
def tables() -> dict[str, Rows]:
    """What is known of each Code.

    known: some table names it. memory: its ModRM byte may name memory. accesses: and it is accessed.
    free: with memory, it may be a step of a sequence. f2, f3, operand_size, address_size: such a prefix means
    something to it. byte: it has a register of 8 bits.
    """
    size = max(_CODES) + 1
    found: dict[str, Rows] = {name: np.zeros(size, bool) for name in _facts(0, Instruction())}
    for code in _CODES:
        instruction = Instruction()
        instruction.code = code
        for name, holds in _facts(code, instruction).items():
            found[name][code] = holds
    return found


def _facts(code: int, instruction: Instruction) -> dict[str, bool]:
    opcode = opcode_of(instruction)
    info = OpCodeInfo(code)
    kinds = [info.op_kind(number) for number in range(info.op_count)]
    has_memory = any(kind in _MEMORY_KINDS for kind in kinds)
    mandatory = info.mandatory_prefix
    return {
        "known": not opcode.refusal and not opcode.is_absolute,
        "nops": instruction.mnemonic == Mnemonic.NOP,
        "memory": has_memory,
        "accesses": has_memory and not opcode.computes_only,
        "free": code in (Code.TEST_RM8_IMM8, Code.JMP_RM64),
        "f2": mandatory == MandatoryPrefix.PF2,
        "f3": mandatory == MandatoryPrefix.PF3 or opcode.is_string,
        "operand_size": mandatory == MandatoryPrefix.P66 or info.operand_size == 16,
        "address_size": info.address_size == 32,
        "byte": any(kind in _BYTE_KINDS for kind in kinds),
    }


def candidates(block: Block) -> Rows:
    """Rows that `classify` may accept."""
    facts, codes = tables(), block.codes
    passes = facts["known"][codes]
    in_memory = facts["accesses"][codes] & (block.modrm < 0xC0)
    if block.head is None:
        in_memory &= ~np.isin(block.opcode, list(ESCAPES[b""]))  # else ModRM is elsewhere
        return passes & (~in_memory | facts["free"][codes] | _may_be_confined(block, False))
    if not passes.any():
        return passes
    prefixes, rest = frozenset(block.head.prefixes), block.head.rest
    nops = facts["nops"][codes]
    segments = prefixes & _SEGMENTS
    is_odd = (
        len(prefixes) < len(block.head.prefixes)
        or segments > {_GS}
        or (segments and segments != {_GS})
        or prefixes >= {0xF2, 0xF3}
        or (
            rest[:1]
            and 0x40 <= rest[0] < 0x50
            and rest[1:2]
            and (rest[1] in LEGACY or 0x40 <= rest[1] < 0x50)
        )
    )
    if is_odd:
        return passes & nops
    for byte, name in ((0xF2, "f2"), (0xF3, "f3"), (0x66, "operand_size")):
        if byte in prefixes:
            passes &= facts[name][codes] | nops
    has_memory = facts["memory"][codes] & (block.modrm < 0xC0)
    if _ADDRESS_SIZE in prefixes:
        passes &= has_memory | facts["address_size"][codes] | nops
    if segments:
        passes &= has_memory
    if rest[:1] and 0x40 <= rest[0] < 0x50:
        passes &= _rex_means_something(block, rest[0], has_memory)
    return passes & (~in_memory | facts["free"][codes] | _may_be_confined(block, bool(segments)))


def _rex_means_something(block: Block, rex: int, has_memory: Rows) -> Rows:
    """An assembler would emit it: REX alone only for a register of 8 bits, REX.X only for an index."""
    facts, codes = tables(), block.codes
    fixed = rex if not block.head or not block.head.free else rex | 0x07
    found: Rows = np.full(len(codes), True)
    if fixed == 0x40:
        found &= facts["byte"][codes]
    if fixed & 2 and not (block.head and block.head.free):
        found &= has_memory & (block.modrm & 7 == 4)
    return found


def _may_be_confined(block: Block, through_gs: bool) -> Rows:
    """Rows whose ModRM and SIB bytes name an address that some rule takes, given the prefixes."""
    modrm, sib = block.modrm, block.sib
    has_sib = modrm & 7 == 4
    no_base = (modrm < 0x40) & (np.where(has_sib, sib, modrm) & 7 == 5)
    no_index = ~has_sib | (sib & 0x38 == 0x20)  # or r12, with REX.X: too often yes
    has_short_addresses = block.head is not None and _ADDRESS_SIZE in block.head.prefixes
    if through_gs:
        everything: Rows = np.full(len(modrm), has_short_addresses)
        return everything | (no_base & no_index)
    found: Rows = ~no_base & (not has_short_addresses)  # the stack, or a register that may hold the base
    return found
