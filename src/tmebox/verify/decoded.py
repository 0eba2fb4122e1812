"""One decoded instruction and the facts that the rules ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from iced_x86 import (
    CodeSize,
    ConstantOffsets,
    Decoder,
    Instruction,
    InstructionInfoFactory,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
    UsedMemory,
)

from tmebox.verify.opcodes import Opcode, opcode_of

_INFO: Final = InstructionInfoFactory()
_WRITES: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_REGISTERS: Final = [number for name, number in vars(Register).items() if name.isupper()]
_WIDEST: Final = {number: RegisterExt.full_register(number) for number in _REGISTERS}
_NARROW: Final = frozenset(number for number in _REGISTERS if RegisterExt.size(number) == 4)


class Address(Protocol):
    """An address, as iced's UsedMemory tells it. address_size: a CodeSize, of its computation."""

    @property
    def segment(self) -> int: ...
    @property
    def base(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def scale(self) -> int: ...
    @property
    def displacement_i64(self) -> int: ...
    @property
    def address_size(self) -> int: ...


class Field(NamedTuple):
    """A signed number in an encoding, such as how far from the instruction's end its target or operand is.

    before_end: bytes from where the number is to the instruction's end. size_bytes: its own, 1 or 4.
    """

    before_end: int
    size_bytes: int


# These two are not frozen: freezing would cost as much time as decoding.
@dataclass(slots=True, eq=False)
class Operand:
    """A memory operand: its address as it is spelled out, and whether with a segment prefix."""

    segment: int
    base: int
    index: int
    scale: int
    displacement_i64: int
    address_size: int
    has_override: bool


@dataclass(slots=True, eq=False)
class Decoded:
    """operand: what its memory operand spells out, or None.
    accesses_operand: there is one, and it is accessed, or perhaps only prefetched.
    accesses: where iced says that it accesses memory and how, implicit operands too; nothing for prefetches.
    written: registers that are written, implicitly or perhaps only; as their widest form (rax for %ah).
    registers: each operand's register, or NONE; of two operands at least. first_register: the first of them.
    """

    encoding: bytes
    instruction: Instruction
    code: int
    opcode: Opcode
    operand: Operand | None
    accesses_operand: bool
    accesses: list[UsedMemory]
    written: set[int]
    registers: tuple[int, ...]
    first_register: int
    has_branch_target: bool

    def displacement(self) -> Field | None:
        """Of its memory operand, if there is a number."""
        offsets = self._offsets()
        if not offsets.has_displacement:
            return None
        return Field(len(self.encoding) - offsets.displacement_offset, offsets.displacement_size)

    def number(self) -> Field:
        """The displacement, or else the immediate, which a direct branch's target counts as."""
        found, offsets = self.displacement(), self._offsets()
        return found or Field(len(self.encoding) - offsets.immediate_offset, offsets.immediate_size)

    def _offsets(self) -> ConstantOffsets:
        decoder = Decoder(64, self.encoding)
        return decoder.get_constant_offsets(decoder.decode())


def decode(encoding: bytes) -> Decoded | None:
    """The one instruction that fills `encoding`, as if at address 0; None if there is none."""
    it = Decoder(64, encoding).decode()
    if it.is_invalid or it.len != len(encoding):
        return None
    info = _INFO.info(it)
    first = it.op0_register
    if it.op_count <= 2:  # nearly always, and looking at what is not there takes as long
        kinds: tuple[int, ...] = (it.op0_kind, it.op1_kind)
        registers: tuple[int, ...] = (first, it.op1_register)
    else:
        kinds = it.op0_kind, it.op1_kind, it.op2_kind, it.op3_kind, it.op4_kind
        registers = first, it.op1_register, it.op2_register, it.op3_register, it.op4_register
    opcode = opcode_of(it)
    operand = _operand(it) if OpKind.MEMORY in kinds else None
    return Decoded(
        encoding,
        it,
        it.code,
        opcode,
        operand,
        operand is not None and not opcode.computes_only,
        info.used_memory(),
        {_WIDEST[used.register] for used in info.used_registers() if used.access in _WRITES},
        registers,
        first,
        OpKind.NEAR_BRANCH64 in kinds,
    )


def _operand(instruction: Instruction) -> Operand:
    base, index = instruction.memory_base, instruction.memory_index
    return Operand(
        instruction.memory_segment,
        base,
        index,
        instruction.memory_index_scale,
        signed(instruction.memory_displacement),
        CodeSize.CODE32 if base in _NARROW or index in _NARROW else CodeSize.CODE64,
        instruction.segment_prefix != Register.NONE,
    )


def signed(value: int) -> int:
    """iced gives 64-bit values as unsigned numbers."""
    return value - (1 << 64) if value >> 63 else value
