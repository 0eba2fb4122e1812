"""The stack pointer: a host address inside the window that the program takes for an offset.

Reading rsp as data gives the offset (`%esp`); writing it is an adjustment by a constant or a rebase.
"""

from __future__ import annotations

from collections.abc import Callable

from tmebox.abi import CONTROL_RSP_MASK, CONTROL_RSP_START, STACK_REACH
from tmebox.records import replace
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Immediate, Instruction, Memory, Operand, Register, constant
from tmebox.toolchain.rewrite.memory import address_of, confined, plain_immediate
from tmebox.toolchain.rewrite.mnemonics import Kind, Mnemonic
from tmebox.toolchain.rewrite.overflow import check_address, check_arithmetic, check_constant, check_move
from tmebox.toolchain.rewrite.replacement import Flow, Refusal, Replacement, Shape, lines, spilled

_REBASE = (f"andl %gs:{CONTROL_RSP_MASK:#x}, %esp", f"addq %gs:{CONTROL_RSP_START:#x}, %rsp")


def is_stack_pointer(operand: Operand) -> bool:
    return isinstance(operand, Register) and registers.NUMBER.get(operand.name) == registers.RSP


def mentions(operand: Operand, number: int) -> bool:
    """Whether a general-purpose register occurs in an operand, itself or in an address."""
    match operand:
        case Register(name):
            return registers.NUMBER.get(name) == number
        case Memory(_, base, index):
            return number in (registers.NUMBER.get(base or ""), registers.NUMBER.get(index or ""))
        case Immediate():
            return False
    return mentions(operand.operand, number)


def scratch_for(instruction: Instruction) -> str:
    """r11, or a register that the instruction does not use."""
    for name in ("r11", "r10", "r9", "r8"):
        if not any(mentions(operand, registers.NUMBER[name]) for operand in instruction.operands):
            return name
    raise Refusal("uses too many registers at once")


def rebase(
    instruction: str, flow: Flow, *before: str, after: tuple[str, ...] = (), scratch: bool = False
) -> Replacement:
    """A replacement around the rebase sequence that starts with `instruction`, which writes %esp."""
    return Replacement(
        Shape.REBASE,
        lines(*before, instruction, *_REBASE, *after),
        flow,
        scratch="r11" if scratch else None,
        can_spill=False,
        clobbers_flags=True,
    )


def rewrite_leave(flow: Flow) -> Replacement:
    return rebase("movl %ebp, %esp", flow, after=("popq %rbp",))


def rewrite_lea(instruction: Instruction, flow: Flow) -> Replacement:
    """`lea` of or into rsp, or of a symbol(%rip)."""
    source, destination = instruction.operands
    if not isinstance(source, Memory) or not isinstance(destination, Register):
        raise Refusal("operands that `lea` does not have")
    if registers.WIDTH.get(destination.name) not in (32, 64):
        raise Refusal("16 bits of an address")
    target = registers.part(destination.name, 32)
    if is_stack_pointer(destination) and source.base in ("rsp", "esp") and source.index is None:
        amount = constant(source.displacement)
        if amount is not None and abs(amount) <= STACK_REACH:
            return Replacement(Shape.ADJUST, lines(f"leaq {amount}(%rsp), %rsp"), flow, reach=abs(amount))
    text = address_of(source, target)
    if is_stack_pointer(destination):
        moved = rebase(_as_lea(text), flow, *_address_check(source, instruction))
        is_constant = (
            source.base == "rsp" and source.index is None and constant(source.displacement) is not None
        )
        return replace(moved, constant=f"leaq {source}, %rsp") if is_constant else moved
    return Replacement(Shape.PLAIN, lines(text), flow)


def _address_check(source: Memory, instruction: Instruction) -> tuple[str, ...]:
    amount = constant(source.displacement)
    if source.base in ("rsp", "esp") and source.index is None and amount is not None:
        return check_constant(-amount)
    if source.base == "rip" or (source.base is None and source.index is None):
        return ()
    return check_address(source, scratch_for(instruction))


def _as_lea(text: str) -> str:
    """`movl $constant` is no first instruction of a rebase; `leal constant` is."""
    return text.replace("movl $", "leal ", 1)


def rewrite_stack_pointer(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Replacement:
    """An instruction with rsp, or a part of it, as a register operand."""
    operands = instruction.operands
    if facts.kind in (Kind.CALL, Kind.JUMP):
        raise Refusal("a branch to the stack")
    if facts.kind is Kind.PUSH:
        return Replacement(
            Shape.PLAIN, lines("movl %esp, %r11d", "pushq %r11"), flow, True, scratch="r11", can_spill=False
        )
    if facts.kind is Kind.POP:
        return rebase("movl %r11d, %esp", flow, "popq %r11", scratch=True)
    destination = operands[-1]
    if facts.base == "xchg" and len(operands) == 2:
        return _exchange(instruction, flow)
    if is_stack_pointer(destination) and facts.base not in ("cmp", "test"):
        return _write(instruction, facts, flow)
    return _read(instruction, facts, flow)


def _read(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Replacement:
    if facts.base in ("xadd", "mulx"):
        raise Refusal(f"`{facts.base}` with the stack pointer")
    source, destination = instruction.operands[0], instruction.operands[-1]
    is_move = (
        facts.base == "mov" and isinstance(source, Register) and registers.WIDTH[source.name] in (32, 64)
    )
    if is_move and isinstance(destination, Register) and destination.name in registers.NUMBER:
        return Replacement(Shape.PLAIN, lines(f"movl %esp, %{registers.part(destination.name, 32)}"), flow)
    return through_scratch(instruction, "movl %esp", is_stack_pointer, flow)


def rewrite_pop_to_stack(instruction: Instruction, flow: Flow) -> Replacement:
    """`pop 8(%rsp)` computes its address after it has moved rsp, so that the displacement bounds nothing."""
    destination = instruction.operands[0]
    if not isinstance(destination, Memory) or mentions(destination, registers.R11):
        raise Refusal("pops to an address that needs r11")
    text = lines("popq %r11", f"movq %r11, {confined(destination)}")
    return Replacement(Shape.PLAIN, text, flow, anchor=True, scratch="r11", can_spill=False)


def through_scratch(
    instruction: Instruction, load: str, is_replaced: Callable[[Operand], bool], flow: Flow, width: int = 64
) -> Replacement:
    """The instruction with some operands replaced by a scratch register, which `load` has filled.

    Registers are replaced by the same part of the scratch register, memory by its low `width` bits.
    """
    scratch = scratch_for(instruction)
    operands = []
    for operand in instruction.operands:
        if not is_replaced(operand):
            operands.append(confined(operand) if isinstance(operand, Memory) else plain_immediate(operand))
            continue
        used = registers.WIDTH[operand.name] if isinstance(operand, Register) else width
        operands.append(Register(registers.part(scratch, used)))
    body = statement(replace(instruction, operands=tuple(operands)))
    text = lines(f"{load}, %{registers.part(scratch, 32)}", body)
    if scratch == "r11":
        return Replacement(Shape.PLAIN, text, flow, scratch=scratch)
    return Replacement(Shape.PLAIN, spilled(text, scratch), flow)


def statement(instruction: Instruction) -> str:
    """`mnemonic operands`, as `lines` takes it."""
    words = " ".join([*instruction.prefixes, instruction.mnemonic])
    return f"{words} {', '.join(map(str, instruction.operands))}".rstrip()


def _exchange(instruction: Instruction, flow: Flow) -> Replacement:
    first, second = instruction.operands
    other = second if is_stack_pointer(first) else first
    if (
        not isinstance(other, Register)
        or registers.WIDTH.get(other.name) != 64
        or registers.NUMBER[other.name] in (registers.R11, registers.RSP)
    ):
        raise Refusal("an exchange with the stack pointer that is not with a 64-bit register")
    low = registers.part(other.name, 32)
    return rebase(
        f"movl %{low}, %esp", flow, "movl %esp, %r11d", after=(f"movq %r11, %{other.name}",), scratch=True
    )


_REBASING = frozenset(["mov", "add", "sub", "and"])


def _write(instruction: Instruction, facts: Mnemonic, flow: Flow) -> Replacement:
    destination = instruction.operands[-1]
    assert isinstance(destination, Register)
    if registers.WIDTH[destination.name] not in (32, 64):
        raise Refusal("writes a part of the stack pointer")
    if len(instruction.operands) == 2 and facts.base in _REBASING:
        source = instruction.operands[0]
        amount = constant(source.expression) if isinstance(source, Immediate) else None
        if amount is not None and (reach := _reach(facts.base, amount)) is not None:
            return Replacement(Shape.ADJUST, lines(f"{facts.base}q ${amount}, %rsp"), flow, reach=reach)
        if (text := _low_half(source)) is not None:
            check = _write_check(instruction, facts.base, amount)
            moved = rebase(_as_lea(f"{facts.base}l {text}, %esp"), flow, *check)
            is_constant = amount is not None and facts.base in ("add", "sub")
            return replace(moved, constant=f"{facts.base}q ${amount}, %rsp") if is_constant else moved
    return _write_through_scratch(instruction, flow)


def _write_check(instruction: Instruction, base: str, amount: int | None) -> tuple[str, ...]:
    source, destination = instruction.operands
    assert isinstance(destination, Register)
    if registers.WIDTH[destination.name] != 64:
        return ()
    if base == "mov":
        return check_move(source)
    if base not in ("add", "sub"):
        return ()
    if amount is not None:
        return check_constant(amount if base == "sub" else -amount)
    return check_arithmetic(base, source, scratch_for(instruction))


def _reach(base: str, amount: int) -> int | None:
    """By how much rsp moves at most, if that is an adjustment."""
    if base in ("add", "sub"):
        reach = abs(amount)
    elif base == "and" and amount < 0 and amount & -amount == -amount:
        reach = -amount
    else:
        return None
    return reach if reach <= STACK_REACH else None


def _low_half(source: Operand) -> str | None:
    """The 32-bit form of an operand that is computed with %esp."""
    match source:
        case Register(name) if registers.WIDTH.get(name) in (32, 64):
            return f"%{registers.part(name, 32)}"
        case Memory():
            return str(confined(source))
        case Immediate():
            return str(plain_immediate(source))
    return None


def _write_through_scratch(instruction: Instruction, flow: Flow) -> Replacement:
    if any(mentions(operand, registers.R11) for operand in instruction.operands):
        raise Refusal("computes the stack pointer with r11")
    text = through_scratch(instruction, "movl %esp", is_stack_pointer, flow).text
    before = tuple(line.strip().replace("\t", " ", 1) for line in text.split("\n"))
    return rebase("movl %r11d, %esp", flow, *before, scratch=True)
