"""Stretches of code that end in a check, and short loops, lie within a cache line. (Why: docs/adr/0014.)"""

from __future__ import annotations

from pathlib import Path

import iced_x86
import pytest
from elftools.elf.elffile import ELFFile
from iced_x86 import Mnemonic

from tests.toolchain.compiling import compile_text
from tmebox.abi import TARGET_MAP
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.rewrite.speed.cache_lines import LINE, within_lines
from tmebox.toolchain.rewrite.speed.sizes import size_bytes

CHECK = f"\ttestb\t$1, {TARGET_MAP:#x}(%r11)"
RETURN = ["\tmovl\t(%rsp), %r11d", CHECK, "\tje\t.Ltrap", "\tmovq\t%r11, (%rsp)", "\tretq"]
RETURN_BYTES = 4 + 8 + 2 + 4 + 1


def laid_out(*lines: str, arrivals: tuple[str, ...] = (".LBB0_1",)) -> list[str]:
    return within_lines("\n".join(lines), set(arrivals)).split("\n")


def skip(size: int) -> str:
    return f"\t.p2align\t6, , {size - 1}"


def test_a_return_that_a_jump_leads_to_stays_in_one_line() -> None:
    assert laid_out("f:", ".LBB0_1:", "\tpopq\t%rbx", *RETURN) == [
        "f:", skip(1 + RETURN_BYTES), ".LBB0_1:", "\tpopq\t%rbx", *RETURN,
    ]  # fmt: skip


def test_the_first_of_several_labels_counts() -> None:
    lines = laid_out(".LBB0_1:", "\tpopq\t%rbx", ".LBB0_2:", *RETURN, arrivals=(".LBB0_1", ".LBB0_2"))
    assert lines[0] == skip(1 + RETURN_BYTES)
    assert sum("p2align" in line for line in lines) == 1


def test_labels_too_far_from_the_return_do_not_count() -> None:
    far = ["\tmovabsq\t$1311768467463790320, %rax"] * 2
    lines = laid_out(".LBB0_1:", *far, ".LBB0_2:", *RETURN, arrivals=(".LBB0_1", ".LBB0_2"))
    assert lines[: len(far) + 2] == [".LBB0_1:", *far, skip(RETURN_BYTES)]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([".LBB0_1:", "\tpopq\t%rbx", "\tretq"], id="no check"),
        pytest.param([".Ltmp3:", *RETURN], id="a label that nothing refers to"),
        pytest.param([".LBB0_1:", "\tcallq\tg", *RETURN], id="a call in between"),
        pytest.param([".LBB0_1:", "\tjmp\t.LBB0_2", *RETURN], id="a jump in between"),
        pytest.param([".LBB0_1:", "\t.p2align\t4", *RETURN], id="an alignment in between"),
        pytest.param([".LBB0_1:", '\t.section\t.other,"ax"', *RETURN], id="another section"),
    ],
)
def test_other_code_stays_where_it_is(lines: list[str]) -> None:
    assert laid_out(*lines) == lines


def test_lines_that_take_no_room_are_passed_over() -> None:
    lines = [".LBB0_1:", "\t.loc\t1 3 7", ".Ltmp1:", "\t# comment", *RETURN]
    assert laid_out(*lines) == [skip(RETURN_BYTES), *lines]


LOOP = ["\tmovl\t%gs:(%edi), %eax", "\taddq\t$8, %rdi", "\tcmpq\t%rsi, %rdi", "\tjne\t.LBB0_1"]
LOOP_BYTES = 4 + 4 + 3 + 2


def test_a_short_loop_stays_in_one_line() -> None:
    assert laid_out("f:", "\t.p2align\t4", ".LBB0_1:", *LOOP) == [
        "f:", "\t.p2align\t4", skip(LOOP_BYTES), ".LBB0_1:", *LOOP,
    ]  # fmt: skip


def test_a_loop_with_two_branches_back_ends_at_the_last() -> None:
    lines = [".LBB0_1:", "\ttestl\t%eax, %eax", "\tje\t.LBB0_1", *LOOP]
    assert laid_out(*lines) == [skip(2 + 2 + LOOP_BYTES), *lines]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([".LBB0_1:", "\tcallq\tg", *LOOP], id="with a call"),
        pytest.param([".LBB0_1:", "\t.p2align\t4", *LOOP], id="around an aligned loop"),
        pytest.param([".LBB0_1:", *["\tmovabsq\t$1311768467463790320, %rax"] * 6, *LOOP], id="too long"),
        pytest.param([*LOOP, ".LBB0_1:"], id="a branch forward"),
        pytest.param([".LBB0_1:", '\t.section\t.other,"ax"', *LOOP], id="in another section"),
    ],
)
def test_other_loops_stay_where_they_are(lines: list[str]) -> None:
    assert laid_out(*lines) == lines


SOURCE = """
long f(long n, long *a) {
    long sum = 0;
    for (long i = 0; i < n; i++) { if (a[i] < 0) return sum; sum += a[i] * a[n - i]; }
    if (sum > 100) { sum ^= n; if (sum & 1) return sum * 3; }
    return sum - n;
}
int g(int a, const int *b, int n) {
    if (!n) return a;
    for (int i = 0; i < n; i++) if (b[i] == a) return i;
    return -1;
}
int h(int a, int b) { if (a < b) return a * b + 1; if (a == b) return a ^ 5; return f(a, 0) + b; }
long operate(const unsigned char *code, long x) {
    for (;;) switch (*code++) {
        case 0: return x;
        case 1: x += 3; break;
        case 2: x *= x; break;
        case 3: x -= *code++; break;
        case 4: x ^= x >> 3; break;
        case 5: x = -x; break;
    }
}
"""


def test_the_stretches_of_a_compiled_program_lie_in_one_line_each() -> None:
    """From where a jump inside the function goes to the return, if it is not far."""
    decoded = list(iced_x86.Decoder(64, compile_text(SOURCE).text, ip=0))
    targets = {i.near_branch_target for i in decoded if i.is_jcc_short_or_near or i.is_jmp_short_or_near}
    stretches = []
    for number, last in enumerate(decoded):
        if last.mnemonic != Mnemonic.RET:
            continue
        start = None
        for instruction in reversed(decoded[:number]):
            if instruction.mnemonic in (Mnemonic.RET, Mnemonic.JMP, Mnemonic.HLT, Mnemonic.CALL):
                break
            if last.next_ip - instruction.ip <= LINE // 2 and instruction.ip in targets:
                start = instruction.ip
        if start is not None:
            stretches.append((start, last.next_ip - 1))
    assert len(stretches) >= 3
    assert [(start, end) for start, end in stretches if start // LINE != end // LINE] == []


INSTRUCTIONS = """
    pushq %rbx; popq %r14; retq; movl %esi, %eax; movq %rsi, %r8; movl $7, %eax; movl $7, %r9d; cmpl $5, %edi
    addq $24, %rsp; addq $4096, %rsp; leal -1(%rdi), %eax; movq 8(%rsp), %rax; movl (%rsp), %r11d
    testb $1, 2147418112(%r11); movq %r11, (%rsp); movq %gs:8(%edi), %rax; movl %gs:(%eax,%ecx,4), %edx
    incb %gs:(%eax); movzbl %gs:3(%r14d), %eax; movsd %gs:8(%edi), %xmm0; addsd %xmm1, %xmm0; imulq %r12, %r14
    movl %gs:67112960(,%edi,8), %r11d; jmp *%r11; callq *%r11; sete %al; shrl $29, %edx; xorl %eax, %eax
    cltq; cqto; hlt; testl %edi, %edi; cmovel %eax, %edx; movabsq $1311768467463790320, %rax
    movb $1, %gs:(%eax)
"""


def test_estimates_of_sizes_are_close(tmp_path: Path) -> None:
    lines = [line.strip() for line in INSTRUCTIONS.replace("\n", ";").split(";") if line.strip()]
    assemble("\n".join(["\t.text", *(f"\t{line}" for line in lines), ""]), tmp_path / "all.o", file="all.s")
    with (tmp_path / "all.o").open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text").data()
    sizes = {
        line: instruction.len for line, instruction in zip(lines, iced_x86.Decoder(64, text), strict=True)
    }
    estimates = {line: size_bytes(f"\t{line}") for line in lines}
    assert {line: size for line, size in estimates.items() if abs(size - sizes[line]) > 1} == {}
