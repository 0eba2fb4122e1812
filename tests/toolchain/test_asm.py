"""Assembly text → nodes → text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmebox.toolchain.rewrite.asm import (
    AsmSyntaxError,
    Directive,
    Immediate,
    Indirect,
    InlineAssembly,
    Instruction,
    Label,
    LineMarker,
    Memory,
    Operand,
    Register,
    Statement,
    constant,
    normalized,
    parse_line,
    symbols,
)

INSTRUCTIONS = {
    "movq 8(%rax,%rcx,4), %rdx": Instruction("movq", (Memory("8", "rax", "rcx", 4), Register("rdx"))),
    "mov %fs:0, %rax": Instruction("mov", (Memory("0", segment="fs"), Register("rax"))),
    "leaq sym+8-(a - b)(%rip), %rax": Instruction("leaq", (Memory("sym+8-(a-b)", "rip"), Register("rax"))),
    "movl $sym@TPOFF+4, %eax": Instruction("movl", (Immediate("sym@TPOFF+4"), Register("eax"))),
    "fadd %st ( 1 ), %st": Instruction("fadd", (Register("st(1)"), Register("st"))),
    "jmp *table(,%rax,8)  # TAILCALL": Instruction(
        "jmp", (Indirect(Memory("table", None, "rax", 8)),), mark="TAILCALL"
    ),
    "rep; stosq": Instruction("stosq", prefixes=("rep",)),
    "lock\t\tcmpxchgl\t%esi, (%rdi)": Instruction(
        "cmpxchgl", (Register("esi"), Memory(base="rdi")), ("lock",)
    ),
    "JMP 1f": Instruction("jmp", (Memory("1f"),)),
    'callq "a name;#"': Instruction("callq", (Memory('"a name;#"'),)),
    "movb $-1, %ds:3(%RBX)": Instruction("movb", (Immediate("-1"), Memory("3", "rbx", segment="ds"))),
}


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_an_instruction_is_parsed_into_its_parts(text: str) -> None:
    assert parse_line(f"\t{text}") == (INSTRUCTIONS[text],)


LINES: dict[str, tuple[Statement, ...]] = {
    "": (),
    "# only a comment": (),
    "\t\t// this too": (),
    "#APP": (InlineAssembly(True),),
    "#NO_APP": (InlineAssembly(False),),
    '# 12 "dir/file.c" 2': (LineMarker(12, "dir/file.c"),),
    "f: 1: nop; ret": (Label("f"), Label("1"), Instruction("nop"), Instruction("ret")),
    "weak_alias = target + 4": (Directive(".set", "weak_alias, target + 4"),),
    '\t.ascii "a;b#c//d\\"" # text': (Directive(".ascii", '"a;b#c//d\\""'),),
    "a.b$c: .long a.b$c-.": (Label("a.b$c"), Directive(".long", "a.b$c-.")),
    "lock": (Instruction("", prefixes=("lock",)),),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_parsed_into_its_statements(line: str) -> None:
    assert parse_line(line) == LINES[line]


@pytest.mark.parametrize(
    "line",
    [
        '.ascii "open',
        "movl %eax, %eax)",
        "movl 8(%rax,%rcx,3), %eax",
        "movl , %eax",
        "movl a b, %eax",
        "movl $, %eax",
        "vaddps %zmm1, %zmm2, %zmm3 {%k1}",
        "{evex} vmovups %xmm0, %xmm1",
        "jmp **%rax",
        "%rax",
    ],
)
def test_a_line_of_another_shape_is_a_syntax_error(line: str) -> None:
    with pytest.raises(AsmSyntaxError):
        parse_line(line)


def test_block_comments_vanish_but_their_lines_stay() -> None:
    text = 'nop /* a\n b */ ret\n.ascii "/* no */" # /* nor this\nnop'
    assert normalized(text) == 'nop   ret\n\n.ascii "/* no */" # /* nor this\nnop'


def test_a_block_comment_that_does_not_end_is_a_syntax_error() -> None:
    with pytest.raises(AsmSyntaxError):
        normalized("nop /* for ever\nret")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("", 0),
        ("-8", -8),
        ("0x10+8-1", 23),
        ("010", 8),
        ("sym", None),
        ("8*2", None),
        ("1f", None),
        ("--8", None),
    ],
)
def test_a_sum_of_numbers_is_a_constant(expression: str, value: int | None) -> None:
    assert constant(expression) == value


def test_symbols_are_found_in_expressions() -> None:
    assert symbols('.LBB0_1-.LJTI0, a+8, 1b, "q r", .') == [".LBB0_1", ".LJTI0", "a", "1b", '"q r"']


NAMES = st.from_regex(r"[A-Za-z_.][A-Za-z0-9_.$]{0,8}", fullmatch=True).filter(lambda name: name != ".")
NUMBERS = st.integers(-(2**31), 2**31 - 1).map(str)
EXPRESSIONS = st.one_of(NAMES, NUMBERS, st.builds("{}+{}".format, NAMES, st.integers(0, 99)))
REGISTERS = st.sampled_from(["rax", "r11d", "cl", "ah", "xmm7", "ymm15", "st(3)", "rsp"])
ADDRESSES = st.sampled_from(["rax", "rsp", "r13", "ecx"])
MEMORY = st.builds(
    Memory,
    EXPRESSIONS,
    ADDRESSES,
    st.none() | ADDRESSES,
    st.just(1),
    st.none() | st.sampled_from(["fs", "gs", "es"]),
) | st.builds(
    Memory, st.just("") | EXPRESSIONS, st.none() | ADDRESSES, ADDRESSES, st.sampled_from([1, 2, 4, 8])
)
OPERANDS: st.SearchStrategy[Operand] = st.one_of(
    st.builds(Register, REGISTERS), st.builds(Immediate, EXPRESSIONS), MEMORY, st.builds(Indirect, MEMORY)
)
MNEMONICS = st.from_regex(r"[a-z][a-z0-9]{1,7}", fullmatch=True).filter(
    lambda name: not name.startswith(("rep", "lock", "notrack"))
)
STATEMENTS: st.SearchStrategy[Statement] = st.one_of(
    st.builds(
        Instruction,
        MNEMONICS,
        st.lists(OPERANDS, max_size=3).map(tuple),
        st.sampled_from([(), ("lock",), ("rep",)]),
        st.sampled_from([None, "TAILCALL", "LONGJMP"]),
    ),
    st.builds(Label, NAMES | st.integers(0, 99).map(str)),
    st.builds(Directive, st.sampled_from([".long", ".globl"]), EXPRESSIONS),
    st.builds(LineMarker, st.integers(1, 9999), st.just("a b.c")),
    st.builds(InlineAssembly, st.booleans()),
)


@pytest.mark.slow
@settings(deadline=None)
@given(STATEMENTS)
def test_parsing_what_was_printed_gives_the_same_node(statement: Statement) -> None:
    assert parse_line(str(statement)) == (statement,)
