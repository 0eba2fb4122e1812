"""What the verifier believes about an encoding, as processor.c takes it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from iced_x86 import (
    Code,
    CodeSize,
    EncodingKind,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    Register,
    RegisterExt,
    RflagsBits,
)

from tmebox import abi
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.decoded import Decoded, decode, signed
from tmebox.verify.depth import SLOT
from tmebox.verify.facts import BASE, OFFSET_BITS
from tmebox.verify.forms import Form, classify
from tmebox.verify.sequences import READS_MAP

Classify = Callable[[bytes, Table], Form]

MOST_ACCESSES: Final = 4
MOST_BOUNDS: Final = 4
TEXT_ADDRESS: Final = 0x5000_0000
"""Where processor.c puts the instruction: somewhere in this page."""

FLAT: Final = 8
_SHORT, _WRITES, _ANCHORS, _STORES = 1, 2, 4, 8
_FLAGS: Final = {
    "BRANCHES": 1, "DIRECT": 2, "ENDS": 4, "CALLS": 8, "MOVES_RSP": 16, "IS_X87": 32, "IS_AVX": 64,
    "REPEATS": 128, "WRITES_MXCSR": 256, "SETS_RSP": 512, "HAS_DEPTH": 1024,
}  # fmt: skip
_STATUS: Final = {
    RflagsBits.CF: 1, RflagsBits.PF: 4, RflagsBits.AF: 16, RflagsBits.ZF: 64, RflagsBits.SF: 128,
    RflagsBits.OF: 2048, RflagsBits.DF: 1024, RflagsBits.IF: 512, RflagsBits.AC: 1 << 18,
}  # fmt: skip
_TURNS_THROUGH_CARRY: Final = frozenset(
    {Code.RCL_RM8_IMM8, Code.RCR_RM8_IMM8, Code.RCL_RM16_IMM8, Code.RCR_RM16_IMM8}
)
_MAY_WRITE: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_SURE: Final = frozenset({OpAccess.READ, OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE})
REGISTERS: Final = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
_NOTHING: Final = 255
_RIP: Final = 16
_NO_WRITE: Final = -1 << 63
_FORM: Final = struct.Struct("<B15s4I4qQI4B8s64s")
_ACCESS: Final = struct.Struct("<6BHq")


@dataclass(frozen=True)
class Description:
    """One form as processor.c takes it: what it should do. unexplained: why it should not be accepted."""

    encoding: bytes
    base: str
    form: Form
    fixed: tuple[Any, ...]
    rest: tuple[Any, ...]
    unexplained: str = ""

    def packed(self, seed: int, count: int) -> bytes:
        return _FORM.pack(*self.fixed, seed, count, *self.rest)


def can_run(form: Form) -> bool:
    """Some text with this form may be accepted."""
    return not form.refusals and not (form.needs_sequence and not form.steps)


def describe(encoding: bytes, base: str, judge: Classify = classify) -> Description | None:
    """What the verifier believes about an encoding; None if it refuses it, perhaps only at TEXT_ADDRESS."""
    form = judge(encoding, TABLES[base])
    decoded = decode(encoding)
    if decoded is None or not can_run(form) or not _fits_place(form, decoded, TABLES[base]):
        return None
    kinds = [_kind(used, form, decoded) for used in decoded.accesses]
    accesses = [
        _access(used, kind, form, decoded) for used, kind in zip(decoded.accesses, kinds, strict=True)
    ]
    bounds = [(number, bits) for number, bits in _bounds(form, decoded, base)]
    effect, register = _effect(form)
    if "addq BASE, %rsp" in form.steps:
        effect, register = (7, 4) if accesses else (6, _of_names("rsp", "r15"))
    if READS_MAP in form.steps:
        compares = any(step.startswith("cmpb ") for step in form.steps)
        effect, register = (8 if compares else 5), encoding[-1]  # a label's mark, or the mask
    fixed = (
        len(encoding),
        encoding,
        _flags(form, decoded, TABLES[base]),
        _mask(decoded, RegisterExt.is_gpr64),
        _mask(decoded, RegisterExt.is_zmm),
        _status(decoded.instruction.rflags_modified | _by_whole_turns(decoded)),
        form.adjusts,
        _target(decoded),
        *_depth(form, decoded),
    )
    rest = (
        len(accesses),
        len(bounds),
        effect,
        register,
        b"".join(bytes(bound) for bound in bounds),
        b"".join(accesses),
    )
    wrong = "an access that no rule explains" if FLAT in kinds and not form.steps else ""
    if len(accesses) > MOST_ACCESSES:
        wrong = f"{len(accesses)} accesses"
    return Description(encoding, base, form, fixed, rest, wrong)


def _fits_place(form: Form, decoded: Decoded, table: Table) -> bool:
    if form.operand is None:
        return True
    offset = TEXT_ADDRESS + signed(decoded.instruction.memory_displacement)
    return not (table.offset_problem(offset) or table.offset_problem(offset + abi.PAGE_SIZE))


def _depth(form: Form, decoded: Decoded) -> tuple[int, int]:
    """By how much rsp goes down, calls and returns themselves included, and where writes through it end."""
    own = SLOT if form.calls else -SLOT if form.returns else 0
    writes = form.writes_stack
    if writes is None:
        return form.deepens + own, _NO_WRITE
    spelled = decoded.operand.displacement_i64 if decoded.operand and writes.displacement else 0
    return form.deepens + own, writes.end + spelled


def _flags(form: Form, decoded: Decoded, table: Table) -> int:
    it = decoded.instruction
    facts = {
        "BRANCHES": form.branches,
        "DIRECT": decoded.has_branch_target,
        "ENDS": form.ends,
        "CALLS": form.calls,
        "MOVES_RSP": decoded.opcode.moves_rsp,
        "IS_X87": form.is_x87,
        "IS_AVX": it.encoding == EncodingKind.VEX,
        "REPEATS": decoded.opcode.is_string and it.has_rep_prefix,
        "WRITES_MXCSR": it.mnemonic in (Mnemonic.LDMXCSR, Mnemonic.VLDMXCSR),
        "SETS_RSP": bool(form.needs_sequence) or form.adjusts > abi.STACK_REACH,
        "HAS_DEPTH": table.has_depth,
    }
    return sum(_FLAGS[name] for name, holds in facts.items() if holds)


def _mask(decoded: Decoded, is_kind: Callable[[int], bool]) -> int:
    return (
        sum(1 << RegisterExt.number(register) for register in decoded.written if is_kind(register))  # type: ignore[misc]
        & 0xFFFF_FFFF
    )


def _status(bits: int) -> int:
    return sum(ours for theirs, ours in _STATUS.items() if bits & theirs)


def _by_whole_turns(decoded: Decoded) -> int:
    """rcl and rcr by a multiple of the operand's bits and one: the operand and CF stay, but processors write
    OF, which is undefined then. iced says that nothing changes."""
    if decoded.code not in _TURNS_THROUGH_CARRY or not decoded.instruction.immediate(1) & 31:
        return 0
    return int(RflagsBits.OF)


def _target(decoded: Decoded) -> int:
    return signed(decoded.instruction.near_branch_target) if decoded.has_branch_target else 0


_KINDS: Final = {
    "WINDOW": 1, "STACK": 2, "NEAR": 3, "TABLE": 4, "FIXED": 5, "STRING": 6, "TARGET_BITS": 7
}  # fmt: skip


def _kind(used: Any, form: Form, decoded: Decoded) -> int:
    """How an access may be aimed, and what is promised of it."""
    if decoded.opcode.is_string:
        return _KINDS["STRING"]
    if used.segment == Register.GS:
        return _KINDS["WINDOW"]
    if used.base == Register.RSP and used.segment == Register.SS and used.index == Register.NONE:
        return _KINDS["STACK"]
    if READS_MAP in form.steps:
        return _KINDS["TARGET_BITS"]
    if form.access is not None:  # through registers about which the place says what is needed
        if form.access.offset < 0:
            return _KINDS["FIXED"]
        return _KINDS["NEAR" if form.access.bits == OFFSET_BITS else "TABLE"]
    if (
        used.segment == Register.DS
        and used.base == Register.R15
        and used.index in (Register.NONE, Register.R14)
    ):
        return _KINDS["FIXED" if used.index == Register.NONE else "NEAR"]
    return FLAT


def _number(register: int) -> int:
    return _NOTHING if register == Register.NONE else RegisterExt.number(register)


def _access(used: Any, kind: int, form: Form, decoded: Decoded) -> bytes:
    it = decoded.instruction
    # iced leaves the size of a repeated access open; this is what one repetition accesses.
    width = max(MemorySizeExt.size(it.memory_size if decoded.opcode.is_string else used.memory_size), 1)
    # It gives the sum for an operand relative to rip, here with the instruction at 0.
    by_place = it.is_ip_rel_memory_operand and used.displacement == it.memory_displacement
    anchors = form.anchors and used.base == Register.RSP and used.access in _SURE
    flags = (
        _SHORT * (used.address_size == CodeSize.CODE32)
        | _WRITES * (used.access in _MAY_WRITE)
        | _ANCHORS * anchors
        | _STORES * (used.access == OpAccess.WRITE)
    )
    place = _RIP if by_place else _number(used.base), _number(used.index), used.scale
    return _ACCESS.pack(*place, kind, flags, width, 0, used.displacement_i64)


def _bounds(form: Form, decoded: Decoded, base: str) -> Iterator[tuple[int, int]]:
    """Registers, and how many bits the form leaves in them if it is what the verifier takes it for."""
    for step in sorted(form.steps):
        for beginning, ending, bits in (("movl SRC, %", " (32 bits)", 32),):
            if step.startswith(beginning) and step.endswith(ending):
                yield REGISTERS.index(step.removeprefix(beginning).removesuffix(ending)), bits
    for step, name, bits in (
        ("32-bit write of %esp", "rsp", 32),
        ("andl RSP_MASK, %esp", "rsp", 31),
        ("movl %edi, %edi", "rdi", 32),
        ("movl %esi, %esi", "rsi", 32),
    ):
        if step in form.steps:
            yield REGISTERS.index(name), bits
    if form.leaves is not None and form.leaves[1] <= OFFSET_BITS:
        yield form.leaves
    if base == "r15" and Register.R14 in decoded.written:
        yield 14, 32


def _effect(form: Form) -> tuple[int, int]:
    """What the form does exactly if it is a step of a sequence: see `enum effect` in processor_forms.h."""
    for step in sorted(form.steps):
        for pattern, effect, register in _EFFECTS:
            match = re.fullmatch(pattern, step)
            if match:
                name = match[1] if match.groups() else ""
                return effect, REGISTERS.index(name) if name else register
    if form.returns:
        return 3, 0
    return (1, form.leaves[0]) if form.leaves is not None and form.leaves[1] == BASE else (0, 0)


def _of_names(to: str, added: str) -> int:
    return REGISTERS.index(added) << 4 | REGISTERS.index(to)


_EFFECTS: Final = (
    (r"movl \(%rsp\), %r11d", 1, REGISTERS.index("r11")),
    (r"movq %gs:BASE, %(\w+)", 1, 0),
    (r"movq SPILL_REGISTER\(%rsp\), %(\w+)", 1, 0),
    (r"movq %r11, \(%rsp\)", 2, REGISTERS.index("r11")),
    (r"movq %(\w+), SPILL_TARGET\(%rsp\)", 2, 0),
    (r"ret", 3, 0),
    (r"jmp \*SPILL_TARGET\(%rsp\)", 3, 0),
    (r"(?:call|jmp) \*%(\w+)", 4, 0),
    (r"leaq \(%r11,%rdi\), %rdi", 6, _of_names("rdi", "r11")),
    (r"leaq \(%r11,%rsi\), %rsi", 6, _of_names("rsi", "r11")),
    (r"leaq \(%r15,%rdi\), %rdi", 6, _of_names("rdi", "r15")),
    (r"leaq \(%r15,%rsi\), %rsi", 6, _of_names("rsi", "r15")),
)
