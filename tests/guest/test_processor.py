"""Programs that ask the processor: the answer is what their own code needs and what comes with that, in the
registers for it."""

from __future__ import annotations

import pytest

import tmebox
from tmebox.errors import CompileError
from tmebox.runtime.system.cpu import with_implied
from tmebox.toolchain.build import CompileOptions, SourceText, build

ASK = r"""
#include <cpuid.h>
void ask(unsigned leaf, unsigned sub, unsigned *r) { __cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]); }
unsigned long xcr(unsigned index)
{
	unsigned low, high;
	__asm__ volatile ("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (unsigned long)high << 32 | low;
}
int knows(void)
{
	__builtin_cpu_init();
	return !!__builtin_cpu_supports("avx2") | !!__builtin_cpu_supports("ssse3") << 1
		| !!__builtin_cpu_supports("bmi2") << 2 | !!__builtin_cpu_supports("avx512f") << 3
		| !!__builtin_cpu_supports("sse2") << 4 | !!__builtin_cpu_is("amd") << 5
		| !!__builtin_cpu_supports("pclmul") << 6 | !!__builtin_cpu_supports("lzcnt") << 7
		| !!__builtin_cpu_supports("x86-64") << 8 | !!__builtin_cpu_supports("x86-64-v2") << 9
		| !!__builtin_cpu_supports("x86-64-v3") << 10 | !!__builtin_cpu_supports("x86-64-v4") << 11;
}
"""
AVX2 = r"""
typedef int eight __attribute__((vector_size(32)));
__attribute__((target("avx2"))) void add(int *p, const int *q)
{
	eight a, b;
	__builtin_memcpy(&a, p, 32);
	__builtin_memcpy(&b, q, 32);
	a += b;
	__builtin_memcpy(p, &a, 32);
}
"""
FMA_BIT, AES_BIT, OSXSAVE_BIT, AVX_BIT, AVX2_BIT = 12, 25, 27, 28, 5


def registers(sandbox: tmebox.Sandbox, leaf: int, subleaf: int = 0) -> list[int]:
    found = sandbox.array(4, "u4")
    sandbox.ask(leaf, subleaf, found)
    return [int(word) for word in found]


@pytest.fixture(scope="module")
def plain() -> tmebox.Module:
    return tmebox.compile(source_text=ASK)


@pytest.fixture(scope="module")
def wide() -> tmebox.Module:
    module = tmebox.compile(source_text=ASK + AVX2)
    assert "avx2" in module.features
    return module


def test_code_without_vectors_is_told_of_every_processors_features_only(plain: tmebox.Module) -> None:
    with tmebox.Sandbox(plain) as sandbox:
        assert sandbox.knows() == 1 << 4 | 1 << 8
        assert registers(sandbox, 1)[2] == 0 and registers(sandbox, 7)[1] == 0
        assert sandbox.xcr(0) == 3 and sandbox.xcr(1) == 0
        assert registers(sandbox, 0)[0] == 7 and registers(sandbox, 0x80000000)[0] == 0x80000004
        assert registers(sandbox, 1)[3] >> 26 & 1  # SSE2


def test_code_that_brings_a_faster_way_is_told_that_it_may_take_it(wide: tmebox.Module) -> None:
    with tmebox.Sandbox(wide) as sandbox:
        assert sandbox.knows() == 1 << 4 | 1 | 1 << 1 | 1 << 2 | 1 << 7 | 0b111 << 8
        ecx, ebx = registers(sandbox, 1)[2], registers(sandbox, 7)[1]
        assert ecx >> AVX_BIT & 1 and ecx >> OSXSAVE_BIT & 1 and ebx >> AVX2_BIT & 1
        assert ecx >> FMA_BIT & 1 and not ecx >> AES_BIT & 1
        assert sandbox.xcr(0) == 7


def test_a_level_is_there_only_if_all_of_it_is() -> None:
    """Code for SSE4.2 alone has the second level, and code for FMA no more than that."""
    for target, body in (("sse4.2", "_mm_crc32_u64(x, 1)"), ("fma", "(u)__builtin_fma(x, 3.0, 1.0)")):
        more = f'__attribute__((target("{target}"))) u more(u x) {{ return {body}; }}\n'
        module = tmebox.compile(source_text="#include <immintrin.h>\ntypedef unsigned long u;\n" + ASK + more)
        with tmebox.Sandbox(module) as sandbox:
            assert sandbox.knows() >> 8 == 0b11


@pytest.mark.parametrize("part", ["fma", "f16c", "bmi2", "bmi1", "abm", "movbe", "avx", "sse4_2"])
def test_a_part_of_avx2s_level_alone_implies_nothing_above_it(part: str) -> None:
    assert part in with_implied(frozenset({"avx2"}))
    assert "avx2" not in with_implied(frozenset({part}))


@pytest.mark.parametrize("leaf", [2, 4, 0xB, 0xD, 0x14, 0x1B, 0x40000000, 0x80000005, 0x8000001F, 0xFFFFFFFF])
def test_what_else_may_be_asked_is_answered_with_zeros(plain: tmebox.Module, leaf: int) -> None:
    with tmebox.Sandbox(plain) as sandbox:
        assert registers(sandbox, leaf, 1) == [0, 0, 0, 0]


def test_the_vendor_and_the_brand_are_ours(plain: tmebox.Module) -> None:
    with tmebox.Sandbox(plain) as sandbox:
        _, b, c, d = registers(sandbox, 0)
        assert b"".join(word.to_bytes(4, "little") for word in (b, d, c)) == b"Tmebox Boxes"
        brand = b"".join(
            word.to_bytes(4, "little")
            for leaf in range(0x80000002, 0x80000005)
            for word in registers(sandbox, leaf)
        )
        assert brand.rstrip(b"\0") == b"tmebox"


KEEPING = r"""
typedef unsigned long u;
/* Everything but what the instruction writes, and the red zone, is as it was. */
int kept(u *m)
{
	int same;
	__asm__ volatile (
		"movq $77, -8(%%rsp)\n movq $78, -128(%%rsp)\n"
		"movq $1, %%rsi\n movq $2, %%rdi\n movq $3, %%r8\n movq $4, %%r9\n movq $5, %%r10\n movq $6, %%r11\n"
		"movq $7, %%r12\n movq %%rsi, %%xmm0\n movq %%r12, %%xmm15\n"
		INSTRUCTION "\n"
		"movq %%rsi, %%rax\n addq %%rdi, %%rax\n addq %%r8, %%rax\n addq %%r9, %%rax\n addq %%r10, %%rax\n"
		"addq %%r11, %%rax\n addq %%r12, %%rax\n addq -8(%%rsp), %%rax\n addq -128(%%rsp), %%rax\n"
		"movq %%xmm0, %%rdx\n addq %%rdx, %%rax\n movq %%xmm15, %%rdx\n addq %%rdx, %%rax\n"
		: "=a"(same) : "a"(0), "c"(0) : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "xmm0",
		"xmm15", "memory");
	return same;
}
"""


@pytest.mark.parametrize("isolation", ["code+data", "data"])
@pytest.mark.parametrize("name", ["cpuid", "xgetbv", "rdtsc", "rdtscp"])
def test_nothing_else_is_overwritten(name: str, isolation: str) -> None:
    module = tmebox.compile(
        source_text=KEEPING,
        defines={"INSTRUCTION": f'"{name}"'},
        isolation=isolation,  # type: ignore[arg-type]
        trust_compiler=isolation == "data",
    )
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.kept(sandbox.array(1, "u8")) == 1 + 2 + 3 + 4 + 5 + 6 + 7 + 77 + 78 + 1 + 7


COUNTING = r"""
#include <x86intrin.h>
int rises(void)
{
	unsigned core = 7;
	u a = __rdtsc(), b = __rdtscp(&core), c = __rdtsc();
	return a <= b && b <= c && !core;
}
u now(void) { return __rdtsc(); }
"""
WIDE = r"""
__attribute__((target("avx2"))) int whole(int *p)
{
	__m256i a = _mm256_loadu_si256((void *)p);
	__asm__ volatile ("" : "+x"(a));
	u t = __rdtsc();
	__asm__ volatile ("" : "+x"(a) : "r"(t));
	_mm256_storeu_si256((void *)(p + 8), a);
	return 0;
}
"""


def test_the_counter_is_a_clock() -> None:
    with tmebox.Sandbox(tmebox.compile(source_text="typedef unsigned long u;" + COUNTING)) as sandbox:
        assert sandbox.rises() == 1
        before = sandbox.now()
        assert 0 < sandbox.now() - before < 10**10


def test_reading_the_counter_keeps_whole_vectors() -> None:
    module = tmebox.compile(source_text="typedef unsigned long u;" + COUNTING + WIDE)
    with tmebox.Sandbox(module) as sandbox:
        numbers = sandbox.array(16, "i4")
        numbers[:] = range(1, 17)
        sandbox.whole(numbers)
        assert numbers.tolist() == [*range(1, 9)] * 2


@pytest.mark.parametrize("base", ["gs", "r15"])
def test_both_bases_know_them(base: str) -> None:
    module = build([SourceText(ASK)], CompileOptions(base=base))
    assert {"ask", "xcr", "knows"} <= {export.name for export in module.exports}


def test_without_the_library_there_is_nobody_to_ask() -> None:
    with pytest.raises(CompileError, match="undefined symbol: __tmebox_cpuid"):
        build(
            [SourceText('void f(void) { __asm__("cpuid" ::: "eax", "ebx", "ecx", "edx"); }')],
            CompileOptions(use_libc=False),
        )


def test_flags_do_not_live_over_a_question() -> None:
    assembly = '"cmpl $3, %0\\n cpuid\\n sete %b0" : "+r"(a) :: "eax", "ebx", "ecx", "edx"'
    source = f"int f(int a) {{ __asm__({assembly}); return a; }}"
    with pytest.raises(CompileError, match="flags are in use"):
        tmebox.compile(source_text=source)


def test_what_is_implied_is_told() -> None:
    assert {"avx2", "avx", "sse4_2", "sse4_1", "ssse3", "pni", "popcnt"} <= with_implied(frozenset(["avx2"]))
    assert with_implied(frozenset()) == frozenset()
    assert not {"aes", "sha_ni", "pclmulqdq", "adx", "rdrand"} & with_implied(frozenset(["avx2"]))
