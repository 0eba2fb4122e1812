"""`pushf` and `popf`: the flags that instructions compute with, put together and taken apart in rax.

`popf` would set others, too: direction, single steps, alignment checks. No sandbox may. So these are pushed
as they are in a sandbox, and stay when flags are popped. rax is kept below the red zone meanwhile.
"""

from __future__ import annotations

from tmebox.abi import SPILL_REGISTER
from tmebox.toolchain.rewrite.asm import Instruction
from tmebox.toolchain.rewrite.mnemonics import Kind, Mnemonic
from tmebox.toolchain.rewrite.replacement import Flow, Refusal, Replacement, Shape, lines

_OTHERS = 0x202
"""The bit that is always set, and that of interrupts. lahf gives the former, too."""
_OVERFLOW_SHIFT = 3
"""Bit 11, seen from bit 8."""

_PUSH = lines(
    f"movq %rax, {SPILL_REGISTER}(%rsp)",
    "lahf",
    "seto %al",
    "rolw $8, %ax",
    f"shlb ${_OVERFLOW_SHIFT}, %ah",
    "movzwl %ax, %eax",
    f"orl ${_OTHERS:#x}, %eax",
    "pushq %rax",
    f"movq {SPILL_REGISTER + 8}(%rsp), %rax",
)
_POP = lines(
    f"movq %rax, {SPILL_REGISTER}(%rsp)",
    "popq %rax",
    f"shrb ${_OVERFLOW_SHIFT}, %ah",
    "andb $1, %ah",
    "rolw $8, %ax",
    "addb $127, %al",  # overflows if it is 1
    "sahf",
    f"movq {SPILL_REGISTER - 8}(%rsp), %rax",
)


def rewrite_flags(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Replacement:
    """Raises Refusal."""
    if instruction.operands:
        raise Refusal("operands that it does not have")
    pushes = facts.kind is Kind.PUSH_FLAGS
    return Replacement(Shape.PLAIN, _PUSH if pushes else _POP, flow, anchor=True, clobbers_flags=pushes)
