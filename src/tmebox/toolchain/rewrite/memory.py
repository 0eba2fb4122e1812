"""The memory rule: every address is `%gs:` plus 32 bits, or a small displacement from rsp."""

from __future__ import annotations

from tmebox.abi import GUARD, STACK_REACH
from tmebox.records import replace
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Immediate, Memory, Operand, constant
from tmebox.toolchain.rewrite.replacement import Refusal

_MODIFIER = regex(r"@([A-Za-z]\w*)")

_DROPPED = frozenset(["PLT", "TPOFF"])
"""`@PLT`: everything is linked statically. `@TPOFF`: a variable is at its own address in the first thread,
whose thread pointer is 0."""
THREAD_OFFSET = "__tmebox_thread_offset"
"""The variable of libc that `%fs:0` becomes: what is to be added to the addresses of thread-local variables.
Compilers are told to load it (-mno-tls-direct-seg-refs)."""
_INDIRECT = frozenset(["GOTPCREL", "GOTTPOFF"])
"""A load through the global offset table: the value loaded is a link-time constant."""


def plain_expression(expression: str) -> str:
    """Without relocation modifiers; Refusal for those that need a table or a thread pointer."""
    if "@" not in expression:
        return expression
    for modifier in _MODIFIER.findall(expression):
        if modifier.upper() not in _DROPPED:
            raise Refusal(f"`{expression}`: @{modifier} is not supported (compile with -fno-pic)")
    return _MODIFIER.sub("", expression)


def plain_immediate(operand: Operand) -> Operand:
    if isinstance(operand, Immediate) and "@" in operand.expression:
        return Immediate(plain_expression(operand.expression))
    return operand


def constant_load(operand: Operand) -> str | None:
    """The constant that reading `operand` gives, if it is a GOT slot."""
    if not isinstance(operand, Memory):
        return None
    if operand.base == "rip" and operand.segment is None:
        modifiers = {modifier.upper() for modifier in _MODIFIER.findall(operand.displacement)}
        if modifiers and modifiers <= _INDIRECT:
            return _MODIFIER.sub("", operand.displacement)
    return None


def is_stack_slot(memory: Memory) -> bool:
    """`disp(%rsp)` that may stay as it is."""
    if memory.base != "rsp" or memory.index is not None or memory.segment is not None:
        return False
    displacement = constant(memory.displacement)
    return displacement is not None and -STACK_REACH <= displacement <= STACK_REACH


def confined(memory: Memory) -> Memory:
    """The operand that accesses the same place inside the window, whatever its registers hold."""
    if is_stack_slot(memory):
        return memory
    if memory.segment not in (None, "fs"):
        raise Refusal(f"`{memory}`: segment %{memory.segment} is not available")
    displacement = plain_expression(memory.displacement)
    if memory.base == "rip":
        _check_symbolic(memory)
        return Memory(displacement, "rip", segment="gs")
    if memory.base is None and memory.index is None:
        return _absolute(memory, displacement)
    return Memory(displacement, _half(memory, memory.base), _half(memory, memory.index), memory.scale, "gs")


def _absolute(memory: Memory, displacement: str) -> Memory:
    value = constant(displacement)
    if value is None:
        # One byte shorter than the absolute form.
        return Memory(displacement, "rip", segment="gs")
    if memory.segment == "fs":
        if value == 0:
            return Memory(THREAD_OFFSET, "rip", segment="gs")
        raise Refusal(f"`{memory}`: there is no thread control block in a sandbox")
    if -GUARD <= value < 0:
        # What a compiler makes of a null pointer's neighbours in code that must not run. Nothing is mapped at
        # either end of the window, and only the low end can be named without a register.
        return Memory("0", segment="gs")
    if not 0 <= value < 1 << 31:
        raise Refusal(f"`{memory}`: the address is not inside [0, 2 GiB)")
    return Memory(displacement, segment="gs")


def _check_symbolic(memory: Memory) -> None:
    if memory.segment is not None or memory.index is not None or constant(memory.displacement) is not None:
        raise Refusal(f"`{memory}`: only `symbol(%rip)` is a program-relative address")


def _half(memory: Memory, register: str | None) -> str | None:
    if register is None:
        return None
    if registers.WIDTH.get(register) not in (32, 64):
        raise Refusal(f"`{memory}`: %{register} cannot be part of an address")
    return registers.part(register, 32)


def address_of(memory: Memory, register: str) -> str:
    """The instruction that puts the offset `memory` stands for into a 64-bit register."""
    low = registers.part(register, 32)
    displacement = plain_expression(memory.displacement)
    if memory.base == "rip":
        _check_symbolic(memory)
        return f"movl ${displacement}, %{low}"
    if memory.segment is not None:
        raise Refusal(f"`{memory}`: segment %{memory.segment} is not available")
    if memory.base is None and memory.index is None:
        return f"movl ${displacement}, %{low}"
    base, index = (None if name is None else registers.part(name, 64) for name in (memory.base, memory.index))
    # 32 bits of rsp are its offset.
    return f"leal {Memory(displacement, base, index, memory.scale)}, %{low}"


def computed(memory: Memory) -> Memory:
    """The operand of a `lea` without rsp or rip: nothing is accessed, so it keeps its 64-bit arithmetic."""
    if memory.segment is not None:
        raise Refusal(f"`{memory}`: an address has no segment")
    for register in (memory.base, memory.index):
        _half(memory, register)
    return replace(memory, displacement=plain_expression(memory.displacement))
