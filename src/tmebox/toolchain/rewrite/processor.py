"""Instructions that ask the processor: calls of functions that answer from what a sandbox is told.

The functions (guest/processor) take and give what the instruction does, in the same registers. They keep all
others but r11. A call writes below rsp, where the red zone may be in use.
"""

from __future__ import annotations

from tmebox.abi import RED_ZONE
from tmebox.toolchain.rewrite.asm import Instruction
from tmebox.toolchain.rewrite.mnemonics import Mnemonic
from tmebox.toolchain.rewrite.replacement import Flow, Refusal, Replacement, Shape, lines

_ROOM = RED_ZONE + 16
_WITH_VECTORS = ("__tmebox_rdtsc", "__tmebox_rdtscp")
"""Those that ask the host, and have to keep what the file may have in vector registers meanwhile."""


def rewrite_question(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Replacement:
    """Raises Refusal."""
    if instruction.operands:
        raise Refusal("operands that it does not have")
    text = lines(
        f"leaq -{_ROOM}(%rsp), %rsp",
        "movq %r11, (%rsp)",
        f"callq __tmebox_{facts.base}",
        f"leaq {_ROOM}(%rsp), %rsp",
        f"movq -{_ROOM}(%rsp), %r11",
    )
    return Replacement(Shape.PLAIN, text, flow, anchor=True, clobbers_flags=True)


def keeping_wide_vectors(text: str) -> str:
    """Instrumented assembly that uses ymm registers: with the functions that keep all of them."""
    for name in _WITH_VECTORS:
        text = text.replace(f"callq\t{name}\n", f"callq\t{name}_avx\n")
    return text
