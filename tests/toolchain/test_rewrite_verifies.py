"""Whatever the rewriter emits, the verifier accepts: random instruction streams, and every known mnemonic."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iced_x86 import Mnemonic

from tests.toolchain.rewriting import verified
from tmebox.abi import BASES
from tmebox.errors import CompileError
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS
from tmebox.toolchain.rewrite.registers import NAMES_8, NAMES_32, NAMES_64
from tmebox.toolchain.rewrite.rewrite import rewrite
from tmebox.verify import instructions as known

pytestmark = pytest.mark.slow

LABELS = 6
NUMBERS = st.sampled_from([0, 1, -8, 127, 128, 4096, 1 << 19, -(1 << 19), (1 << 19) + 1, 1 << 25, -(1 << 25)])
INDICES = st.sampled_from([name for name in NAMES_64 if name != "rsp"])
REGISTERS = st.sampled_from([*NAMES_64, "rsp", "r11"])
MEMORY = st.one_of(
    st.builds("{}(%{})".format, NUMBERS, REGISTERS),
    st.builds("{}(%{},%{},{})".format, NUMBERS, REGISTERS, INDICES, st.sampled_from([1, 2, 4, 8])),
    st.builds("sym(,%{},8)".format, INDICES),
    st.sampled_from(["sym(%rip)", "sym+4", "4096", "%fs:0", "sym@GOTPCREL(%rip)", "%fs:sym@TPOFF"]),
)
FIELDS = {
    "q": REGISTERS.map("%{}".format),
    "l": st.sampled_from(NAMES_32).map("%{}".format),
    "b": st.sampled_from(NAMES_8).map("%{}".format),
    "x": st.integers(0, 15).map("%xmm{}".format),
    "y": st.integers(0, 15).map("%ymm{}".format),
    "m": MEMORY,
    "c": MEMORY.filter(lambda text: "GOT" not in text),
    "i": NUMBERS,
    "p": st.integers(0, 21).map(lambda power: 1 << power),
    "t": st.integers(0, LABELS - 1).map(".Lt{}".format),
}
"""What a letter of a pattern stands for; a second use of a letter is written with a digit."""

PATTERNS = """
movq {m}, {q}|movq {q}, {m}|movq {q}, {q1}|movl {l}, {m}|movb {b}, {m}|movzbl {m}, {l}|leaq {m}, {q}
leal {m}, {l}|addq {m}, {q}|subq {q}, {q1}|xorl {l}, {m}|cmpq {q}, {q1}|cmpq {m}, {q}|testl {l}, {l1}
incl {m}|sbbq {q}, {m}|adcl {l}, {l1}|imulq {m}, {q}|negq {q}|shlq %cl, {m}|sarq $3, {q}|xchgq {q}, {q1}
lock xaddl {l}, {m}|lock cmpxchgq {q}, {m}|cmovneq {m}, {q}|cmovlq {q}, {q1}|setbe {m}|setg {b}
btq $5, {m}|btq {q}, {m}|lock btsl {l}, {m}|btrq {q}, {q1}|addq {q}, %rsp
movq {m}, %rsp|movq {q}, %rsp|jmp {t}|jne {t}|ja {t}|jo {t}|callq elsewhere|callq *{q}
callq *{c}|jmpq *{c}|jmpq *{q}|ud2|rep stosq|rep; movsb|stosl
movsw|nop|prefetcht0 {m}|movups {m}, {x}|movaps {x}, {x1}|addsd {m}, {x}|movq {q}, {x}
pinsrq $1, {m}, {x}|ucomisd {m}, {x}|fldt {m}|fstpl {m}|vaddps {m}, {y}, {y1}|vpmaskmovd {m}, {y}, {y1}
vbroadcastss {m}, {y}|andnq {m}, {q}, {q1}|mulxq {m}, {q}, {q1}
"""
MOVING = """
pushq {q}|pushq {m}|popq {q}|popq {m}|pushq $7|leave|subq ${p}, %rsp|addq ${p}, %rsp|andq $-{p}, %rsp
leaq {i}(%rsp), %rsp|callq {t}|jmpq *{c} # TAILCALL|jmp elsewhere|retq
"""
"""With the base in r15 these may stand anywhere."""
FRAME = 88
"""One of those that labels may have."""
MOVING_BACK = """
pushq {q}; popq {q1}|pushq {m}; popq {m1}|pushq $7; popq {q}|subq ${p}, %rsp; addq ${p}, %rsp
leaq -{p}(%rsp), %rsp; pushq %rax; leaq 8(%rsp), %rsp; leaq {p}(%rsp), %rsp
leaq 88(%rsp), %rsp; retq|leaq 88(%rsp), %rsp; jmp elsewhere|leaq 88(%rsp), %rsp; jmpq *{c} # TAILCALL
"""
"""Where the stack's depth is verified, all places have one depth, and functions end with none."""


def _instructions(patterns: str) -> st.SearchStrategy[str]:
    return st.sampled_from(patterns.strip().replace("\n", "|").replace("||", "|").split("|")).flatmap(
        lambda pattern: st.fixed_dictionaries(
            {field.split("}")[0]: FIELDS[field[0]] for field in pattern.split("{")[1:]}
        ).map(lambda values: pattern.format(**values))
    )


def _keeps_depth(line: str) -> bool:
    return ";" in line or re.fullmatch(r"lea[lq] .*%[re]sp", line) is None


STREAMS: dict[str, st.SearchStrategy[list[str]]] = {
    "gs": st.lists(_instructions(PATTERNS + MOVING_BACK).filter(_keeps_depth), min_size=1, max_size=60),
    "r15": st.lists(_instructions(PATTERNS + MOVING), min_size=1, max_size=60),
}


def _without_refused(lines: list[str], base: str = "gs") -> str:
    """Instrumented text of those lines that are not refused; it may take some rounds, as flags meet anew."""
    while True:
        try:
            return rewrite("\n".join(lines), file="stream.s", base=base)
        except CompileError as error:
            for item in error.diagnostics:
                assert item.line is not None
                lines[item.line - 1] = "ud2"


@pytest.mark.parametrize("base", BASES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.tuples(*[st.integers(0, 59)] * LABELS))
def test_the_verifier_accepts_whatever_the_rewriter_emits(
    base: str, data: st.DataObject, places: tuple[int, ...]
) -> None:
    stream = data.draw(STREAMS[base])
    lines = ["\t.text", "f:", f"subq ${FRAME}, %rsp", *stream, "ud2", "\t.bss", "sym: .zero 64"]
    for number, place in enumerate(places):
        lines.insert(3 + place % (len(stream) + 1), f".Lt{number}:")
    with tempfile.TemporaryDirectory() as folder:
        assert verified(_without_refused(lines, base), Path(folder), base=base).instruction_count > 0


def test_the_rewriter_knows_every_mnemonic_that_the_verifier_knows() -> None:
    names = {value: name.lower() for name, value in vars(Mnemonic).items() if isinstance(value, int)}
    assert [names[mnemonic] for mnemonic in known.MNEMONICS if names[mnemonic] not in MNEMONICS] == []


SENSELESS = [
    "",
    "%rax",
    "%rsp",
    "%r11, %rsp",
    "%spl, %xmm1",
    "8(%rsp)",
    "%rsp, (%rax)",
    "$5",
    "*%rax",
    "*%rsp, %rsp",
]
SENSELESS += [
    "sym@GOTPCREL(%rip), %rsp",
    "%fs:0",
    "%fs:0, %xmm1",
    "%rsp, %rsp, %rsp, %rsp",
    "(%rsp), (%rax,%rsp)",
]


@pytest.mark.parametrize("operands", SENSELESS)
def test_senseless_operands_are_refused_or_left_to_the_assembler(operands: str) -> None:
    """Nothing but CompileError comes out of `rewrite`."""
    assert _without_refused([f"{prefix}{name} {operands}" for name in MNEMONICS for prefix in ("", "lock ")])


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(".:;#/*\"'\\$%(),-+@ \t\nabcrsp019=_{}")))
def test_arbitrary_text_is_rewritten_or_refused(text: str) -> None:
    try:
        rewrite(text, file="arbitrary.s")
    except CompileError as error:
        assert error.diagnostics
