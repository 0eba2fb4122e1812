"""`[rep] stos` and `[rep] movs`: rdi and rsi become host addresses for the length of one instruction."""

from __future__ import annotations

from tmebox.abi import CONTROL_WINDOW_BASE
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Instruction, Memory, Operand, Register
from tmebox.toolchain.rewrite.mnemonics import Mnemonic
from tmebox.toolchain.rewrite.replacement import Flow, Refusal, Replacement, Shape, lines

SUFFIX = {8: "b", 16: "w", 32: "l", 64: "q"}
_DESTINATION = Memory(base="rdi", segment="es")
_SOURCE = Memory(base="rsi")
_FORMS: dict[str, set[tuple[Operand, ...]]] = {
    "stos": {(), (_DESTINATION,), *((Register(name), _DESTINATION) for name in ("al", "ax", "eax", "rax"))},
    "movs": {(), (_SOURCE, _DESTINATION)},
}


def rewrite_string(instruction: Instruction, facts: Mnemonic, flow: Flow, base: str) -> Replacement:
    if instruction.operands not in _FORMS[facts.base]:
        raise Refusal("a string instruction with unusual operands")
    if instruction.prefixes not in ((), ("rep",)):
        raise Refusal(f"`{instruction.prefixes[0]}` has no meaning here")
    width = facts.width
    if width is None:
        register = instruction.operands[0] if instruction.operands else None
        if not isinstance(register, Register):
            raise Refusal("a string instruction without a size")
        width = registers.WIDTH[register.name]
    moved = ("edi", "esi") if facts.base == "movs" else ("edi",)
    wide = [registers.part(name, 64) for name in moved]
    extend = [f"movl %{name}, %{name}" for name in moved]
    is_held = base == "r15"
    holder = "r15" if is_held else "r11"
    text = lines(
        *extend,
        *(() if is_held else (f"movq %gs:{CONTROL_WINDOW_BASE:#x}, %r11",)),
        *(f"leaq (%{holder},%{name}), %{name}" for name in wide),
        " ".join([*instruction.prefixes, facts.base + SUFFIX[width]]),
        # Back to offsets. For correctness only: nothing depends on it for safety.
        *extend,
    )
    return Replacement(Shape.PLAIN, text, flow, scratch=None if is_held else "r11")
