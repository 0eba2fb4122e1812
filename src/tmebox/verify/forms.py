"""What the verifier knows about one instruction from its bytes alone.

A `Form` depends neither on where the instruction stands nor on numbers that matter only there, so it is
worked out once per distinct encoding, and a large text has a few hundred.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from iced_x86 import Decoder

from tmebox.abi import STACK_REACH
from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.anchors import is_anchor
from tmebox.verify.bases import Table
from tmebox.verify.decoded import Decoded, decode
from tmebox.verify.depth import deepening, written_up_to
from tmebox.verify.encoding import encoding_refusal
from tmebox.verify.facts import Access, access_of, left_by
from tmebox.verify.jump_tables import jump_steps, table_steps
from tmebox.verify.memory import memory_refusals
from tmebox.verify.registers import EVERY, mask
from tmebox.verify.rules import Refusal
from tmebox.verify.sequences import READS_MAP, steps_of
from tmebox.verify.stack import adjustment, stack_problem


class Field(NamedTuple):
    """A signed number in an encoding, such as how far from the instruction's end its target or operand is.

    before_end: bytes from where the number is to the instruction's end. size_bytes: its own, 1 or 4.
    """

    before_end: int
    size_bytes: int


class Form(NamedTuple):
    """Everything about one encoding that the walk over a text needs.

    refusals: rules that it breaks wherever it stands.
    needs_sequence: the rule that it breaks unless a sequence covers it, or None.
    steps: what it can be in a sequence.
    anchors: it surely accesses memory near rsp.
    adjusts: bytes that it moves rsp by, at most, without accessing anything; too many count as one too many.
    branches, calls, ends: it can go elsewhere; it leaves a return address; control never runs past it.
    target, operand: of its direct branch, of its rip-relative operand, if it has one.
    number: the bound or the table that it names as a step of a jump through a table, if it can be one.
    access: which facts about registers its only memory access needs, if it is through 64-bit ones.
    deepens, writes_stack: see `depth`; returns: it is a return.
    writes: mask of the registers, by number, whose facts it ends. leaves: a fact that it makes, as `left_by`.
    """

    refusals: tuple[Refusal, ...] = ()
    needs_sequence: Refusal | None = None
    steps: frozenset[str] = frozenset()
    anchors: bool = False
    adjusts: int = 0
    branches: bool = False
    calls: bool = False
    ends: bool = False
    target: Field | None = None
    operand: Field | None = None
    number: Field | None = None
    access: Access | None = None
    writes: int = EVERY
    leaves: tuple[int, int] | None = None
    deepens: int = 0
    writes_stack: int | None = None
    returns: bool = False
    features: frozenset[str] = frozenset()
    is_x87: bool = False


_REX: Final = (b"", *(bytes([rex]) for rex in range(0x40, 0x50)))
_BY_REGISTER: Final = [mod_rm for mod_rm in range(0x40, 0x80) if mod_rm & 7 != 4]
"""ModRM bytes of `N(%register)`, N one byte, that no SIB byte follows."""
_THROUGH_GS: Final = [
    b"\x65\x67" + rex + opcode + bytes([mod_rm])
    for rex in _REX
    for opcode in (b"\x88", b"\x89", b"\x8a", b"\x8b", b"\x63", b"\x0f\xb6", b"\x0f\xb7")
    for mod_rm in _BY_REGISTER
]
"""`mov`, `movslq` and `movz` with the operand `%gs:N(%register)`, its address computed in 32 bits."""
_BEFORE_1_BYTE: Final = frozenset(
    [bytes([opcode]) for opcode in (*range(0x70, 0x80), 0xEB)]
    + [rex + bytes([0x83, 0xF8 + register]) for rex in _REX for register in range(8)]
    + _THROUGH_GS
)
_BEFORE_4_BYTES: Final = frozenset(
    [b"\xe8", b"\xe9", *(bytes([0x0F, opcode]) for opcode in range(0x80, 0x90))]
    + [rex + bytes([opcode]) for rex in (b"", b"\x41") for opcode in range(0xB8, 0xC0)]
    + [rex + bytes([0x81, 0xF8 + register]) for rex in _REX for register in range(8)]
)
"""What stands before the number in direct branches, `mov $N, %register`, `cmp $N, %register` and accesses
through gs, by the number's size: many encodings differ only in that number, which no form depends on."""


def representative(encoding: bytes) -> bytes:
    """An encoding of the same form: of those that differ in nothing but such a number, always the same."""
    if encoding[:-4] in _BEFORE_4_BYTES:
        return encoding[:-4] + bytes(4)
    if encoding[:-1] in _BEFORE_1_BYTE:
        return encoding[:-1] + bytes(1)
    return encoding


def classify(encoding: bytes, table: Table) -> Form:
    """The form of the one instruction that `encoding` holds, by the rules of `table`."""
    decoded = decode(encoding)
    if decoded is None:
        return Form(refusals=((rules.KNOWN_INSTRUCTION, "these bytes are no instruction"),))
    opcode = decoded.opcode
    unknown = _segment_refusal(decoded) or opcode.refusal or _register_refusal(decoded)
    if opcode.is_absolute and not unknown:
        unknown = table.memory.name, "a 64-bit absolute address"
    if unknown:
        return Form(refusals=(unknown,))
    through_table = jump_steps(decoded)
    steps = through_table or steps_of(decoded, table.sequences.exact)
    to_table = through_table or table_steps(decoded)
    steps |= to_table
    refusals = [encoding_refusal(decoded), table.reserved_refusal(decoded)]
    access = None
    if READS_MAP not in steps and not through_table:  # these need a sequence instead
        access = access_of(decoded) if table.has_facts else None
        if access is None:  # or else facts, which depend on the place
            refusals += memory_refusals(decoded, table.memory)
    reads_text = decoded.accesses_operand and decoded.instruction.is_ip_rel_memory_operand
    return Form(
        tuple(filter(None, refusals)),
        _needs_sequence(decoded, steps, bool(through_table), table),
        steps,
        is_anchor(decoded),
        min(adjustment(decoded) or 0, STACK_REACH + 1),
        opcode.branches,
        opcode.calls,
        opcode.ends,
        _field(encoding) if decoded.has_branch_target else None,
        _field(encoding) if reads_text else None,
        _field(encoding) if to_table and not decoded.has_branch_target else None,
        access,
        EVERY if opcode.calls else mask(decoded.written),
        left_by(decoded) if table.has_facts else None,
        deepening(decoded) if table.has_depth else 0,
        written_up_to(decoded) if table.has_depth else None,
        decoded.code in known.RETURNS,
        opcode.features,
        opcode.is_x87,
    )


def _field(encoding: bytes) -> Field:
    """The displacement in an encoding, or else the immediate, which a direct branch's target counts as."""
    decoder = Decoder(64, encoding)
    offsets = decoder.get_constant_offsets(decoder.decode())
    if offsets.has_displacement:
        return Field(len(encoding) - offsets.displacement_offset, offsets.displacement_size)
    return Field(len(encoding) - offsets.immediate_offset, offsets.immediate_size)


def _segment_refusal(decoded: Decoded) -> Refusal | None:
    segments = known.SEGMENT_REGISTERS
    if segments.isdisjoint(decoded.written) and segments.isdisjoint(decoded.registers):
        return None
    return rules.SEGMENT_REGISTERS_UNTOUCHED, "it reads or writes a segment register"


def _register_refusal(decoded: Decoded) -> Refusal | None:
    if known.REGISTERS.issuperset(decoded.registers):
        return None
    return rules.KNOWN_INSTRUCTION, "it has an operand register that no table names"


def _needs_sequence(
    decoded: Decoded, steps: frozenset[str], through_table: bool, table: Table
) -> Refusal | None:
    if through_table:  # a matter of control, but without control isolation still one of memory
        return table.memory.name, "a jump through a table outside a sequence"
    if table.has_depth and decoded.code in known.RETURNS:
        return None  # a matter of depth
    if decoded.opcode.needs_sequence:
        return decoded.opcode.needs_sequence
    if READS_MAP in steps:
        return table.memory.name, "a read of the target map outside a sequence"
    reason = None if table.has_depth else stack_problem(decoded)
    return (rules.RSP_STAYS_IN_PRIVATE_HALF, reason) if reason else None
