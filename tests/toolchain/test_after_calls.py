"""Assembly whose functions keep r11, or give back a value in it, computes what it computes natively."""

from __future__ import annotations

import re
from typing import Literal

import pytest

import tmebox
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
