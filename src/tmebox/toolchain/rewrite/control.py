"""Calls, jumps and returns: what a computed target has to pass before it is used."""

from __future__ import annotations

from tmebox.abi import (
    RED_ZONE,
    SPILL_REGISTER,
    SPILL_TARGET,
    TABLE_ENTRY,
    TARGET_FUNCTION,
    TARGET_LABEL,
    TARGET_MAP,
    TARGET_RETURN,
    TRAP_REASON,
)
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Indirect, Instruction, Memory, constant
from tmebox.toolchain.rewrite.memory import confined, constant_load, is_stack_slot
from tmebox.toolchain.rewrite.mnemonics import Kind, Mnemonic
from tmebox.toolchain.rewrite.replacement import Flow, Refusal, Replacement, Shape, lines
from tmebox.toolchain.rewrite.stack import is_stack_pointer

assert SPILL_REGISTER < -RED_ZONE

_TARGET = regex(r'(?:[A-Za-z_.$][\w.$]*|"(?:[^"\\]|\\.)*"|\d+[bf])(?:@PLT)?\Z')

TRAP = "{trap}"
"""Stands for the label of an `hlt` that the driver picks when it has seen the whole section."""

MASKS = {"TAILCALL": TARGET_FUNCTION, "LONGJMP": TARGET_RETURN, "LANDING": TARGET_LABEL}
"""What a marked indirect jump may reach."""


def rewrite_branch(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Replacement:
    if len(instruction.operands) != 1:
        raise Refusal("a branch has one operand")
    target = instruction.operands[0]
    mnemonic = {Kind.CALL: "callq", Kind.JUMP: "jmp"}.get(facts.kind, instruction.mnemonic)
    if isinstance(target, Indirect) and (symbol := constant_load(target.operand)) is not None:
        target = Memory(symbol)
    if isinstance(target, Memory):
        if not target.is_bare or not _TARGET.match(target.displacement) or target.displacement == ".":
            raise Refusal("the target is neither a symbol nor marked `*`")
        name = target.displacement.removesuffix("@PLT")
        shape = Shape.CALL if facts.kind is Kind.CALL else Shape.BRANCH
        return Replacement(shape, lines(f"{mnemonic} {name}"), flow, anchor=shape is Shape.CALL)
    if not isinstance(target, Indirect) or facts.kind is Kind.CONDITIONAL:
        raise Refusal("the target is not a symbol")
    inner = target.operand
    if isinstance(inner, Memory):
        return Replacement(
            Shape.INDIRECT,
            mnemonic,
            flow,
            is_stack_slot(inner),
            operand=str(confined(inner)),
            mark=instruction.mark,
            through=_table_jump(inner) if facts.kind is Kind.JUMP else None,
        )
    if is_stack_pointer(inner) or registers.WIDTH.get(inner.name) != 64:
        raise Refusal("the target is not in a 64-bit register")
    operand = f"%{registers.part(inner.name, 32)}"
    return Replacement(
        Shape.INDIRECT, mnemonic, flow, operand=operand, register=inner.name, mark=instruction.mark
    )


def _table_jump(memory: Memory) -> tuple[str, str] | None:
    """The symbol and the index of an operand that could be a table's entry."""
    index, symbol = memory.index, memory.displacement
    if memory.base is not None or memory.segment is not None or index is None or memory.scale != TABLE_ENTRY:
        return None
    return (symbol, index) if registers.WIDTH.get(index) == 64 and _TARGET.match(symbol) else None


def rewrite_return(instruction: Instruction, flow: Flow) -> Replacement:
    if instruction.operands:
        raise Refusal("a return that pops arguments")
    return Replacement(Shape.RETURN, "", flow, anchor=True)


def checked_return(shift: int) -> str:
    """r11 is free at a return. `shift`: see TARGET_SHIFTS."""
    return lines(
        "movl (%rsp), %r11d",
        f"testb ${TARGET_RETURN << shift}, {TARGET_MAP:#x}(%r11)",
        f"je {TRAP}",
        "movq %r11, (%rsp)",
        "retq",
    )


def checked_branch(mnemonic: str, source: str, register: str, mask: int) -> str:
    """`source`: 32-bit register or memory operand; `register`: 64-bit register that will hold the target."""
    return lines(
        f"movl {source}, %{registers.part(register, 32)}",
        f"testb ${mask}, {TARGET_MAP:#x}(%{register})",
        f"je {TRAP}",
        f"{mnemonic} *%{register}",
    )


def checked_jump_keeping(register: str, source: str, mask: int) -> str:
    """Through memory at the red zone's end, as no register is free: `register` is what it was afterwards."""
    return lines(
        f"movq %{register}, {SPILL_REGISTER}(%rsp)",
        f"movl {source}, %{registers.part(register, 32)}",
        f"testb ${mask}, {TARGET_MAP:#x}(%{register})",
        f"je {TRAP}",
        f"movq %{register}, {SPILL_TARGET}(%rsp)",
        f"movq {SPILL_REGISTER}(%rsp), %{register}",
        f"jmp *{SPILL_TARGET}(%rsp)",
    )


def rewrite_trap(instruction: Instruction, flow: Flow) -> Replacement:
    """`ud1l N(%eax), %eax`: what clang writes where a check has failed, with the check's number.

    A trap it is, whatever its operands are, so it becomes the one that there is in a sandbox. The number
    stands behind it, in an instruction that never runs, where the trap's handler looks for it.
    """
    source = instruction.operands[0] if instruction.operands else None
    number = None
    if isinstance(source, Memory) and source.base == "eax" and source.index is None:
        number = constant(source.displacement)
    if number is None or not 0 <= number <= 0xFF:
        return Replacement(Shape.PLAIN, lines("ud2"), flow)
    return Replacement(Shape.PLAIN, lines("ud2", f"movl ${TRAP_REASON + number:#x}, %eax"), flow)


def unchecked_branch(mnemonic: str, replacement: Replacement) -> str:
    """Without code isolation: the memory rule still holds for the operand."""
    return lines(f"{mnemonic} *{f'%{replacement.register}' if replacement.register else replacement.operand}")


def jump_mask(replacement: Replacement, is_clang: bool) -> int:
    """What an indirect branch may reach. clang marks its tail calls, so its other jumps go to tables."""
    if replacement.text == "callq":
        return TARGET_FUNCTION
    if replacement.mark is not None:
        return MASKS[replacement.mark]
    is_table = is_clang or ".L" in replacement.before + replacement.operand
    return TARGET_LABEL if is_table else TARGET_LABEL | TARGET_FUNCTION
