"""Loops that hold the window's base, from C to a module file and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tmebox
from tests.toolchain.compiling import compile_text
from tmebox import abi
from tmebox.cli.verify import verify_file
from tmebox.errors import ModuleError, VerificationError
from tmebox.modulefile import codec
from tmebox.modulefile.file import ModuleFile

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
