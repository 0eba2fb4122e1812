"""`pushf` and `popf` in sandboxed code: the flags that instructions compute with, as on the processor."""

from __future__ import annotations

import pytest

import tmebox

CARRY, PARITY, ADJUST, ZERO, SIGN, OVERFLOW = 1, 4, 16, 64, 128, 2048
ARITHMETIC = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW
ALWAYS = 0x202
SOURCE = """
unsigned long compared(int a, int b)
{
	unsigned long flags;
	__asm__ volatile("cmpl %2, %1\\n pushfq\\n popq %0" : "=r"(flags) : "r"(a), "r"(b) : "cc");
	return flags;
}

unsigned long put(unsigned long wanted)
{
	unsigned long rax = 0x1122334455667788, kept = rax;
	unsigned char overflow;
	__asm__ volatile("pushq %2\\n popfq\\n seto %1\\n pushq %2\\n popfq\\n lahf"
		: "+a"(rax), "=&r"(overflow) : "r"(wanted) : "cc");
	return (rax >> 16 == kept >> 16) && (rax & 255) == (kept & 255) ? (rax >> 8 & 255) | overflow << 11 : 0;
}

/* What lies below rsp stays: no function of C has flags pushed there. */
long kept_below(long value);
__asm__(".text\\n.globl kept_below\\n.type kept_below,@function\\nkept_below:\\n"
        "movq %rdi, -120(%rsp)\\n movq %rdi, -16(%rsp)\\n movq %rdi, %rax\\n pushfq\\n popfq\\n"
        "addq -120(%rsp), %rax\\n addq -16(%rsp), %rax\\n ret\\n.size kept_below,.-kept_below");

long kept(long value) { return kept_below(value); }

/* r11 is in use all the while, and what lies at rsp is found again. */
long kept_in_r11(long value);
__asm__(".text\\n.globl kept_in_r11\\n.type kept_in_r11,@function\\nkept_in_r11:\\n"
        "movq %rdi, %r11\\n pushq %rdi\\n pushfq\\n popfq\\n pushfq\\n popq %rcx\\n popq %rax\\n"
        "addq %r11, %rax\\n ret\\n.size kept_in_r11,.-kept_in_r11");

long r11(long value) { return kept_in_r11(value); }
"""
NUMBERS = [0, 1, -1, 2, 15, 16, -16, 127, 128, 255, 0x7FFFFFFF, -0x80000000]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, optimize="-O1")


def after_comparing(a: int, b: int) -> int:
    """By the manual: those of a - b."""
    whole, low = (a - b) & 0xFFFFFFFF, (a & 15) - (b & 15)
    flags = CARRY if a & 0xFFFFFFFF < b & 0xFFFFFFFF else 0
    flags |= PARITY if bin(whole & 255).count("1") % 2 == 0 else 0
    flags |= ADJUST if low < 0 else 0
    flags |= ZERO if whole == 0 else 0
    flags |= SIGN if whole >> 31 else 0
    return flags | (OVERFLOW if not -(1 << 31) <= a - b < 1 << 31 else 0)


def test_what_is_pushed_is_what_was_computed(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        for a in NUMBERS:
            for b in NUMBERS:
                assert sandbox.compared(a, b) == ALWAYS | after_comparing(a, b), (a, b)


def test_what_is_popped_can_be_read_and_rax_stays(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        for wanted in range(1 << 12):
            assert sandbox.put(wanted) == (wanted & ARITHMETIC) | 2


def test_the_red_zone_stays_and_r11(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.kept(5) == 15
        assert sandbox.r11(5) == 10
