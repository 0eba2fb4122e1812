"""Code that a text may have and not need: which instructions can be optional, and which cannot."""

from __future__ import annotations

import pytest
from iced_x86 import Code, EncodingKind, Instruction, OpCodeInfo

from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, verify
from tmebox.verify import instructions as known
from tmebox.verify.opcodes import opcode_of

ADDRESS = abi.TEXT_NOMINAL
HLT = bytes.fromhex("f4")
VADDPS = bytes.fromhex("c5 f4 58 c2")  # vaddps %ymm2, %ymm1, %ymm0
VPADDD = bytes.fromhex("c5 f5 fe c2")  # vpaddd %ymm2, %ymm1, %ymm0
NOP = bytes.fromhex("90")


def check(code: bytes, start: int, end: int) -> VerifiedText:
    """The optional part is [start, end) of the code."""
    return verify(code, ADDRESS, functions=(), labels=(), optional=(ADDRESS + start, ADDRESS + end))


def test_what_optional_code_needs_is_not_needed() -> None:
    text = check(NOP + HLT + VADDPS + VPADDD + HLT, 2, 10)
    assert (text.features, text.optional_features) == (frozenset(), frozenset({"avx", "avx2"}))


def test_what_other_code_needs_is() -> None:
    text = check(VADDPS + HLT + VPADDD + HLT, 5, 9)
    assert (text.features, text.optional_features) == (frozenset({"avx"}), frozenset({"avx2"}))
    text = check(VADDPS + VPADDD + HLT, 4, 8)  # no end of control between them
    assert (text.features, text.optional_features) == (frozenset({"avx"}), frozenset({"avx2"}))


@pytest.mark.parametrize(("start", "end"), [(0, 0), (1, 4), (4, 0), (5, 900), (-900, 0)])
def test_an_instruction_is_optional_by_where_it_starts(start: int, end: int) -> None:
    assert check(VADDPS + HLT, start, end).features == {"avx"}


def test_a_feature_that_is_needed_anyway_is_not_listed_twice() -> None:
    text = check(VADDPS + HLT + VADDPS + HLT, 5, 9)
    assert (text.features, text.optional_features) == (frozenset({"avx"}), frozenset())


@pytest.mark.parametrize(
    ("encoding", "feature"),
    [
        ("f3 0f bd c1", "abm"),  # lzcnt: bsr elsewhere
        ("f3 0f bc c1", "bmi1"),  # tzcnt: bsf elsewhere
        ("f3 0f b8 c1", "popcnt"),
        ("66 0f 38 00 c1", "ssse3"),  # pshufb: an error, but not by its encoding alone
        ("0f c7 f0", "rdrand"),
        ("66 0f 3a 44 c1 00", "pclmulqdq"),
        ("66 0f 38 dc c1", "aes"),
        ("c4 e2 71 dc c2", "aes"),  # vaesenc needs what is no feature of vectors
        ("c4 e2 70 f2 c2", "bmi1"),  # andn
        ("c4 e2 71 f7 c2", "bmi2"),  # shlx
    ],
)
def test_other_features_are_never_optional(encoding: str, feature: str) -> None:
    """A CPU without them may take the encoding for another instruction, or nobody looked whether it does."""
    code = bytes.fromhex(encoding) + HLT
    text = check(code, 0, len(code))
    assert feature in text.features
    assert not text.optional_features


def test_all_that_is_optional_is_vex_encoded() -> None:
    """VEX is what is undefined to a CPU without AVX, whatever follows it."""
    found = 0
    for code in (number for name, number in vars(Code).items() if name.isupper()):
        instruction = Instruction()
        instruction.code = code
        opcode = opcode_of(instruction)
        if opcode.is_optional and opcode.refusal is None:
            found += 1
            assert OpCodeInfo(code).encoding == EncodingKind.VEX
            assert opcode.features <= known.OPTIONAL
    assert found > 500


def test_what_is_refused_is_refused_in_optional_code_too() -> None:
    with pytest.raises(VerificationError):
        check(bytes.fromhex("c5 fc 10 00") + HLT, 0, 5)  # vmovups (%rax), %ymm0
