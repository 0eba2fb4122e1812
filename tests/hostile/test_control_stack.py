"""What moves rsp to a place of its own choice, or writes where a return address is, is refused."""

from __future__ import annotations

import pytest

import tmebox

ATTACKS = {
    "write-the-return-address": r"movq %rdi, (%rsp)\n ret",
    "return-to-what-was-pushed": r"pushq %rdi\n ret",
    "pop-the-return-address": r"popq %rax\n jmpq *%rdi",
    "jump-to-the-host-with-a-frame": r"pushq %rdi\n jmp __tmebox_syscall",
    "move-from-a-register": r"movq %rdi, %rsp\n ret",
    "move-from-rbp": r"movq %rdi, %rbp\n movq %rbp, %rsp\n ret",
    "leave": r"movq %rdi, %rbp\n leave\n ret",
    "slide-down": r"1: subq $4096, %rsp\n jmp 1b",
    "slide-up": r"1: addq $4096, %rsp\n jmp 1b",
    "pop-for-ever": r"1: popq %rax\n jmp 1b",
    "push-for-ever": r"1: pushq $1\n jmp 1b",
    "align": r"andq $-64, %rsp\n ret",
    "add-a-register": r"addq %rdi, %rsp\n subq %rdi, %rsp\n ret",
    "exchange": r"xchgq %rdi, %rsp\n xchgq %rdi, %rsp\n ret",
}


@pytest.mark.parametrize("code", ATTACKS.values(), ids=ATTACKS)
def test_what_chooses_where_the_stack_is_never_runs(code: str) -> None:
    text = f'__attribute__((naked)) long f(long to) {{ __asm__("{code}"); }}'
    with pytest.raises((tmebox.CompileError, tmebox.VerificationError)):
        tmebox.compile(source_text=text)


def test_the_same_without_the_attack_runs() -> None:
    text = '__attribute__((naked)) long f(long to) { __asm__("pushq %rdi\\n popq %rax\\n ret"); }'
    with tmebox.Sandbox(tmebox.compile(source_text=text)) as sandbox:
        assert sandbox.call_raw("f", 7) == 7
