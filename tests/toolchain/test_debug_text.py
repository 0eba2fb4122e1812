"""The debug information at the end of a compiler's assembly stays as it is, and hides nothing."""

from __future__ import annotations

import pytest

from tmebox.errors import CompileError
from tmebox.toolchain.rewrite import debug
from tmebox.toolchain.rewrite.rewrite import rewrite

CODE = (
    "\t.text\n\t.globl\tf\n\t.type\tf,@function\n"
    "f:\n\tmovl\t(%rdi), %eax\n\tretq\n.Lend:\n\t.size\tf, .Lend-f\n"
)
ABOUT = (
    '\t.section\t.debug_info,"",@progbits\n'
    "\t.long\t.Lend-f                 # length\n"
    '\t.ascii\t"a; \\"b\\" # c"         # not a comment within\n'
    "                                        # DW_AT_external\n"
    "\n"
    "\t.uleb128 .Lend-f                #   length\n"
    '\t.section\t.debug_str,"MS",@progbits,1\n'
    ".Linfo_string0:\n"
    '\t.asciz\t"name"\n'
    "\t.quad\tvariable@DTPOFF\n"
)


def kept(text: str) -> list[str]:
    """Lines of debug information, without comments and empty ones."""
    lines = text[text.index("\t.section\t.debug_info") :].split("\n")
    return [words for line in lines if (words := line.split(" #")[0].rstrip())]


def test_lines_that_need_nothing_stay_as_they_are() -> None:
    assert kept(rewrite(CODE + ABOUT, file="f.s")) == kept(ABOUT.replace("@DTPOFF", ""))


def test_lines_that_need_nothing_are_looked_at_together() -> None:
    found = list(debug.pieces(ABOUT))
    assert "".join(piece for _, piece in found) == ABOUT
    assert [piece.count("\n") for is_plain, piece in found if is_plain] == [3, 1, 2]
    for is_plain, piece in found:
        assert is_plain == all(debug.is_plain(line) for line in piece.removesuffix("\n").split("\n"))


def test_code_that_comes_after_it_is_instrumented() -> None:
    text = rewrite(CODE + ABOUT + "\t.section\t.text.g\ng:\n\tmovl\t(%rdi), %eax\n\tretq\n", file="f.s")
    assert text.count("%gs:(%edi)") == 2
    text = rewrite(CODE + ABOUT + "\t.section\tmine\n\t.previous\n\t.previous\n", file="f.s")
    assert text.count("%gs:(%edi)") == 1


def test_names_that_look_like_flags_of_code_change_nothing() -> None:
    named = ABOUT + '\t.asciz\t"axis"\n\t.ascii\t"a, \\"ax"\n'
    assert debug.apart(CODE + named) == (CODE, named)
    for flags in (',"ax",@progbits', ', "axG",@progbits,f,comdat', ',\t"ax"'):
        text = CODE + named + f"\t.section\tmine{flags}\n"
        assert debug.apart(text) == (text, "")


HIDDEN = [
    '\t.incbin\t"/etc/passwd"',
    '\t.byte\t1; .incbin "/etc/passwd"',
    '\t.ascii\t"a" "b" ; .include "x"',
    '\t.byte\t1 /* */ ; .incbin "x"',
    '.L1: .incbin "x"',
    '\t.byte\t1 \\\n\t.incbin "x"',
    "\tsyscall",
    '\t.section\t.text.g,"ax",@progbits\n\tsyscall',
    "\t.text\n\tsyscall",
    "\t.popsection",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_nothing_hides_in_it(text: str) -> None:
    with pytest.raises(CompileError):
        rewrite(f"{CODE}{ABOUT}{text}\n", file="f.s")


@pytest.mark.parametrize("text", ['\t.byte\t1\r\t.incbin "x"', '\t.byte\t1 # \r\t.incbin "x"'])
def test_a_carriage_return_ends_a_line_for_the_assembler_too(text: str) -> None:
    assert not debug.is_plain(text)
