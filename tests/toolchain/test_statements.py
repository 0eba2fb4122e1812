"""What the rewriter takes for one statement is one for LLVM's assembler, too: nothing hides between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.objects import compile_object
from tmebox.toolchain.options import CompileOptions, SourceText
from tmebox.toolchain.rewrite.asm import parse_line
from tmebox.toolchain.rewrite.directives import ALIGNMENTS, ASSIGNMENTS, DATA, KEPT, SECTIONS
from tmebox.toolchain.rewrite.rewrite import rewrite
from tmebox.toolchain.statements import require_known

HIDDEN = '.print "taken"'
"""As forbidden as `.incbin` and `.include`. The assembler says it when it comes there, after errors, too."""
HEADS = [
    "",
    ".ascii ",
    ".ascii",
    ".byte 1",
    ".byte 1,",
    ".quad a",
    ".ident",
    '.ascii "a"',
    ".set a, 1",
    ".set a, 1 /",
    "a",
    '"a"',
    "1",
    "nop",
    "lock",
    "movl $1, %eax",
    "movl $",
    "jmp *a",
    ".section .zz",
    ".type a, @",
    ".loc\t1 1 1",
    ".quad a@DTPOFF/@DTPOFF",
    '.section "\\"","awT"',
]
PIECES = [
    "'",
    '"',
    "\\",
    "#",
    "/",
    "//",
    "/*",
    "*/",
    "*",
    ";",
    ":",
    "::",
    "=",
    "==",
    ",",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "'\"'",
    "'\\\"'",
    "'\\\\'",
    "''",
    "'''",
    "'a",
    '\\"',
    '""',
    '"\\\\"',
    "\\\n",
    "{",
    "%es:",
    "@",
    "$",
    "(",
    "`",
    "\x85",
    "\u2028",
]
PLACES = ["", "\t.data\n", "\t.data\n\t.byte\t1\n\t.section\t.debug_info\n"]
KNOWN = [f"\t{name}\t1" for name in sorted(KEPT | DATA | SECTIONS | ALIGNMENTS | ASSIGNMENTS)]


def around(heads: list[str], most: int) -> Iterator[str]:
    """The hidden directive behind every byte, and between all that begins or ends something."""
    for head, byte in product(heads, range(256)):
        character = bytes([byte]).decode("utf-8", "surrogateescape")
        for before in (character, f"{character}:", f"1{character} ", f"'{character}' ; "):
            yield f"{head}{before}{HIDDEN}"
    for head, count in product(heads, range(1, most + 1)):
        for pieces in product(PIECES, repeat=count):
            before = "".join(pieces)
            for behind in ("", f" {pieces[-1]}{pieces[0]}"):
                yield f"{head}{before}{HIDDEN}{behind}"


def printed(accepted: list[str], folder: Path) -> list[str]:
    """What the assembler comes by, if a number is told behind each of these texts."""
    source = folder / "texts.s"
    lines = (f'{text}\n\t.print "{number}"\n' for number, text in enumerate(accepted))
    source.write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
    words = ["-triple", "x86_64-unknown-linux-musl", "-filetype", "null"]
    finished = clang.run("clang", ["-cc1as", *words, "-o", str(folder / "none"), str(source)], ANYWHERE)
    return finished.output.splitlines()


def agrees(texts: Iterator[str], accept: Callable[[str], str], folder: Path) -> int:
    """How many texts are accepted; of each the assembler finds the end, and nothing before it."""
    accepted, originals = [], []
    for text in texts:
        try:
            accepted.append(accept(text))
            originals.append(text)
        except CompileError:
            continue
    for text in accepted:
        require_known(text, "f.s")
    said = printed(accepted, folder)
    wrong = next((number for number, word in enumerate(said) if word != str(number)), None)
    assert wrong is None, (originals[wrong], accepted[wrong])
    assert len(said) == len(accepted)
    return len(accepted)


def known(text: str) -> str:
    require_known(text, "f.s")
    return text


def test_the_last_look_accepts_what_the_assembler_reads_in_the_same_way(tmp_path: Path) -> None:
    assert agrees(around(HEADS, 2), known, tmp_path) > 1000


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_nothing_that_was_rewritten_hides_a_statement(place: int, tmp_path: Path) -> None:
    before = PLACES[place]
    heads = HEADS[place :: len(PLACES)]
    assert agrees((before + text + "\n" for text in around(heads, 1)), as_rewritten, tmp_path) > 10


def as_rewritten(text: str) -> str:
    return rewrite(text, file="f.s")


@pytest.mark.parametrize(
    "line", [*KNOWN, "\tnop", "f:", '"a b": lock cmpxchgl %eax, %gs:4(%edi) # a', "1:\tud2"]
)
def test_what_the_rewriter_writes_is_known(line: str) -> None:
    require_known(f"\tnop\n{line}\n\tnop\n", "f.s")


@pytest.mark.parametrize(
    "line",
    [
        '\t.incbin\t"x"',
        '\t.include "x"',
        ".macro x",
        "a:.rept 9",
        "nop; nop",
        "nop // x",
        "1 /* 2",
        '"nop" 3',
        "a = 3",
        ".ascii 'a'",
        '.ascii "a',
        "nop\r.end",
        "\u00e9:",
        ".byte\u00a01",
        ".ascii \\x",
        ".byte : nop\n.if 1",
        ".file1 x",
    ],
)
def test_everything_else_is_named(line: str) -> None:
    with pytest.raises(CompileError) as caught:
        require_known(f"\tnop\n{line}\n\tnop\n", "f.s")
    assert caught.value.diagnostics[0].line == 2 + line.count("\n")


CHARACTERS = {
    r"'a'": 97,
    r"'\"'": 34,
    "'\"'": 34,
    r"'\''": 39,
    "'''": 39,
    r"'\\'": 92,
    r"'\n'": 10,
    "' '": 32,
    "';'": 59,
    "'#'": 35,
    "'/'": 47,
    r"'\t'": 9,
}


@pytest.mark.parametrize("constant", CHARACTERS)
def test_character_constants_are_the_numbers_that_they_are_for_the_assembler(
    constant: str, tmp_path: Path
) -> None:
    (written,) = (
        line
        for line in rewrite(f"\t.data\n\t.byte {constant}, 1\n", file="f.s").split("\n")
        if "byte" in line
    )
    assert re.findall(r"\d+", written) == [str(CHARACTERS[constant]), "1"]
    source, made = tmp_path / "one.s", tmp_path / "one.o"
    source.write_text(f"\t.data\n\t.byte {constant}, 0x5a, 0x5b\n")
    words = ["-triple", "x86_64-unknown-linux-musl", "-filetype", "obj", "-o", str(made), str(source)]
    assert clang.run("clang", ["-cc1as", *words], ANYWHERE).status == 0
    assert bytes([CHARACTERS[constant], 0x5A, 0x5B]) in made.read_bytes()


@pytest.mark.parametrize("constant", ["'", "'a", "''", "'ab'", r"'\0'", "'\\", "'\u00e9'", "'\0'", "x'a'"])
def test_what_is_no_character_constant_for_both_is_refused(constant: str) -> None:
    with pytest.raises(CompileError):
        rewrite(f"\t.text\nf:\n\tmovl $1 + {constant}, %eax\n\tretq\n", file="f.s")


@pytest.mark.parametrize(
    "text", ["1 / *2", "1 / /2", "1 * /2", "(1", "1)", "1 +", "* 2", "1 2", "()", "1 ~ 2", "1 & & 2"]
)
def test_operators_need_operands(text: str) -> None:
    with pytest.raises(CompileError):
        rewrite(f"\t.data\n\t.set x, {text}\n", file="f.s")
    with pytest.raises(CompileError):
        rewrite(f"\t.text\nf:\n\tmovl {text}(%rdi), %eax\n\tretq\n", file="f.s")


def test_an_honest_quote_is_a_character() -> None:
    assert "cmpb\t$34, %al" in rewrite("\t.text\nf:\n\tcmpb $'\"', %al\n\tretq\n", file="f.s")


@pytest.mark.parametrize("base", ["gs", "r15"])
@pytest.mark.parametrize(
    "hidden",
    [
        r".byte '\"' ; .incbin \"{}\" ; .byte '\"'",
        r".ascii \0:.incbin \"{}\"",
        r".byte '\"' ; .include \"{}\" # '\"'",
        r".set x, 1 / *2\n.ascii \"*/;.incbin \"{}\";#\"",
    ],
)
def test_inline_assembly_reads_no_files(hidden: str, base: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOPSECRET")
    source = f'__asm__(".data\\n{hidden.format(secret)}\\n.text\\n"); int f(void) {{ return 1; }}'
    output = tmp_path / "f.o"
    try:
        compile_object(SourceText(source), output, CompileOptions(base=base))
    except CompileError as error:
        assert "of assembly that cannot run in a sandbox" in str(error)
        assert "TOPSECRET" not in str(error)
    else:
        assert base == "r15" and "\\0" in hidden  # gcc ends the text there
        assert b"TOPSECRET" not in output.read_bytes()


@pytest.mark.parametrize("character", [";", "#", r"\"", "/", r"\\n"])
def test_inline_assembly_finds_its_stack_behind_a_character(character: str) -> None:
    lines = ["subq $16, %%rsp", f"movb $'{character}', 8(%%rsp)", "movzbl 8(%%rsp), %0", "addq $16, %%rsp"]
    text = "".join(f'"{line}\\n"' for line in lines)
    source = f'int f(void) {{ int r; __asm__({text} : "=r"(r) : : "memory", "cc"); return r; }}'
    with tmebox.Sandbox(tmebox.compile(source_text=source)) as sandbox:
        assert sandbox.f() == (10 if character.endswith("n") else ord(character[-1]))


def test_newlines_of_a_comment_do_not_end_a_statement() -> None:
    text = rewrite("\t.data\n\t.byte 1, /* a\n\n */ 2\n\t.byte 3\n", file="f.s")
    assert [parse_line(line)[0] for line in text.split("\n")[1:3]] == [
        *parse_line(".byte 1,   2"),
        *parse_line(".byte 3"),
    ]
