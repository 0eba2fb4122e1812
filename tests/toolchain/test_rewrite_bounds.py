"""What the rewriter takes grows with the text as a line does: a source may repeat anything by macros."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tmebox.errors import CompileError
from tmebox.toolchain import steps
from tmebox.toolchain.rewrite.rewrite import rewrite

CODE = "\t.text\n\t.globl f\nf:\n"
DEBUG = '\t.section .debug_x,"",@progbits\n'
CLANG = '\t.ident\t"clang version 19"\n'
LIMIT_S = 40.0
"""Of processor time, for what takes two seconds and took minutes or hours."""


def gotos(count: int) -> str:
    """As many computed gotos as labels that each may go to."""
    jumps = "".join(f".L{n}x:\n\tmovl (%rdi), %eax\n\tjmp *%rax\n" for n in range(count))
    table = "".join(f"\t.quad .L{n}x\n" for n in range(count))
    return f"{CODE}{jumps}\tret\n\t.size f, .-f\n\t.section .rodata\nt:\n{table}"


def jumps_through_one_table(count: int) -> str:
    jump = "\tmovl %esi, %eax\n\tjmpq *.LT(,%rax,8)\n"
    labels = "".join(f".L{n}x:\n{jump}" for n in range(count))
    table = "".join(f"\t.quad .L{n}x\n" for n in range(count))
    return f"{CODE}{labels}\tret\n.Lend:\n\t.size f, .Lend-f\n\t.section .rodata\n.LT:\n{table}{CLANG}"


TEXTS: dict[str, Callable[[], str]] = {
    "computed gotos": lambda: gotos(10_000),
    "computed gotos of clang": lambda: gotos(10_000) + CLANG,
    "jumps through one table": lambda: jumps_through_one_table(2_000),
    "prefixes on lines": lambda: CODE + "lock\n" * 60_000,
    "prefixes on a line": lambda: CODE + "lock " * 300_000 + "\n",
    "spaces in debug information": lambda: DEBUG + "\t.byte\t1" + " " * 200_000 + ";\n",
    "spaces and tabs there": lambda: DEBUG + " \t" * 100_000 + ";\n",
    "spaces before a register": lambda: CODE + "\tmovl (" + " " * 200_000 + ", x\n",
    "spaces behind a register": lambda: CODE + "\tmovl (%rax" + " " * 200_000 + ", x\n",
    "refused lines": lambda: CODE + "\tsyscall\n" * 60_000,
    "lines that are refused where they stand": lambda: (
        CODE + "\tcmpl %eax, %ecx\n\tcall f\n\tje f\n" * 20_000
    ),
    "a sum": lambda: "\t.set x, " + "1+" * 200_000 + "1\n",
    "a product": lambda: "\t.set x, " + "99999999*" * 100_000 + "1\n",
}


@pytest.mark.parametrize("isolation", ["code+data", "data"])
@pytest.mark.parametrize("make", TEXTS.values(), ids=TEXTS.keys())
def test_a_long_text_takes_as_long_as_its_parts(make: Callable[[], str], isolation: str) -> None:
    with steps.limited(LIMIT_S):
        try:
            rewrite(make(), file="long.s", isolation=isolation)
        except CompileError as error:
            assert "took longer" not in str(error)
            assert error.diagnostics  # it was refused, for what it is
