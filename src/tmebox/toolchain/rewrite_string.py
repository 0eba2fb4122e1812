"""`rep stos`, `rep movs`, and bit tests whose offset is in a register: addresses that are not the operand's."""

from __future__ import annotations

from tmebox.abi import CONTROL_WINDOW_BASE
from tmebox.toolchain import registers
from tmebox.toolchain.asm import Instruction, Memory, Register
from tmebox.toolchain.mnemonics import Mnemonic
from tmebox.toolchain.rewrite_memory import confined
from tmebox.toolchain.rewrite_stack import mentions
from tmebox.toolchain.template import Flow, Refusal, Shape, Template, lines

_SUFFIX = {8: "b", 16: "w", 32: "l", 64: "q"}
_DESTINATION = Memory(base="rdi", segment="es")
_SOURCE = Memory(base="rsi")
_FORMS = {
    "stos": {(), (_DESTINATION,)} | {(Register(name), _DESTINATION) for name in ("al", "ax", "eax", "rax")},
    "movs": {(), (_SOURCE, _DESTINATION)},
}


def rewrite_string(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Template:
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
    text = lines(
        *extend,
        f"movq %gs:{CONTROL_WINDOW_BASE:#x}, %r11",
        *(f"leaq (%r11,%{name}), %{name}" for name in wide),
        " ".join([*instruction.prefixes, facts.base + _SUFFIX[width]]),
        # Back to offsets. For correctness only: nothing depends on it for safety.
        *extend,
    )
    return Template(Shape.PLAIN, text, flow, scratch="r11")


def is_wild_bit_test(instruction: Instruction) -> bool:
    """A register offset reaches 2^63 bits either way from the operand's address."""
    operands = instruction.operands
    return len(operands) == 2 and isinstance(operands[0], Register) and isinstance(operands[1], Memory)


def rewrite_bit_test(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Template:
    """`bt %offset, memory`: load the word that holds the bit, test it there."""
    offset, memory = instruction.operands
    if not isinstance(offset, Register) or not isinstance(memory, Memory):
        raise Refusal("operands that a bit test does not have")
    width = registers.WIDTH.get(offset.name)
    if facts.base != "bt" or instruction.prefixes or width not in (32, 64) or memory.segment is not None:
        raise Refusal("a bit offset in a register reaches beyond its memory operand")
    if (
        memory.index is not None
        or memory.base == "rip"
        or any(mentions(o, registers.R11) for o in (offset, memory))
    ):
        raise Refusal("a bit test on too complex an address")
    suffix = _SUFFIX[width]
    extend = f"movq %{offset.name}, %r11" if width == 64 else f"movslq %{offset.name}, %r11"
    word = confined(Memory(memory.displacement, memory.base, "r11"))
    text = lines(
        extend,
        "sarq $3, %r11",
        f"andq $-{width // 8}, %r11",
        f"mov{suffix} {word}, %{registers.part('r11', width)}",
        f"bt{suffix} %{offset.name}, %{registers.part('r11', width)}",
    )
    return Template(Shape.PLAIN, text, flow, scratch="r11")
