"""What the verifier accepts, measured: encodings that can be a step of a sequence, and ranges of numbers.

Nothing here repeats a rule. Each candidate is shown to `classify`, and what it accepts goes into the
formulas, so that a rule which is widened widens them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from iced_x86 import Code, Encoder, Instruction, MemoryOperand, OpKind, Register, RegisterExt

from tests.campaign.accepted_forms import accepted, numbers_around
from tests.campaign.proof_models import GENERAL, full_name
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.decoded import decode
from tmebox.verify.forms import Form, classify

WIDE: Final = {name: getattr(Register, name.upper()) for name in GENERAL}
_SAME: Final = {
    (name, RegisterExt.size(number), number in (Register.AH, Register.BH, Register.CH, Register.DH)): number
    for register, number in sorted(vars(Register).items())
    if register.isupper() and RegisterExt.is_gpr(number)
    for name in [full_name(number)]
}


class Range(NamedTuple):
    """Signed numbers, both included."""

    low: int
    high: int


def table_of(base: str) -> Table:
    return TABLES[base]


def encode(instruction: Instruction) -> bytes | None:
    encoder = Encoder(64)
    try:
        encoder.encode(instruction, 0)
    except ValueError:
        return None
    return encoder.take_buffer()


def form_of(encoding: bytes | None, base: str) -> Form | None:
    """The form of an encoding that is not refused, or None. Never from a cache."""
    if encoding is None:
        return None
    form = classify(encoding, TABLES[base])
    return None if form.refusals else form


@cache
def _writers() -> tuple[Instruction, ...]:
    """One instruction of each shape whose first operand is a general register, with rcx there."""
    found: dict[tuple[object, ...], Instruction] = {}
    for form in accepted():
        instruction = form.decoded.instruction
        if instruction.op0_kind == OpKind.REGISTER and RegisterExt.is_gpr(instruction.op0_register):
            operand = form.decoded.operand
            shape = (
                instruction.code,
                operand and operand.segment,
                instruction.op1_kind == OpKind.REGISTER and instruction.op1_register == Register.CL,
            )
            found.setdefault(shape, instruction)
    return tuple(found.values())


def writers_of(name: str) -> Iterator[bytes]:
    """One encoding of each shape of accepted instruction with a register as its first operand, of each
    size."""
    for instruction in _writers():
        register = instruction.op0_register
        high = register in (Register.AH, Register.BH, Register.CH, Register.DH)
        wanted = _SAME.get((name, RegisterExt.size(register), high))
        changed = instruction.copy()
        if wanted is None:
            continue
        changed.op0_register = wanted
        encoding = encode(changed)
        decoded = decode(encoding) if encoding else None
        if encoding is not None and decoded is not None and decoded.first_register == wanted:
            yield encoding


def alternatives(step: str, name: str, base: str) -> list[bytes]:
    """What can be a step that many encodings can be, and that writes the register `name`."""
    return [
        encoding
        for encoding in writers_of(name)
        if any(step in classify(variant, TABLES[base]).steps for variant in _with_numbers(encoding))
    ]


def _with_numbers(encoding: bytes) -> Iterator[bytes]:
    """The encoding with each of a few immediates: of some instructions not all are accepted."""
    yield encoding
    for number in (0, 16, 0xFF, -1):
        changed = with_immediate(encoding, number)
        if changed is not None:
            yield changed


def with_immediate(encoding: bytes, number: int) -> bytes | None:
    """The same instruction with another second operand, if that is a number and the number fits."""
    decoded = decode(encoding)
    if decoded is None or decoded.instruction.op_count < 2:
        return None
    instruction = decoded.instruction.copy()
    try:
        instruction.set_immediate_i64(1, number)
    except (ValueError, OverflowError):
        return None
    changed = encode(instruction)
    again = decode(changed) if changed else None
    if again is None or (again.instruction.immediate(1) - number) % (1 << 32):
        return None
    return changed


def immediates(encoding: bytes, accepts: Callable[[bytes], bool]) -> Range | None:
    """From the least to the greatest number in the second operand with which the encoding is accepted."""
    numbers = [
        number
        for number in sorted({*numbers_around(), *range(-130, 260)})
        if (changed := with_immediate(encoding, number)) and accepts(changed)
    ]
    return Range(numbers[0], numbers[-1]) if numbers else None


class Shape(NamedTuple):
    """A memory operand's address without its displacement. segment: of the override, or NONE."""

    segment: int
    base: int
    index: int  # type: ignore[assignment]
    scale: int

    def __str__(self) -> str:
        names = {number: name.lower() for name, number in vars(Register).items() if name.isupper()}
        prefix = "" if self.segment == Register.NONE else f"%{names[self.segment]}:"
        return f"{prefix}({names[self.base]},{names[self.index]},{self.scale})"


def load(shape: Shape, displacement: int) -> bytes | None:
    """A load of 4 bytes from there."""
    is_absolute = shape.base == Register.NONE and shape.index == Register.NONE
    operand = MemoryOperand(
        shape.base, shape.index, shape.scale, displacement, 8 if is_absolute else 1, False, shape.segment
    )
    try:
        return encode(Instruction.create_reg_mem(Code.MOV_R32_RM32, Register.EAX, operand))
    except (ValueError, OverflowError):
        return None


_BASES: Final = (
    Register.NONE, Register.RAX, Register.EAX, Register.RCX, Register.ECX, Register.RSP, Register.ESP,
    Register.RBP, Register.EBP, Register.RDI, Register.R11, Register.R11D, Register.R13, Register.R14,
    Register.R14D, Register.R15, Register.R15D,
)  # fmt: skip
_INDEXES: Final = tuple(number for number in _BASES if number not in (Register.RSP, Register.ESP))
_SEGMENTS: Final = (
    Register.NONE, Register.CS, Register.DS, Register.ES, Register.FS, Register.GS, Register.SS,
)  # fmt: skip


def shapes() -> Iterator[Shape]:
    """Addresses of all kinds, with and without each part."""
    for segment, base, index in product(_SEGMENTS, _BASES, _INDEXES):
        for scale in (1, 8) if index != Register.NONE else (1,):
            yield Shape(segment, base, index, scale)


def displacements(shape: Shape, accepts: Callable[[Form], bool], base: str) -> Range | None:
    """From the least to the greatest displacement with which a load from there is accepted, if any is."""

    def is_accepted(number: int) -> bool:
        form = form_of(load(shape, number), base)
        return form is not None and accepts(form)

    if not any(map(is_accepted, _TRIED_FIRST)):
        return None
    numbers = [number for number in numbers_around() if is_accepted(number)]
    return Range(numbers[0], numbers[-1])


_TRIED_FIRST: Final = (0, 8, -8, 1 << 20, -1 << 20)


def is_accepted_anywhere(form: Form) -> bool:
    """Not only as a step of a sequence, and without a place that decides."""
    return form.needs_sequence is None and form.operand is None


def greatest(accepts: Callable[[int], bool], wide: bool = False) -> int:
    """The greatest of the numbers at which a bound may be that is accepted."""
    numbers = numbers_around()
    if wide:
        numbers += [(1 << bit) + step for bit in range(32, 40) for step in (-1, 0, 1)]
    return max((number for number in numbers if accepts(number)), default=0)


def numbers_tried(encoding: bytes) -> list[int | None]:
    """Second operands to try in an encoding; None if it has no number there."""
    return [*numbers_around()] if with_immediate(encoding, 0) else [None]


def jump_through(shape: Shape, displacement: int) -> bytes:
    """An indirect jump through memory there."""
    operand = MemoryOperand(shape.base, shape.index, shape.scale, displacement, 8, False, shape.segment)
    encoding = encode(Instruction.create_mem(Code.JMP_RM64, operand))
    if encoding is None:
        raise ValueError(f"no jump through {shape}")
    return encoding
