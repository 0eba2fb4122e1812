"""Memory operands for instructions that the verifier accepts: all kinds that lead to shared memory."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from iced_x86 import Encoder, Instruction, OpKind, Register, RegisterExt

from tests.campaign.accepted_forms import accepted
from tests.campaign.described import can_run
from tests.campaign.processor import cpu_features
from tmebox import abi
from tmebox.runtime.side import CALL, POP, PUSH, NoSideForm, SideForm, describe
from tmebox.verify.bases import TABLES
from tmebox.verify.decoded import decode
from tmebox.verify.forms import Form, classify
from tmebox.verify.verify import CONTROL_RULES

CODE, PLACE = 0x5000_0000, 0x100
"""Where side_oracle.c puts an instruction whose operand is relative to it."""
LOW, HIGH = 0x6000_0000, 0x9000_0000
"""Offsets of its memory: one that absolute operands reach, one as far up as the shared heap is."""
AREA: Final = 2 * abi.PAGE_SIZE

_NAMES: Final = ("AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI")
_NUMBERS: Final = range(8, 16)


def _registers(names: Iterable[str]) -> list[int]:
    return [getattr(Register, name) for name in names]


_64: Final = _registers([f"R{name}" for name in _NAMES] + [f"R{number}" for number in _NUMBERS])
_32: Final = _registers([f"E{name}" for name in _NAMES] + [f"R{number}D" for number in _NUMBERS])
_8: Final = _registers(
    [f"{letter}{half}" for half in "LH" for letter in "ACDB"]
    + [f"{name}L" for name in _NAMES[4:]]
    + [f"R{number}L" for number in _NUMBERS]
)
_NOT_RSP_64: Final = [register for register in _64 if register != Register.RSP]
_NOT_ESP_32: Final = [register for register in _32 if register != Register.ESP]


class Place(NamedTuple):
    """A memory operand. width: of its address in bytes; table: where the verifier accepts it."""

    name: str
    table: str
    segment: Any
    base: Any
    index: Any
    scale: int
    displacement: int
    width: int


def places(chooser: random.Random) -> Iterator[Place]:
    """One of each kind."""
    none, gs = Register.NONE, Register.GS
    near = chooser.randint(-abi.R15_REACH, abi.R15_REACH)
    short = chooser.randint(-128, 127)
    long = chooser.randint(-(1 << 31), (1 << 31) - 1)
    scale = chooser.choice((1, 2, 4, 8))
    base, index = chooser.choice(_32), chooser.choice(_NOT_ESP_32)
    holder, offset = chooser.sample(_NOT_RSP_64, 2)
    yield Place("gs base", "gs", gs, base, none, 1, chooser.choice((0, short, long)), 4)
    yield Place("gs base and index", "gs", gs, base, index, scale, chooser.choice((0, short, long)), 4)
    yield Place("gs index", "gs", gs, none, index, chooser.choice((2, 4, 8)), long, 4)
    yield Place("gs absolute", "gs", gs, none, none, 1, LOW + chooser.randrange(AREA - 64), 8)
    yield Place("gs rip", "gs", gs, Register.RIP, none, 1, HIGH + chooser.randrange(AREA - 64), 8)
    yield Place("borrowed", "gs", none, holder, offset, 1, near, 8)
    yield Place("borrowed table", "gs", none, holder, offset, scale, LOW + chooser.randrange(64), 8)
    yield Place("r15 r14", "r15", none, Register.R15, Register.R14, 1, near, 8)
    yield Place("r15", "r15", none, Register.R15, none, 1, LOW + chooser.randrange(AREA - 64), 8)


def with_operand(instruction: Instruction, place: Place, chooser: random.Random) -> bytes | None:
    """The instruction with that operand and perhaps other registers; None if the verifier refuses it."""
    for changes_registers in (True, False):
        again = instruction.copy()
        if changes_registers:
            _choose_registers(again, chooser)
        again.segment_prefix = place.segment
        again.memory_base, again.memory_index = place.base, place.index
        again.memory_index_scale = place.scale
        again.memory_displacement = place.displacement & ((1 << 8 * place.width) - 1)
        again.memory_displ_size = place.width if place.displacement or place.base == Register.NONE else 0
        encoding = _encoded(again)
        if encoding is None:
            continue
        if _can_run(classify(encoding, TABLES[place.table])):
            return encoding
    return None


def _can_run(form: Form) -> bool:
    """Some text with this form may be accepted, perhaps one whose compiler is trusted with control flow."""
    trusted = form.needs_sequence is not None and form.needs_sequence[0] in CONTROL_RULES
    return can_run(form._replace(needs_sequence=None) if trusted else form)


def _encoded(instruction: Instruction) -> bytes | None:
    encoder = Encoder(64)
    try:
        encoder.encode(instruction, CODE + PLACE)
    except ValueError:
        return None
    encoding = encoder.take_buffer()
    return encoding if decode(encoding) is not None else None


def _choose_registers(instruction: Instruction, chooser: random.Random) -> None:
    for number in range(instruction.op_count):
        if instruction.op_kind(number) != OpKind.REGISTER or chooser.random() < 0.5:
            continue
        register = instruction.op_register(number)
        instruction.set_op_register(number, _other(register, chooser))


def _other(register: int, chooser: random.Random) -> int:
    if RegisterExt.is_gpr64(register):
        return chooser.choice(_64)
    if RegisterExt.is_gpr32(register):
        return chooser.choice(_32)
    if RegisterExt.is_gpr16(register):
        return Register.AX + chooser.randrange(16)
    if RegisterExt.is_gpr8(register):
        return chooser.choice(_8)
    if RegisterExt.is_xmm(register):
        return Register.XMM0 + chooser.randrange(16)
    if RegisterExt.is_ymm(register):
        return Register.YMM0 + chooser.randrange(16)
    return register


@cache
def accessing() -> tuple[Instruction, ...]:
    """One of every shape of every accepted instruction that accesses memory on the side, of those that this
    CPU has; strings not among them."""
    found = []
    for one in accepted("gs"):
        if one.decoded.operand is None or not one.form.features <= cpu_features():
            continue
        try:
            describe(one.decoded.encoding)
        except NoSideForm:  # a prefetch, an address that is only computed
            continue
        found.append(one.decoded.instruction)
    return tuple(found)


def strings() -> list[SideForm]:
    """All string instructions that there are."""
    steps = {"[rep] stos", "[rep] movs"}
    return [describe(encoding) for encoding, found in TABLES["gs"].sequences.exact.items() if found & steps]


def forms_of(instruction: Instruction, chooser: random.Random) -> Iterator[SideForm]:
    """Its form with an operand of each kind that the verifier accepts it with."""
    for place in places(chooser):
        encoding = with_operand(instruction, place, chooser)
        if encoding is None:
            continue
        form = describe(encoding)
        uses_stack = form.kind in (PUSH, POP, CALL)
        if not (uses_stack and place.base == Register.ESP):  # that is where the stack is, not shared memory
            yield form
