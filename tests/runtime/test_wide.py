"""Calls with whole vector registers and x87 registers: what goes through, and what attackers get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import iced_x86
import numpy as np
import pytest

import tmebox
from tmebox import abi
from tmebox.runtime import wide

SOURCE = r"""
typedef float v4 __attribute__((vector_size(16)));
typedef double v2 __attribute__((vector_size(16)));
struct s { v4 v; };
struct u { long double x; };
void interlude(int depth);
long double twice(long double x) { return x * 2; }
struct u wrapped(struct u u) { u.x += 1; return u; }
v4 add(v4 a, v4 b) { return a + b; }
struct s negate(struct s s) { s.v = -s.v; return s; }
v4 nine(v4 a, v4 b, v4 c, v4 d, v4 e, v4 f, v4 g, v4 h, v4 i, int n, long double l, v4 k)
{ return a + b + c + d + e + f + g + h + i + (float)n + (float)l + k; }
v4 many(v4 a, struct { char c[1200]; } large) { return a; }
long double fault(long double x) { return *(volatile int *)8 + x; }
long double forever(long double x) { for (;;) x = __builtin_sqrtl(x); }
v4 inner(v4 a, int depth) { interlude(depth); return a + 1.0f; }
long double unmasked(long double x)
{ unsigned short cw = 0x0340; __asm__ volatile("fldcw %0" : : "m"(cw)); return x / (x - x); }
long double empty(long double x) { __asm__ volatile("fninit"); return x; }
int misled(void);
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[Any]:
    with tmebox.Box(module, imports={"interlude": lambda depth: None}, timeout=5.0) as made:
        yield made


def test_the_bytes_are_what_is_said_of_them() -> None:
    text = bytes.fromhex("".join(code for _, code in wide.CODE))
    assert [str(found) for found in iced_x86.Decoder(64, text)] == [what for what, _ in wide.CODE]
    assert f"{abi.TARGET_MAP:X}h" in wide.CODE[27][0]


def test_long_double_keeps_all_its_bits(box: Any) -> None:
    third = np.longdouble(1) / 3
    assert box.twice(third) == third * 2
    assert box.twice(third) != np.longdouble(float(third)) * 2
    assert np.isnan(box.twice(float("nan")))
    assert box.twice(-np.inf) == -np.inf
    assert box.wrapped((third,)).x == third + 1


def test_vectors_are_tuples_lists_and_arrays(box: Any) -> None:
    assert box.add((1, 2, 3, 4), [1.0, 1.0, 1.0, 1.0]) == (2, 3, 4, 5)
    assert box.add(np.ones(4, np.float32), np.zeros(4)) == (1, 1, 1, 1)
    assert box.negate({"v": (1, 2, 3, 4)}).v == (-1, -2, -3, -4)
    for wrong in ((1, 2, 3), 1.0, "abcd", (1, 2, 3, "4"), None):
        with pytest.raises(TypeError, match="argument 1"):
            box.add(wrong, (1, 2, 3, 4))


def test_what_has_no_register_left_goes_on_the_stack(box: Any) -> None:
    one = (1.0, 1.0, 1.0, 1.0)
    assert box.nine(*[one] * 9, 5, np.longdouble(0.5), one) == (15.5,) * 4


def test_too_much_on_the_stack_is_refused(box: Any) -> None:
    with pytest.raises(TypeError, match="1200 bytes of arguments on the stack"):
        box.many((1, 2, 3, 4), bytes(1200))


def test_traps_and_limits_are_those_of_any_call(module: tmebox.Module) -> None:
    def fresh() -> Any:
        return tmebox.Box(module, imports={"interlude": lambda depth: None}, timeout=0.2)

    with fresh() as box, pytest.raises(tmebox.MemoryFault) as fault:
        box.fault(1.0)
    assert any("fault" in str(frame) for frame in fault.value.backtrace)
    with fresh() as box, pytest.raises(tmebox.Timeout):
        box.forever(2.0)
    with fresh() as box, pytest.raises(tmebox.Trap):
        box.unmasked(1.0)
    with fresh() as box:
        assert np.isnan(box.empty(1.0))  # nothing was there
        assert box.twice(1.5) == 3


def test_calls_inside_each_other_have_blocks_of_their_own(module: tmebox.Module) -> None:
    found: list[Any] = []

    def interlude(depth: int) -> None:
        if depth:
            assert found[0].inner((depth,) * 4, depth - 1) == (depth + 1,) * 4

    with tmebox.Box(module, imports={"interlude": interlude}) as box:
        found.append(box)
        assert box.exports["inner"]((9,) * 4, 8) == (10,) * 4


def test_a_block_that_sandboxed_code_changes_leads_to_no_other_place(box: Any) -> None:
    """The address in it is checked like that of any function pointer."""
    address = box.module.address_of("twice")
    for wrong in (
        address + 1,
        address - 1,
        0,
        abi.GATE_EXIT,
        abi.GATE_HOSTCALL,
        0xFFFF_FFFF,
        2**40 + address,
    ):
        with tmebox.Box(box.module, imports={"interlude": lambda depth: None}) as other:
            if wrong == 2**40 + address:  # only its lower half counts
                assert wide.call(other._tenancy, wrong, [], [], bytes(16), 1, -1.0).x87[0] == 0
                continue
            with pytest.raises(tmebox.Trap):
                wide.call(other._tenancy, wrong, [], [], bytes(16), 1, -1.0)


def test_functions_of_the_host_do_not_have_them() -> None:
    source = """typedef float v4 __attribute__((vector_size(16)));
    long double give(int n); void take(v4 v);
    int gives(void) { return give(1); } void takes(void) { v4 v = {1}; take(v); }"""
    given = {"give": lambda n: 1.0, "take": lambda v: None}
    with tmebox.Box(tmebox.compile(source_text=source), imports=given) as box:
        with pytest.raises(TypeError, match="long double goes in x87 registers; let it go by a pointer"):
            box.gives()
        with pytest.raises(TypeError, match="goes in a vector register as a whole"):
            box.takes()


@pytest.mark.parametrize("base", ["gs", "r15"])
def test_code_with_its_base_in_r15_says_so(base: str) -> None:
    source = "long double f(long double x) { return x; }"
    try:
        module = tmebox.compile(source_text=source, base=base)  # type: ignore[arg-type]
    except tmebox.CompileError as error:
        pytest.skip(f"no compiler for base {base}: {error}")
    with tmebox.Box(module) as box:
        if base == "gs":
            assert box.f(1.5) == 1.5
        else:
            with pytest.raises(TypeError, match="base in r15"):
                box.f(1.5)
