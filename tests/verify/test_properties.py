"""What must hold for any bytes at all."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.changes import changeable, some, survivors_of, with_flipped_bytes, with_other_facts
from tests.verify.corpus import ACCEPT, REJECT, Example
from tests.verify.opinions import (
    ADDRESS,
    Text,
    accepted,
    base_of,
    disagreements,
    needs_objdump,
    objections,
    parts,
)
from tests.verify.recheck import Claimed, disassemble
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import verify

pytestmark = pytest.mark.slow


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


@needs_objdump
@pytest.mark.parametrize("base", abi.BASES)
def test_the_second_opinion_has_nothing_against_accepted_examples(
    base: str, examples: dict[Path, Example], tmp_path: Path
) -> None:
    texts = {
        source.stem: parts(example, example.code, verdict=verify(**example.arguments()))
        for source, example in examples.items()
        if source.parent == ACCEPT and example.isolation == "code+data" and base_of(example) == base
        if example.address == ADDRESS
    }
    assert len(texts) > 10
    assert objections(texts, base, tmp_path) == []


@needs_objdump
@pytest.mark.parametrize("base", abi.BASES)
def test_a_flipped_byte_is_refused_or_harmless(
    base: str, examples: dict[Path, Example], tmp_path: Path
) -> None:
    survivors, refused = survivors_of(some(with_flipped_bytes, changeable(examples, base)))
    assert refused > 1000
    assert survivors
    assert any(text.tables for text in survivors.values())
    problems = objections(survivors, base, tmp_path)
    assert not problems, "\n".join(problems[:50])


@needs_objdump
def test_a_changed_claim_about_a_register_is_refused_or_harmless(
    examples: dict[Path, Example], tmp_path: Path
) -> None:
    survivors, refused = survivors_of(some(with_other_facts, changeable(examples, "gs")))
    assert len(survivors) > 50
    assert refused > 200
    problems = objections(survivors, "gs", tmp_path)
    assert not problems, "\n".join(problems[:50])


PIECES = [
    bytes.fromhex(text) for text in (
        "65 4c 8b 1c 25 00 00 01 04",  # movq %gs:BASE, %r11
        "65 48 8b 0c 25 00 00 01 04",  # movq %gs:BASE, %rcx
        "89 c1",  # movl %eax, %ecx
        "0f b6 c8",  # movzbl %al, %ecx
        "48 89 c1",  # movq %rax, %rcx
        "48 ff c1",  # incq %rcx
        "41 8b 43 08",  # movl 8(%r11), %eax
        "41 8b 44 0b 08",  # movl 8(%r11,%rcx), %eax
        "41 8b 44 cb 08",  # movl 8(%r11,%rcx,8), %eax
        "42 8b 44 19 08",  # movl 8(%rcx,%r11), %eax
        "4d 31 db",  # xorq %r11, %r11
        "91",  # xchgl %eax, %ecx
        "f4",  # hlt
    )
]  # fmt: skip
"""They make facts, end them, and need them."""
assert PIECES[0][5:] == abi.CONTROL_WINDOW_BASE.to_bytes(4, "little")
SIZES = [len(piece) for piece in PIECES]
BRANCHES = [b"\xeb", b"\x74", b"\xe2"]
"""jmp, je and loop."""


@st.composite
def texts_with_claims(draw: st.DrawFn) -> Text:
    """Pieces, and branches between them, with claims at some of them that are right as often as not."""
    chosen = draw(st.lists(st.integers(0, len(PIECES) + len(BRANCHES) - 1), min_size=2, max_size=10))
    sizes = [SIZES[one] if one < len(PIECES) else 2 for one in chosen]
    places = list(itertools.accumulate(sizes, initial=0))
    code = b""
    for one, start in zip(chosen, places, strict=False):
        if one < len(PIECES):
            code += PIECES[one]
        else:
            target = draw(st.sampled_from(places))
            code += BRANCHES[one - len(PIECES)] + (target - start - 2).to_bytes(1, "little", signed=True)
    pairs = st.tuples(st.sampled_from(places), st.sampled_from([1, 11]))
    facts = {
        pair: draw(st.sampled_from([8, 32, abi.HOLDS_BASE])) for pair in draw(st.sets(pairs, max_size=4))
    }
    others = draw(st.lists(st.sampled_from(places), max_size=1))
    return Text(
        code + b"\xf4",
        b"",
        Claimed(
            tuple(ADDRESS + place for place in others),
            facts=tuple(
                sorted((ADDRESS + place, register << 8 | fact) for (place, register), fact in facts.items())
            ),
        ),
    )


@needs_objdump
def test_the_second_opinion_agrees_about_claims(tmp_path: Path) -> None:
    """On small texts that are made of nothing but what matters to facts: neither accepts what the other
    objects to."""
    accepted_count, different = disagreements(texts_with_claims(), tmp_path)
    assert accepted_count > 50
    assert not different, "\n".join(different[:10])


INVISIBLE = re.compile(
    r"known-instruction|canonical-encoding|control-ends|target-is|text-in|.*--no-instruction|no-branch-into-sequence--(table-)?claimed"
    r"|text-does-not-fall-off--nothing-but-tables"
)
"""Examples that are refused for other reasons than what a disassembly of their bytes shows."""
WITHOUT_DEPTH = {
    f"rsp-stays-in-private-half--{name}" for name in ("lea-too-much", "sub-too-much", "many-adjustments")
}
"""Of isolation `data`. The second opinion follows the depth of a control stack, and knows no anchors."""


@needs_objdump
@pytest.mark.parametrize(("base", "at_least"), [("gs", 200), ("r15", 70)])
def test_the_second_opinion_objects_to_rejected_examples(
    base: str, at_least: int, examples: dict[Path, Example], tmp_path: Path
) -> None:
    """Otherwise its silence about flipped bytes would say little."""
    rejected = {
        source.stem: parts(example, example.code)
        for source, example in examples.items()
        if source.parent == REJECT and base_of(example) == base and not INVISIBLE.match(source.stem)
    }
    readings = disassemble([text.code for text in rejected.values()], ADDRESS, tmp_path)
    silent = [
        name
        for (name, text), lines in zip(rejected.items(), readings, strict=True)
        if not any(text.complaints(lines, base))
    ]
    assert len(rejected) > at_least
    assert set(silent) == (WITHOUT_DEPTH if base == "gs" else set())
