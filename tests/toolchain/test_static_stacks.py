"""Assembly that moves rsp by what is not a constant computes in a sandbox what it computes natively."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.build import CompileOptions, build
from tmebox.toolchain.rewrite.stack_moves import ROOM
from tmebox.toolchain.rewrite.static_stacks import made_static

FUNCTION = "\t.globl {0}\n\t.type {0},@function\n{0}:\n{1}\n\t.size {0}, .-{0}\n"
ARGUMENTS = (0, 1, 7, 100)
FUNCTIONS = {
    # A frame that is aligned, and is left by a copy of rsp; what was pushed is read through it.
    "aligned": """
	movq %rsp, %rax
	pushq %rbx
	pushq %r12
	subq $128+8, %rsp
	andq $-64, %rsp
	movq %rax, 96(%rsp)
	leaq (%rdi,%rdi,2), %rbx
	movq %rbx, 8(%rsp)
	movq %rbx, %xmm0
	pshufd $0, %xmm0, %xmm0
	movdqa %xmm0, 32(%rsp)
	xorl %ebx, %ebx
	movq 8(%rsp), %rax
	paddd 32(%rsp), %xmm0
	movd %xmm0, %ecx
	leaq (%rax,%rcx), %rax
	movq 96(%rsp), %rsi
	movq -16(%rsi), %r12
	movq -8(%rsi), %rbx
	leaq (%rsi), %rsp
	ret""",
    # rbp holds it, and the stack's bottom is an array of as many bytes as an argument says.
    "array": """
	pushq %rbp
	movq %rsp, %rbp
	pushq %rbx
	leaq 15(%rdi), %rcx
	andq $-16, %rcx
	subq %rcx, %rsp
	andq $-32, %rsp
	xorl %eax, %eax
	movq %rdi, %rcx
1:	testq %rcx, %rcx
	je 2f
	movb %cl, -1(%rsp,%rcx)
	decq %rcx
	jmp 1b
2:	cmpq %rdi, %rcx
	je 3f
	movzbl (%rsp,%rcx), %edx
	addq %rdx, %rax
	incq %rcx
	jmp 2b
3:	movq -8(%rbp), %rbx
	leave
	ret""",
    # The end of an array, as far down as was computed, and reached page by page.
    "walk": """
	movq %rsp, %rax
	pushq %rbx
	movl %edi, %r9d
	leaq 64(,%r9,8), %r10
	negq %r10
	leaq (%rsp,%r10), %r10
	andq $-1024, %r10
	movq %rsp, %r11
	subq %r10, %r11
	andq $-4096, %r11
	leaq (%r10,%r11,1), %rsp
	movq (%rsp), %r11
	cmpq %r10, %rsp
	ja .Lwalk
	jmp .Lwalked
.Lwalk:
	leaq -4096(%rsp), %rsp
	movq (%rsp), %r11
	cmpq %r10, %rsp
	ja .Lwalk
.Lwalked:
	movq %rax, 8(%rsp,%r9,8)
	movaps %xmm0, 32(%rsp)
	leaq 5(%rdi), %rbx
	movq %rbx, (%rsp,%r9,8)
	movq (%rsp,%r9,8), %rax
	call helper
	movq 8(%rsp,%r9,8), %rsi
	movq -8(%rsi), %rbx
	leaq (%rsi), %rsp
	ret""",
    # A function of the file's own, which looks into its caller's frame.
    "called": """
	movq %rsp, %rax
	subq $64, %rsp
	andq $-64, %rsp
	movq %rax, 16(%rsp)
	movq %rdi, 24(%rsp)
	call .Linner
	movq 32(%rsp), %rax
	movq 16(%rsp), %rsp_copy
	leaq (%rsp_copy), %rsp
	ret
.Linner:
	movq 24+8(%rsp), %rdx
	imulq $9, %rdx, %rdx
	movq %rdx, 32+8(%rsp)
	ret""".replace("%rsp_copy", "%rsi"),
    "exchanged": """
	leaq -256(%rsp), %r8
	andq $-64, %r8
	xchgq %rsp, %r8
	movq %r8, 16(%rsp)
	movq %rdi, 24(%rsp)
	addq $3, 24(%rsp)
	movq 24(%rsp), %rax
	movq 16(%rsp), %rsi
	leaq (%rsi), %rsp
	ret""",
    # Room that only one of two ways makes.
    "sometimes": """
	movq %rsp, %rax
	subq $32, %rsp
	andq $-64, %rsp
	movq %rdi, %rcx
	andq $1, %rcx
	jz .Leven
	shlq $6, %rcx
	subq %rcx, %rsp
.Leven:
	movq %rax, 8(%rsp)
	movq %rdi, 16(%rsp)
	negq 16(%rsp)
	movq 16(%rsp), %rax
	movq 8(%rsp), %rsi
	leaq (%rsi), %rsp
	ret""",
    # Each turn of a loop goes deeper; a pointer comes back over what all of them left.
    "deeper": """
	movq %rsp, %rax
	subq $96, %rsp
	andq $-64, %rsp
	movq %rax, 88(%rsp)
	movl $2, %edx
.Louter:
	movl $4, %ecx
	movq %rdi, %r8
	jmp .Lturn
	.align 16
.Lturn:
	leaq -32(%rsp), %rsp
	movq %r8, (%rsp)
	pushq 24(%rsp)
	leaq 8(%rsp), %rsp
	leaq -32(%rsp), %rsp
	addq $3, %r8
	movq %r8, (%rsp)
	decl %ecx
	jne .Lturn
	leaq 256(%rsp), %r10
	xorl %eax, %eax
	movq %rsp, %r9
.Lback:
	addq (%r9), %rax
	leaq 32(%r9), %r9
	cmpq %r10, %r9
	jb .Lback
	leaq 256(%rsp), %rsp
	decl %edx
	jne .Louter
	movq 88(%rsp), %rsi
	leaq (%rsi), %rsp
	ret""",
    "in_bytes": """
	.byte 0x4c,0x8d,0x14,0x24
	.byte 0x48,0x81,0xec,0x08,0x01,0x00,0x00
	movq %rdi, (%rsp)
	leaq (%rsp), %rax
	movq (%rax), %rax
	incq %rax
	leaq (%r10), %rsp
	.byte 0xf3,0xc3
.Ltable:
	.byte 0x48,0x83,0xec,0x08""",
    "operand_in_bytes": """
	pushq %rbx
	subq $16, %rsp
	movq %rdi, (%rsp)
	movq $0, 8(%rsp)
	pxor %xmm0, %xmm0
	.byte 102,15,239,4,36
	movq %xmm0, %rax
	addq $16, %rsp
	popq %rbx
	ret""",
    "one_line": """
	movq %rsp, %rax; pushq %rbx; subq $64, %rsp
	andq $-64, %rsp; movq %rax, 8(%rsp)  # ; all on one line
	movq %rdi, %rbx; leaq 1(%rbx), %rax; movq 8(%rsp), %rsi; movq -8(%rsi), %rbx; leaq (%rsi), %rsp; ret""",
    "wide": """
	leaq 8(%rsp), %r9
	subq $128, %rsp
	andq $-32, %rsp
	vmovd %edi, %xmm1
	vpbroadcastd %xmm1, %ymm1
	vmovdqa %ymm1, 32(%rsp)
	vpaddd 32(%rsp), %ymm1, %ymm2
	vmovdqa %ymm2, (%rsp)
	vmovdqa (%rsp), %ymm3
	vmovd %xmm3, %eax
	vzeroupper
	leaq -8(%r9), %rsp
	ret""",
}
HELPER = "\t.type helper,@function\nhelper:\n\tpushq %rcx\n\taddq $1, %rax\n\tpopq %rcx\n\tret\n"
ASSEMBLY = "\t.text\n" + "".join(FUNCTION.format(name, code) for name, code in FUNCTIONS.items()) + HELPER
CALLS = "".join(
    f"long {name}(long); long call_{name}(long n) {{ return {name}(n); }}\n" for name in FUNCTIONS
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tmebox.Sandbox]:
    directory = tmp_path_factory.mktemp("stacks")
    (directory / "moves.s").write_text(ASSEMBLY)
    (directory / "calls.c").write_text(CALLS)
    file = build([directory / "moves.s", directory / "calls.c"], CompileOptions())
    with tmebox.Sandbox(tmebox.Module(file)) as found:
        yield found


@pytest.fixture(scope="module")
def natively(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], int]:
    """What each function returns for each argument."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no compiler for native programs")
    directory = tmp_path_factory.mktemp("natively")
    (directory / "moves.s").write_text(ASSEMBLY)
    calls = [f'printf("{name} {n} %ld\\n", call_{name}({n}));' for name in FUNCTIONS for n in ARGUMENTS]
    program = f"#include <stdio.h>\n{CALLS}int main(void) {{ {' '.join(calls)} return 0; }}\n"
    (directory / "main.c").write_text(program)
    subprocess.run(
        [compiler, "-O1", "main.c", "moves.s", "-o", "main", "-Wl,-z,noexecstack"], cwd=directory, check=True
    )
    said = subprocess.run([directory / "main"], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in said.splitlines()]
    return {(name, int(argument)): int(result) for name, argument, result in lines}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_frame_of_unknown_size_holds_what_it_holds_natively(
    name: str, sandbox: tmebox.Sandbox, natively: dict[tuple[str, int], int]
) -> None:
    for argument in ARGUMENTS:
        assert getattr(sandbox, f"call_{name}")(argument) == natively[name, argument]


def test_more_room_than_there_is_traps(sandbox: tmebox.Sandbox) -> None:
    assert sandbox.call_array(ROOM - 64) > 0
    for name, argument in (("array", ROOM + 1), ("array", -64), ("walk", ROOM // 8)):
        with pytest.raises(tmebox.IllegalInstruction):
            getattr(sandbox, f"call_{name}")(argument)
        sandbox.reset()


def _module(assembly: str, source: str) -> tmebox.Module:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "moves.s").write_text(assembly)
        (Path(name) / "calls.c").write_text(source)
        return tmebox.Module(build([Path(name) / "moves.s", Path(name) / "calls.c"], CompileOptions()))


def test_going_to_another_stack_traps() -> None:
    source = """
	.text
	.globl other
other:
	pushq %rbx
	movq %rsp, %rax
	leaq (%rdi), %rsp
	popq %rbx
	ret
"""
    callers = "long other(long); long f(void) { char block[64]; return other((long)block); }"
    with tmebox.Sandbox(_module(source, callers)) as sandbox, pytest.raises(tmebox.IllegalInstruction):
        sandbox.f()


UNCLEAR = [
    "\tmovq (%rdi), %rsp\n\tret",
    "\tmovq %rsp, %rax\n1:\tsubq $16, %rsp\n\tdecl %edi\n\tjne 1b\n\tmovq %rax, %rsp\n\tret",
    "\tsubq %rdi, %rsp\n\taddq %rdi, %rsp\n\tret",
    "\tmovq %rsp, %rax\n\tandq $-64, %rsp\n\tret",
    "\tmovq %rsp, %rax\n\tsubq $8, %rsp\n\tcmpq $1, %rdi\n\tleaq (%rax), %rsp\n\tje 1f\n\tnop\n1:\tret",
]


@pytest.mark.parametrize("code", UNCLEAR)
def test_what_does_not_fit_together_is_refused(code: str) -> None:
    callers = "long g(long); long f(long n) { return g(n); }"
    with pytest.raises(CompileError):
        _module("\t.text\n" + FUNCTION.format("g", code), callers)


def test_other_text_stays_as_it_is() -> None:
    text = "\t.text\nf:\n\tpushq %rbx\n\tsubq $64, %rsp\n\tmovq %rsp, %rax\n\taddq $64, %rsp\n\tpopq %rbx\n"
    assert made_static(text) == text
    assert "\n.Ltable:\n\t.byte 0x48,0x83,0xec,0x08\n" in made_static(ASSEMBLY)
    assert made_static(ASSEMBLY).count("\n") == ASSEMBLY.count("\n")
