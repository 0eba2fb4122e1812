"""One instruction → its replacement: which rule applies."""

from __future__ import annotations

from functools import lru_cache

from tmebox.records import replace
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.analysis import effects
from tmebox.toolchain.rewrite.analysis.liveness import EVERYTHING, R11_BIT, resources
from tmebox.toolchain.rewrite.asm import (
    Immediate,
    Indirect,
    Instruction,
    Memory,
    Operand,
    Register,
    constant,
    symbols,
)
from tmebox.toolchain.rewrite.bits import is_wild_bit_test, rewrite_bit_test
from tmebox.toolchain.rewrite.control import rewrite_branch, rewrite_return, rewrite_trap
from tmebox.toolchain.rewrite.memory import computed, confined, constant_load, is_stack_slot, plain_immediate
from tmebox.toolchain.rewrite.mnemonics import FLAGS, MNEMONICS, Kind, Mnemonic
from tmebox.toolchain.rewrite.overflow import check_arrays, moves_arrays
from tmebox.toolchain.rewrite.processor import rewrite_question
from tmebox.toolchain.rewrite.pushed_flags import rewrite_flags
from tmebox.toolchain.rewrite.r15 import refuse_reserved, through_r15
from tmebox.toolchain.rewrite.replacement import Flow, Refusal, Replacement, Shape, lines
from tmebox.toolchain.rewrite.speed.borrow import load_of
from tmebox.toolchain.rewrite.stack import (
    is_stack_pointer,
    mentions,
    rewrite_lea,
    rewrite_leave,
    rewrite_pop_to_stack,
    rewrite_stack_pointer,
    statement,
    through_scratch,
)
from tmebox.toolchain.rewrite.strings import rewrite_string

_STRING_OR_VECTOR = frozenset(["movsd", "cmpsd"])
"""Without operands these are string instructions."""
_WITHOUT_EFFECT = frozenset(["nopw", "nopl", "nopq", "cld", "clflush", "clflushopt", "clwb", "cldemote"])
"""They access none of their operands, or change nothing that a program sees. What a sandbox may not do for
what others would see of it, as with lines of a cache, is left out. No sandbox sets the direction flag."""


def rewrite_instruction(instruction: Instruction, base: str = "gs") -> Replacement:
    """The replacement with the window's base in `base`. Raises Refusal."""
    if instruction.mnemonic in _WITHOUT_EFFECT and not instruction.prefixes:
        instruction = Instruction("nop")
    if base == "gs":
        return _through_gs(instruction, base)
    refuse_reserved(instruction)
    return through_r15(_through_gs(instruction, base))


def _through_gs(instruction: Instruction, base: str) -> Replacement:
    """`base` matters to string instructions, whose sequence differs by more than its operands."""
    if instruction.mnemonic == "int" and instruction.operands == (Immediate("3"),):
        instruction = replace(instruction, mnemonic="int3", operands=())  # what the assembler makes of it
    facts = MNEMONICS.get(instruction.mnemonic)
    if facts is None or (instruction.mnemonic in _STRING_OR_VECTOR and not instruction.operands):
        text = statement(instruction)
        raise Refusal(f"`{text}`: not an instruction that sandboxed code may use{avx512_hint(text)}")
    for operand in instruction.operands:
        _check_registers(operand)
    flow = _flow(instruction, facts)
    if takes := _takes(instruction, facts):
        flow = replace(flow, takes=takes)
    is_string = facts.kind is Kind.STRING
    if instruction.prefixes and not is_string:
        instruction = _without_hints(instruction, facts)
    try:
        if is_string:
            return rewrite_string(instruction, facts, flow, base)
        return _rewrite(instruction, facts, flow, base)
    except Refusal as refusal:
        raise Refusal(f"`{statement(instruction)}`: {refusal}") from None


def _rewrite(instruction: Instruction, facts: Mnemonic, flow: Flow, base: str) -> Replacement:
    operands = instruction.operands
    match facts.kind:
        case Kind.CALL | Kind.JUMP | Kind.CONDITIONAL:
            return rewrite_branch(instruction, facts, flow)
        case Kind.RETURN:
            return rewrite_return(instruction, flow)
        case Kind.LEAVE:
            return rewrite_leave(flow)
        case Kind.PUSH_FLAGS | Kind.POP_FLAGS:
            return rewrite_flags(instruction, facts, flow)
        case Kind.QUESTION:
            return rewrite_question(instruction, facts, flow)
        case Kind.STOP if facts.base == "ud1":
            return rewrite_trap(instruction, flow)
        case Kind.BIT_TEST if is_wild_bit_test(instruction):
            return rewrite_bit_test(instruction, facts, flow)
        case Kind.LEA:
            source = operands[0] if operands else None
            if not isinstance(source, Memory) or len(operands) != 2:
                raise Refusal("operands that `lea` does not have")
            if source.base in ("rsp", "esp", "rip") or is_stack_pointer(operands[1]):
                return rewrite_lea(instruction, flow)
            body = replace(instruction, operands=(computed(source), operands[1]))
            return Replacement(Shape.PLAIN, lines(statement(body)), flow)
    if facts.kind in (Kind.PUSH, Kind.POP) and len(operands) != 1:
        raise Refusal("operands that it does not have")
    if len(operands) > facts.most_operands:
        raise Refusal(f"{len(operands)} operands, where instructions for sandboxes have fewer")
    if facts.base == "imul" and len(operands) == 3 and not isinstance(operands[0], Immediate):
        raise Refusal("three operands of which the first is no number")  # for the assembler, APX's
    is_single = facts.kind is Kind.SHIFT and not facts.base.startswith(("shld", "shrd"))  # those imply %cl
    if is_single and len(operands) == 2 and not _is_count(operands[0]):
        raise Refusal("a count that is neither a number nor %cl")
    for operand in operands:
        if (value := constant_load(operand)) is not None:
            return _rewrite_constant_load(instruction, facts, operand, value, flow)
    if any(map(is_stack_pointer, operands)):
        return rewrite_stack_pointer(instruction, facts, flow)
    if any(isinstance(operand, Indirect) for operand in operands):
        raise Refusal("`*` belongs to calls and jumps")
    if facts.base == "movabs" and any(isinstance(operand, Memory) for operand in operands):
        return _rewrite_absolute_move(instruction, flow)
    anchor = facts.kind in (Kind.PUSH, Kind.POP)
    if facts.anchor:
        anchor = anchor or any(isinstance(operand, Memory) and is_stack_slot(operand) for operand in operands)
    if facts.kind is Kind.POP and mentions(operands[0], registers.RSP):
        return rewrite_pop_to_stack(instruction, flow)
    body = Instruction(
        instruction.mnemonic, tuple(map(_plain_operand, operands)), instruction.prefixes, instruction.mark
    )
    if moves_arrays(facts.base, operands) and isinstance(operands[1], Memory):
        check = lines(*check_arrays(operands[0], operands[1]))
        return Replacement(Shape.CHECKED, lines(statement(body)), flow, before=check)
    is_compare = facts.is_compare and not any(mentions(operand, registers.RSP) for operand in operands)
    return Replacement(
        Shape.PLAIN,
        lines(statement(body)),
        flow,
        anchor,
        is_compare=is_compare,
        load=load_of(instruction, facts) if base == "gs" else None,
    )


def _is_count(operand: Operand) -> bool:
    return isinstance(operand, Immediate) or operand == Register("cl")


def _plain_operand(operand: Operand) -> Operand:
    return confined(operand) if isinstance(operand, Memory) else plain_immediate(operand)


_TAKES_IMMEDIATE = frozenset(["add", "sub", "and", "or", "xor", "cmp", "test", "adc", "sbb"])


def _rewrite_constant_load(
    instruction: Instruction, facts: Mnemonic, operand: Operand, value: str, flow: Flow
) -> Replacement:
    """A source operand whose value is known when the program is linked."""
    operands = instruction.operands
    if facts.kind is Kind.PUSH:
        return Replacement(Shape.PLAIN, lines(f"pushq ${value}"), flow, anchor=True)
    destination = operands[-1]
    if operand is destination and facts.base in ("cmp", "test"):
        return through_scratch(instruction, f"movl ${value}", lambda item: item is operand, flow)
    if operand is destination or any(map(is_stack_pointer, operands)):
        raise Refusal("not an instruction that can use a constant")
    width = registers.WIDTH.get(destination.name) if isinstance(destination, Register) else facts.width
    if facts.base == "mov" and isinstance(destination, Register) and width in (32, 64):
        return Replacement(
            Shape.PLAIN, lines(f"movl ${value}, %{registers.part(destination.name, 32)}"), flow
        )
    if facts.base in _TAKES_IMMEDIATE and len(operands) == 2 and width in (32, 64):
        body = replace(instruction, operands=(Immediate(value), _plain_operand(destination)))
        return Replacement(Shape.PLAIN, lines(statement(body)), flow)
    if facts.base in ("mov", "imul") or facts.base.startswith("cmov"):
        return through_scratch(instruction, f"movl ${value}", lambda item: item is operand, flow, width or 64)
    raise Refusal("not an instruction that can use a constant")


def _rewrite_absolute_move(instruction: Instruction, flow: Flow) -> Replacement:
    """A load or store at a 64-bit number, as gcc writes `*(int *)0xdeadbeef`. Like any address in a register,
    it counts with its lower 32 bits."""
    address = next(operand for operand in instruction.operands if isinstance(operand, Memory))
    value = constant(address.displacement)
    if value is None or address != Memory(address.displacement):
        raise Refusal("an address that is not a number")
    others = [str(operand) for operand in instruction.operands if operand is not address]
    if others not in (["%al"], ["%ax"], ["%eax"], ["%rax"]):
        raise Refusal("operands that it does not have")
    place = Memory("", "r11d", segment="gs")
    body = replace(
        instruction,
        mnemonic=instruction.mnemonic.replace("movabs", "mov"),
        operands=tuple(place if operand is address else operand for operand in instruction.operands),
    )
    load = f"movl ${value & 0xFFFFFFFF:#x}, %r11d"
    return Replacement(Shape.PLAIN, lines(load, statement(body)), flow, scratch="r11")


def _check_registers(operand: Operand) -> None:
    if isinstance(operand, Indirect):
        operand = operand.operand
    if (
        isinstance(operand, Register)
        and operand.name not in registers.NUMBER
        and operand.name not in registers.OTHERS
    ):
        raise Refusal(f"%{operand.name} is not available in a sandbox{avx512_hint(operand.name)}")


def avx512_hint(text: str) -> str:
    """What to do about an instruction or a register, where it is one of AVX-512's."""
    if not _AVX512.search(text):
        return ""
    return ": AVX-512 is not supported; compile with -march=x86-64-v3 or an older processor, or -mno-avx512f"


_AVX512 = regex(r"\b[xyz]mm(1[6-9]|2\d|3[01])\b|\bzmm\d+\b|(%|^)k[0-7]\b|\{(z|evex|1to\d+)\}")


def _without_hints(instruction: Instruction, facts: Mnemonic) -> Instruction:
    """Drop the prefixes that mean nothing here (`notrack`, `rep ret`), keep `lock`, refuse the others."""
    match instruction.prefixes:
        case ("lock",) if facts.lockable:
            return instruction
        case ("notrack",) if facts.kind in (Kind.CALL, Kind.JUMP):
            return replace(instruction, prefixes=())
        case ("rep",) | ("repz",) if facts.kind is Kind.RETURN or facts.base in ("bsf", "bsr"):
            # `rep bsf` is tzcnt where there is one; compilers write it where both give the same.
            return replace(instruction, prefixes=())
        case ("rep",) if facts.base == "nop" and not instruction.operands:
            return replace(instruction, mnemonic="pause", prefixes=())
    raise Refusal(
        f"`{' '.join(instruction.prefixes)} {instruction.mnemonic}`: a prefix that is not allowed here"
    )


@lru_cache(maxsize=1 << 15)
def flow_of(instruction: Instruction) -> Flow:
    """What liveness needs to know of an instruction that may be in a sandbox."""
    facts = MNEMONICS[instruction.mnemonic]
    flow, takes = _flow(instruction, facts), _takes(instruction, facts)
    return replace(flow, takes=takes) if takes else flow


def _flow(instruction: Instruction, facts: Mnemonic) -> Flow:
    operands = instruction.operands
    if facts.kind is Kind.STOP:
        return Flow(falls_through=False)
    if facts.kind is Kind.RETURN:
        return Flow(falls_through=False, leaves=True)
    registers_used = effects.effects(instruction, facts)
    reads = facts.reads | resources(registers_used.reads)
    kills = facts.kills | resources(registers_used.kills)
    writes = facts.kills | resources(registers_used.writes)
    if facts.kind is Kind.CALL:
        return Flow(reads | resources(effects.ARGUMENTS), FLAGS | R11_BIT, EVERYTHING, calls=True)
    if facts.kind is Kind.SHIFT:
        count = operands[0] if len(operands) > 1 else Immediate("1")
        if not isinstance(count, Immediate) or count.expression == "0":
            kills &= ~FLAGS
    if facts.kind in (Kind.JUMP, Kind.CONDITIONAL):
        last = operands[-1] if operands else None
        target = last.displacement if isinstance(last, Memory) and last.is_bare else None
        is_jump = facts.kind is Kind.JUMP
        leaves = is_jump and target is None and instruction.mark is not None
        return Flow(
            reads | (resources(effects.ARGUMENTS) if leaves else 0),
            kills,
            writes,
            target=target.split("@")[0] if target else None,
            falls_through=not is_jump,
            is_table_jump=is_jump and target is None and instruction.mark is None,
            leaves=leaves,
            condition=facts.condition,
        )
    return Flow(reads, kills, writes, registers_used.bits, condition=facts.condition)


def _takes(instruction: Instruction, facts: Mnemonic) -> tuple[str, ...]:
    """Symbols an instruction names, except as the target of a direct branch."""
    names: list[str] = []
    for operand in instruction.operands:
        if isinstance(operand, Immediate):
            names += symbols(operand.expression)
        elif isinstance(operand, Memory) and facts.kind not in (Kind.CALL, Kind.JUMP, Kind.CONDITIONAL):
            names += symbols(operand.displacement)
    return tuple(names)
