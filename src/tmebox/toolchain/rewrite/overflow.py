"""Frames and arrays that are larger than what is left below the stack pointer.

A rebase takes the lower half of the new stack pointer and masks it, so that too large a frame would wrap
round into the program's own heap. That is no way out of the sandbox, but no program expects it: natively it
is a fault. So where rsp moves down by much, or by an unknown number, the new one is computed in 64 bits
first. If it is negative, or too large an offset, an access where nothing is ever mapped stops the program.
All other frames reach memory that is mapped for nothing but the stack, or not at all; but a stack that is too
large for its place below the image has the heap below its guard, and there clang's probes stop the program.

With a control stack, frames have constant sizes, and arrays whose size is known only when they are made have
a stack of their own. Behind its pointer, a variable, is the lowest address that it may have.
"""

from __future__ import annotations

from tmebox.abi import CONTROL_RSP_LAST, SPILL_REGISTER, STACK_EXHAUSTED
from tmebox.records import replace
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Memory, Operand, Register
from tmebox.toolchain.rewrite.memory import computed, confined
from tmebox.toolchain.rewrite.replacement import LOCAL_LABEL

_STOP = (f"cmpl %eax, %gs:{STACK_EXHAUSTED:#x}", f"{LOCAL_LABEL}:")
_LAST = f"%gs:{CONTROL_RSP_LAST:#x}"
"""The largest offset that the stack pointer can have. What is negative is larger, without a sign."""


ARRAYS = "__safestack_unsafe_stack_ptr"
"""Where arrays of variable size begin, those that there are."""
ARRAYS_LOWEST = 8
"""How far behind that is how low it may be."""


def moves_arrays(base: str, operands: tuple[Operand, ...]) -> bool:
    """Whether it is a store to ARRAYS of where a new array begins, or of where others have ended."""
    if base != "mov" or len(operands) != 2:
        return False
    source, destination = operands
    is_whole = isinstance(source, Register) and registers.WIDTH.get(source.name) == 64
    return is_whole and isinstance(destination, Memory) and ARRAYS in destination.displacement


def check_arrays(source: Operand, destination: Memory) -> tuple[str, ...]:
    """Before that store. What is larger than everything below is less than 0."""
    lowest = replace(destination, displacement=f"{destination.displacement}+{ARRAYS_LOWEST}")
    return f"cmpq {confined(lowest)}, {source}", f"jge {LOCAL_LABEL}", *_STOP


def check_constant(size_bytes: int) -> tuple[str, ...]:
    """Before rsp moves down by a constant."""
    return (f"cmpl ${size_bytes:#x}, %esp", f"jae {LOCAL_LABEL}", *_STOP) if size_bytes > 0 else ()


def check_move(source: Operand) -> tuple[str, ...]:
    """Before a 64-bit operand is loaded into rsp. rbp holds what rsp was, and needs no check."""
    match source:
        case Register(name) if registers.WIDTH.get(name) == 64 and name != "rbp":
            return f"cmpq {_LAST}, %{name}", f"jbe {LOCAL_LABEL}", *_STOP
        case Memory():
            upper_half = replace(
                source, displacement=f"{source.displacement}+4" if source.displacement else "4"
            )
            return f"cmpl $0, {confined(upper_half)}", f"je {LOCAL_LABEL}", *_STOP
    return ()


def check_arithmetic(base: str, source: Operand, scratch: str) -> tuple[str, ...]:
    """Before `source` is added to rsp, or subtracted."""
    match source:
        case Register(name) if registers.WIDTH.get(name) == 64:
            text = f"%{name}"
        case Memory():
            text = str(confined(source))
        case _:
            return ()
    return _check((f"movl %esp, %{registers.part(scratch, 32)}", f"{base}q {text}, %{scratch}"), scratch)


def check_address(source: Memory, scratch: str) -> tuple[str, ...]:
    """Before `lea` of an address into rsp."""
    if source.base == "rbp" and source.index is None:
        return ()
    address = computed(source)
    if source.base not in ("rsp", "esp"):
        return _check((f"leaq {address}, %{scratch}",), scratch)
    inside = Memory(address.displacement, scratch, address.index, address.scale)
    return _check((f"movl %esp, %{registers.part(scratch, 32)}", f"leaq {inside}, %{scratch}"), scratch)


def _check(compute: tuple[str, ...], scratch: str) -> tuple[str, ...]:
    """The scratch register is kept below the red zone meanwhile, be it needed or not."""
    slot = f"{SPILL_REGISTER}(%rsp)"
    return (
        f"movq %{scratch}, {slot}",
        *compute,
        f"cmpq {_LAST}, %{scratch}",
        f"movq {slot}, %{scratch}",
        f"jbe {LOCAL_LABEL}",
        *_STOP,
    )
