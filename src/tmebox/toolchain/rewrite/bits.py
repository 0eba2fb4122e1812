"""Bit tests with the offset in a register and the bits in memory: the register may select any bit around.

They become what they mean: find the word that holds the bit, then work on that word.
"""

from __future__ import annotations

from tmebox.abi import SPILL_REGISTER
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Instruction, Memory, Register
from tmebox.toolchain.rewrite.memory import address_of
from tmebox.toolchain.rewrite.mnemonics import Mnemonic
from tmebox.toolchain.rewrite.replacement import LOCAL_LABEL, Flow, Refusal, Replacement, Shape, lines
from tmebox.toolchain.rewrite.stack import is_stack_pointer, mentions

_SUFFIX = {16: "w", 32: "l", 64: "q"}
_CANDIDATES = ("r11", "r10", "r9", "r8", "rdi", "rsi")


def is_wild_bit_test(instruction: Instruction) -> bool:
    operands = instruction.operands
    return len(operands) == 2 and isinstance(operands[0], Register) and isinstance(operands[1], Memory)


def rewrite_bit_test(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Replacement:
    """Only CF is defined afterwards, as the manuals and compilers have it."""
    offset, memory = instruction.operands
    if not isinstance(offset, Register) or not isinstance(memory, Memory) or is_stack_pointer(offset):
        raise Refusal("operands that a bit test does not have")
    width = registers.WIDTH.get(offset.name)
    if width not in (32, 64):
        raise Refusal("a bit test of 16 bits")
    place, word, new = _free(instruction)
    suffix = _SUFFIX[width]
    slot = f"%gs:(%{registers.part(place, 32)})"
    value = f"%{registers.part(word, width)}"
    body = [
        address_of(memory, word),
        f"movq %{offset.name}, %{place}" if width == 64 else f"movslq %{offset.name}, %{place}",
        f"sarq $3, %{place}",
        f"andq $-{width // 8}, %{place}",
        f"addq %{word}, %{place}",
    ]
    if facts.base == "bt":
        body += [f"mov{suffix} {slot}, {value}", f"bt{suffix} %{offset.name}, {value}"]
        return _with_saved(body, (place, word), flow)
    if not instruction.prefixes:
        operation = f"{facts.base}{suffix} %{offset.name}, {value}"
        return _with_saved(
            [*body, f"mov{suffix} {slot}, {value}", operation, f"mov{suffix} {value}, {slot}"],
            (place, word),
            flow,
        )
    accumulator = registers.part("rax", width)
    changed = f"%{registers.part(new, width)}"
    body += [
        f"mov{suffix} %{offset.name}, {value}",
        f"mov{suffix} {slot}, %{accumulator}",
        f"{LOCAL_LABEL}:",
        f"mov{suffix} %{accumulator}, {changed}",
        f"{facts.base}{suffix} {value}, {changed}",
        f"lock cmpxchg{suffix} {changed}, {slot}",
        f"jne {LOCAL_LABEL}",
        f"bt{suffix} {value}, %{accumulator}",
    ]
    return _with_saved(body, (place, word, new, "rax"), flow)


def _free(instruction: Instruction) -> tuple[str, str, str]:
    """Three registers that the instruction does not use; none is rax."""
    free = [
        name
        for name in _CANDIDATES
        if not any(mentions(operand, registers.NUMBER[name]) for operand in instruction.operands)
    ]
    return free[0], free[1], free[2]


def _with_saved(body: list[str], used: tuple[str, ...], flow: Flow) -> Replacement:
    """Keep all but r11 below the red zone meanwhile; the emitter does so for r11 where it is live."""
    saved = [
        (name, f"{SPILL_REGISTER - 8 - 8 * index}(%rsp)") for index, name in enumerate(used) if name != "r11"
    ]
    text = lines(
        *(f"movq %{name}, {slot}" for name, slot in saved),
        *body,
        *(f"movq {slot}, %{name}" for name, slot in saved),
    )
    return Replacement(Shape.PLAIN, text, flow, anchor=True, scratch="r11" if "r11" in used else None)
