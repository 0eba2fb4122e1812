"""What the verifier knows about one instruction from its bytes alone: the rules that look at one instruction.

A `Form` does not depend on where the instruction stands, so it is worked out once per distinct encoding;
positions enter only as displacements relative to the instruction's start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from iced_x86 import (
    Code,
    CodeSize,
    Decoder,
    Encoder,
    EncodingKind,
    Instruction,
    InstructionInfo,
    InstructionInfoFactory,
    Mnemonic,
    OpAccess,
    OpCodeOperandKind,
    OpKind,
    Register,
    RegisterExt,
)

from tmebox.abi import GIB, STACK_REACH, WINDOW_SIZE
from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.sequences import reads_map, steps_of

Refusal = tuple[str, str]
"""(rule, reason)"""

LEGACY_PREFIXES: Final = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")
ABSOLUTE_LIMIT: Final = 2 * GIB
"""Absolute displacements are sign-extended: from here on they would be 2 GiB below the window."""

_WRITES: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_SURE: Final = frozenset({OpAccess.READ, OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE})
_ADD_OR_SUBTRACT: Final = frozenset(
    {Code.ADD_RM64_IMM8, Code.ADD_RM64_IMM32, Code.SUB_RM64_IMM8, Code.SUB_RM64_IMM32}
)
_ALIGN: Final = frozenset({Code.AND_RM64_IMM8, Code.AND_RM64_IMM32})
_INFO: Final = InstructionInfoFactory()


@dataclass(frozen=True, slots=True)
class Form:
    """Everything about one encoding that the walk over a text needs.

    refusals: rules that it breaks wherever it stands.
    needs_sequence: the rule that it breaks unless a sequence covers it, or None.
    steps: what it can be in a sequence.
    anchors: it surely accesses memory within STACK_REACH of rsp.
    adjusts: bytes that it moves rsp by, at most.
    branches, calls, ends: it can go elsewhere; it leaves a return address; control never runs past it.
    target, operand: displacement from its own start of its direct branch target, of its rip-relative operand.
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

    @property
    def is_plain(self) -> bool:
        """It needs no attention at the place where it stands, except as an anchor."""
        return not (
            self.refusals
            or self.needs_sequence
            or self.adjusts
            or self.branches
            or self.ends
            or self.operand is not None
        )


def classify(encoding: bytes) -> Form:
    """The form of the one instruction that `encoding` holds."""
    instruction = Decoder(64, encoding, ip=0).decode()
    if instruction.is_invalid or instruction.len != len(encoding):
        return Form(refusals=((rules.KNOWN_INSTRUCTION, "these bytes are no instruction"),))
    refusal = _unknown(instruction)
    if refusal:
        return Form(refusals=(refusal,))
    info = _INFO.info(instruction)
    adjusts = _adjustment(instruction)
    code = instruction.code
    operand = None
    if instruction.is_ip_rel_memory_operand and _accesses_operand(instruction):
        operand = _signed(instruction.memory_displacement)
    return Form(
        refusals=tuple(_refusals(instruction, info, encoding, adjusts)),
        needs_sequence=_needs_sequence(instruction, info, encoding, adjusts),
        steps=steps_of(instruction, encoding),
        anchors=_is_anchor(instruction, info),
        adjusts=adjusts or 0,
        branches=code in known.DIRECT_JUMPS or code in known.INDIRECT_BRANCHES or code in known.CALLS or code == Code.RETNQ,
        calls=code in known.CALLS,
        ends=code in known.NEVER_CONTINUES,
        target=_signed(instruction.near_branch64) if _is_direct(instruction) else None,
        operand=operand,
        features=frozenset(filter(None, (known.FEATURES[feature] for feature in instruction.cpuid_features()))),
        avx=instruction.encoding == EncodingKind.VEX,
        x87=instruction.mnemonic in known.X87,
    )  # fmt: skip


# -- is it known at all? ----------------------------------------------------------------------------------


def _unknown(instruction: Instruction) -> Refusal | None:
    mnemonic = instruction.mnemonic
    if mnemonic in known.SEGMENTS:
        return rules.SEGMENT_REGISTERS_UNTOUCHED, "it reads or writes a segment register's base"
    if mnemonic in known.SYSTEM or (instruction.is_privileged and mnemonic not in known.MNEMONICS):
        return rules.NO_PRIVILEGED_INSTRUCTION, "it reaches state that is not the sandbox's"
    if mnemonic not in known.MNEMONICS and instruction.code not in known.CODES:
        return rules.KNOWN_INSTRUCTION, "no table names this instruction"
    if instruction.code in known.DENIED_CODES:
        return rules.KNOWN_INSTRUCTION, "an alias that assemblers do not emit"
    if instruction.encoding not in (EncodingKind.LEGACY, EncodingKind.VEX):
        return rules.KNOWN_INSTRUCTION, "only legacy and VEX encodings are known"
    if any(feature not in known.FEATURES for feature in instruction.cpuid_features()):
        return rules.KNOWN_INSTRUCTION, "it needs a CPU feature that no table names"
    return None


# -- the rules for one instruction ------------------------------------------------------------------------


def _refusals(
    instruction: Instruction, info: InstructionInfo, encoding: bytes, adjusts: int | None
) -> Iterator[Refusal]:
    checks = (
        (rules.CANONICAL_ENCODING, _encoding_problem(instruction, encoding)),
        (rules.SEGMENT_REGISTERS_UNTOUCHED, _segment_problem(instruction, info)),
        (rules.KNOWN_INSTRUCTION, _register_problem(instruction)),
        (rules.RSP_STAYS_IN_PRIVATE_HALF, _adjustment_problem(adjusts)),
    )
    yield from ((rule, reason) for rule, reason in checks if reason)
    if not reads_map(encoding):  # that one needs a sequence
        yield from _memory_problems(instruction, info)


def _encoding_problem(instruction: Instruction, encoding: bytes) -> str | None:
    if instruction.has_repne_prefix or instruction.has_xacquire_prefix or instruction.has_xrelease_prefix:
        return "a repne, xacquire or xrelease prefix"
    if instruction.has_rep_prefix and instruction.code not in known.STRINGS:
        return "a rep prefix that repeats nothing"
    if instruction.segment_prefix != Register.NONE:
        on_nop = instruction.mnemonic == Mnemonic.NOP and instruction.segment_prefix == Register.CS
        if not on_nop and not _accesses_operand(instruction):
            return "a segment prefix without a memory access"
    if (
        _has_memory_operand(instruction)
        and instruction.memory_displ_size == 4
        and not _registers(instruction)
    ):
        return "an address-size prefix without an address register"
    encoder = Encoder(64)
    try:
        encoder.encode(instruction, 0)
    except ValueError as error:
        return f"it cannot be encoded again: {error}"
    if _prefixes_apart(encoder.take_buffer(), instruction) != _prefixes_apart(encoding, instruction):
        return "prefixes or fields that are duplicated, ignored or in the wrong place"
    return None


def _prefixes_apart(encoding: bytes, instruction: Instruction) -> tuple[bytes, bytes]:
    """The legacy prefixes, whose order means nothing, sorted; and all that follows."""
    count = next((i for i, byte in enumerate(encoding) if byte not in LEGACY_PREFIXES), len(encoding))
    prefixes = sorted(encoding[:count])
    if instruction.mnemonic == Mnemonic.NOP:  # assemblers pad with repeated 66s, and CPUs agree about those
        prefixes = [byte for i, byte in enumerate(prefixes) if byte != 0x66 or i == prefixes.index(0x66)]
    return bytes(prefixes), encoding[count:]


def _segment_problem(instruction: Instruction, info: InstructionInfo) -> str | None:
    operands = any(RegisterExt.is_segment_register(register) for register in _register_operands(instruction))
    written = any(
        RegisterExt.is_segment_register(used.register) and used.access in _WRITES
        for used in info.used_registers()
    )
    return "it reads or writes a segment register" if operands or written else None


def _register_problem(instruction: Instruction) -> str | None:
    for register in _register_operands(instruction):
        extension = RegisterExt
        if not (
            extension.is_gpr(register)
            or extension.is_xmm(register)
            or extension.is_ymm(register)
            or extension.is_st(register)
            or extension.is_segment_register(register)  # refused by its own rule
        ):
            return "it names a register that verified text does not have (MMX, control, debug, mask, …)"
    return None


def _memory_problems(instruction: Instruction, info: InstructionInfo) -> Iterator[Refusal]:
    """The written operand is checked even if iced counts no access (prefetches); everything else that iced
    knows the instruction to access, too."""
    kinds = [instruction.op_code().op_kind(i) for i in range(instruction.op_code().op_count)]
    if OpCodeOperandKind.MEM_OFFS in kinds:
        yield rules.MEMORY_THROUGH_GS, "a 64-bit absolute address"
    if _accesses_operand(instruction):
        if instruction.is_vsib:
            yield rules.MEMORY_THROUGH_GS, "a vector of addresses"
        if instruction.code in known.BIT_TEST_WITH_REGISTER_OFFSET:
            yield rules.MEMORY_THROUGH_GS, "a bit offset in a register reaches far beyond the operand"
        if instruction.code == Code.POP_RM64 and instruction.memory_base in (Register.RSP, Register.ESP):
            yield rules.STACK_ACCESS_BOUNDED, "pop computes its operand's address after it moved rsp"
        address_size = CodeSize.CODE64
        if any(RegisterExt.size(register) == 4 for register in _registers(instruction)):
            address_size = CodeSize.CODE32
        yield from _access_problem(
            instruction.memory_segment,
            instruction.memory_base,
            instruction.memory_index,
            instruction.memory_displacement,
            address_size,
            instruction.segment_prefix != Register.NONE,
        )
    if instruction.code in known.STRINGS:
        return  # bounded by its sequence; its segment prefix is refused as not canonical
    for used in info.used_memory():
        if instruction.is_ip_rel_memory_operand and used.displacement == instruction.memory_displacement:
            continue  # the written operand, seen above
        yield from _access_problem(
            used.segment,
            used.base,
            used.index,
            used.displacement,
            used.address_size,
            used.segment == Register.GS,
        )


def _access_problem(
    segment: int, base: int, index: int, displacement: int, address_size: int, overridden: bool
) -> Iterator[Refusal]:
    if base == Register.RSP:
        if overridden:
            yield rules.STACK_ACCESS_BOUNDED, "a segment override on an access through rsp"
        elif index != Register.NONE:
            yield rules.STACK_ACCESS_BOUNDED, "an index register on an access through rsp"
        elif abs(_signed(displacement)) > STACK_REACH:
            yield rules.STACK_ACCESS_BOUNDED, f"further than {STACK_REACH:#x} from rsp"
    elif segment != Register.GS:
        yield rules.MEMORY_THROUGH_GS, "an access to a host address"
    elif base == Register.EIP:
        yield rules.MEMORY_THROUGH_GS, "an address relative to eip"
    elif base == Register.NONE and index == Register.NONE:
        if displacement >= ABSOLUTE_LIMIT or address_size != CodeSize.CODE64:
            yield rules.MEMORY_THROUGH_GS, "an absolute offset outside [0, 2 GiB)"
    elif base != Register.RIP and address_size != CodeSize.CODE32:
        yield rules.MEMORY_THROUGH_GS, "an address in 64-bit registers is not confined to the window"


def operand_problem(offset: int) -> str | None:
    """Why a rip-relative operand that comes out at `offset` breaks `memory-through-gs`."""
    return None if 0 <= offset < WINDOW_SIZE else "a rip-relative offset outside the window"


# -- rsp --------------------------------------------------------------------------------------------------


def _adjustment(instruction: Instruction) -> int | None:
    """How far at most the instruction moves rsp, in bytes; None if it is no adjustment."""
    if (
        instruction.op_count != 2
        or instruction.op0_kind != OpKind.REGISTER
        or instruction.op0_register != Register.RSP
    ):
        return None
    if instruction.code in _ADD_OR_SUBTRACT:
        return abs(_signed(instruction.immediate(1)))
    if instruction.code in _ALIGN:
        size = -_signed(instruction.immediate(1))
        return size - 1 if size > 0 and size & (size - 1) == 0 else None
    if instruction.code == Code.LEA_R64_M:
        plain = instruction.memory_base == Register.RSP and instruction.memory_index == Register.NONE
        return abs(_signed(instruction.memory_displacement)) if plain else None
    return None


def _adjustment_problem(adjusts: int | None) -> str | None:
    if adjusts is not None and adjusts > STACK_REACH:
        return f"it moves rsp by more than {STACK_REACH:#x} bytes"
    return None


def _writes_rsp(info: InstructionInfo) -> bool:
    return any(
        RegisterExt.full_register(used.register) == Register.RSP and used.access in _WRITES
        for used in info.used_registers()
    )


def _moves_by_access(instruction: Instruction) -> bool:
    """Pushes, pops, calls and returns: their rsp is anchored by what they access."""
    code = instruction.code
    if code in known.POPS:
        return instruction.op0_kind != OpKind.REGISTER or instruction.op0_register != Register.RSP
    return code in known.PUSHES or code in known.CALLS or code == Code.RETNQ


def _is_anchor(instruction: Instruction, info: InstructionInfo) -> bool:
    if instruction.mnemonic in known.NO_SURE_ACCESS or instruction.code in known.STRINGS:
        return False
    return any(used.base == Register.RSP and used.access in _SURE for used in info.used_memory())


# -- sequences --------------------------------------------------------------------------------------------


def _needs_sequence(
    instruction: Instruction, info: InstructionInfo, encoding: bytes, adjusts: int | None
) -> Refusal | None:
    code = instruction.code
    if code in known.STRINGS:
        return rules.STRING_INSTRUCTION_REBASED, "not at the end of the sequence that rebases its pointers"
    if code == Code.RETNQ:
        return rules.RETURN_CHECKED, "not at the end of the sequence that checks its target"
    if code in known.INDIRECT_BRANCHES and not _is_direct(instruction):
        return rules.INDIRECT_BRANCH_CHECKED, "not at the end of a sequence that checks its target"
    if _writes_rsp(info) and adjusts is None and not _moves_by_access(instruction):
        return rules.RSP_STAYS_IN_PRIVATE_HALF, "it writes rsp outside a rebase sequence"
    if reads_map(encoding):
        return rules.MEMORY_THROUGH_GS, "a read of the target map outside a sequence"
    return None


# -- reading iced's instructions --------------------------------------------------------------------------


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _is_direct(instruction: Instruction) -> bool:
    return instruction.op_count > 0 and instruction.op0_kind == OpKind.NEAR_BRANCH64


def _has_memory_operand(instruction: Instruction) -> bool:
    return any(instruction.op_kind(i) == OpKind.MEMORY for i in range(instruction.op_count))


def _accesses_operand(instruction: Instruction) -> bool:
    return _has_memory_operand(instruction) and instruction.mnemonic not in known.ACCESSES_NOTHING


def _registers(instruction: Instruction) -> list[int]:
    """Address registers of the memory operand."""
    return [r for r in (instruction.memory_base, instruction.memory_index) if r != Register.NONE]


def _register_operands(instruction: Instruction) -> list[int]:
    operands = range(instruction.op_count)
    return [instruction.op_register(i) for i in operands if instruction.op_kind(i) == OpKind.REGISTER]
