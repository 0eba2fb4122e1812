"""Whatever a compiler calls by itself is in the C library, and computes what it computes natively."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.guest.libcall_snippets import for_gcc, snippets
from tmebox.abi import Base
from tmebox.errors import CompileError
from tmebox.toolchain.build import CompileOptions, SourceText, compile_object
from tmebox.toolchain.compile.gcc import gcc
from tmebox.toolchain.libc.libc import libc
from tmebox.toolchain.link import linked
from tmebox.toolchain.link.inputs import require_archive
from tmebox.toolchain.link.linked import Elf

pytestmark = pytest.mark.slow

VARIANTS = [
    ("gs", "-O0", ()),
    ("gs", "-O2", ()),
    ("gs", "-O2", ("-ftrapv",)),
    ("gs", "-O2", ("-march=x86-64-v3",)),
    ("gs", "-Os", ("-ffast-math",)),
    ("r15", "-O0", ()),
    ("r15", "-O2", ()),
    ("r15", "-O2", ("-ftrapv",)),
    ("r15", "-O2", ("-march=x86-64-v3",)),
]


def undefined(path: Path) -> set[str]:
    elf = Elf(path.read_bytes(), str(path))
    sections = elf.symbols["section"]
    names = (elf.symbol_name(i) for i in range(1, len(sections)) if sections[i] == linked.SHN_UNDEF)
    return {name for name in names if name}


@pytest.mark.parametrize(("base", "optimize", "flags"), VARIANTS)
def test_nothing_that_a_compiler_calls_is_missing(
    base: Base, optimize: str, flags: tuple[str, ...], tmp_path: Path
) -> None:
    lines = snippets()
    if base == "r15":
        try:
            gcc()
        except CompileError as error:
            pytest.skip(str(error))
        lines = for_gcc(lines)
    options = CompileOptions(base=base, optimize=optimize, flags=("-w", *flags))
    compile_object(SourceText("\n".join(lines)), tmp_path / "all.o", options)
    called = undefined(tmp_path / "all.o")
    assert len(called) > 100 and {"__addtf3", "__floattihf", "__cpu_model"} <= called
    assert called - require_archive(libc(base=base).archive) == set()


SUMS = Path(__file__).with_name("sums.c")


def operands() -> bytes:
    """Pairs of binary128 numbers: of all exponents, alike, and of the ranges of other formats."""
    source = random.Random(5)
    words = []
    for number in range(4000):
        exponent = source.choice([source.randrange(32768), 16383 + source.randrange(-130, 130)])
        for _ in range(2):
            exponent = min(max(exponent + source.choice([0, 0, 1, -60, 113]), 0), 32767)
            fraction = source.getrandbits(112) & ~0 << source.choice([0, 0, 49, 60, 111])
            bits = source.getrandbits(1) << 127 | exponent << 112 | (fraction if number % 50 else 0)
            words += [bits >> 64, bits & (1 << 64) - 1]
    return struct.pack(f"<{len(words)}Q", *words)


@pytest.mark.parametrize("base", ["gs", "r15"])
def test_a_sandbox_computes_what_the_machine_computes(base: Base, tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc, whose library is compared with, is not installed")
    subprocess.run([compiler, "-O2", "-DNATIVE", str(SUMS), "-o", "sums"], cwd=tmp_path, check=True)
    data = operands()
    native = subprocess.run([tmp_path / "sums"], input=data, stdout=subprocess.PIPE, check=True).stdout
    module = tmebox.compile(SUMS, base=base)
    with tmebox.Sandbox(module) as sandbox:
        words = np.frombuffer(data, np.uint64)
        assert sandbox.sums(words, len(words)) == int(native)


ROUNDING = r"""
#include <fenv.h>
double roundeven(double); float roundevenf(float); long double roundevenl(long double);
int wrong(const double *x, const double *expected, int n, int direction)
{
	int wrong = 0;
	fesetround(direction);
	for (int i = 0; i < n; i++) {
		volatile double d = roundeven(x[i]), f = roundevenf((float)x[i]), l = (double)roundevenl(x[i]);
		wrong += d != expected[i] || __builtin_signbit(d) != __builtin_signbit(expected[i]);
		wrong += f != expected[i] || l != expected[i];
	}
	fesetround(FE_TONEAREST);
	return wrong;
}
"""


def test_roundeven_takes_halves_to_even_whatever_the_direction_is() -> None:
    numbers = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.5, 0.25, 0.75, -1.75, 8388607.5, 2.0**52, float("inf")]
    expected = [x if x == float("inf") or abs(x) > 1e9 else float(round(x)) for x in numbers]
    expected[1] = expected[3] = -0.0
    given, wanted = np.array(numbers), np.array(expected)
    with tmebox.Sandbox(tmebox.compile(source_text=ROUNDING)) as sandbox:
        for direction in (0, 0x400, 0x800, 0xC00):
            assert sandbox.wrong(given, wanted, len(numbers), direction) == 0


def test_the_cpu_is_known_to_have_what_every_cpu_has() -> None:
    text = (
        'int baseline(void) { return __builtin_cpu_supports("sse2") && __builtin_cpu_supports("x86-64"); }'
        'int more(void) { __builtin_cpu_init(); return __builtin_cpu_supports("avx2") || '
        '__builtin_cpu_supports("x86-64-v2") || __builtin_cpu_supports("mmx") || __builtin_cpu_is("amd"); }'
    )
    with tmebox.Sandbox(tmebox.compile(source_text=text)) as sandbox:
        assert (sandbox.baseline(), sandbox.more()) == (1, 0)
