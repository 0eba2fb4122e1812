"""Listings: sequences get their names, lines of both sides meet."""

from __future__ import annotations

import resource
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from iced_x86 import Decoder, Instruction

import tmebox
from tests.cli.command_line import Run
from tmebox import abi
from tmebox.cli.inspect import MOST_COMPARED
from tmebox.cli.listing import annotated, list_function
from tmebox.cli.sidebyside import Pair, function_lines, side_by_side
from tmebox.modulefile import codec
from tmebox.modulefile.check import symbol_key
from tmebox.modulefile.file import ModuleFile

MAP = abi.TARGET_MAP.to_bytes(4, "little").hex()
BASE = abi.CONTROL_WINDOW_BASE.to_bytes(4, "little").hex()
MASK = abi.CONTROL_RSP_MASK.to_bytes(4, "little").hex()
START = abi.CONTROL_RSP_START.to_bytes(4, "little").hex()
TEXT = abi.TEXT_NOMINAL


def relative(target: int, end: int) -> str:
    return ((target - end) & 0xFFFFFFFF).to_bytes(4, "little").hex()


SEQUENCES = {
    # movl %eax,%r11d; testb $2,M(%r11); je; call *%r11
    "checked call": (f"4189c3 41f683{MAP}02 7402 41ffd3", 4),
    # the same with jmp
    "checked jump": (f"4189c3 41f683{MAP}02 7402 41ffe3", 4),
    # movl %eax,%r11d; cmpb $4,M(%r11); jne; jmp *%r11
    "checked jump to a label": (f"4189c3 4180bb{MAP}04 7502 41ffe3", 4),
    # cmpq $5,%rax; ja; jmp *TABLE(,%eax,8)
    "jump through a table": ("4883f805 7708 67ff24c500000041", 3),
    # movl %ebp,%esp; andl %gs:MASK,%esp; addq %gs:START,%rsp
    "rebase rsp": (f"89ec 65232425{MASK} 6548032425{START}", 3),
    # movl %edi,%edi; movq %gs:BASE,%r11; leaq (%r11,%rdi),%rdi; rep stosb
    "string": (f"89ff 654c8b1c25{BASE} 498d3c3b f3aa", 4),
    # the same with both pointers
    "string of moves": (f"89ff 89f6 654c8b1c25{BASE} 498d3c3b 498d3433 f3a4", 6),
    # movl $5,%r11d; jmp gate
    "host call": (f"41bb05000000 e9{relative(abi.GATE_HOSTCALL, TEXT + 11)}", 2),
    "control-flow violation": ("f4", 1),
    "window": ("65678b00", 1),
}


R15_SEQUENCES = {
    # movl (%rsp),%r11d; testb $8,M(%r11); je; movq %r11,(%rsp); ret
    "checked return": (f"448b1c24 41f683{MAP}08 7402 4c891c24 c3", 5),
    "checked call": (f"4189c3 41f683{MAP}10 7402 41ffd3", 4),
    "checked jump": (f"4189c3 41f683{MAP}10 7402 41ffe3", 4),
    # movl %ebp,%esp; andl MASK(%r15),%esp; addq START(%r15),%rsp
    "rebase rsp": (f"89ec 4123a7{MASK} 4903a7{START}", 3),
    # movl %edi,%edi; leaq (%r15,%rdi),%rdi; rep stosb
    "string": ("89ff 498d3c3f f3aa", 3),
    # the same with both pointers
    "string of moves": ("89ff 89f6 498d3c3f 498d3437 f3a4", 5),
    # movl %eax,%r14d; leal 8(%rax,%rcx,4),%r14d
    "offset": ("4189c6 448d748808", 2),
    # movq 8(%r15,%r14),%rax; movl 64(%r15),%ecx
    "window": ("4b8b443708 418b4f40", 2),
}


def notes(instructions: list[Instruction], base: str = "gs") -> list[str]:
    found = list(annotated(instructions, base))
    assert [each for each, _ in found] == instructions
    return [note for _, note in found]


NAMED = [("gs", name, *example) for name, example in SEQUENCES.items()]
NAMED += [("r15", name, *example) for name, example in R15_SEQUENCES.items()]


@pytest.mark.parametrize(("base", "name", "encoded", "length"), NAMED)
def test_each_sequence_is_named_from_its_first_instruction_to_its_last(
    base: str, name: str, encoded: str, length: int
) -> None:
    instructions = list(Decoder(64, bytes.fromhex(encoded.replace(" ", "")), ip=TEXT))
    assert len(instructions) == length
    assert notes(instructions, base) == [name.removesuffix(" of moves").removesuffix(" to a label")] * length


def test_what_confines_accesses_with_one_base_is_nothing_with_the_other() -> None:
    through_r15, through_gs = bytes.fromhex("418b4f40"), bytes.fromhex("65678b00")
    for base, code in (("gs", through_r15), ("r15", through_gs)):
        assert notes(list(Decoder(64, code, ip=TEXT)), base) == [""]


def test_a_return_without_a_check_is_not_called_checked() -> None:
    instructions = list(Decoder(64, bytes.fromhex("90909090c3"), ip=TEXT))
    assert notes(instructions) == [""] * 5


def test_a_jump_through_a_table_behind_a_return_is_no_part_of_its_check() -> None:
    code = f"41f683{MAP}01 7402 4c891c24 4883f805 7707 ff24c500000041"
    instructions = list(Decoder(64, bytes.fromhex(code), ip=TEXT))
    assert notes(instructions) == ["", "", "", *["jump through a table"] * 3]


@pytest.mark.parametrize("before", ["83e003", "89c1 83f805"])
def test_a_jump_through_a_table_without_a_comparison_stands_alone(before: str) -> None:
    instructions = list(Decoder(64, bytes.fromhex(f"9090 {before} 67ff24c500000041"), ip=TEXT))
    assert notes(instructions) == [*[""] * (len(instructions) - 1), "jump through a table"]


def test_a_jump_through_the_windows_memory_is_no_jump_through_a_table() -> None:
    instructions = list(Decoder(64, bytes.fromhex("4883f805 7707 6567ff24c500000041"), ip=TEXT))
    assert notes(instructions) == ["", "", "window"]


def test_ordinary_instructions_have_no_note() -> None:
    instructions = list(Decoder(64, bytes.fromhex("01d8 90 50 58"), ip=TEXT))
    assert notes(instructions) == [""] * 4


BEFORE = """\t.text
first:
\tret
\t.size\tfirst, .-first
get:                                    # @get
.Lfunc_begin0:
\t.loc\t0 1 0
\t.cfi_startproc
\tmovq\t8(%rdi,%rsi,4), %rax
.LBB0_1:
\tretq
.Lfunc_end0:
\t.size\tget, .-get
other:
\tnop
"""
AFTER = """get:
\tmovq\t%gs:8(%edi,%esi,4), %rax
.LBB0_1:
\tmovl\t(%rsp), %r11d
\ttestb\t$1, 2147418112(%r11)
\tje\t.Ltrap
\tmovq\t%r11, (%rsp)
\tretq
\t.size get, .-get
"""


def test_a_functions_lines_are_its_instructions_and_labels() -> None:
    assert function_lines(BEFORE, "get") == ["get:", "\tmovq\t8(%rdi,%rsi,4), %rax", ".LBB0_1:", "\tretq"]
    assert function_lines(BEFORE, "absent") == []


def test_an_instruction_stands_beside_what_it_became() -> None:
    rows = list(side_by_side(function_lines(BEFORE, "get"), function_lines(AFTER, "get")))
    assert Pair("\tmovq\t8(%rdi,%rsi,4), %rax", "\tmovq\t%gs:8(%edi,%esi,4), %rax") in rows
    assert Pair("\tretq", "\tretq") in rows
    assert Pair("", "\tje\t.Ltrap") in rows
    assert [row.source for row in rows if row.source] == function_lines(BEFORE, "get")
    assert [row.instrumented for row in rows if row.instrumented] == function_lines(AFTER, "get")


MANY, MANY_NAMES = 50_000, 20_000


def very_long() -> ModuleFile:
    """A module with a function of so many instructions, and so many names."""
    file = tmebox.compile(source_text="int add(int a, int b) { return a + b; }").file
    symbol = replace(file.symbols[0], address=file.text_address, size_bytes=MANY)
    others = tuple(replace(symbol, name=f"add{number}", size_bytes=1) for number in range(MANY_NAMES))
    exports = tuple(replace(file.exports[0], name=each.name, prototype=None) for each in others)
    text = b"\x90" * MANY
    return replace(
        file,
        text=text,
        table_entries=0,
        symbols=tuple(sorted((symbol, *others), key=symbol_key)),
        exports=exports,
    )


def test_what_a_module_has_most_of_is_shown_soon(tmebox: Run, tmp_path: Path) -> None:
    codec.write(very_long(), tmp_path / "long.tbx")
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    listed = tmebox("inspect", "long.tbx", "-f", "add", cwd=tmp_path)
    assert listed.out.count(" nop\n") == MANY and f"\n{MANY} instructions" in listed.out
    summary = tmebox("inspect", "long.tbx", cwd=tmp_path)
    assert summary.out.count("  add") == MANY_NAMES
    unknown = tmebox("inspect", "long.tbx", "-f", "subtract", cwd=tmp_path)
    assert unknown.code == 2 and "known: add" in unknown.err
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start.ru_utime < 10


def test_a_function_is_listed_without_being_held() -> None:
    module = very_long()
    tracemalloc.start()
    try:
        assert sum(1 for _ in list_function(module, module.symbols[-1])) == MANY
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MANY + (1 << 20)


def test_very_long_functions_are_not_compared(tmebox: Run, tmp_path: Path) -> None:
    body = "x++;" * MOST_COMPARED
    (tmp_path / "long.c").write_text(f"volatile int x;\nvoid f(void) {{ {body} }}\n")
    done = tmebox("inspect", "long.c", "-f", "f", cwd=tmp_path)
    assert done.code == 2 and "compile it, and inspect the module" in " ".join(done.err.split())
