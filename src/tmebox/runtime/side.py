"""Side execution: what the core must know of an instruction to execute it on the host's mapping of memory.

The core asks when an instruction first touches memory that no view shows. The answer is a *form*: what it
accesses, and mostly a *stub*, which is the same instruction with the memory operand `(%R)`, R being a
register that it does not use. A stub is decoded again and compared with the instruction.

A stub has the host's rsp. Where the instruction names rsp, the stub has another register in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from iced_x86 import (
    Code,
    CodeSize,
    CpuidFeature,
    Decoder,
    Encoder,
    EncodingKind,
    Instruction,
    InstructionInfoFactory,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)

from tmebox import _native
from tmebox.verify.decoded import Decoded, decode, signed
from tmebox.verify.instructions import BIT_TEST_WITH_REGISTER_OFFSET

READS, WRITES = 1, 2
STUB, MASKED, STORE_STRING, MOVE_STRING, PUSH, POP, CALL, JUMP = range(8)
ADDRESS_SHORT, ADDRESS_GS, REPEATS, NEVER_FAULTS, FAULTS_UNMASKED = 1, 2, 4, 8, 16
RIP, NONE = 16, 255
X87, SSE, AVX = 0x1, 0x2, 0x4
UPPER = AVX | 0x40
"""State that an AVX instruction writes: it clears what of its result's register is above 256 bits."""


class SideForm(NamedTuple):
    """In the order that the core takes it; enter/side.h says what each field is."""

    encoding: bytes
    stub: bytes
    kind: int
    how: int
    flags: int
    base_register: int
    index_register: int
    scale: int
    displacement: int
    size: int
    pointer: int = 0
    for_rsp: int = NONE
    mask: int = 0
    lane: int = 0
    state: int = 0


class NoSideForm(Exception):
    """The instruction accesses no memory, or none that sandboxed code may access by it."""


Number = Any
"""A number of iced's, of a register or a code, whose type has no public name."""
_INFO: Final = InstructionInfoFactory()
_KINDS: Final[dict[Number, int]] = {
    Code.PUSH_RM64: PUSH, Code.POP_RM64: POP, Code.CALL_RM64: CALL, Code.JMP_RM64: JUMP,
    Code.STOSB_M8_AL: STORE_STRING, Code.STOSW_M16_AX: STORE_STRING,
    Code.STOSD_M32_EAX: STORE_STRING, Code.STOSQ_M64_RAX: STORE_STRING,
    Code.MOVSB_M8_M8: MOVE_STRING, Code.MOVSW_M16_M16: MOVE_STRING,
    Code.MOVSD_M32_M32: MOVE_STRING, Code.MOVSQ_M64_M64: MOVE_STRING,
}  # fmt: skip
"""What the core executes without a stub: it accesses more than its operand."""
_LANES: Final = {
    Mnemonic.VMASKMOVPS: 4, Mnemonic.VMASKMOVPD: 8, Mnemonic.VPMASKMOVD: 4, Mnemonic.VPMASKMOVQ: 8
}  # fmt: skip
_FPU: Final = frozenset({CpuidFeature.FPU, CpuidFeature.FPU287, CpuidFeature.FPU387})
_INTEGER: Final = frozenset(
    {
        CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386,
        CpuidFeature.INTEL486, CpuidFeature.X64, CpuidFeature.CMOV, CpuidFeature.CX8, CpuidFeature.CMPXCHG16B,
        CpuidFeature.ADX, CpuidFeature.BMI1, CpuidFeature.BMI2, CpuidFeature.LZCNT, CpuidFeature.MOVBE,
        CpuidFeature.POPCNT,
    }
)  # fmt: skip
"""What has neither vector registers nor MXCSR. Everything else is taken to have both, as `cvtsd2si` has."""
_READS: Final = frozenset({OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE})
_WRITES: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_NEVER_FAULTS: Final = frozenset(
    {
        Mnemonic.MOV, Mnemonic.MOVZX, Mnemonic.MOVSX, Mnemonic.MOVSXD, Mnemonic.ADD, Mnemonic.ADC,
        Mnemonic.SUB, Mnemonic.SBB, Mnemonic.AND, Mnemonic.OR, Mnemonic.XOR, Mnemonic.NOT, Mnemonic.NEG,
        Mnemonic.INC, Mnemonic.DEC, Mnemonic.CMP, Mnemonic.TEST, Mnemonic.SHL, Mnemonic.SHR, Mnemonic.SAR,
        Mnemonic.IMUL, Mnemonic.MOVDQU, Mnemonic.MOVUPS, Mnemonic.MOVUPD, Mnemonic.VMOVDQU,
        Mnemonic.VMOVUPS, Mnemonic.VMOVUPD, Mnemonic.MOVQ, Mnemonic.MOVD, Mnemonic.VMOVQ, Mnemonic.VMOVD,
        Mnemonic.MOVSS, Mnemonic.VMOVSS, Mnemonic.MOVSD, Mnemonic.VMOVSD, Mnemonic.LDDQU, Mnemonic.VLDDQU,
    }
)  # fmt: skip
"""What has no exception of its own at memory that is there: no division, no alignment, no arithmetic on
floating-point numbers. A locked access may have one, where it is split over lines."""
_SCALARS: Final = ("add", "sub", "mul", "div", "min", "max", "sqrt")
_FAULTS_UNMASKED: Final = frozenset(
    getattr(Mnemonic, f"{vex}{name}{kind}".upper())
    for name in _SCALARS
    for vex, kinds in (("", ("ss", "sd")), ("v", ("ss", "sd", "ps", "pd")))
    for kind in kinds
) | {
    Mnemonic.UCOMISS, Mnemonic.UCOMISD, Mnemonic.COMISS, Mnemonic.COMISD,
    Mnemonic.VUCOMISS, Mnemonic.VUCOMISD, Mnemonic.CVTSI2SS, Mnemonic.CVTSI2SD,
    Mnemonic.CVTSS2SD, Mnemonic.CVTSD2SS, Mnemonic.CVTTSS2SI,
    Mnemonic.CVTTSD2SI, Mnemonic.VCVTSI2SS, Mnemonic.VCVTSI2SD, Mnemonic.VCVTSS2SD, Mnemonic.VCVTSD2SS,
}  # fmt: skip
"""What has no exception but those that MXCSR masks: arithmetic whose operand need not be aligned."""
_POINTERS: Final = (
    Register.RAX, Register.RCX, Register.RDX, Register.RBX, Register.RSI, Register.RDI
)  # fmt: skip
"""In a stub's operand they need neither a displacement nor a prefix, which would change what %ah means."""
_OF_SIZE: Final[dict[int, tuple[Number, ...]]] = {
    8: (Register.RAX, Register.RCX, Register.RDX, Register.RBX, Register.RSI, Register.RDI),
    4: (Register.EAX, Register.ECX, Register.EDX, Register.EBX, Register.ESI, Register.EDI),
    2: (Register.AX, Register.CX, Register.DX, Register.BX, Register.SI, Register.DI),
    1: (Register.AL, Register.CL, Register.DL, Register.BL, Register.SIL, Register.DIL),
}


def describe(data: bytes) -> SideForm:
    """The form of the instruction that `data` begins with, which the verifier has accepted. Raises
    NoSideForm."""
    decoded = decode(data[: Decoder(64, data).decode().len])
    if (
        decoded is None
        or decoded.opcode.refusal is not None
        or decoded.instruction.is_vsib
        or decoded.code in BIT_TEST_WITH_REGISTER_OFFSET
    ):
        raise NoSideForm(f"no instruction of verified code: {data.hex(' ')}")
    if decoded.opcode.is_string:
        return _string(decoded)
    if decoded.operand is None or not decoded.accesses_operand:
        raise NoSideForm(f"no access to memory: {decoded.instruction}")
    kind = _KINDS.get(decoded.code, STUB)
    if kind != STUB:
        return _place(decoded, kind)
    return _with_stub(decoded)


def _string(decoded: Decoded) -> SideForm:
    it = decoded.instruction
    flags = REPEATS if it.has_rep_prefix else 0
    size = MemorySizeExt.size(it.memory_size)
    how = WRITES if _KINDS[decoded.code] == STORE_STRING else READS | WRITES
    return SideForm(decoded.encoding, b"", _KINDS[decoded.code], how, flags, NONE, NONE, 0, 0, size)


def _place(decoded: Decoded, kind: int) -> SideForm:
    """All but the stub: where the operand is, and how it is accessed."""
    it, operand = decoded.instruction, decoded.operand
    assert operand is not None
    accesses = [
        used
        for used in decoded.accesses
        if (used.base, used.index, used.segment) == (_base(it), operand.index, operand.segment)
        and (it.is_ip_rel_memory_operand or _of_32_bits(used.displacement - it.memory_displacement) == 0)
    ]
    how = (READS if any(used.access in _READS for used in accesses) else 0) | (
        WRITES if any(used.access in _WRITES for used in accesses) else 0
    )
    if not how:
        raise NoSideForm(f"no access to its operand: {it}")
    by_place = it.is_ip_rel_memory_operand
    short = not by_place and operand.address_size == CodeSize.CODE32
    displacement = signed(it.memory_displacement) - len(decoded.encoding) * by_place
    return SideForm(
        decoded.encoding,
        b"",
        kind,
        how,
        ADDRESS_SHORT * short | ADDRESS_GS * (operand.segment == Register.GS),
        RIP if by_place else _number(operand.base),
        _number(operand.index),
        operand.scale,
        _of_32_bits(
            displacement
        ),  # iced has it modulo 2 to the address's size, or where it is, of an operand at rip
        MemorySizeExt.size(it.memory_size),
    )


def _of_32_bits(number: int) -> int:
    """The number between -2^31 and 2^31 that it is, modulo 2^32."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def _base(instruction: Instruction) -> int:
    return Register.NONE if instruction.is_ip_rel_memory_operand else instruction.memory_base


def _number(register: Number) -> int:
    return NONE if register == Register.NONE else RegisterExt.number(register)


def _with_stub(decoded: Decoded) -> SideForm:
    it = decoded.instruction
    pointer, for_rsp = _free_registers(it)
    form = _place(decoded, MASKED if it.mnemonic in _LANES else STUB)
    names_rsp = any(_replaced(it, number, for_rsp) is not None for number in range(it.op_count))
    form = form._replace(
        stub=_stub(it, pointer, for_rsp),
        pointer=RegisterExt.number(pointer),
        for_rsp=RegisterExt.number(for_rsp) if names_rsp else NONE,
        state=_state(decoded),
    )
    if form.kind == STUB and it.mnemonic in _NEVER_FAULTS and not it.has_lock_prefix:
        form = form._replace(flags=form.flags | NEVER_FAULTS)
    if form.kind == STUB and it.mnemonic in _FAULTS_UNMASKED:
        form = form._replace(flags=form.flags | FAULTS_UNMASKED)
    if form.kind == MASKED:
        form = form._replace(mask=RegisterExt.number(it.op1_register), lane=_LANES[it.mnemonic])
    return form


def _free_registers(instruction: Instruction) -> list[Number]:
    """Two that the instruction does not use, apart from its address."""
    apart = _at(instruction, Register.NONE)
    used = {RegisterExt.full_register(used.register) for used in _INFO.info(apart).used_registers()}
    return [register for register in _POINTERS if register not in used][:2]


def _at(instruction: Instruction, base: Number) -> Instruction:
    """The same with the operand `(base)`."""
    again = instruction.copy()
    again.segment_prefix = Register.NONE
    again.memory_base = base
    again.memory_index = Register.NONE
    again.memory_index_scale = 1
    again.memory_displacement = 0
    again.memory_displ_size = 0
    return again


def _stub(instruction: Instruction, pointer: Number, for_rsp: Number) -> bytes:
    changed = _at(instruction, pointer)
    for number in range(instruction.op_count):
        changed_register = _replaced(instruction, number, for_rsp)
        if changed_register is not None:
            changed.set_op_register(number, changed_register)
    encoder = Encoder(64)
    encoder.encode(changed, 0)
    stub = encoder.take_buffer()
    again = decode(stub)
    if again is None or _meaning(again, None) != _meaning_of(instruction, for_rsp):
        raise NoSideForm(f"its stub came out as something else: {instruction}")
    operand = again.operand
    plain = operand is not None and (
        operand.base == pointer
        and operand.index == Register.NONE
        and operand.displacement_i64 == 0
        and not operand.has_override
    )
    if not plain:
        raise NoSideForm(f"its stub has another operand: {instruction}")
    return stub


def _replaced(instruction: Instruction, number: int, for_rsp: Number) -> Number | None:
    if instruction.op_kind(number) != OpKind.REGISTER:
        return None
    register = instruction.op_register(number)
    if RegisterExt.full_register(register) != Register.RSP:
        return None
    return _OF_SIZE[RegisterExt.size(register)][_POINTERS.index(for_rsp)]


def _meaning(decoded: Decoded, for_rsp: Number | None) -> tuple[object, ...]:
    return _meaning_of(decoded.instruction, for_rsp)


def _meaning_of(it: Instruction, for_rsp: Number | None) -> tuple[object, ...]:
    """All about an instruction but where its memory operand is."""
    return (
        it.code,
        it.memory_size,
        (it.has_lock_prefix, it.has_rep_prefix, it.has_repne_prefix),
        (it.has_xacquire_prefix, it.has_xrelease_prefix),
        (it.op_mask, it.zeroing_masking, it.rounding_control, it.suppress_all_exceptions, it.is_broadcast),
        tuple(_operands(it, for_rsp)),
    )


def _operands(it: Instruction, for_rsp: Number | None) -> Iterable[tuple[int, int]]:
    for number in range(it.op_count):
        kind = it.op_kind(number)
        if kind == OpKind.REGISTER:
            replaced = None if for_rsp is None else _replaced(it, number, for_rsp)
            yield kind, it.op_register(number) if replaced is None else replaced
        elif kind == OpKind.MEMORY:
            yield kind, 0
        else:
            yield kind, it.immediate(number)


def _state(decoded: Decoded) -> int:
    it = decoded.instruction
    features = set(it.cpuid_features())
    if features & _FPU:
        return X87
    if features <= _INTEGER:
        return 0
    return SSE if it.encoding == EncodingKind.LEGACY else SSE | UPPER


def install() -> None:
    """Let the core ask here."""
    _native.set_side_maker(describe)
