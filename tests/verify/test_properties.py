"""What must hold for any bytes at all."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.corpus import ACCEPT, REJECT, Example
from tests.verify.recheck import complaints, disassemble
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, verify

pytestmark = pytest.mark.slow

needs_objdump = pytest.mark.skipif(shutil.which("objdump") is None, reason="the second opinion is objdump's")
ADDRESS = abi.TEXT_NOMINAL


def accepted(
    code: bytes, address: int = ADDRESS, base: str = "gs", table_entries: int = 0
) -> VerifiedText | None:
    try:
        return verify(code, address, functions=(), labels=(), base=base, table_entries=table_entries)
    except VerificationError:
        return None


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=64), st.sampled_from(abi.BASES), st.integers(0, 8))
def test_random_bytes_raise_nothing_but_verification_errors(code: bytes, base: str, entries: int) -> None:
    accepted(code, base=base)
    accepted(code, base=base, table_entries=min(entries, len(code) // abi.TABLE_ENTRY))


PREFIXES = st.lists(st.sampled_from(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3\x41\x48\x4f"), max_size=4)
INSTRUCTION = st.tuples(
    PREFIXES, st.sampled_from([b"", b"\x0f", b"\x0f\x38", b"\xc5", b"\xc4"]), st.binary(max_size=8)
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(INSTRUCTION, max_size=4), st.sampled_from(abi.BASES))
def test_prefixes_and_rare_opcodes_raise_nothing_but_verification_errors(
    parts: list[tuple[list[int], bytes, bytes]], base: str
) -> None:
    accepted(b"".join(bytes(prefixes) + escape + rest for prefixes, escape, rest in parts), base=base)


@settings(deadline=None)
@given(
    st.integers(-(1 << 70), 1 << 70),
    st.lists(st.integers(-(1 << 70), 1 << 70), max_size=3),
    st.lists(st.integers(-(1 << 70), 1 << 70), max_size=3),
)
def test_any_addresses_raise_nothing_but_verification_errors(
    address: int, functions: list[int], labels: list[int]
) -> None:
    with pytest.raises(VerificationError):
        verify(b"\x90", address, functions=functions, labels=labels)


@dataclass(frozen=True)
class Text:
    """Instructions, and the tables that follow them."""

    code: bytes
    tables: bytes


def parts(example: Example, code: bytes) -> Text:
    size_bytes = len(code) - example.table_entries * abi.TABLE_ENTRY
    return Text(code[:size_bytes], code[size_bytes:])


LISTS = frozenset(
    [
        "branch-to-instruction-start--every-condition",
        "known-instruction--every-mnemonic",
        "rsp-stays-in-private-half--every-anchor",
        "indirect-branch-checked--r15-each-register",
        "memory-through-gs--borrowed-each-register",
        "table-within-text--r15-each-register",
    ]
)
"""Examples that list what tables name: shorter ones have some of each kind."""


def flipped(examples: dict[Path, Example], base: str) -> dict[str, Text]:
    """What is still accepted of the accepted examples for `base` with one byte changed."""
    survivors = {}
    for source, example in examples.items():
        if source.parent != ACCEPT or (example.isolation, example.address) != ("code+data", ADDRESS):
            continue
        if example.base != base or source.stem in LISTS:
            continue
        for position, byte in enumerate(example.code):
            for changed in {byte ^ (1 << bit) for bit in range(8)} | {0x90, 0xF4} - {byte}:
                code = example.code[:position] + bytes([changed]) + example.code[position + 1 :]
                if accepted(code, base=base, table_entries=example.table_entries):
                    survivors[f"{source.stem}, byte {position} = {changed:#04x}"] = parts(example, code)
    return survivors


@needs_objdump
@pytest.mark.parametrize("base", abi.BASES)
def test_a_flipped_byte_is_refused_or_harmless(
    base: str, examples: dict[Path, Example], tmp_path: Path
) -> None:
    survivors = flipped(examples, base)
    readings = disassemble([text.code for text in survivors.values()], ADDRESS, tmp_path)
    problems = [
        f"{what}: {complaint}"
        for (what, text), lines in zip(survivors.items(), readings, strict=True)
        for complaint in complaints(lines, len(text.code), base, text.tables)
    ]
    assert survivors
    assert any(text.tables for text in survivors.values())
    assert not problems, "\n".join(problems[:50])


INVISIBLE = re.compile(
    r"known-instruction|canonical-encoding|control-ends|target-is|text-in|.*--no-instruction|no-branch-into-sequence--(table-)?claimed"
    r"|text-does-not-fall-off--nothing-but-tables"
)
"""Examples that are refused for other reasons than what a disassembly of their bytes shows."""


@needs_objdump
@pytest.mark.parametrize(("base", "at_least"), [("gs", 200), ("r15", 70)])
def test_the_second_opinion_objects_to_rejected_examples(
    base: str, at_least: int, examples: dict[Path, Example], tmp_path: Path
) -> None:
    """Otherwise its silence about flipped bytes would say little."""
    rejected = {
        source.stem: parts(example, example.code)
        for source, example in examples.items()
        if source.parent == REJECT and example.base == base and not INVISIBLE.match(source.stem)
    }
    readings = disassemble([text.code for text in rejected.values()], ADDRESS, tmp_path)
    silent = [
        name
        for (name, text), lines in zip(rejected.items(), readings, strict=True)
        if not any(complaints(lines, len(text.code), base, text.tables))
    ]
    assert len(rejected) > at_least
    assert silent == []
