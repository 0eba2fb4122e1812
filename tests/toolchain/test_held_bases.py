"""Loops that hold the window's base, from C to a module file and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.toolchain.compiling import compile_text
from tests.toolchain.rewriting import verified
from tmebox import abi
from tmebox.cli.verify import verify_file
from tmebox.errors import ModuleError, VerificationError
from tmebox.modulefile import codec
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.rewrite.rewrite import rewrite

COUNTING = """
int counts[256], total;
int count(const unsigned char *text, int size)
{
    for (int i = 0; i < size; i++) { counts[text[i]]++; total += text[i]; }
    return counts['a'] * 1000 + total;
}
"""


@pytest.fixture(scope="module")
def file() -> ModuleFile:
    return compile_text(COUNTING)


def test_a_loop_claims_that_a_register_holds_the_base(file: ModuleFile) -> None:
    assert np.count_nonzero(file.facts & 0xFF == abi.HOLDS_BASE) > 0
    assert len(file.fact_places) == len(file.facts)
    verify_file(file)


def test_claims_survive_the_file(file: ModuleFile) -> None:
    again = codec.decode(codec.encode(file))
    assert again.fact_places.tolist() == file.fact_places.tolist()
    assert again.facts.tolist() == file.facts.tolist()
    assert codec.digest(again) == codec.digest(file)


def test_a_loop_whose_claims_are_taken_away_is_refused(file: ModuleFile) -> None:
    bare = replace(file, fact_places=file.fact_places[:0], facts=file.facts[:0])
    assert codec.digest(bare) != codec.digest(file)
    with pytest.raises(VerificationError, match="memory-through-gs"):
        verify_file(bare)


def test_a_claim_that_nothing_makes_true_is_refused(file: ModuleFile) -> None:
    other = np.where(file.facts & 0xFF == abi.HOLDS_BASE, 3 << 8 | abi.HOLDS_BASE, file.facts)
    with pytest.raises(VerificationError, match="claims-about-registers-hold"):
        verify_file(replace(file, facts=other.astype(np.uint16)))


def test_claims_out_of_order_or_place_are_no_module(file: ModuleFile) -> None:
    place, fact = file.fact_places[:1], file.facts[:1]
    for places, facts in (
        (np.concatenate([place, place]), np.concatenate([fact, fact])),
        (place, file.facts[:0]),
        (place - np.uint32(file.text_address), fact),
    ):
        with pytest.raises(ModuleError):
            codec.encode(replace(file, fact_places=places, facts=facts))


def test_it_computes_what_it_should() -> None:
    module = tmebox.compile(source_text=COUNTING)
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.count(b"banana", 6) == 3000 + sum(b"banana")


INTO_A_LOOP = """
    .text
    # -- Begin function f
    .globl f
    .type f,@function
f:
    testl %esi, %esi
    je .Lx
    addl $5, %edi
BEFORE
    jmpq *.Ltable(,%rdi,8)
.Lloop:
    movl %eax, one(%rip)
    movl %eax, two(%rip)
    movl %edx, three(%rip)
    decl %eax
    jne .Lloop
    retq
.Lother:
    movl $1, %eax
    retq
    .size f, .-f
    .section .rodata,"a",@progbits
    .p2align 3
.Ltable:
    .quad .Lloop, .Lother
    .bss
one: .long 0
two: .long 0
three: .long 0
"""


@pytest.mark.parametrize(
    "before",
    [
        ".Lx: andl $1, %edi",
        "addl $2, %edi\n.Lx: movl %edi, %edi",
        ".Lx: cmpl $1, %edi\n ja .Lother",
        "cmpl $2, %edi\n.Lx: ja .Lother\n andl $1, %edi",
        "andl $1, %edi\n cmpl $7, %esi\n ja .Lother\n.Lx:",
        ".Lx: andl $1, %edi\n cmpl $7, %esi\n ja .Lother",
        ".Lx: andl $1, %edi\n cmpl $7, %esi\n je .Lother",
    ],
)
def test_the_base_is_there_when_a_jump_through_a_table_leads_into_a_loop(before: str, tmp_path: Path) -> None:
    text = rewrite(INTO_A_LOOP.replace("BEFORE", before), file="t.s")
    assert "movl\t%eax, one(%r11)" in text
    assert verified(text, tmp_path, "code+data", "gs").instruction_count > 15
