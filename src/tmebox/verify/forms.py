"""What the verifier knows about one instruction from its bytes alone.

A `Form` depends neither on where the instruction stands nor on numbers that matter only there, so it is
worked out once per distinct encoding, and a large text has a few hundred.
"""

from __future__ import annotations

from typing import NamedTuple

from tmebox.abi import STACK_REACH
from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.anchors import is_anchor
from tmebox.verify.bases import Table
from tmebox.verify.decoded import Decoded, Field, decode
from tmebox.verify.depth import Writes, deepening, writes_through_rsp
from tmebox.verify.encoding import encoding_refusal
from tmebox.verify.facts import Access, access_of, left_by
from tmebox.verify.jump_tables import index_of, jump, table_steps
from tmebox.verify.memory import memory_refusals
from tmebox.verify.registers import EVERY, NUMBERS, mask
from tmebox.verify.rules import Refusal
from tmebox.verify.sequences import READS_MAP, steps_of
from tmebox.verify.stack import adjustment, stack_problem


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
    table_index: of a jump through a table, the register, by number, a fact about which can do for a sequence.
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
    table_index: int | None = None
    writes: int = EVERY
    leaves: tuple[int, int] | None = None
    deepens: int = 0
    writes_stack: Writes | None = None
    returns: bool = False
    features: frozenset[str] = frozenset()
    is_x87: bool = False
    is_optional: bool = False


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
    index = index_of(decoded)
    steps = steps_of(decoded, table.sequences.exact) if index is None else frozenset({jump(index)})
    to_table = table_steps(decoded) if index is None else steps
    steps |= to_table
    deepens = deepening(decoded) if table.has_depth else 0
    refusals = [encoding_refusal(decoded), table.reserved_refusal(decoded)]
    if deepens is None:
        refusals.append((rules.STACK_DEPTH_KNOWN, "it moves rsp by what is not known"))
    access = None
    if READS_MAP not in steps and index is None:  # these need a sequence instead
        access = access_of(decoded) if table.has_facts else None
        if access is None:  # or else facts, which depend on the place
            refusals += memory_refusals(decoded, table.memory)
    reads_text = decoded.accesses_operand and decoded.instruction.is_ip_rel_memory_operand
    return Form(
        tuple(filter(None, refusals)),
        _needs_sequence(decoded, steps, index is not None, table),
        steps,
        is_anchor(decoded),
        min(adjustment(decoded) or 0, STACK_REACH + 1),
        opcode.branches,
        opcode.calls,
        opcode.ends,
        decoded.number() if decoded.has_branch_target else None,
        decoded.number() if reads_text else None,
        decoded.number() if to_table and not decoded.has_branch_target else None,
        access,
        NUMBERS[index] if index is not None and table.has_facts else None,
        EVERY if opcode.calls else mask(decoded.written),
        left_by(decoded) if table.has_facts else None,
        deepens or 0,
        writes_through_rsp(decoded) if table.has_depth else None,
        decoded.code in known.RETURNS,
        opcode.features,
        opcode.is_x87,
        opcode.is_optional,
    )


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
        outside = table.memory.name, "a jump through a table outside a sequence"
        return None if table.has_facts else outside  # facts, which depend on the place, can do as well
    if table.has_depth and decoded.code in known.RETURNS:
        return None  # a matter of depth
    if decoded.opcode.needs_sequence:
        return decoded.opcode.needs_sequence
    if READS_MAP in steps:
        return table.memory.name, "a read of the target map outside a sequence"
    reason = None if table.has_depth else stack_problem(decoded)
    return (rules.RSP_STAYS_IN_PRIVATE_HALF, reason) if reason else None
