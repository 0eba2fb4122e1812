"""What isolation costs: instructions are counted and asserted, times are shown and not."""

import ctypes
import re
import subprocess
import sys
import timeit
from pathlib import Path
from typing import Any

import iced_x86
import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import tmebox
from tmebox import abi
from tmebox.toolchain.build import CompileOptions, SourceText, build

pytestmark = pytest.mark.slow

LOADS_AND_STORES_C = r"""
struct node { struct node *next; long value; int tags[8]; };
long walk(struct node *n) { long sum = 0; for (; n; n = n->next) sum += n->value; return sum; }
void add(double *a, const double *b, long n) { for (long i = 0; i < n; i++) a[i] += b[i] * 2; }
long table[256];
void count(const unsigned char *s, long n) { for (long i = 0; i < n; i++) table[s[i]]++; }
void copy(char *to, const char *from, long n) { for (long i = 0; i < n; i++) to[i] = from[i]; }
int tag(struct node *n, int i) { n->tags[i & 7] ^= i; return n->next->tags[(i + 1) & 7]; }
"""
# No globals: position-independent and absolute code would differ in more than isolation.
KERNEL_C = r"""
unsigned work(unsigned *table, long rounds)
{
    unsigned x = 12345;
    for (long i = 0; i < rounds; i++) {
        x = x * 1664525u + 1013904223u;
        table[x >> 20] += x ^ table[(x >> 8) & 4095];
    }
    return table[7];
}
"""
NOT_INSTRUCTIONS = re.compile(r"^(nop|int3|hlt|xchg %ax,%ax|data16|cs nop)")


def native_object(source: str, directory: Path, *flags: str) -> Path:
    """What the same clang makes of the source with the same options, less ours."""
    (directory / "native.c").write_text(source)
    command = [sys.executable, "-m", "ziglang", "clang", "-target", "x86_64-linux-musl", "-O2", *flags]
    command += ["-fno-stack-protector", "-fomit-frame-pointer", "-fcf-protection=none", "-c", "native.c"]
    subprocess.run(command, cwd=directory, check=True)
    return directory / "native.o"


def native_library(source: str, directory: Path) -> Path:
    linked = directory / "native.so"
    command = [sys.executable, "-m", "ziglang", "ld.lld", "-shared", "-o", str(linked)]
    subprocess.run([*command, str(native_object(source, directory, "-fPIC"))], check=True)
    return linked


def native_instructions(source: str, directory: Path) -> int:
    with native_object(source, directory, "-fno-pic").open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text").data()
    return len(instructions(text))


def instructions(text: bytes) -> list[str]:
    formatter = iced_x86.Formatter(iced_x86.FormatterSyntax.GAS)
    decoded = (formatter.format(instruction) for instruction in iced_x86.Decoder(64, text))
    return [line for line in decoded if not NOT_INSTRUCTIONS.match(line)]


def test_loads_and_stores_take_no_extra_instruction(tmp_path: Path) -> None:
    """But for the load that a loop waits for, `n->next`, which gets a copy (ADR 13), and for what loads the
    window's base before a loop (ADR 21)."""
    options = CompileOptions(use_libc=False, isolation="data")
    text = build([SourceText(LOADS_AND_STORES_C)], options).text
    held = [line for line in instructions(text) if f"%gs:{abi.CONTROL_WINDOW_BASE:#x}" in line]
    assert 1 <= len(held) <= 4  # the loops that there are
    assert len(instructions(text)) == native_instructions(LOADS_AND_STORES_C, tmp_path) + 1 + len(held)


def test_code_isolation_adds_only_return_checks(tmp_path: Path) -> None:
    options = CompileOptions(use_libc=False)
    isolated = len(instructions(build([SourceText(LOADS_AND_STORES_C)], options).text))
    native = native_instructions(LOADS_AND_STORES_C, tmp_path)
    returns = 8  # five functions, some with an early return
    assert native < isolated <= native + 4 * returns


@pytest.fixture(scope="module")
def kernel() -> Any:
    return tmebox.compile(source_text=KERNEL_C + "int add(int a, int b) { return a + b; }")


def test_time_of_a_call_and_of_a_memory_bound_loop_is_shown(
    kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    native = ctypes.CDLL(str(native_library(KERNEL_C, tmp_path))).work
    native.restype = ctypes.c_uint32
    rounds = 2_000_000
    outside = np.zeros(4096, np.uint32)
    place = ctypes.c_void_p(outside.ctypes.data)
    with tmebox.Sandbox(kernel) as sandbox:
        inside = sandbox.array(4096, np.uint32)
        assert sandbox.work(inside, rounds) == native(place, ctypes.c_long(rounds))
        assert (inside == outside).all()
        pairs = [
            (
                timeit.timeit(lambda: sandbox.work(inside, rounds), number=3),
                timeit.timeit(lambda: native(place, ctypes.c_long(rounds)), number=3),
            )
            for _ in range(5)
        ]
        ratio = sorted(sandboxed_s / native_s for sandboxed_s, native_s in pairs)[2]
        call_s = min(timeit.repeat(lambda: sandbox.add(3, 4), number=100_000, repeat=5)) / 100_000
    with capsys.disabled():
        print(
            f"\n  sandbox.add(3, 4): {call_s * 1e9:.0f} ns; loads and stores, sandboxed/native: {ratio:.3f}"
        )


def test_text_is_shared_by_all_sandboxes_of_a_module(kernel: Any) -> None:
    with tmebox.Sandbox(kernel) as first, tmebox.Sandbox(kernel) as second:
        assert first.module.address == second.module.address
        assert first.base != second.base
        assert first.base % abi.WINDOW_SIZE == second.base % abi.WINDOW_SIZE == 0
