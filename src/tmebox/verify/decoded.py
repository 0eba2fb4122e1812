"""One decoded instruction and the facts that the rules ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from iced_x86 import (
    Decoder,
    Instruction,
    InstructionInfoFactory,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
    UsedMemory,
)

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as RegisterId

_INFO: Final = InstructionInfoFactory()
_WRITES: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_COMPUTES_ONLY: Final = frozenset({Mnemonic.LEA, Mnemonic.NOP})


@dataclass(frozen=True, slots=True)
class Decoded:
    """accesses: iced's list, which holds implicit operands too.
    written: registers that are written, implicitly or perhaps only; as their widest form (rax for %ah).
    register_operands, address_registers: of the operands; of the memory operand.
    accesses_operand: there is a memory operand, and it is accessed; true for prefetches, for which iced lists
    no access, and false for `lea` and `nop`.
    """

    encoding: bytes
    instruction: Instruction
    accesses: list[UsedMemory]
    written: frozenset[int]
    register_operands: list[RegisterId]
    address_registers: list[RegisterId]
    has_memory_operand: bool
    accesses_operand: bool
    has_branch_target: bool

    @property
    def first_register(self) -> int:
        """The register that is its first operand, or Register.NONE."""
        is_register = self.instruction.op_count > 0 and self.instruction.op0_kind == OpKind.REGISTER
        return self.instruction.op0_register if is_register else Register.NONE


def decode(encoding: bytes) -> Decoded | None:
    """The one instruction that fills `encoding`, as if at address 0; None if there is none."""
    instruction = Decoder(64, encoding).decode()
    if instruction.is_invalid or instruction.len != len(encoding):
        return None
    info = _INFO.info(instruction)
    kinds = [instruction.op_kind(i) for i in range(instruction.op_count)]
    full, operand = RegisterExt.full_register, instruction.op_register
    has_memory_operand = OpKind.MEMORY in kinds
    both = (instruction.memory_base, instruction.memory_index) if has_memory_operand else ()
    return Decoded(
        encoding,
        instruction,
        accesses=info.used_memory(),
        written=frozenset(full(used.register) for used in info.used_registers() if used.access in _WRITES),
        register_operands=[operand(i) for i, kind in enumerate(kinds) if kind == OpKind.REGISTER],
        address_registers=[register for register in both if register != Register.NONE],
        has_memory_operand=has_memory_operand,
        accesses_operand=has_memory_operand and instruction.mnemonic not in _COMPUTES_ONLY,
        has_branch_target=OpKind.NEAR_BRANCH64 in kinds,
    )


def signed(value: int) -> int:
    """iced gives 64-bit values as unsigned numbers."""
    return value - (1 << 64) if value >> 63 else value
