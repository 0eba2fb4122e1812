"""Every entry of every table of the verifier has an accepted example, or is refused as it says.

An entry that nobody has shown to be accepted is one that nobody has looked at.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from iced_x86 import Code, Decoder, Instruction, Mnemonic

from tests.verify.corpus import ACCEPT, Example
from tmebox import abi
from tmebox.abi import Base
from tmebox.verify import anchors, borrowed, memory_r15, rules
from tmebox.verify import instructions as known
from tmebox.verify.bases import TABLES
from tmebox.verify.opcodes import opcode_of
from tmebox.verify.reading import read
from tmebox.verify.sequences import SEQUENCES

CODES = {number: name for name, number in vars(Code).items() if name.isupper()}
MNEMONICS = {number: name for name, number in vars(Mnemonic).items() if name.isupper()}


def accepted(examples: dict[Path, Example], base: Base | None = None) -> Iterator[Example]:
    for source, example in examples.items():
        if source.parent == ACCEPT and base in (None, example.base):
            yield example


def instructions(example: Example) -> Iterator[Instruction]:
    code = example.code[: len(example.code) - abi.TABLE_ENTRY * example.table_entries]
    return iter(Decoder(64, code))


@pytest.fixture(scope="module")
def seen(examples: dict[Path, Example]) -> set[int]:
    """The codes of instructions in accepted examples."""
    return {instruction.code for example in accepted(examples) for instruction in instructions(example)}


def of(code: int) -> Instruction:
    instruction = Instruction()
    instruction.code = code  # type: ignore[assignment]
    return instruction


def test_every_known_mnemonic_has_an_accepted_example(seen: set[int]) -> None:
    shown = {of(code).mnemonic for code in seen}
    assert {MNEMONICS[mnemonic] for mnemonic in known.MNEMONICS - shown} == set()


@pytest.mark.parametrize(
    "table",
    [
        known.CODES,
        known.NEVER_CONTINUES,
        anchors.WITH_OPERAND,
        anchors.WITHOUT_OPERAND,
        borrowed._FILL,
        memory_r15._WRITES_OFFSET,
    ],
    ids=["codes", "never-continues", "anchors", "implicit-anchors", "fill", "offsets"],
)
def test_every_known_encoding_has_an_accepted_example(table: frozenset[int], seen: set[int]) -> None:
    assert {CODES[code] for code in table - seen} == set()


def test_every_feature_is_needed_by_an_accepted_example(seen: set[int]) -> None:
    needed = {feature for code in seen for feature in of(code).cpuid_features()}
    assert set(known.FEATURES) <= needed


def test_every_denied_instruction_is_refused_by_the_rule_that_says_why() -> None:
    expected = {
        rules.SEGMENT_REGISTERS_UNTOUCHED: known.SEGMENTS,
        rules.NO_PRIVILEGED_INSTRUCTION: known.SYSTEM,
    }
    for rule, mnemonics in expected.items():
        for code, name in CODES.items():
            refusal = opcode_of(of(code)).refusal
            if of(code).mnemonic in mnemonics:
                assert refusal and refusal[0] == rule, name
    for code in known.ALIASES:
        refusal = opcode_of(of(code)).refusal
        assert refusal and refusal[0] == rules.KNOWN_INSTRUCTION, CODES[code]


def test_no_table_names_an_instruction_twice() -> None:
    assert not known.MNEMONICS & (known.SYSTEM | known.SEGMENTS)
    assert not known.CODES & known.ALIASES
    assert not {code for code in known.CODES if of(code).mnemonic in known.MNEMONICS} - known.STRINGS


@pytest.mark.parametrize("base", abi.BASES)
def test_every_sequence_has_an_accepted_example(base: Base, examples: dict[Path, Example]) -> None:
    """Of borrowed accesses, every base and every offset has one, not every pair."""
    every = {one for found in SEQUENCES[base].by_last_step.values() for one in found}
    found: set[tuple[str, ...]] = set()
    for example in accepted(examples, base):
        code = example.code[: len(example.code) - abi.TABLE_ENTRY * example.table_entries]
        for block in read(code, TABLES[base]):
            found |= {sequence for sequence in every - found if len(block.runs(sequence))}
    pairs = {one for one in every if one[0].startswith(("a 32-bit offset", "16 bits"))}
    assert every - pairs - found == set()
    for place in (0, 1):
        assert {one[place] for one in pairs} == {one[place] for one in pairs & found}
