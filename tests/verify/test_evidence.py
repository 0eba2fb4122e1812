"""What a VerifiedText says, and how violations are told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from iced_x86 import Code, CpuidFeature, Instruction, Mnemonic

from tests.verify.corpus import ACCEPT, Example
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, rules, verify
from tmebox.verify.opcodes import opcode_of
from tmebox.verify.verify import MOST_VIOLATIONS

ADDRESS = abi.TEXT_NOMINAL
HLT = b"\xf4"
NOP = b"\x90"
SYSCALL = b"\x0f\x05"


def check(code: bytes, **arguments: Any) -> VerifiedText:
    return verify(code, ADDRESS, **{"functions": (), "labels": (), **arguments})


CALL_NEXT = b"\xe8\0\0\0\0"


def test_the_target_map_marks_return_sites_functions_and_labels() -> None:
    text = check(
        CALL_NEXT + NOP + NOP + HLT,
        functions=[ADDRESS, ADDRESS + 5],
        labels=[ADDRESS + 6, ADDRESS + 5],
        base="r15",
    )
    assert text.target_map == bytes([2 << 3, 0, 0, 0, 0, (1 | 2 | 4) << 3, 4 << 3, 0])


def test_the_target_map_marks_functions_and_labels_by_their_depth() -> None:
    """And the core is told the depth where calls return to, and at labels."""
    text = check(
        CALL_NEXT + b"\x50" + NOP + NOP + HLT,
        functions=[ADDRESS],
        labels=[ADDRESS + 6, ADDRESS + 7],
        depth_places=[ADDRESS, ADDRESS + 6, ADDRESS + 7],
        depths=[0, 8, 8],
    )
    mark = abi.LABEL_MARKS[abi.LABEL_DEPTHS.index(8)]
    assert text.target_map == bytes([2, 0, 0, 0, 0, 0, mark, mark, 0])
    places, depths = (np.frombuffer(part, "<u4").tolist() for part in text.returns)
    assert dict(zip(places, depths, strict=True)) == {5: 0, 6: 8, 7: 8}


def test_a_label_of_a_depth_without_a_mark_is_for_the_core_only() -> None:
    text = check(
        b"\x48\x83\xec\x10" + NOP + HLT,
        functions=[ADDRESS],
        labels=[ADDRESS + 4],
        depth_places=[ADDRESS + 4],
        depths=[16],
    )
    assert 16 not in abi.LABEL_DEPTHS
    assert text.target_map == bytes([2, 0, 0, 0, 0, 0])
    assert [part.hex() for part in text.returns] == ["04000000", "10000000"]


def test_claimed_targets_may_be_a_numpy_array() -> None:
    assert check(NOP + HLT, functions=np.array([ADDRESS], np.uint32)).target_map == b"\x02\x00"


def test_a_text_whose_compiler_is_trusted_offers_no_target() -> None:
    text = check(b"\xe8\0\0\0\0" + HLT, functions=[ADDRESS], isolation="data")
    assert text.target_map == bytes(6)


@pytest.mark.parametrize(
    ("encoding", "features"),
    [
        ("90", set()),
        ("0f58c1", set()),
        ("f30fb8c1", {"popcnt"}),
        ("f30fbdc1", {"abm"}),
        ("f30fbcc1", {"bmi1"}),
        ("c5f458d0", {"avx"}),
        ("c5f5fed0", {"avx2"}),
        ("c4e2f5a8d0", {"fma"}),
        ("c4e271dcd0", {"aes", "avx"}),
        ("66480f3a16c001", {"sse4_1"}),
    ],
)
def test_features_are_spelled_as_the_kernel_spells_them(encoding: str, features: set[str]) -> None:
    text = check(bytes.fromhex(encoding) + HLT)
    assert text.features == features


def test_x87_code_is_noticed() -> None:
    assert check(b"\xd9\xe8" + HLT).uses_x87
    assert check(b"\xd9\x6c\x24\x08" + HLT).uses_x87
    assert not check(NOP + HLT).uses_x87
    assert not check(b"\x9b" + HLT).uses_x87  # wait: changes nothing


def test_no_accepted_instruction_of_the_x87_unit_is_missed() -> None:
    unit = {CpuidFeature.FPU, CpuidFeature.FPU287, CpuidFeature.FPU387, CpuidFeature.MMX}
    unnoticed = set()
    for code in (value for name, value in vars(Code).items() if name.isupper()):
        instruction = Instruction()
        instruction.code = code
        opcode = opcode_of(instruction)
        if unit.intersection(instruction.cpuid_features()) and opcode.refusal is None and not opcode.is_x87:
            unnoticed.add(instruction.mnemonic)
    assert unnoticed == {Mnemonic.FNOP, Mnemonic.FNSTCW, Mnemonic.FNSTSW}  # not of it, to iced: wait


def test_every_violation_is_listed_with_its_place_and_source() -> None:
    with pytest.raises(VerificationError) as caught:
        check(SYSCALL + NOP + SYSCALL, locate=lambda address: f"source.c:{address - ADDRESS}")
    first, second, end = caught.value.violations
    assert (first.address, first.rule, first.instruction) == (
        ADDRESS,
        rules.NO_PRIVILEGED_INSTRUCTION,
        "syscall",
    )
    assert (second.address, second.source) == (ADDRESS + 3, "source.c:3")
    assert end.rule == rules.TEXT_DOES_NOT_FALL_OFF


def test_listing_violations_stops_at_a_limit() -> None:
    for filler in (SYSCALL, b"\x06", b"\x50"):  # a push where the depth is not known
        with pytest.raises(VerificationError) as caught:
            check(filler * (3 * MOST_VIOLATIONS))
        assert len(caught.value.violations) == MOST_VIOLATIONS


def test_nobody_else_makes_the_proof() -> None:
    text = check(HLT)
    with pytest.raises(TypeError, match="only"):
        VerifiedText(
            text.address,
            b"\x0f\x05",
            text.target_map,
            text.features,
            False,
            text.instruction_count,
        )


def test_the_proof_does_not_change_with_the_buffer_that_was_verified() -> None:
    buffer = bytearray(NOP + HLT)
    text = verify(buffer, ADDRESS, functions=(), labels=())  # type: ignore[arg-type]
    buffer[:2] = SYSCALL
    assert text.code == NOP + HLT


@pytest.mark.parametrize("entries", [-1, 2, 1 << 70])
def test_more_or_fewer_table_entries_than_fit_are_a_value_error(entries: int) -> None:
    code = HLT + ADDRESS.to_bytes(8, "little")
    assert check(code, table_entries=1).code == code
    with pytest.raises(ValueError, match=f"{entries} table entries at the end of 9 bytes"):
        check(code, table_entries=entries)


def test_nothing_but_tables_is_no_text() -> None:
    for size_bytes in (8, 16):
        with pytest.raises(VerificationError) as caught:
            check(bytes(size_bytes), table_entries=size_bytes // 8)
        found = {violation.rule for violation in caught.value.violations}
        assert found == {rules.TEXT_DOES_NOT_FALL_OFF, rules.TABLE_LEADS_TO_INSTRUCTIONS}


def test_tables_are_no_instructions_and_no_targets() -> None:
    text = check(NOP + HLT + ADDRESS.to_bytes(8, "little") * 3, table_entries=3, functions=[ADDRESS])
    assert text.instruction_count == 2
    assert text.target_map == b"\x02" + bytes(25)


def test_an_entry_that_leads_nowhere_is_told_with_its_place() -> None:
    good, bad = ADDRESS.to_bytes(8, "little"), (ADDRESS + 2).to_bytes(8, "little")
    with pytest.raises(VerificationError) as caught:
        check(NOP + HLT + good + bad, table_entries=2, locate=lambda address: f"+{address - ADDRESS}")
    (violation,) = caught.value.violations
    assert (violation.address, violation.rule) == (ADDRESS + 10, rules.TABLE_LEADS_TO_INSTRUCTIONS)
    assert (violation.instruction, violation.source) == ("(an entry of a table)", "+10")
    assert "no address of an instruction that control may arrive at" in violation.reason


def test_a_jump_that_reads_too_far_is_told_with_its_place() -> None:
    jump = bytes.fromhex("4883f801 7708 67ff24c5") + (ADDRESS + 15).to_bytes(4, "little")
    with pytest.raises(VerificationError) as caught:
        check(jump + HLT + ADDRESS.to_bytes(8, "little"), table_entries=1)
    (violation,) = caught.value.violations
    assert (violation.address, violation.rule) == (ADDRESS + 6, rules.TABLE_WITHIN_TEXT)
    assert "(,%eax,8)" in violation.instruction


def test_unknown_bases_and_isolations_are_refused() -> None:
    with pytest.raises(ValueError, match="base"):
        check(HLT, base="fs")
    with pytest.raises(ValueError, match="isolation"):
        check(HLT, isolation="none")


def test_a_rip_relative_operand_is_judged_by_where_it_stands() -> None:
    """The same bytes: an offset of 0xff in one place, 0x101 bytes below the window in the other."""
    load = bytes.fromhex("65 8b 05") + (-abi.CODE_BASE - 0x108 & 0xFFFF_FFFF).to_bytes(4, "little") + HLT
    assert verify(load, abi.CODE_BASE + 0x200, functions=(), labels=()).code == load
    with pytest.raises(VerificationError) as caught:
        verify(load, abi.CODE_BASE, functions=(), labels=())
    assert {violation.rule for violation in caught.value.violations} == {rules.MEMORY_THROUGH_GS}


@pytest.mark.slow
def test_all_accepted_examples_say_how_many_instructions_they_have(examples: dict[Path, Example]) -> None:
    for source, example in examples.items():
        if source.parent == ACCEPT:
            assert 0 < verify(**example.arguments()).instruction_count <= len(example.code)
