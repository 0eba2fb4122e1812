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
    text = "f:\n\tcallq g\n\tmovq %rax, %r11\n\taddq %r11, %rax\n\tretq\n"
    assert not re.search(r"-1(36|44)\(%rsp\)", rewrite(text, file="f.s"))
    assert re.search(r"-144\(%rsp\), %r11", rewrite(text.replace("movq %rax, %r11\n\t", ""), file="f.s"))


@pytest.mark.parametrize("reads", ["jc 1f\n1:", "setz %al", "adcq $0, %rax", "cmovbq %rcx, %rax", "lahf"])
def test_flags_do_not_come_back_from_calls(reads: str) -> None:
    with pytest.raises(CompileError, match="1 line") as caught:
        rewrite(f"f:\n\tcallq g\n\tmovq %rax, %rcx\n\t{reads}\n\tretq\n", file="f.s")
    assert "the flags are read after a call" in str(caught.value.diagnostics[0])
    rewrite(f"f:\n\tcallq g\n\ttestq %rax, %rax\n\t{reads}\n\tretq\n", file="f.s")


@pytest.mark.parametrize("compiled", ['\t.ident\t"clang version 18"\n', '\t.ident\t"GCC: 14"\n'])
def test_compilers_read_flags_below_calls_that_do_not_return(compiled: str) -> None:
    text = "f:\n\tcmpl $1, %edi\n\tjne .L2\n\tcallq abort\n.L2:\n\tjg .L3\n\tretq\n.L3:\n\tretq\n"
    rewrite(compiled + text, file="f.s")
