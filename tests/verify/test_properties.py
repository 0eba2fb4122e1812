"""What must hold for any bytes at all."""

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.corpus import ACCEPT, REJECT, Example
from tests.verify.recheck import Claimed, complaints, disassemble
from tests.verify.recheck_depth import MOST
from tests.verify.recheck_lines import Line
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, verify

pytestmark = pytest.mark.slow

needs_objdump = pytest.mark.skipif(shutil.which("objdump") is None, reason="the second opinion is objdump's")
ADDRESS = abi.TEXT_NOMINAL


def accepted(
    code: bytes,
    address: int = ADDRESS,
    base: str = "gs",
    table_entries: int = 0,
    claimed: Claimed = Claimed(),  # noqa: B008  (frozen)
) -> VerifiedText | None:
    try:
        return verify(
            code,
            address,
            functions=claimed.functions,
            labels=claimed.labels,
            base=base,
            table_entries=table_entries,
            fact_places=[place for place, _ in claimed.facts],
            facts=[fact for _, fact in claimed.facts],
            depth_places=[place for place, _ in claimed.depths],
            depths=[depth for _, depth in claimed.depths],
        )
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
    """Instructions, and the tables that follow them; with what the verifier says of it, if it accepts it."""

    code: bytes
    tables: bytes
    claimed: Claimed
    verdict: VerifiedText | None = None

    def complaints(self, lines: list[Line], base: str) -> Iterator[str]:
        return complaints(lines, len(self.code), base, self.tables, self.claimed, self.verdict)


def parts(
    example: Example, code: bytes, claimed: Claimed | None = None, verdict: VerifiedText | None = None
) -> Text:
    size_bytes = len(code) - example.table_entries * abi.TABLE_ENTRY
    claimed = claims_of(example) if claimed is None else claimed
    return Text(code[:size_bytes], code[size_bytes:], claimed, verdict)


def claims_of(example: Example) -> Claimed:
    return Claimed(example.functions, example.labels, example.facts, example.depths)


def base_of(example: Example) -> str:
    return "gs" if example.base == "twin" else example.base


LISTS = frozenset(
    [
        "branch-to-instruction-start--every-condition",
        "known-instruction--every-mnemonic",
        "rsp-stays-in-private-half--every-anchor",
        "indirect-branch-checked--r15-each-register",
        "memory-through-gs--held-each-register",
        "memory-through-gs--held-filled",
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
        if base_of(example) != base or source.stem in LISTS:
            continue
        for position, byte in enumerate(example.code):
            for changed in {byte ^ (1 << bit) for bit in range(8)} | {0x90, 0xF4} - {byte}:
                code = example.code[:position] + bytes([changed]) + example.code[position + 1 :]
                verdict = accepted(code, ADDRESS, base, example.table_entries, claims_of(example))
                if verdict:
                    name = f"{source.stem}, byte {position} = {changed:#04x}"
                    survivors[name] = parts(example, code, verdict=verdict)
    return survivors


def objections(texts: dict[str, Text], base: str, folder: Path) -> list[str]:
    readings = disassemble([text.code for text in texts.values()], ADDRESS, folder)
    return [
        f"{what}: {complaint}"
        for (what, text), lines in zip(texts.items(), readings, strict=True)
        for complaint in text.complaints(lines, base)
    ]


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
    survivors = flipped(examples, base)
    assert survivors
    assert any(text.tables for text in survivors.values())
    problems = objections(survivors, base, tmp_path)
    assert not problems, "\n".join(problems[:50])


NUMBERS = (-1, 0, 8, 16, 31, 32, 33, 63, abi.HOLDS_BASE, 65, 255)
"""Facts, and what is none."""


def changed_claims(example: Example) -> Iterator[tuple[tuple[int, int], ...]]:
    """What else could be said about the text: one claim more, less, elsewhere, or another one."""
    size_bytes = len(example.code) - example.table_entries * abi.TABLE_ENTRY
    for index in range(len(example.facts)):
        yield example.facts[:index] + example.facts[index + 1 :]
    wanted = {fact >> 8 for _, fact in example.facts} | {11}
    for place in range(ADDRESS, ADDRESS + size_bytes + 1):
        for register, number in itertools.product(wanted, NUMBERS):
            claim = (place, register << 8 | number & 0xFF)
            others = [one for one in example.facts if (one[0], one[1] >> 8) != (place, register)]
            yield tuple(sorted([*others, claim]))


def survivors_of(
    examples: dict[Path, Example], changed: Callable[[Example], Iterator[Claimed]]
) -> tuple[dict[str, Text], int]:
    """What is still accepted of the accepted examples with other claims, and how much is refused."""
    survivors: dict[str, Text] = {}
    refused = 0
    for source, example in examples.items():
        if source.parent != ACCEPT or base_of(example) != "gs" or example.isolation != "code+data":
            continue
        if len(example.code) > 2000:  # it lists what tables name
            continue
        for claimed in changed(example):
            verdict = accepted(example.code, ADDRESS, "gs", example.table_entries, claimed)
            if verdict:
                name = f"{source.stem}, {claimed.facts}, {claimed.depths}"
                survivors[name] = parts(example, example.code, claimed, verdict)
            else:
                refused += 1
    return survivors, refused


def with_other_facts(example: Example) -> Iterator[Claimed]:
    for facts in changed_claims(example) if example.facts else ():
        yield replace(claims_of(example), facts=facts)


@needs_objdump
def test_a_changed_claim_about_a_register_is_refused_or_harmless(
    examples: dict[Path, Example], tmp_path: Path
) -> None:
    survivors, refused = survivors_of(examples, with_other_facts)
    assert len(survivors) > 50
    assert refused > 200
    problems = objections(survivors, "gs", tmp_path)
    assert not problems, "\n".join(problems[:50])


DEPTHS = (0, 8, 16, 24, MOST - 8, MOST, MOST + 1, -8)


def with_other_depths(example: Example) -> Iterator[Claimed]:
    """A claim dropped, moved, said twice, of another depth; and one more."""
    if not example.depths:
        return
    own, original = example.depths, claims_of(example)
    changed: list[tuple[tuple[int, int], ...]] = []
    for index, (place, depth) in enumerate(own):
        before, behind = own[:index], own[index + 1 :]
        changed += [(*before, *behind), (*before, own[index], *own[index:])]
        changed += [
            (*before, (place, other), *behind) for other in (*DEPTHS, depth + 8, depth - 8, depth + 1)
        ]
        changed += [
            tuple(sorted((*before, (place + step, depth), *behind))) for step in (-8, -2, -1, 1, 2, 5)
        ]
        if behind:
            changed.append((*before, behind[0], own[index], *behind[1:]))
    size_bytes = len(example.code) - example.table_entries * abi.TABLE_ENTRY
    taken = {place for place, _ in own}
    for place in range(ADDRESS, ADDRESS + size_bytes + 1):
        if place not in taken:
            changed += [tuple(sorted((*own, (place, depth)))) for depth in (0, 8, 24)]
    for depths in dict.fromkeys(changed):
        yield replace(original, depths=depths)
    yield from (
        replace(original, labels=(*original.labels, *original.functions)),
        replace(original, functions=(*original.functions, *original.labels)),
        replace(original, functions=original.labels, labels=original.functions),
        replace(original, functions=(*original.functions, ADDRESS + 1)),
        replace(original, labels=(*original.labels, *(place for place, _ in own))),
    )


@needs_objdump
def test_a_changed_claim_about_the_stack_is_refused_or_harmless(
    examples: dict[Path, Example], tmp_path: Path
) -> None:
    survivors, refused = survivors_of(examples, with_other_depths)
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


STACK_PIECES = [
    bytes.fromhex(text) for text in (
        "50",  # pushq %rax
        "58",  # popq %rax
        "48 83 ec 08",  # subq $8, %rsp
        "48 83 c4 10",  # addq $16, %rsp
        "48 8d 64 24 f8",  # leaq -8(%rsp), %rsp
        "48 89 04 24",  # movq %rax, (%rsp)
        "48 89 44 24 f8",  # movq %rax, -8(%rsp)
        "89 44 24 08",  # movl %eax, 8(%rsp)
        "0f 11 44 24 f0",  # movups %xmm0, -16(%rsp)
        "48 8b 44 24 10",  # movq 16(%rsp), %rax
        "48 87 04 24",  # xchgq %rax, (%rsp)
        "ff 34 24",  # pushq (%rsp)
        "54",  # pushq %rsp
        "48 89 e0",  # movq %rsp, %rax
        "c3",  # ret
        "c3",
        "f4",  # hlt
    )
]  # fmt: skip
"""They move rsp, write through it, and need to know where it is."""
FAR_BRANCHES = [b"\xe8", b"\xe9", b"\x0f\x84"]
"""call, jmp and je."""
LABEL_JUMP = bytes.fromhex("89 c0 80 b8") + abi.TARGET_MAP.to_bytes(4, "little") + b"%c\x75\xf5\xff\xe0"
"""movl %eax, %eax; cmpb $MARK, MAP(%rax); jne to itself; jmp *%rax"""
FUNCTION_JUMP = bytes.fromhex("89 c0 f6 80") + abi.TARGET_MAP.to_bytes(4, "little") + b"\x02\x74\xf5\xff\xe0"


@st.composite
def texts_with_depths(draw: st.DrawFn) -> Text:
    """Pieces, branches and calls between them, functions, labels, and claims, right as often as not."""
    pieces = [*STACK_PIECES, FUNCTION_JUMP, *(LABEL_JUMP % mark for mark in abi.LABEL_MARKS[:3])]
    chosen = draw(st.lists(st.integers(0, len(pieces) + 2 * len(FAR_BRANCHES) - 1), min_size=2, max_size=12))
    branches = [FAR_BRANCHES[(one - len(pieces)) // 2] if one >= len(pieces) else b"" for one in chosen]
    sizes = [
        len(branch) + 4 if branch else len(pieces[one]) for one, branch in zip(chosen, branches, strict=True)
    ]
    places = list(itertools.accumulate(sizes, initial=0))
    code = b""
    depth, right = 0, {0: 0}
    for one, branch, end in zip(chosen, branches, places[1:], strict=True):
        if branch:
            code += branch + (draw(st.sampled_from(places)) - end).to_bytes(4, "little", signed=True)
        else:
            code += pieces[one]
            depth += {0: 8, 1: -8, 2: 8, 3: -16, 4: 8, 11: 8, 12: 8}.get(one, 0)
        right[end] = max(depth, 0)
    wanted = draw(
        st.dictionaries(st.sampled_from(places), st.sampled_from([None, None, None, 0, 8, 24]), max_size=5)
    )
    depths = {place: right[place] if depth is None else depth for place, depth in wanted.items()}
    functions = [0, *draw(st.lists(st.sampled_from(places), max_size=2))]
    labels = draw(st.lists(st.sampled_from(places), max_size=2))
    return Text(
        code + b"\xf4",
        b"",
        Claimed(
            tuple(ADDRESS + place for place in functions),
            tuple(ADDRESS + place for place in labels),
            depths=tuple(sorted((ADDRESS + place, depth) for place, depth in depths.items())),
        ),
    )


@needs_objdump
@pytest.mark.parametrize("strategy", [texts_with_claims(), texts_with_depths()], ids=["registers", "stack"])
def test_the_second_opinion_agrees_about_claims(strategy: st.SearchStrategy[Text], tmp_path: Path) -> None:
    """On small texts that are made of nothing but what matters to them: neither accepts what the other
    objects to."""
    texts: list[Text] = []

    @settings(max_examples=3000, database=None, deadline=None)
    @given(strategy)
    def collect(text: Text) -> None:
        texts.append(text)

    collect()
    verdicts = [accepted(text.code, claimed=text.claimed) for text in texts]
    readings = disassemble([text.code for text in texts], ADDRESS, tmp_path)
    different = []
    for text, verdict, lines in zip(texts, verdicts, readings, strict=True):
        found = list(replace(text, verdict=verdict).complaints(lines, "gs"))
        if bool(found) == (verdict is not None):
            different.append(f"{verdict is not None}: {list(map(str, lines))}, {text.claimed}: {found}")
    assert sum(map(bool, verdicts)) > 50
    assert not different, "\n".join(different[:10])


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
        if source.parent == REJECT and base_of(example) == base and not INVISIBLE.match(source.stem)
    }
    readings = disassemble([text.code for text in rejected.values()], ADDRESS, tmp_path)
    silent = [
        name
        for (name, text), lines in zip(rejected.items(), readings, strict=True)
        if not any(text.complaints(lines, base))
    ]
    assert len(rejected) > at_least
    assert silent == []
