"""Disassembly with the sandbox's own sequences named, so that a reader sees what each check is for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from iced_x86 import Decoder, FlowControl, Formatter, FormatterSyntax, Instruction, Mnemonic, OpKind, Register

from tmebox import abi
from tmebox.modulefile.file import ModuleFile, Symbol


@dataclass(frozen=True)
class Line:
    """One instruction: its nominal address, bytes in hex and text, and what it is part of, if anything."""

    address: int
    bytes_hex: str
    text: str
    note: str = ""


def list_function(module: ModuleFile, symbol: Symbol) -> Iterator[Line]:
    """The instructions of one function, decoded from the module's text, with notes. One after the other: a
    function may be as long as the text, and that half a gigabyte."""
    start = symbol.address - module.text_address
    code = module.text[start : start + symbol.size_bytes]
    formatter = Formatter(FormatterSyntax.GAS)
    formatter.space_after_operand_separator = True
    for instruction, note in annotated(Decoder(64, code, ip=symbol.address), module.base):
        at = instruction.ip - symbol.address
        text = formatter.format(instruction)
        target = _direct_target(instruction)
        if target is not None:
            note = note or f"→ {name_of(module, target)}"  # noqa: PLW2901
        yield Line(instruction.ip, code[at : at + instruction.len].hex(), text, note)


def name_of(module: ModuleFile, address: int) -> str:
    """`function`, `function+0x12`, a gate's name, or the number."""
    for name, gate in abi.GATES.items():
        if address == gate:
            return name
    symbols = module.symbols
    index = bisect_right(symbols, address, key=lambda symbol: symbol.address) - 1
    if index < 0 or address >= symbols[index].address + max(symbols[index].size_bytes, 1):
        return f"{address:#x}"
    within = address - symbols[index].address
    return f"{symbols[index].name}+{within:#x}" if within else symbols[index].name


def _direct_target(instruction: Instruction) -> int | None:
    if instruction.flow_control in (
        FlowControl.CALL,
        FlowControl.UNCONDITIONAL_BRANCH,
        FlowControl.CONDITIONAL_BRANCH,
    ):
        return int(instruction.near_branch_target)
    return None


def annotated(instructions: Iterable[Instruction], base: str = "gs") -> Iterator[tuple[Instruction, str]]:
    """Each instruction with a note; "" where there is nothing to say. For reading only: the verifier decides.

    base: where the code has its window's base, "gs" or "r15".
    """
    last: list[tuple[Instruction, str]] = []
    for instruction in instructions:
        last.append((instruction, NOTES[base](instruction)))
        for pattern in PATTERNS[base]:
            if len(last) >= pattern.length and pattern.ends_with(instruction):
                sequence = [each for each, _ in last[-pattern.length :]]
                if pattern.needs is None or any(map(pattern.needs, sequence)):
                    last[-pattern.length :] = [(each, pattern.name) for each in sequence]
                    break
        if len(last) == LONGEST_PATTERN:
            yield last.pop(0)
    yield from last


def _gs_note(instruction: Instruction) -> str:
    return "window" if instruction.segment_prefix == Register.GS else ""


def _r15_note(instruction: Instruction) -> str:
    if instruction.op0_kind == OpKind.REGISTER and instruction.op0_register == Register.R14D:
        return "offset"
    return "window" if instruction.memory_base == Register.R15 else ""


NOTES: dict[str, Callable[[Instruction], str]] = {"gs": _gs_note, "r15": _r15_note}
"""What an instruction is by itself."""


def _is_check(instruction: Instruction) -> bool:
    looks = instruction.mnemonic in (Mnemonic.TEST, Mnemonic.CMP)
    return bool(looks and instruction.memory_displacement == abi.TARGET_MAP)


def _is_return(instruction: Instruction) -> bool:
    return bool(instruction.mnemonic == Mnemonic.RET)


def _is_indirect_call(instruction: Instruction) -> bool:
    return bool(instruction.flow_control == FlowControl.INDIRECT_CALL)


def _is_jump_with_r11_live(instruction: Instruction) -> bool:
    return bool(
        instruction.flow_control == FlowControl.INDIRECT_BRANCH and instruction.op0_kind == OpKind.MEMORY
    )


def _is_bound(instruction: Instruction) -> bool:
    return bool(instruction.mnemonic == Mnemonic.JA)


def _is_table_jump(instruction: Instruction) -> bool:
    is_absolute = instruction.memory_base == Register.NONE and instruction.segment_prefix == Register.NONE
    return bool(_is_jump_with_r11_live(instruction) and is_absolute)


def _is_indirect_jump(instruction: Instruction) -> bool:
    return bool(instruction.flow_control == FlowControl.INDIRECT_BRANCH)


def _is_rebase(instruction: Instruction) -> bool:
    is_add = instruction.mnemonic == Mnemonic.ADD and instruction.op0_kind == OpKind.REGISTER
    is_start = instruction.memory_displacement == abi.CONTROL_RSP_START
    is_of_rsp = is_add and instruction.op0_register == Register.RSP
    return bool(is_of_rsp and instruction.op1_kind == OpKind.MEMORY and is_start)


def _is_store_string(instruction: Instruction) -> bool:
    return instruction.mnemonic in (Mnemonic.STOSB, Mnemonic.STOSW, Mnemonic.STOSD, Mnemonic.STOSQ)


def _is_move_string(instruction: Instruction) -> bool:
    moves = (Mnemonic.MOVSB, Mnemonic.MOVSW, Mnemonic.MOVSD, Mnemonic.MOVSQ)
    return bool(instruction.is_string_instruction) and instruction.mnemonic in moves


def _is_hostcall(instruction: Instruction) -> bool:
    return bool(
        instruction.flow_control == FlowControl.UNCONDITIONAL_BRANCH
        and instruction.near_branch_target == abi.GATE_HOSTCALL
    )


def _is_trap(instruction: Instruction) -> bool:
    return bool(instruction.mnemonic == Mnemonic.HLT)


@dataclass(frozen=True)
class Pattern:
    """`length` instructions, known by the last one. `needs`: what one of them is."""

    name: str
    length: int
    ends_with: Callable[[Instruction], bool]
    needs: Callable[[Instruction], bool] | None = None


_CHECKS = (
    Pattern("checked call", 4, _is_indirect_call, _is_check),
    Pattern("jump through a table", 3, _is_table_jump, _is_bound),
    Pattern("jump through a table", 1, _is_table_jump),
    Pattern("checked jump", 6, _is_jump_with_r11_live, _is_check),
    Pattern("checked jump", 4, _is_indirect_jump, _is_check),
)
_GATES = (
    Pattern("host call", 2, _is_hostcall),
    Pattern("control-flow violation", 1, _is_trap),
)
PATTERNS: dict[str, tuple[Pattern, ...]] = {
    "gs": (
        *_CHECKS,
        Pattern("rebase rsp", 3, _is_rebase),
        Pattern("string", 4, _is_store_string),
        Pattern("string", 6, _is_move_string),
        *_GATES,
    ),
    "r15": (
        Pattern("checked return", 5, _is_return, _is_check),
        *_CHECKS,
        Pattern("rebase rsp", 3, _is_rebase),
        Pattern("string", 3, _is_store_string),
        Pattern("string", 5, _is_move_string),
        *_GATES,
    ),
}
"""By where the window's base is."""
LONGEST_PATTERN = max(pattern.length for patterns in PATTERNS.values() for pattern in patterns)
