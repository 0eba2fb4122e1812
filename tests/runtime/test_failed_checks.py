"""Checks that a compiler puts in (-ftrapv, -fsanitize=…) end in a trap that says which check it was."""

from __future__ import annotations

import pytest

import tmebox
from tmebox.abi import TRAP_REASON, TRAP_UNPROMISED
from tmebox.hints import Optimization
from tmebox.runtime.failed_checks import REASONS, UNKNOWN, failed_check

SOURCE = """
int add(int a, int b) { return a + b; }
int sub(int a, int b) { return a - b; }
int mul(int a, int b) { return a * b; }
int neg(int a, int b) { return -a; }
int quotient(int a, int b) { return a / b; }
int shift(int a, int b) { return a << b; }
int small[4]; int index(int a, int b) { return small[a]; }
int cast(int a, int b) { return (int)(a * 4.0); }
int null(int a, int b) { return *(int *)(long)b; }
union both { unsigned char c; volatile _Bool x; };
int boolean(int a, int b) { union both v = { .c = a }; return v.x; }
int length(int a, int b) { int v[b]; v[0] = a; return v[0]; }
int unreachable(int a, int b) { if (b) return 1; __builtin_unreachable(); }
int builtin(int a, int b) { return __builtin_ctz(b); }
int trap(int a, int b) { if (b) return 1; __builtin_trap(); }
"""
LARGEST = 2**31 - 1
CASES = [
    ("add", LARGEST, 1, 0),
    ("sub", -LARGEST, 2, 21),
    ("mul", LARGEST, 2, 12),
    ("neg", -LARGEST - 1, 0, 13),
    ("quotient", 1, 0, 3),
    ("shift", 1, 32, 20),
    ("index", 4, 0, 18),
    ("cast", LARGEST, 0, 5),
    ("null", 0, 0, 22),
    ("boolean", 2, 0, 10),
    ("length", 0, 0, 24),
    ("unreachable", 0, 0, 1),
    ("builtin", 0, 0, 8),
    ("trap", 0, 0, None),
]


@pytest.fixture(scope="module")
def checked() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-fsanitize=undefined", "-w"))


@pytest.mark.parametrize(("name", "a", "b", "number"), CASES)
def test_the_message_says_which_check_has_failed(
    name: str, a: int, b: int, number: int | None, checked: tmebox.Module
) -> None:
    with tmebox.Sandbox(checked) as sandbox:
        with pytest.raises(tmebox.IllegalInstruction) as caught:
            getattr(sandbox, name)(a, b)
        expected = (
            UNKNOWN if number is None else f"a check that the compiler put in failed: {REASONS[number]}"
        )
        assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("optimize", ["-O0", "-O2"])
def test_overflow_traps_with_ftrapv_and_the_rest_computes(optimize: Optimization) -> None:
    module = tmebox.compile(source_text=SOURCE, flags=("-ftrapv", "-w"), optimize=optimize)
    with tmebox.Sandbox(module) as sandbox:
        assert [sandbox.add(3, 4), sandbox.sub(3, 4), sandbox.mul(3, 4)] == [7, -1, 12]
    for name, a, b, number in CASES[:3]:
        with tmebox.Sandbox(module) as sandbox:
            with pytest.raises(tmebox.IllegalInstruction) as caught:
                getattr(sandbox, name)(a, b)
            assert REASONS[number or 0] in str(caught.value)


def test_gcc_checks_the_same() -> None:
    try:
        module = tmebox.compile(source_text=SOURCE, flags=("-fsanitize=undefined", "-w"), base="r15")
        trapping = tmebox.compile(source_text=SOURCE, flags=("-ftrapv", "-w"), base="r15")
    except tmebox.CompileError as error:
        if "gcc" in str(error) and "needs" in str(error):
            pytest.skip(str(error))
        raise
    for chosen, cases in ((module, CASES[:7]), (trapping, CASES[:3])):
        for name, a, b, _ in cases:
            with tmebox.Sandbox(chosen) as sandbox, pytest.raises(tmebox.IllegalInstruction):
                getattr(sandbox, name)(a, b)


class Bytes:
    """Text that holds these bytes."""

    unwinder = None

    def __init__(self, data: bytes) -> None:
        self.data = data

    def code_byte(self, address: int) -> int | None:
        return self.data[address] if address < len(self.data) else None


@pytest.mark.parametrize(
    "data", [b"", b"\x0f\x0b", b"\x0f\x0b\xb8", b"\x0f\x0b\xb8\x01\0\0\0", b"\x0f\x0b\xb9\0rmt"]
)
def test_other_bytes_have_no_reason(data: bytes) -> None:
    assert failed_check(Bytes(data), 0) == UNKNOWN
    assert failed_check(None, 0) == UNKNOWN


def test_every_number_has_a_message() -> None:
    for number in range(256):
        code = b"\x0f\x0b\xb8" + (TRAP_REASON + number).to_bytes(4, "little")
        said = "no sandbox has" if number == TRAP_UNPROMISED else "check that the compiler put in"
        assert said in failed_check(Bytes(code), 0)
