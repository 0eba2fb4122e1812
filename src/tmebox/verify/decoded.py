"""One decoded instruction and the questions that the rules ask about it."""

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
    UsedRegister,
)

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as RegisterId

_INFO: Final = InstructionInfoFactory()
WRITES: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_COMPUTES_ONLY: Final = frozenset({Mnemonic.LEA, Mnemonic.NOP})


@dataclass(frozen=True, slots=True)
class Decoded:
    """`accesses` and `used_registers` are iced's, so they hold implicit operands too."""

    encoding: bytes
    instruction: Instruction
    accesses: list[UsedMemory]
    used_registers: list[UsedRegister]

    @property
    def has_memory_operand(self) -> bool:
        return any(self.instruction.op_kind(i) == OpKind.MEMORY for i in range(self.instruction.op_count))

    @property
    def accesses_operand(self) -> bool:
        """Counts prefetches, for which iced has no access; not `lea` and `nop`, which access nothing."""
        return self.has_memory_operand and self.instruction.mnemonic not in _COMPUTES_ONLY

    @property
    def has_branch_target(self) -> bool:
        return self.instruction.op_count > 0 and self.instruction.op0_kind == OpKind.NEAR_BRANCH64

    @property
    def address_registers(self) -> list[RegisterId]:
        both = (self.instruction.memory_base, self.instruction.memory_index)
        return [register for register in both if register != Register.NONE]

    @property
    def register_operands(self) -> list[RegisterId]:
        operands = (
            i for i in range(self.instruction.op_count) if self.instruction.op_kind(i) == OpKind.REGISTER
        )
        return [self.instruction.op_register(i) for i in operands]

    @property
    def first_register(self) -> int:
        """The register that is its first operand, or Register.NONE."""
        is_register = self.instruction.op_count > 0 and self.instruction.op0_kind == OpKind.REGISTER
        return self.instruction.op0_register if is_register else Register.NONE

    @property
    def writes_rsp(self) -> bool:
        """rsp or a part of it, explicitly or not, certainly or not."""
        return any(
            RegisterExt.full_register(used.register) == Register.RSP and used.access in WRITES
            for used in self.used_registers
        )


def decode(encoding: bytes) -> Decoded | None:
    """The one instruction that fills `encoding`, as if at address 0; None if there is none."""
    instruction = Decoder(64, encoding).decode()
    if instruction.is_invalid or instruction.len != len(encoding):
        return None
    info = _INFO.info(instruction)
    return Decoded(encoding, instruction, info.used_memory(), info.used_registers())


def signed(value: int) -> int:
    """iced gives 64-bit values as unsigned numbers."""
    return value - (1 << 64) if value >> 63 else value
