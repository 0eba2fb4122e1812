"""Assembly whose functions keep r11, or give back a value in it, computes what it computes natively."""

from __future__ import annotations

import re
from typing import Literal

import pytest

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.rewrite.rewrite import rewrite

SOURCE = """
__asm__(".text\\n"
	".type inner,@function\\ninner:\\n"       /* gives back 3 r11 + 1 in r11, */
	"leaq 1(%r11,%r11,2), %r11\\n"
	"pushq %rbx\\n movq $5, %rbx\\n popq %rbx\\n"
	"ret\\n.size inner,.-inner\\n"
	".type keeper,@function\\nkeeper:\\n"     /* leaves it alone, and calls what changes it */
	"pushq %r11\\n movq $9, %r11\\n call inner\\n movq %r11, %rax\\n popq %r11\\n"
	"ret\\n.size keeper,.-keeper\\n"
	".globl outer\\n.type outer,@function\\nouter:\\n"
	"movq %rdi, %r11\\n call inner\\n movq %r11, -100(%rsp)\\n"
	"call keeper\\n addq %r11, %rax\\n"
	"leaq inner(%rip), %rcx\\n call *%rcx\\n addq %r11, %rax\\n"
	"ret\\n.size outer,.-outer");
long outer(long);
long f(long value) { return outer(value); }
"""


@pytest.mark.parametrize("isolation", ["code+data", "data"])
def test_r11_comes_back_from_calls(isolation: Literal["code+data", "data"]) -> None:
    trusted = isolation == "data"
    module = tmebox.compile(source_text=SOURCE, isolation=isolation, trust_compiler=trusted)
    with tmebox.Sandbox(module) as sandbox:
        for value in (0, 1, 1000):
            once = 3 * value + 1
            assert sandbox.f(value) == 28 + once + 3 * once + 1


def test_nothing_is_added_where_r11_is_not_read_after_a_call() -> None:
    """Nor where no return overwrites it: on a control stack."""
    text = "f:\n\tcallq g\n\tmovq %rax, %r11\n\taddq %r11, %rax\n\tretq\n"
    reads = text.replace("movq %rax, %r11\n\t", "")
    kept = re.compile(r"-1(36|44)\(%rsp\)")
    assert not kept.search(rewrite(text, file="f.s", base="r15"))
    assert not kept.search(rewrite(text, file="f.s")) and not kept.search(rewrite(reads, file="f.s"))
    assert re.search(r"-144\(%rsp\), %r11", rewrite(reads, file="f.s", base="r15"))


READS_FLAGS = """
__asm__(".text\\n"
	".type inner,@function\\ninner:\\n\tstc\\n\tret\\n.size inner,.-inner\\n"
	".globl outer\\n.type outer,@function\\nouter:\\n"
	"\tcall inner\\n.L%s:\\n\tjc 1f\\n\txorl %%eax, %%eax\\n1:\\n\tret\\n.size outer,.-outer");
long outer(void);
void leave(void) __attribute__((noreturn));
long f(long value) { if (value) leave(); return outer(); }
void leave(void) { for (;;) __asm__ volatile("" ::: "memory"); }
"""


@pytest.mark.parametrize("label", ["here", "BB0_1", "tmp0x"])
def test_flags_after_a_call_are_refused_below_a_label_of_the_source(label: str) -> None:
    """A compiler's own label ends what a call leaves: what stands there is reached from elsewhere."""
    with pytest.raises(CompileError) as caught:
        tmebox.compile(source_text=READS_FLAGS % label)
    assert "the flags are read after a call" in str(caught.value.diagnostics)


def test_flags_are_read_below_a_compilers_call_that_does_not_return() -> None:
    text = (
        "\t# clang version\n\t.text\n\t.type\tf,@function\nf:\n{}\tcmpl\t%esi, %edi\n\tje\t.LBB0_2\n"
        "\tjmp\t.LBB0_3\n.LBB0_1:\n\tcallq\tleave\n.LBB0_3:\n\tsetb\t%al\n\tretq\n.LBB0_2:\n\tjmp\t.LBB0_1\n{}"
    )
    rewrite(text.format("\t.cfi_startproc\n", "\t.cfi_endproc\n"), file="f.s")
    rewrite(text.format("", ""), file="f.s")
