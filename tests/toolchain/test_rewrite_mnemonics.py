"""Every mnemonic that the rewriter takes is one that the verifier accepts, with every kind of operands."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from iced_x86 import Decoder

from tests.toolchain.rewriting import assemble, verified
from tmebox.errors import CompileError
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS
from tmebox.toolchain.rewrite.rewrite import rewrite
from tmebox.toolchain.rewrite.vector_mnemonics import VECTOR_MNEMONICS
from tmebox.verify import rules
from tmebox.verify.bases import TABLES
from tmebox.verify.forms import classify

pytestmark = pytest.mark.slow

ANSWERS = ("cpuid", "xgetbv", "rdtsc", "rdtscp", "rdtsc_avx", "rdtscp_avx")
"""What is called in the place of instructions that ask the processor."""
STACK = "8(%rsp)"
"""The operand that keeps rsp in check, or does not."""
INTEGER = f"""
;target;{STACK};%rbx;%ebx;%bx;%bl;*%rbx;*{STACK};$3
{STACK},%rbx;{STACK},%ebx;{STACK},%bx;{STACK},%bl;%rbx,{STACK};%ebx,{STACK};%bx,{STACK};%bl,{STACK};$3,{STACK};$3,%rbx;%cl,{STACK}
%rbx,%rbx;%ebx,%ebx;%bx,%bx;%bl,%bl;%bl,%bx;%bl,%ebx;%bl,%rbx;%bx,%ebx;%bx,%rbx;%ebx,%rbx;%cl,%rbx;%cl,%ebx;%cl,%bx;%cl,%bl
{STACK},%rbx,%rbx;{STACK},%ebx,%ebx;%rbx,{STACK},%rbx;%ebx,{STACK},%ebx;%rbx,%rbx,%rbx;%ebx,%ebx,%ebx
$3,{STACK},%rbx;$3,{STACK},%ebx;$3,{STACK},%bx;$3,%rbx,%rbx;$3,%ebx,%ebx;$3,%bx,%bx
$3,%rbx,{STACK};$3,%ebx,{STACK};$3,%bx,{STACK};%cl,%rbx,{STACK};{STACK},%xmm1;%xmm1,{STACK};%xmm1,%rbx;%rbx,%xmm1
"""
X87 = f";%st;%st(1);{STACK};%ax;%st,%st;%st,%st(1);%st(1),%st"
VECTOR = f"""
;{STACK};{STACK},%xmm1;{STACK},%ymm1;%xmm1,{STACK};%ymm1,{STACK};%xmm1,%xmm1;%ymm1,%ymm1;%xmm1,%ymm1;%ymm1,%xmm1;{STACK},%rbx
{STACK},%ebx;%xmm1,%rbx;%rbx,%xmm1;%xmm1,%ebx;%ebx,%xmm1;%ymm1,%rbx;$3,%xmm1
{STACK},%xmm1,%xmm1;%xmm1,%xmm1,%xmm1;{STACK},%ymm1,%ymm1;%ymm1,%ymm1,%ymm1;%xmm1,%xmm1,{STACK};%ymm1,%ymm1,{STACK}
%xmm0,{STACK},%xmm1;%xmm0,%xmm1,%xmm1;$3,{STACK},%xmm1;$3,{STACK},%ymm1;$3,%xmm1,%xmm1;$3,%ymm1,%ymm1;$3,%ymm1,%xmm1
$3,%xmm1,{STACK};$3,%ymm1,{STACK};$3,%xmm1,%rbx;$3,%xmm1,%ebx;$3,%rbx,%xmm1;$3,%ebx,%xmm1;%rbx,%xmm1,%xmm1;%ebx,%xmm1,%xmm1
$3,{STACK},%xmm1,%xmm1;$3,%xmm1,%xmm1,%xmm1;$3,{STACK},%ymm1,%ymm1;$3,%ymm1,%ymm1,%ymm1;$3,%xmm1,%ymm1,%ymm1
%xmm1,{STACK},%xmm1,%xmm1;%ymm1,{STACK},%ymm1,%ymm1;%xmm1,%xmm1,%xmm1,%xmm1;$3,%ebx,%xmm1,%xmm1;$3,%rbx,%xmm1,%xmm1
"""
"""Operands of each kind and number that instructions have; `target` is a label."""
AMBIGUOUS = "fiadd ficom ficomp fidiv fidivr fild fimul fist fistp fisttp fisub fisubr movsxd movs stos"
NO_INSTRUCTIONS = frozenset(f"{AMBIGUOUS} leave leaveq leaw movabsb movabsw movabsl".split())
"""Ambiguous without a suffix, refused beside a control stack, or only with operands that are not here: 16
bits of an address, %al, …"""


def operands_of(name: str) -> str:
    if name in VECTOR_MNEMONICS.plain | VECTOR_MNEMONICS.flag_writers | VECTOR_MNEMONICS.masked:
        return f"{VECTOR};{INTEGER}" if name.startswith("mov") else VECTOR
    return X87 if name.startswith("f") else INTEGER


def candidates() -> Iterator[str]:
    """Statements that the rewriter takes, be they instructions or not."""
    for name in MNEMONICS:
        for operands in operands_of(name).strip().replace("\n", ";").split(";"):
            if name.startswith("bextr") and operands.startswith(f"$3,{STACK}"):
                continue  # TBM's, which is too long with an object's displacement, and refused anyway
            statement = f"{name} {operands}".strip()
            try:
                rewritten(statement)
            except CompileError:
                continue
            yield statement


def rewritten(statement: str) -> str:
    return rewrite(f"target: subq $56, %rsp\n{statement}\nud2", file="one.s")


def instructions(statements: list[str], folder: Path) -> list[str]:
    """Those that the assembler takes too."""
    (folder / "all.s").write_text("target:\n" + "\n".join(statements) + "\n")
    command = [sys.executable, "-m", "ziglang", "clang", "-target", "x86_64-linux-musl", "-c", "all.s"]
    done = subprocess.run(
        [*command, "-o", "all.o", "-ferror-limit=0"], cwd=folder, capture_output=True, text=True, check=False
    )
    wrong = {int(number) - 2 for number in re.findall(r"^all\.s:(\d+):\d+: error", done.stderr, re.MULTILINE)}
    return [statement for number, statement in enumerate(statements) if number not in wrong]


def framed(statements: list[str]) -> str:
    """Each in a function of its own, in a frame whose depth labels may have; but returns need none."""
    lines = []
    for number, statement in enumerate(statements):
        # What is only read is no label: a jump through a register could go there, with whatever flags it has.
        name = f".Lt{number}" if statement.startswith(("j", "loop", "x")) else "data"
        name = f"f{number}" if statement.startswith("call") else name
        frame = "" if statement.startswith("ret") else f"subq $56, %rsp\n.Lt{number}: "
        lines.append(f"f{number}: {frame}{statement.replace('target', name)}\nud2")
    answers = [f"__tmebox_{name}:" for name in ANSWERS]
    data = ["\t.data", "data:", "\t.zero 64"]
    return rewrite("\n".join(["\t.text", *lines, *answers, "\tud2", *data]) + "\n", file="all.s")


def broken_rules(statements: list[str], folder: Path) -> list[set[str]]:
    """The rules that each one's instructions break wherever they stand."""
    text = re.sub(r"^(f(\d+)):", r"statement\2: \1:", framed(statements), flags=re.MULTILINE)
    with assemble(text, folder / "framed.o").open("rb") as file:
        elf = ELFFile(file)
        code = elf.get_section_by_name(".text").data()
        symbols = elf.get_section_by_name(".symtab").iter_symbols()
        starts = sorted(symbol["st_value"] for symbol in symbols if symbol.name.startswith("statement"))
    assert len(starts) == len(statements)
    found = []
    for start, end in zip(starts, [*starts[1:], len(code)], strict=True):
        part = code[start:end]
        rules_of = set()
        for instruction in Decoder(64, part, ip=0):
            encoding = part[instruction.ip : instruction.next_ip]
            rules_of |= {rule for rule, _ in classify(bytes(encoding), TABLES["twin"]).refusals}
        found.append(rules_of)
    return found


def test_whatever_the_rewriter_takes_the_verifier_accepts(tmp_path: Path) -> None:
    """But for encodings that need AVX-512 or are as rare, each mnemonic with all of its operands."""
    found = instructions(list(candidates()), tmp_path)
    rules_of = broken_rules(found, tmp_path)
    assert set().union(*rules_of) <= {rules.KNOWN_INSTRUCTION, rules.CANONICAL_ENCODING}
    accepted = [statement for statement, broken in zip(found, rules_of, strict=True) if not broken]
    assert MNEMONICS.keys() - {statement.split()[0] for statement in accepted} == NO_INSTRUCTIONS
    assert len(accepted) > 0.95 * len(found)
    assert verified(framed(accepted), tmp_path).instruction_count > 3 * len(accepted)


def test_no_integer_instruction_gets_an_encoding_for_more_registers() -> None:
    """The assembler would choose APX for a third operand."""
    for statement in (
        "addl $3, 8(%rsp), %ebx",
        "incl %ebx, %ecx",
        "shlq %rbx, %rbx",
        "cmovel %eax, %ebx, %ecx",
        "imull 8(%rsp), %ebx, %ecx",
    ):
        with pytest.raises(CompileError, match=r"operands|count"):
            rewrite(f"{statement}\nud2", file="one.s")


def test_a_double_shift_may_leave_its_count_out() -> None:
    """As gcc writes it: the count is %cl."""
    for name in ("shldq", "shrdq"):
        assert f"{name}\t%rsi, %r13" in rewrite(f"{name} %rsi, %r13\nud2", file="one.s")
