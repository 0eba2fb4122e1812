"""Which general-purpose registers an instruction, as it was written, needs and overwrites.

Errs on the side of safety: an instruction that is not known precisely needs every register but r11 and may
write any. As a mask, register number n (see `registers`) is the bit `1 << n`.
"""

from __future__ import annotations

from tmebox.records import dataclass, replace
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Immediate, Indirect, Instruction, Memory, Operand, Register, constant
from tmebox.toolchain.rewrite.mnemonics import Kind, Mnemonic
from tmebox.toolchain.rewrite.vector_mnemonics import VECTOR_MNEMONICS

ALL = (1 << 16) - 1


def mask(*names: str) -> int:
    result = 0
    for name in names:
        result |= 1 << registers.NUMBER[name]
    return result


ARGUMENTS = mask("rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax", "r10")
"""What a call may hand over: arguments, the count of vector arguments, the static chain."""
KEPT = mask("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp")
"""What a function gives back as it was."""
RESULTS = mask("rax", "rdx", "rcx")
"""What a compiler's functions return values in."""
R11 = mask("r11")


@dataclass(frozen=True, slots=True)
class Effects:
    """Masks. reads: values needed before. kills: overwritten whole, and not needed. writes: may change.
    bits: what the last operand, a register, is afterwards below 2 to the power of, as far as that is known.
    """

    reads: int = 0
    kills: int = 0
    writes: int = 0
    bits: int = 64


UNKNOWN = Effects(ALL & ~R11, 0, ALL)
"""No instruction uses r11 without naming it."""

_CHANGED = "add sub and or xor neg adc sbb inc dec not bswap bts btr btc crc32"
_SHIFTED = "shl sal shr sar shld shrd rol ror rcl rcr"
_LAST_IS_CHANGED = frozenset(f"{_CHANGED} {_SHIFTED}".split())
_WRITTEN = """
    mov movabs movbe lea pop popcnt lzcnt tzcnt andn bextr blsi blsmsk blsr bzhi pdep pext rorx sarx shlx
    shrx movzbw movzbl movzbq movzwl movzwq movsbw movsbl movsbq movswl movswq movslq movsxd movzb movzw
    movzx movsx
"""
_LAST_IS_WRITTEN = frozenset(_WRITTEN.split())
"""Base mnemonics whose last operand is written and, unless it is part of an address, not read."""
_READING = "cmp test bt push nop prefetcht0 prefetcht1 prefetcht2 prefetchnta prefetchw"
_ONLY_READS = frozenset(_READING.split())
_ACCUMULATOR = {
    **dict.fromkeys(("cbtw", "cwtl", "cltq", "cbw", "cwde", "cdqe"), (mask("rax"), 0, mask("rax"))),
    **dict.fromkeys(("cltd", "cqto", "cdq", "cqo"), (mask("rax"), mask("rdx"), mask("rdx"))),
    **dict.fromkeys(("mul", "imul"), (mask("rax"), 0, mask("rax", "rdx"))),
    "cpuid": (mask("rax", "rcx"), mask("rbx", "rdx"), mask("rax", "rbx", "rcx", "rdx")),
    "xgetbv": (mask("rcx"), mask("rax", "rdx"), mask("rax", "rdx")),
    "rdtsc": (0, mask("rax", "rdx"), mask("rax", "rdx")),
    "rdtscp": (0, mask("rax", "rcx", "rdx"), mask("rax", "rcx", "rdx")),
    **dict.fromkeys(("div", "idiv"), (mask("rax", "rdx"), 0, mask("rax", "rdx"))),
}
"""Base mnemonic with at most one operand → what it does beside reading that."""
_IN_NO_REGISTER = frozenset(["pause", "mfence", "lfence", "sfence", "clc", "stc", "cmc"])
_STRING_COMPARISONS = frozenset(
    name for name in VECTOR_MNEMONICS.flag_writers if name.lstrip("v").startswith("pcmp")
)
"""They read and write eax, ecx, edx without naming them."""
_VECTOR = (VECTOR_MNEMONICS.plain | VECTOR_MNEMONICS.flag_writers) - _STRING_COMPARISONS


def effects(instruction: Instruction, facts: Mnemonic) -> Effects:
    """What the instruction does to general-purpose registers; branches only read their operands."""
    operands = instruction.operands
    base = facts.base
    if facts.kind in (Kind.CALL, Kind.JUMP, Kind.CONDITIONAL):
        counts = facts.kind is Kind.CONDITIONAL and facts.condition is None  # `loop`, `jrcxz`
        return UNKNOWN if counts else Effects(_named(operands))
    if facts.kind in (Kind.PUSH_FLAGS, Kind.POP_FLAGS):
        return Effects(mask("rsp"), 0, mask("rsp"))
    if facts.kind is Kind.LEAVE:
        return Effects(mask("rbp"), 0, mask("rbp", "rsp"))
    if facts.kind is Kind.STRING:
        return Effects(mask("rdi", "rsi", "rcx", "rax"), 0, mask("rdi", "rsi", "rcx"))
    if base in _ONLY_READS:
        return Effects(_named(operands))
    if base.startswith("movz") and len(operands) == 2 and isinstance(operands[1], Register):
        bits = 8 if base.startswith("movzb") else 16
        return replace(_writes_last(operands), bits=bits if base != "movzx" else 64)
    if base in _LAST_IS_WRITTEN or instruction.mnemonic in _VECTOR or (base == "imul" and len(operands) == 3):
        return _writes_last(operands)
    if base in _LAST_IS_CHANGED or (base == "imul" and len(operands) == 2):
        if base in ("xor", "sub") and len(operands) == 2 and operands[0] == operands[1]:
            return _writes_last(operands[1:])
        return Effects(_named(operands), 0, _written(operands[-1:]), _bits(base, operands))
    if base.startswith(("set", "cmov")) and facts.condition is not None:
        return Effects(_named(operands), 0, _written(operands[-1:]))
    if base in ("xchg", "xadd"):
        return Effects(_named(operands), 0, _written(operands))
    if base == "cmpxchg":
        return Effects(_named(operands) | mask("rax"), 0, _written(operands) | mask("rax"))
    if base in _ACCUMULATOR and len(operands) <= 1:
        reads, kills, writes = _ACCUMULATOR[base]
        return Effects(reads | _named(operands), kills & ~_named(operands), writes)
    if base in _IN_NO_REGISTER:
        return Effects()
    return replace(UNKNOWN, reads=UNKNOWN.reads | _named(operands))


def _bits(base: str, operands: tuple[Operand, ...]) -> int:
    """For `shr` and `and` with a constant."""
    if len(operands) != 2 or not isinstance(operands[0], Immediate) or not isinstance(operands[1], Register):
        return 64
    value, width = constant(operands[0].expression), registers.WIDTH.get(operands[1].name)
    if value is None or width not in (32, 64):
        return 64
    if base == "shr" and 0 < value < width:
        return width - value
    if base == "and" and 0 <= value < 1 << 31:
        return value.bit_length()
    return 64


def _writes_last(operands: tuple[Operand, ...]) -> Effects:
    last = operands[-1] if operands else None
    if not isinstance(last, Register):
        return Effects(_named(operands))
    written = _written((last,))
    reads = _named(operands[:-1])
    is_whole = registers.WIDTH.get(last.name, 0) >= 32
    return Effects(reads if is_whole else reads | written, written & ~reads if is_whole else 0, written)


def _named(operands: tuple[Operand, ...]) -> int:
    """Registers that occur in operands, themselves or in an address."""
    result = 0
    for operand in operands:
        inner = operand.operand if isinstance(operand, Indirect) else operand
        names: tuple[str | None, ...] = ()
        if isinstance(inner, Register):
            names = (inner.name,)
        elif isinstance(inner, Memory):
            names = (inner.base, inner.index)
        else:
            assert isinstance(inner, Immediate)
        for name in names:
            number = registers.NUMBER.get(name or "")
            if number is not None:
                result |= 1 << number
    return result


def _written(operands: tuple[Operand, ...]) -> int:
    result = 0
    for operand in operands:
        if isinstance(operand, Register) and operand.name in registers.NUMBER:
            result |= 1 << registers.NUMBER[operand.name]
    return result
