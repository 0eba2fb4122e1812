"""Data in code: decoded where code runs into it, moved to read-only data where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

import tmebox
from tests.toolchain.rewriting import verified
from tmebox.errors import CompileError
from tmebox.toolchain.build import CompileOptions, build
from tmebox.toolchain.rewrite.rewrite import rewrite


def rewritten(text: str) -> str:
    return rewrite(text, file="bytes.s")


FUNCTION = "\t.text\n\t.globl\tf\n\t.type\tf,@function\nf:\n{}\n\tretq\n\t.size\tf, .-f\n"

DECODED = [
    (".byte 102,15,56,220,209", "aesenc\t%xmm1, %xmm2"),
    (".byte 0x0f,0x01,0xd0", "callq\t__tmebox_xgetbv"),
    (".byte 0x0f, 0xa2", "callq\t__tmebox_cpuid"),
    (".byte 0x66\n\t.byte 0x90", "xchgw\t%ax, %ax"),
    (".long 0x90909090", "nop\n\tnop\n\tnop\n\tnop"),
    (".value 0x9090", "nop\n\tnop"),
    (".quad 0x9090909090909090", "nop\n" * 1),
    (".byte 0x8b,0x07", "movl\t%gs:(%edi), %eax"),
    (".byte 0xf3,0x0f,0x1e,0xfa", "endbr64"),
    (".byte 144", "nop"),
    (".byte 0xf3, 0xa4", "rep movsb"),
    (".long 0x9066AAF3", "rep stosb"),
    (".byte 0x0f, 0x1f, 0x00", "\tnop"),
    (".byte 0x8f, 0xe8, 0x78, 0xc0, 0xc0, 0x10", "ud2"),  # vprotb: XOP
    (".byte 0x62, 0xf1, 0x7d, 0x48, 0xef, 0xc0", "ud2"),  # vpxord: AVX-512
    (".byte 0xf0\n\tcmpxchgl %r8d, (%rdi)", "lock cmpxchgl\t%r8d, %gs:(%edi)"),
    (".byte 0xf0\n\t.byte 0x0f, 0xb1, 0x07", "lock cmpxchg"),
    (".byte 0x67\n\tmovdqa %xmm4, %xmm3", "movdqa\t%xmm4, %xmm3"),
    (".byte 0x67,0x67\n\tshll $3, %r9d", "shll\t$3, %r9d"),
    (".byte 0x66\n\tmovq 8(%rdi), %rbx", "movq\t%gs:8(%edi), %rbx"),
    (".byte 0x3e\n\tmovdqa %xmm0, (%rdi)", "movdqa\t%xmm0, %gs:(%edi)"),
    (".byte 0x3e\n\tjne 1f\n1:", "jne\t1f"),
]


@pytest.mark.parametrize(("bytes_", "expected"), DECODED)
def test_bytes_that_code_runs_into_are_the_instructions_that_they_encode(bytes_: str, expected: str) -> None:
    assert expected in rewritten(FUNCTION.format(f"\tmovl $1, %eax\n\t{bytes_}"))


def test_bytes_behind_a_number_are_code_if_a_branch_leads_there(tmp_path: Path) -> None:
    """As in mbedtls' inline assembly: between them and what is before stands a return."""
    lines = ["jmp 2f", "1:\tincl %eax", "retq", "2:\t.byte 0x31,0xc0", "call 1b", "jmp 3f"]
    text = rewritten(FUNCTION.format("\n\t".join([*lines, "2:\t.byte 1, 2, 3", "3:\tleaq 2b(%rip), %rdx"])))
    assert "xor" in text.partition(".rodata")[0]
    assert ".byte\t1, 2, 3" in text.partition(".rodata")[2].replace("\t.byte 1", "\t.byte\t1")


def test_routines_in_inline_assembly_are_called(tmp_path: Path) -> None:
    source = tmp_path / "routine.c"
    source.write_text(
        "long f(long x) { long out; __asm__("
        r'"mov %1, %0\n\tjmp 2f\n1:\tadd %0, %0\n\tret\n2:\t.byte 0x66,0x90\n\tcall 1b\n\tcall 1b"'
        ' : "=&r"(out) : "r"(x) : "cc", "memory"); return out; }'
    )
    with tmebox.Sandbox(tmebox.compile(source)) as sandbox:
        assert sandbox.f(5) == 20


def test_a_return_in_bytes_is_one(tmp_path: Path) -> None:
    text = rewritten(FUNCTION.format("\txorl %eax, %eax\n\t.byte 0xf3,0xc3"))
    assert ".byte" not in text and "retq" in text
    verified(text, tmp_path)


def test_a_function_may_be_nothing_but_bytes(tmp_path: Path) -> None:
    text = rewritten("\t.text\n\t.type\tf,@function\nf:\n\t.byte 0x31,0xc0,0xc3\n")
    assert "xor" in text and ".rodata" not in text


REFUSED = [
    (".byte 0x0f, 0x05", "syscall"),
    (".byte 0xcd, 0x80", "int"),
    (".byte 0x0f", "no instruction at its byte"),
    (".byte 0x06", "no instruction at its byte"),
    (".byte 0xe8, 0, 0, 0, 0", "target"),
    (".byte 0x8b, 0x05, 1, 0, 0, 0", "%rip"),
    (".byte f - 3", "not a number"),
    (".byte 256", "not a number of 1 bytes"),
    (".long -0x90000000", "not a number of 4 bytes"),
    ('.ascii "\\x90"', "could hide instructions"),
    (".zero 4", "could hide instructions"),
    (".fill 2, 1, 0x90", "could hide instructions"),
    (".quad f", "not a number"),
    (".byte 0x65, 0x8b, 0x07", "gs"),
    # What would mean something else without the prefix.
    (".byte 0x67\n\tmovl (%rdi), %eax", "no instruction at its byte"),
    (".byte 0x66\n\tmovl %edi, %eax", "no instruction at its byte"),
    (".byte 0x66\n\tjmp f", "no instruction at its byte"),
    (".byte 0x67\n\tjmp f", "no instruction at its byte"),
    (".byte 0x67, 0x66\n\tmovq %rdi, %rax", "no instruction at its byte"),
    (".byte 0x64\n\tmovq (%rdi), %rax", "no instruction at its byte"),
    (".byte 0xf2\n\tmovq %rdi, %rax", "no instruction at its byte"),
    (".byte 0x67, 0xf3, 0xa4", "unusual operands"),
]


@pytest.mark.parametrize(("bytes_", "why"), REFUSED)
def test_bytes_that_are_no_accepted_instruction_are_refused(bytes_: str, why: str) -> None:
    with pytest.raises(CompileError, match=why) as caught:
        rewritten(f"\t.text\nf:\n\tnop\n\t{bytes_}\n\tretq\n")
    assert caught.value.diagnostics[0].line == 4


TABLES = """
	.text
	.align	64
.Lsquares:
	.long	0, 1, 4, 9, 16
	.quad	f
	.globl	f
	.type	f,@function
	.align	16
f:
	leaq	.Lsquares(%rip), %rax
	movl	%edi, %edi
	movl	(%rax,%rdi,4), %eax
	ret
	.size	f, .-f
	.type	greeting,@object
	.align	32
greeting:
	.asciz	"by bytes"
	.size	greeting, .-greeting
	.globl	g
	.type	g,@function
g:
	movzbl	greeting(%rip), %eax
	retq
	.size	g, .-g
	.asciz	"at the end"
"""


@pytest.mark.parametrize("base", ["gs", "r15"])
@pytest.mark.parametrize("isolation", ["code+data", "data"])
def test_tables_between_functions_become_read_only_data(tmp_path: Path, base: str, isolation: str) -> None:
    source = tmp_path / "tables.s"
    source.write_text(TABLES)
    declarations = tmp_path / "calls.c"
    declarations.write_text(
        "int f(int); int g(void); int square(int x) { return f(x); } int first(void) { return g(); }\n"
    )
    file = build([source, declarations], CompileOptions(base=base, isolation=isolation))
    module = tmebox.Module(file, trust_compiler=isolation == "data")
    with tmebox.Sandbox(module) as sandbox:
        assert [sandbox.square(i) for i in range(5)] == [0, 1, 4, 9, 16]
        assert sandbox.first() == ord("b")


def test_what_is_moved_keeps_alignment_labels_and_size() -> None:
    _, moved = rewritten(TABLES).split(".rodata.tmebox_of_text", 1)
    assert "\t.align\t64\n.Lsquares:\n\t.long" in moved
    assert "\t.align\t32\ngreeting:\n\t.asciz" in moved and "\t.size\tgreeting, .-greeting" in moved
    assert '"at the end"' in moved and "\nf:" not in moved


def test_a_table_that_a_branch_goes_to_is_code() -> None:
    with pytest.raises(CompileError, match="no instruction"):
        rewritten("\t.text\nf:\n\tjmp .Lhidden\n.Lhidden:\n\t.byte 0x06\n")
    assert "nop" in rewritten("\t.text\nf:\n\tjmp .Lhidden\n.Lhidden:\n\t.byte 0x90\n\tretq\n")
    assert "nop" in rewritten("\t.text\nf:\n\tcall .Lhidden\n\tretq\n.Lhidden:\n\t.byte 0x90\n\tretq\n")


def test_a_symbol_that_others_may_call_is_code_unless_it_is_declared_an_object() -> None:
    with pytest.raises(CompileError, match="no instruction"):
        rewritten("\t.text\n\t.globl t\nt:\n\t.byte 0x06\n")
    assert ".rodata" in rewritten("\t.text\n\t.globl t\n\t.type t,@object\nt:\n\t.byte 0x06\nf:\n\tretq\n")


def test_branching_into_a_moved_table_does_not_get_past_the_verifier(tmp_path: Path) -> None:
    """By an address that the rewriter does not see as a branch's target: it is no place in the text."""
    source = tmp_path / "evil.s"
    source.write_text(
        "\t.text\n\t.globl f\n\t.type f,@function\nf:\n\tleaq .Lhidden(%rip), %rax\n\tjmp *%rax\n"
        ".Lhidden:\n\t.byte 0x0f, 0x05\n"
    )
    with pytest.raises(tmebox.TmeboxError), tmebox.Sandbox(tmebox.Module(build([source]))) as sandbox:
        sandbox.call_raw("f")
