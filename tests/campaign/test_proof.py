"""The claims hold; they stop holding where a rule is widened; and the models are what facts and CPUs say."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("z3", reason="z3-solver is not installed")

import z3
from iced_x86 import Code, OpKind, Register, RegisterExt

from tests.campaign import proof_claims as claims
from tests.campaign import proof_models as models
from tests.campaign import proof_probes as probes
from tests.campaign import proof_sequences as proven
from tests.campaign.accepted_forms import accepted
from tests.campaign.facts_believed import MNEMONICS
from tests.campaign.one_instruction import execute
from tests.campaign.part_proof import PART, in_order
from tests.forked import run_forked
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import bases as tables
from tmebox.verify import depth, facts, memory, memory_r15, sequences, stack, verify

pytestmark = pytest.mark.slow

MIB = 1 << 20


def broken(units: Iterable[claims.Unit]) -> str | None:
    """The first claim that does not hold."""
    for unit in units:
        for claim in unit.claims():
            if claims.counterexample(claim) is not None:
                return claim.name
    return None


def units(base: str, *names: str) -> Iterator[claims.Unit]:
    """Those with one of these words in their name."""
    for group in proven.GROUPS:
        for unit in group(base):
            if any(name in unit.name for name in names):
                yield unit


CHECKED = ("ret after", "call *%r11 after", "jmp *%r11 after", "jmp *SPILL_TARGET(%rsp) after movl SRC, %rcx")
COMMON = (
    "rebase",
    "access near",
    "branch",
    "stack",
    "adjustment 48 83",
    "adjustment 48 8d",
    "[rep]",
    "jmp *TABLE(,%r9 ",
    "(rsp,none",
)
FEW = {
    "gs": (
        *COMMON,
        "address (r11,rax,",
        "facts about rcx",
        "%gs:(eax,ecx",
        "%gs:(none,none",
        "rip-rel",
    ),
    "r15": (*COMMON, *CHECKED, "writes of", "(r15,none", "(r15,r14"),
    "twin": (
        "twin access near rsp",
        "twin return",
        "twin stack",
        "twin move 48 83",
        "twin move 48 8d",
        "twin writes of mov",
        "twin writes of fst",
        "call *%r11 after",
        "jmp *%r11 after",
        "twin jmp *SPILL_TARGET(%rsp) after movl SRC, %rbp",
        "[rep]",
        "%gs:(esp,none",
        "%gs:(esp,ecx",
        "twin rip-rel",
    ),
}


@pytest.mark.parametrize("base", FEW)
def test_every_kind_of_claim_holds_and_says_something(base: str) -> None:
    made = dict.fromkeys(FEW[base], 0)
    for unit in units(base, *FEW[base]):
        for number, claim in enumerate(unit.claims()):
            assert claims.counterexample(claim) is None, claim.name
            assert number or claims.can_hold(claim), claim.name
            for name in made:
                made[name] += name in unit.name
    assert all(made.values()), made


def test_the_part_proves_some_of_each_group_and_goes_on_from_there() -> None:
    tally, state = PART.run(1, time.monotonic(), None)
    assert not tally.findings
    assert state == {"seed": 1, "done": 1}
    again, state = PART.run(1, time.monotonic(), state)
    assert state == {"seed": 1, "done": 2}
    assert again.counts["units of claims"] == 1
    assert [unit.name for unit in in_order(1)] == [unit.name for unit in in_order(1)]


# -- a rule that is widened --------------------------------------------------------------------------------


def rebuild(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    """The tables with the sequences as they come out now."""
    monkeypatch.setitem(tables.TABLES, base, replace(tables.TABLES[base], sequences=sequences._of(base)))


UNCHANGING = {Code.BSF_R32_RM32}
"""It leaves its first operand alone, all of it, where the second one is 0."""


def reading(before: int, after: int) -> dict[str, list[tuple[bytes, str]]]:
    """The steps that read one word of the control page, reading another one."""
    words = before.to_bytes(4, "little"), after.to_bytes(4, "little")
    return {
        base: [(code.replace(*words), step) for code, step in steps]
        for base, steps in sequences._BASE_STEPS.items()
    }


OTHER_WORDS = reading(abi.CONTROL_WINDOW_BASE, abi.CONTROL_HEAP_START)
OTHER_MASKS = reading(abi.CONTROL_RSP_MASK, abi.CONTROL_RSP_LAST)
ONLY_BASES = reading(abi.CONTROL_RSP_START, abi.CONTROL_WINDOW_BASE)


@pytest.mark.parametrize(
    ("module", "name", "value", "base", "unit"),
    [
        (memory, "STACK_REACH", 2 * MIB, "gs", "address (rsp,none"),
        (memory, "STACK_REACH", 2 * MIB, "gs", "access near rsp"),
        (memory, "STACK_REACH", abi.STACK_REACH + 1, "gs", "address (rsp,none"),
        (stack, "STACK_REACH", 2 * MIB, "gs", "address (rsp,none"),
        (stack, "STACK_REACH", 2 * MIB, "r15", "access near rsp"),
        (stack, "STACK_REACH", 2 * MIB, "gs", "stack 50"),
        (stack, "_ADD_OR_SUBTRACT", {Code.XOR_RM64_IMM8}, "gs", "adjustment 48 83 f4"),
        (stack, "_ALIGN", stack._ALIGN | {Code.OR_RM64_IMM8}, "gs", "adjustment 48 83 cc"),
        (abi, "STACK_LOWEST", 64 << 10, "gs", "address (r11,rax,"),
        (abi, "SHARED_END", 4096 * MIB - (64 << 10), "gs", "address (r11,rax,"),
        (abi, "SHARED_END", 4096 * MIB - (64 << 10), "r15", "address (r15,r14"),
        (abi, "SHARED_END", 4096 * MIB - (64 << 10), "gs", "address (rsp,none"),
        (abi, "SHARED_END", 4096 * MIB, "gs", "[rep] stos"),
        (abi, "ARENA_START", 1024 * MIB + (64 << 10), "gs", "access near rsp"),
        (abi, "PRIVATE_END", 1024 * MIB, "gs", "access near rsp"),
        (facts, "R15_REACH", 2 * MIB, "gs", "address (r11,rax,"),
        (facts, "R15_REACH", 2 * MIB, "gs", "address (r11,rax,8)"),
        (facts, "_BELOW_BITS", 33, "gs", "address (r11,rax,8)"),
        (facts, "_BELOW_BITS", 33, "gs", "address (r11,rax,1)"),
        (facts, "ABSOLUTE_LIMIT", 8192 * MIB, "gs", None),
        (facts, "FILLING", facts.FILLING | {Code.MOV_R64_RM64}, "gs", "facts about rax"),
        (facts, "FILLING", facts.FILLING | {Code.MOVSXD_R64_RM32}, "gs", "facts about rax"),
        (facts, "FILLING", facts.FILLING | UNCHANGING, "gs", "facts about rax"),
        (facts, "FILLING", facts.FILLING | {Code.SHL_RM32_CL}, "gs", "facts about rax"),
        (facts, "_EXTENSIONS", {**facts._EXTENSIONS, Code.MOVSX_R32_RM16: 16}, "gs", "facts about rax"),
        (facts, "_MASKS", facts._MASKS | {Code.OR_RM32_IMM8}, "gs", "facts about rax"),
        (facts, "_SHIFTS_RIGHT", facts._SHIFTS_RIGHT | {Code.SAR_RM32_IMM8}, "gs", "facts about rax"),
        (memory_r15, "R15_REACH", 2 * MIB, "r15", "address (r15,r14"),
        (memory_r15, "_WRITES_OFFSET", memory_r15._WRITES_OFFSET | UNCHANGING, "r15", "writes of r14"),
        (memory, "WINDOW_SIZE", 8192 * MIB, "gs", "rip-relative"),
        (abi, "ARENA_END", 2048 * MIB, "gs", "access near rsp"),
        (abi, "UPPER_RSP_START", 2048 * MIB - (64 << 10), "gs", "access near rsp"),
        (sequences, "_BASE_STEPS", OTHER_MASKS, "gs", "rebase"),
        (sequences, "_BASE_STEPS", ONLY_BASES, "gs", "rebase"),
        (sequences, "_BASE_STEPS", ONLY_BASES, "r15", "rebase"),
        (sequences, "_BASE_STEPS", OTHER_WORDS, "gs", "[rep] stos"),
        (sequences, "TARGET_LABEL", 8, "r15", "r15 jmp *%r11 after"),
        (sequences, "TARGET_RETURN", 2, "r15", "ret after"),
        (sequences, "TARGET_MAP", abi.TARGET_MAP - 4, "r15", "r15 jmp *%r11 after"),
        (memory, "STACK_REACH", 2 * MIB, "twin", "access near rsp"),
        (depth, "DEEPEST", 70 * MIB, "twin", "access near rsp"),
        (abi, "TWIN_DISTANCE", 67 * MIB, "twin", "access near rsp"),
        (abi, "GUARD", 64 << 10, "twin", "access near rsp"),
        (depth, "_ADDS", {Code.SUB_RM64_IMM8}, "twin", "twin move 48 83 ec"),
        (depth, "_SUBTRACTS", depth._SUBTRACTS | {Code.AND_RM64_IMM8}, "twin", "twin move 48 83 e4"),
        (depth, "SLOT", 16, "twin", "twin stack 50"),
        (depth, "SLOT", 16, "twin", "twin return"),
        (depth, "_WRITING", frozenset(), "twin", "twin writes of mov"),
        (depth, "_WRITING", frozenset(), "twin", "twin stack 50"),
        (sequences, "TARGET_FUNCTION", 4, "twin", "call *%r11 after"),
        (sequences, "TARGET_MAP", abi.TARGET_MAP - 4, "twin", "call *%r11 after"),
    ],
)  # fmt: skip
def test_a_widened_rule_has_a_counterexample(
    module: Any, name: str, value: Any, base: str, unit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`unit` None: the change widens nothing, and no counterexample is made up."""
    monkeypatch.setattr(module, name, value)
    if module is sequences:
        rebuild(monkeypatch, base)
    assert (broken(units(base, unit or "address (r11,rax,8)")) is not None) == (unit is not None)


def test_without_its_rule_for_reserved_registers_r15_has_a_counterexample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowing = replace(tables.TABLES["r15"], reserved_refusal=lambda decoded: None)
    monkeypatch.setitem(tables.TABLES, "r15", allowing)
    assert broken(units("r15", "writes of r15"))
    assert broken(units("r15", "writes of r14"))


@pytest.mark.parametrize("base", abi.FORMS)
def test_each_step_of_each_sequence_is_needed(base: str) -> None:
    table = tables.TABLES[base].sequences
    (stos,), (movs,) = (table.by_last_step[f"[rep] {name}"] for name in ("stos", "movs"))
    made: list[tuple[Any, sequences.Steps, range]] = [
        (proven._string, stos, range(len(stos) - 1)),
        (proven._string, movs, range(len(movs) - 1)),
    ]
    if base != "twin":
        made.append((proven._rebase, sequences.REBASE, range(1, 3)))
    if base != "gs":
        kept = table.by_last_step["jmp *SPILL_TARGET(%rsp)"][0]
        (branch,) = table.by_last_step["call *%r11"]
        made += [(proven._checked, branch, range(3)), (proven._checked, kept, range(4))]
    if base == "r15":
        made.append((proven._checked, sequences.CHECKED_RETURN, range(4)))
    for prove, sequence, places in made:
        for place in places:
            without = (*sequence[:place], *sequence[place + 1 :])
            unit = claims.Unit("", lambda prove=prove, without=without: prove(base, without))  # type: ignore[misc]
            assert broken([unit]), f"{sequence} without {sequence[place]}"


def test_a_jump_through_a_table_needs_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = list(units("gs", "jmp *TABLE(,%rcx "))
    assert not broken(jumps)
    with monkeypatch.context() as patched:
        patched.setattr(proven, "not_taken", lambda state, step: z3.BoolVal(True))
        assert broken(jumps)
    monkeypatch.setattr(proven, "tables_fit", lambda first, most, length: z3.BoolVal(True))
    assert broken(jumps)


def test_the_verifier_asks_of_tables_what_the_claim_assumes() -> None:
    """`tables_fit`, at all bounds and places near those of a text with three entries."""
    entries = 3
    accepted_count = 0
    for most in range(-2, entries + 2):
        for first in range(-2 * abi.TABLE_ENTRY, (entries + 1) * abi.TABLE_ENTRY):
            code = bytes([0x48, 0x83, 0xF9, most & 0xFF, 0x77, 8])
            address = abi.TEXT_NOMINAL
            place = address + 15 + first
            code += proven.table_jump("rcx")[:-4] + place.to_bytes(4, "little") + b"\xf4"
            assert len(code) == 15
            tables_at_end = address.to_bytes(8, "little") * entries
            arguments = [z3.IntVal(value) for value in (first, most, 8 * entries)]
            fits = z3.is_true(z3.simplify(proven.tables_fit(*arguments)))
            try:
                verify(code + tables_at_end, address, functions=(), labels=(), table_entries=entries)
                is_accepted = True
            except VerificationError:
                is_accepted = False
            assert is_accepted == fits, (most, first)
            accepted_count += fits
    assert accepted_count == 6


# -- the models --------------------------------------------------------------------------------------------


def modelled() -> Iterator[models.Step]:
    """The accepted shapes that have a model. Vector instructions of the same names have none."""
    for form in accepted():
        instruction = form.decoded.instruction
        is_vector = any(RegisterExt.is_xmm(number) for number in form.decoded.registers)
        if MNEMONICS[instruction.mnemonic] in models.MODELS and not is_vector:
            yield models.Step(form.decoded)


def test_models_change_and_access_what_the_facts_say() -> None:
    names = set()
    for step in modelled():
        state = models.State.fresh()
        before, zero, carry = dict(state.registers), state.zero, state.carry
        models.run(state, step)
        names.add(MNEMONICS[step.decoded.instruction.mnemonic])
        fact = models.told(step.decoded)
        changed = {name for name, value in before.items() if not value.eq(state.registers[name])}
        text = step.decoded.encoding.hex(" ")
        assert changed == fact.writes & set(before), text
        assert sorted(access.writes for access in state.accesses) == sorted(
            "w" in operand.access for operand in fact.memory
        ), text
        assert (not zero.eq(state.zero)) == ("zf" in fact.flags_written), text
        assert (not carry.eq(state.carry)) == ("cf" in fact.flags_written), text
    assert names == set(models.MODELS)


def on_cpu() -> list[models.Step]:
    """Those that a CPU can run without memory, stack or control."""
    return [
        step
        for step in modelled()
        if not step.decoded.accesses
        and not step.decoded.opcode.branches
        and step.decoded.operand is None
        and Register.RSP not in step.decoded.written
        and not any(
            RegisterExt.full_register(number) == Register.RSP
            for number in step.decoded.registers
            if number != Register.NONE
        )
    ]


EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x8000, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, (1 << 64) - 1)


def test_models_compute_what_this_cpu_computes() -> None:
    chance = random.Random(5)
    steps = on_cpu()
    assert len(steps) > 200
    runs = [
        (step, [chance.choice((chance.choice(EDGES), chance.getrandbits(64))) for _ in range(16)])
        for step in steps
        for _ in range(3)
    ]
    measured = run_forked(lambda: [execute(step.decoded.encoding, values) for step, values in runs]).result()
    for (step, values), (after, flags) in zip(runs, measured, strict=True):
        state = models.State.fresh()
        constants = [z3.BitVecVal(value, 64) for value in values]
        state.registers = dict(zip(models.GENERAL, constants, strict=True))
        models.run(state, step)
        text = f"{step.decoded.encoding.hex(' ')} with {values}"
        for number, name in enumerate(models.GENERAL):
            if name != "rsp":
                assert z3.simplify(state.registers[name]).as_long() == after[number], f"{text}: {name}"
        fact = models.told(step.decoded)
        for flag, condition, bit in (("zf", state.zero, 6), ("cf", state.carry, 0)):
            computed = z3.simplify(condition)
            if flag in fact.flags_written and (z3.is_true(computed) or z3.is_false(computed)):
                assert z3.is_true(computed) == bool(flags >> bit & 1), f"{text}: {flag}"


def test_what_has_no_model_may_do_anything_to_what_it_writes() -> None:
    state = models.State.fresh()
    before = dict(state.registers)
    models.run(state, models.Step.of(bytes.fromhex("48 f7 e1")))  # mulq %rcx
    assert {name for name in before if not before[name].eq(state.registers[name])} == {"rax", "rdx"}


def test_probes_have_each_register_and_size() -> None:
    for name in models.GENERAL:
        sizes = {
            RegisterExt.size(step.decoded.instruction.op0_register)
            for step in map(models.Step.of, probes.writers_of(name))
            if step.decoded.instruction.op0_kind == OpKind.REGISTER
        }
        assert sizes == {1, 2, 4, 8}
