"""Assembly for processors that have more: traps stand for what no sandbox has, and are told of."""

from __future__ import annotations

from pathlib import Path

import pytest

import tmebox
from tmebox.errors import CompileError, Diagnostic
from tmebox.toolchain.build import CompileOptions, build
from tmebox.toolchain.cc.driver import main_cc
from tmebox.toolchain.unpromised import TRAP, without_unpromised

UNPROMISED = [
    ("vpxord %ymm0,%ymm0,%ymm0", "AVX-512"),
    ("vmovdqu64 64(%rsp), %zmm3{%k1}{z}", "AVX-512"),
    ("vpaddq table+8(%rip){1to8}, %zmm1, %zmm2", "AVX-512"),
    ("vpbroadcastq %r13, %ymm3", "AVX-512"),
    ("vmovdqa %ymm17, %ymm1", None),
    ("vaddpd {rn-sae}, %zmm1, %zmm2, %zmm3", "AVX-512"),
    ("{evex} vpaddd %xmm1, %xmm2, %xmm3", "AVX-512"),
    ("vpsrlq $COUNT, %zmm1, %zmm2", "AVX-512"),
    ("kmovw %k1, %eax", "AVX-512"),
    ("vaesenc %zmm1, %zmm2, %zmm3", "AVX-512"),
    ("{vex} vpdpbusd %ymm1, %ymm2, %ymm3", "AVX-VNNI or a relative"),
    ("vprotd $7, %xmm1, %xmm2", "XOP"),
    ("vfmaddpd %xmm1, %xmm2, %xmm3, %xmm4", "FMA4"),
    ("gf2p8mulb %xmm1, %xmm2", "GFNI"),
    ("pfadd %mm1, %mm2", "3DNow!"),
    ("tileloadd (%rsi,%rdi), %tmm1", "AMX"),
    ("vsha512msg2 %ymm1, %ymm2", "SHA-512"),
    # What a sandbox has, what it refuses for another reason, and what no assembler knows.
    ("vpbroadcastq %xmm3, %ymm3", None),
    ("vpaddq %ymm1, %ymm2, %ymm3", None),
    ("vaesenc %ymm1, %ymm2, %ymm3", None),
    ("syscall", None),
    ("lock clac", None),
    ("vnone = 5", None),
    ("rdpmc", None),
    ("movq %mm1, %mm2", None),
    ("vpaddqqq %zmm1, %zmm2, %zmm3", None),
    ("vpaddq %zmm1, %zmm2", None),
    ("vmovups %xmm1, %k1", None),
]


@pytest.mark.parametrize(("instruction", "extension"), UNPROMISED)
def test_a_trap_stands_for_what_only_other_processors_have(instruction: str, extension: str | None) -> None:
    line = f"f:\tnop; {instruction}  # as it is"
    # Beside it, an instruction that is surely one, and one that is none.
    text, found = without_unpromised(f"\tvpxord %zmm0, %zmm0, %zmm0\n\tvnone\n{line}\n", "f.s")
    assert text.split("\n")[:2] == [f"\t{TRAP}", "\tvnone"]
    assert text.split("\n")[2] == line.replace(instruction, TRAP if extension else instruction)
    assert [one.message.partition(": ")[2].partition(", which")[0] for one in found[1:]] == (
        [extension] if extension else []
    )


def test_text_that_is_no_instruction_stays() -> None:
    text = '\t.ascii "vpxord %zmm0, %zmm0, %zmm0"\n# kmovw %k1, %eax\n\t.set vpxord, 5\nvpxord = 6\nkmovw:\n'
    assert without_unpromised(text, "f.s") == (text, ())
    assert without_unpromised("/* never ends\n", "f.s") == ("/* never ends\n", ())


FUNCTIONS = """
	.text
	.globl	wide
	.type	wide,@function
wide:
	pushq	%rbx
	movl	$2, %ebx
.Lagain:
	vpternlogd	$255, %zmm0, %zmm0, %zmm0
	vpbroadcastq	%rbx, %ymm3
	decl	%ebx
	jne	.Lagain
	vmovdqu64	%zmm0, (%rdi)
	popq	%rbx
	ret
	.size	wide, .-wide
	.globl	narrow
	.type	narrow,@function
narrow:
	pcmpeqd	%xmm0, %xmm0
	movdqu	%xmm0, (%rdi)
	ret
	.size	narrow, .-narrow
other:
	vpxord	%zmm1, %zmm1, %zmm1
	ret
"""
CALLERS = """
#include <cpuid.h>
void wide(void *), narrow(void *);
static int has_avx512(void)
{
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 16 & 1);
}
int chosen(void)
{
	char block[64] = {0};
	has_avx512() ? wide(block) : narrow(block);
	return block[0] + has_avx512();
}
int asked_by_name(void) { return __builtin_cpu_supports("avx512f") != 0; }
void careless(void) { char block[64]; wide(block); }
"""


def test_each_function_is_warned_of_once_where_it_begins() -> None:
    _, found = without_unpromised(FUNCTIONS, "wide.s")
    assert [(one.file, one.line, one.severity) for one in found] == [
        ("wide.s", 9, "warning"),
        ("wide.s", 25, "warning"),
    ]
    assert "`vpternlogd $255, %zmm0, %zmm0, %zmm0` and 2 more in `wide`: AVX-512" in found[0].message
    assert "`vpxord %zmm1, %zmm1, %zmm1` in `other`: AVX-512, which no sandbox has" in found[1].message


@pytest.mark.parametrize("base", ["gs", "r15"])
@pytest.mark.parametrize("isolation", ["code+data", "data"])
def test_code_that_asks_first_runs_and_other_code_traps(tmp_path: Path, isolation: str, base: str) -> None:
    (tmp_path / "wide.s").write_text(FUNCTIONS)
    (tmp_path / "callers.c").write_text(CALLERS)
    told: list[Diagnostic] = []
    sources = [tmp_path / "wide.s", tmp_path / "callers.c"]
    file = build(sources, CompileOptions(base=base, isolation=isolation), warn=told.append)
    assert ["AVX-512" in one.message for one in told] == [True, True]
    with tmebox.Sandbox(tmebox.Module(file, trust_compiler=isolation == "data")) as sandbox:
        assert sandbox.chosen() == -1 and sandbox.asked_by_name() == 0
        with pytest.raises(
            tmebox.IllegalInstruction, match="no sandbox has, such as one of AVX-512"
        ) as caught:
            sandbox.careless()
    assert caught.value.function == "wide"


def test_a_build_may_refuse_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "wide.S", tmp_path / "wide.o"
    source.write_text(f"#define NOTHING\n{FUNCTIONS}")
    words = ["-c", str(source), "-o", str(output)]
    assert main_cc(words) == 0
    said = capfd.readouterr().err
    assert f"{source}:10: warning: `vpternlogd" in said and said.count("; a trap stands there") == 2
    output.unlink()
    assert main_cc(["-Wa,--noexecstack,--fatal-warnings", *words]) == 1
    said = capfd.readouterr().err
    assert f"{source}:10: error: `vpternlogd" in said and "a trap stands there" not in said
    assert not output.exists()


def test_inline_assembly_is_refused_as_before() -> None:
    with pytest.raises(CompileError, match="AVX-512 is not supported"):
        tmebox.compile(source_text='void f(void) { __asm__("vpxord %zmm0, %zmm0, %zmm0"); }')
