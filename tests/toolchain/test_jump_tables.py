"""Which tables jumps go through, which are dropped from the constants, what modules have then."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.toolchain.compiling import compile_text
from tests.toolchain.test_link import verified
from tmebox.abi import TABLE_ENTRY
from tmebox.errors import CompileError
from tmebox.hints import Optimization
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.compile.gcc import gcc
from tmebox.toolchain.rewrite.rewrite import rewrite
from tmebox.toolchain.sections import DEPTHS, TABLES_PREFIX

CODE = """
\t.text
\t.globl\tf
\t.type\tf,@function
f:
\tjmpq\t*.Ltable(,%rax,8)
.La:
\tmovl\t$1, %eax
.Lb:
\tud2
1:
\tud2
\t.size\tf, .-f
"""
RODATA = '\t.section\t.rodata,"a",@progbits\n'
BY_TABLE = "jmp\t*.Ltmebox_table0(,%eax,8)"


def instrumented(data: str, code: str = CODE, **options: str) -> str:
    """A file's instrumented text: `code`, then `data`."""
    text = rewrite(f"{code}{data}\n", file="t.s", **options)
    return re.sub(rf"\t\.section\t{re.escape(DEPTHS)}.*\n(\t\.quad.*\n)*", "", text)


def moved(text: str) -> list[str]:
    """The entries of the tables behind the code."""
    _, _, tables = text.partition(TABLES_PREFIX)
    return [line.split()[1] for line in tables.splitlines() if line.startswith("\t.quad")]


def constants(text: str) -> list[str]:
    """What `.quad`s are left before them."""
    before, _, _ = text.partition(TABLES_PREFIX)
    return [line.strip() for line in before.splitlines() if ".quad" in line]


USABLE = {
    "one-entry-a-line": ".Ltable:\n.quad .La\n.quad .Lb",
    "several-on-a-line": ".Ltable: .quad .La, .Lb",
    "aligned-before": ".p2align 3\n.Ltable:\n.quad .La, .Lb",
    "until-an-alignment": ".Ltable:\n.quad .La, .Lb\n.p2align 4\n.quad 7",
    "until-another-label": ".Ltable:\n.quad .La, .Lb\n.Lmore:\n.quad 7",
    "until-another-section": f".Ltable:\n.quad .La, .Lb\n.data\n.quad 7\n{RODATA}\n.quad .La",
    "in-a-section-of-its-own": '.section .rodata.f,"a",@progbits\n.Ltable: .quad .La, .Lb',
}


@pytest.mark.parametrize("name", USABLE)
def test_a_table_of_labels_is_behind_the_code_and_nowhere_else(name: str) -> None:
    text = instrumented(RODATA + USABLE[name])
    assert BY_TABLE in text
    assert f"\tandl\t$1, %eax\n\t{BY_TABLE}" in text
    assert moved(text) == [".La", ".Lb"]
    assert not [line for line in constants(text) if ".La," in line or ".Lb" in line]


def test_a_table_may_come_before_the_jump() -> None:
    text = instrumented("", f"{RODATA}.Ltable: .quad .La, .Lb\n{CODE}")
    assert BY_TABLE in text
    assert moved(text) == [".La", ".Lb"]
    assert constants(text) == []


UNUSABLE = {
    "a-null-entry": ".Ltable: .quad .La, 0",
    "a-number": ".Ltable: .quad .La\n.quad 0x41000000",
    "a-sum": ".Ltable: .quad .La, .Lb+1",
    "a-difference": ".Ltable: .quad .La-.Ltable",
    "halves": ".Ltable: .long .La, .Lb",
    "a-string-between": '.Ltable: .quad .La\n.ascii "12345678"\n.quad .Lb',
    "zeros-between": ".Ltable: .quad .La\n.zero 8\n.quad .Lb",
    "data-labels": ".Ltable: .quad .La, .Ltable",
    "another-file's-label": ".Ltable: .quad .La, elsewhere",
    "a-number-as-label": ".Ltable: .quad .La, 1b",
    "nothing": ".Ltable:",
    "an-alignment-before-the-entries": ".Ltable:\n.p2align 3\n.quad .La",
    "another-label-before-the-entries": ".Ltable:\n.Lother: .quad .La, .Lb",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_other_tables_stay_where_they_are_and_their_jumps_are_checked(name: str) -> None:
    text = instrumented(RODATA + UNUSABLE[name])
    assert "cmpb\t$1, 0x7fff0000(" in text or "testb\t$6, 0x7fff0000(" in text
    assert moved(text) == []
    assert "%gs:.Ltable(,%eax,8)" in text


@pytest.mark.parametrize(
    "section", ["\t.data\n", '\t.section .data.rel.ro,"aw",@progbits\n', "\t.section .rodatax\n"]
)
def test_a_table_that_the_program_may_write_stays(section: str) -> None:
    assert moved(instrumented(f"{section}.Ltable: .quad .La, .Lb")) == []


@pytest.mark.parametrize("directive", [".globl", ".global", ".weak"])
def test_a_table_that_other_files_see_or_replace_stays(directive: str) -> None:
    code = CODE.replace(".Ltable", "table")
    for data in (f"{directive} table\ntable: .quad .La, .Lb", f"table: .quad .La, .Lb\n{directive} table"):
        text = instrumented(RODATA + data, code)
        assert moved(text) == []
    assert moved(instrumented(f"{RODATA}table: .quad .La, .Lb", code)) == [".La", ".Lb"]


READ_AS_WELL = {
    "by-a-load": "movq .Ltable(,%rcx,8), %rax",
    "by-its-address": "movl $.Ltable, %eax",
    "by-a-call": "callq *.Ltable(,%rcx,8)",
    "by-a-jump-elsewhere-in-it": "jmpq *.Ltable+8(,%rcx,8)",
    "by-a-jump-with-another-scale": "jmpq *.Ltable(,%rcx,4)",
    "by-a-jump-with-32-bits": "jmpq *.Ltable(,%ecx,8)",
    "by-a-jump-to-its-first": "jmpq *.Ltable(%rip)",
    "by-a-constant": f"{RODATA}.quad .Ltable\n.text",
    "by-another-name": ".set alias, .Ltable",
}


@pytest.mark.parametrize("name", READ_AS_WELL)
def test_a_table_that_is_also_read_otherwise_is_in_both_places(name: str) -> None:
    text = instrumented(f"{RODATA}.Ltable: .quad .La, .Lb", f"{CODE}g:\n{READ_AS_WELL[name]}\nud2\n")
    assert BY_TABLE in text
    assert moved(text) == [".La", ".Lb"]
    assert [line for line in constants(text) if ".La" in line]


@pytest.mark.parametrize("between", ["", "\t.p2align\t3\n"], ids=["at-once", "aligned"])
def test_a_table_with_two_names_keeps_its_constants_for_the_other(between: str) -> None:
    code = f"{CODE}g:\tjmpq\t*.Lother(,%rcx,8)\n"
    text = instrumented(f"{RODATA}.Lother:\n{between}.Ltable: .quad .La, .Lb", code)
    assert BY_TABLE in text
    assert "%gs:.Lother(,%ecx,8)" in text
    assert [line for line in constants(text) if ".La" in line]


def test_a_table_that_nothing_jumps_through_stays() -> None:
    text = instrumented(f"{RODATA}.Lunused: .quad .La, .Lb", CODE.replace("jmpq\t*.Ltable(,%rax,8)", "nop"))
    assert moved(text) == []
    assert len(constants(text)) == 1


def test_two_jumps_share_a_table() -> None:
    text = instrumented(f"{RODATA}.Ltable: .quad .La, .Lb", f"{CODE}g:\tjmpq\t*.Ltable(,%r12,8)\n")
    assert BY_TABLE in text
    assert "jmp\t*.Ltmebox_table0(,%r12d,8)" in text
    assert moved(text) == [".La", ".Lb"]


def test_without_isolation_of_control_tables_stay() -> None:
    text = instrumented(f"{RODATA}.Ltable: .quad .La, .Lb", isolation="data")
    assert "jmp\t*%gs:.Ltable(,%eax,8)" in text
    assert moved(text) == []
    assert len(constants(text)) == 1


def test_with_the_base_in_r15_tables_are_the_same_and_indexes_are_compared() -> None:
    text = instrumented(f"{RODATA}.Ltable: .quad .La, .Lb, .La", base="r15")
    assert re.search(f"\tcmpq\t\\$2, %rax\n\tja\t\\S+\n\t{re.escape(BY_TABLE)}", text)
    assert moved(text) == [".La", ".Lb", ".La"]


def test_a_table_is_filled_up_for_every_index_of_its_bits() -> None:
    text = instrumented(f"{RODATA}.Ltable: .quad .La, .Lb, .La, .Lb, .Lb")
    assert f"\tandl\t$7, %eax\n\t{BY_TABLE}" in text
    assert moved(text) == [".La", ".Lb", ".La", ".Lb", ".Lb", *[".Ltmebox1"] * 3]
    assert f"{BY_TABLE}\n.Ltmebox1:\n\thlt\n" in text


def test_two_jumps_share_what_a_table_is_filled_up_with() -> None:
    data = f"{RODATA}.Ltable: .quad .La, .Lb, .La"
    text = instrumented(data, f"{CODE}g:\tandl $7, %ecx\n\tjmpq\t*.Ltable(,%rcx,8)\n")
    assert moved(text) == [".La", ".Lb", ".La", *[".Ltmebox1"] * 5]


BOUNDED = {
    "compared": ("cmpl $1, %eax\n ja .Lb", "gs"),
    "compared-with-less": ("cmpl $0, %eax\n ja .Lb", "gs"),
    "compared-whole": ("cmpq $0x1, %rax\n ja .Lb", "gs"),
    "compared-in-r15": ("cmpl $1, %eax\n ja .Lb", "r15"),
    "with-places-between": ("cmpl $1, %eax\n .loc 1 2 3\n ja .Lb\n.Ltmp7:\n .loc 1 2 3", "gs"),
    "known": ("andl $1, %eax", "gs"),
    "known-and-something-between": ("shrl $31, %eax\n movl %edx, 8(%rdi)\n.Ltmp7:", "gs"),
}
UNBOUNDED = {
    "compared-with-more": ("cmpl $2, %eax\n ja .Lb", "gs"),
    "compared-with-a-negative-number": ("cmpl $-1, %eax\n ja .Lb", "gs"),
    "another-register": ("cmpl $1, %ecx\n ja .Lb", "gs"),
    "with-a-sign": ("cmpl $1, %eax\n jg .Lb", "gs"),
    "something-between": ("cmpl $1, %eax\n ja .Lb\n movl %ecx, %edx", "gs"),
    "before-the-branch": ("cmpl $1, %eax\n movl %ecx, %edx\n ja .Lb", "gs"),
    "somebody-arrives": ("jmp .Lc\n cmpl $1, %eax\n ja .Lb\n.Lc:", "gs"),
    "somebody-arrives-at-the-branch": ("jmp .Lc\n cmpl $1, %eax\n.Lc: ja .Lb", "gs"),
    "known-to-be-more": ("andl $3, %eax", "gs"),
    "known-in-r15": ("andl $1, %eax", "r15"),
    "known-of-another": ("andl $1, %ecx", "gs"),
    "known-once": ("andl $1, %eax\n incl %eax", "gs"),
    "known-here-only": ("jmp .Lc\n andl $1, %eax\n.Lc:", "gs"),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_an_index_that_is_bounded_already_is_used_as_it_is(name: str) -> None:
    before, base = BOUNDED[name]
    code = CODE.replace("\tjmpq", f'\t.file 1 "t.c"\n{before}\n\tjmpq')
    text = instrumented(f"{RODATA}.Ltable: .quad .La, .Lb", code, base=base)
    assert len(re.findall(r"\n\t(?:cmp[lq]|andl)\t\$[^%]*, %[er]ax", text)) == ("shrl" not in before)
    assert BY_TABLE in text


@pytest.mark.parametrize("name", UNBOUNDED)
def test_any_other_index_is_bounded_first(name: str) -> None:
    before, base = UNBOUNDED[name]
    code = CODE.replace("\tjmpq", f"{before}\n\tjmpq")
    text = instrumented(f"{RODATA}.Ltable: .quad .La, .Lb", code, base=base)
    bound = r"cmpq\t\$1, %rax\n\tja\t\S+" if base == "r15" else r"andl\t\$1, %eax"
    assert re.search(rf"\t{bound}\n\t{re.escape(BY_TABLE)}", text) or name == "known-to-be-more"
    assert moved(text) == [".La", ".Lb", *[".Ltmebox1"] * 2 * (name == "known-to-be-more")]


def test_flags_over_a_jump_through_a_table_are_refused() -> None:
    code = CODE.replace("\tjmpq", "\tcmpl %ecx, %edx\n\tjmpq").replace(".La:\n", ".La:\n\tje .Lb\n")
    with pytest.raises(CompileError, match="flags are in use"):
        instrumented(f"{RODATA}.Ltable: .quad .La, .Lb", code)


# -- modules ----------------------------------------------------------------------------------------------

CASES = " ".join(f"case {i}: return x * {i * i + 3};" for i in range(12))
SWITCH = f"int f(int x, int y) {{ switch (y) {{ {CASES} }} return 0; }}"
EXPECTED = [*(5 * (i * i + 3) for i in range(12)), 0, 0]


def called(module: tmebox.Module) -> list[int]:
    with tmebox.Sandbox(module) as sandbox:
        return [sandbox.f(5, y) for y in (*range(12), 12, -1)]


def entries(module: ModuleFile) -> list[int]:
    return [number for (number,) in struct.iter_unpack("<Q", module.text[module.code_bytes :])]


@pytest.mark.parametrize(
    ("optimize", "has_table"), [("-O0", False), ("-O1", True), ("-Os", True), ("-O2", True), ("-O3", True)]
)
def test_switches_work_at_every_level(optimize: Optimization, has_table: bool) -> None:
    module = tmebox.compile(source_text=SWITCH, optimize=optimize)
    verified(module.file)
    assert (module.file.table_entries, len(module.file.labels)) == ((16, 0) if has_table else (0, 12))
    assert called(module) == EXPECTED


@pytest.mark.parametrize("optimize", ["-O0", "-O2", "-Os"])
def test_switches_that_gcc_compiled_work(optimize: Optimization) -> None:
    try:
        gcc()
    except CompileError as error:
        pytest.skip(str(error))
    module = tmebox.compile(source_text=SWITCH, base="r15", optimize=optimize)
    assert called(module) == EXPECTED
    if optimize == "-O2":
        assert module.file.table_entries >= 12
        assert len(module.file.labels) == 0


def test_entries_are_addresses_of_instructions_and_move_with_the_text() -> None:
    module = verified(compile_text(SWITCH))
    end = module.text_address + module.code_bytes
    assert all(module.text_address <= target < end for target in entries(module))
    assert module.relocations.text_abs64.tolist() == list(
        range(module.code_bytes, len(module.text), TABLE_ENTRY)
    )


def test_a_function_that_is_dropped_takes_its_table_with_it() -> None:
    text = f"{SWITCH} {SWITCH.replace(' f(', ' g(').replace('+', '-')}"
    assert compile_text(text).table_entries == 32
    assert compile_text(text, exports=("f",)).table_entries == 16
    assert compile_text(text + " int h(void) { return 1; }", exports=("h",)).table_entries == 0


def test_tables_of_several_files_lie_behind_all_their_code() -> None:
    module = verified(compile_text(SWITCH, SWITCH.replace(" f(", " g(")))
    assert module.table_entries == 32
    assert len(set(entries(module))) == 2 * (12 + 1)
    assert max(entries(module)) < module.text_address + module.code_bytes


def test_a_table_with_labels_that_are_read_as_data_is_in_the_module_twice() -> None:
    module = verified(
        compile_text(
            "int f(int i, void **out) { static void *const t[] = { &&a, &&b, &&c }; *out = t[i ^ 1];"
            " goto *t[i]; a: return i; b: return 0; c: return 7; }"
        )
    )
    assert module.table_entries == 4
    *labels, outside = entries(module)
    assert sorted(labels) == module.labels.tolist()
    assert module.text[outside - module.text_address] == 0xF4
    assert len(module.relocations.data_abs64) == 3


def test_without_isolation_of_control_a_module_has_no_tables() -> None:
    module = verified(compile_text(SWITCH, isolation="data"))
    assert module.table_entries == 0
    assert module.code_bytes == len(module.text)


BY_HAND = """
    .globl f
    .type f, @function
f:  movl %esi, %eax
    jmpq *table(,%rax,8)
one: movl $1, %eax
    ret
two: leal (%rdi,%rdi), %eax
    ret
    .size f, .-f
    .section .rodata
    .p2align 3
table: .quad one, two
"""


def test_assembly_by_hand_jumps_through_a_table(tmp_path: Path) -> None:
    (tmp_path / "f.S").write_text(BY_HAND)
    module = tmebox.compile(tmp_path / "f.S")
    assert module.file.table_entries == 2
    with tmebox.Sandbox(module) as sandbox:
        assert [sandbox.call_raw("f", 21, which) for which in (0, 1)] == [1, 42]
        assert sandbox.call_raw("f", 21, 2) in (1, 42)  # what else: the program's own fault


def test_inline_assembly_jumps_through_a_table() -> None:
    source = r"""
    __attribute__((naked)) void f(void) {
      __asm__("movl %esi, %eax\n jmpq *.Lhand(,%rax,8)\n"
              ".Lone: movl $1, %eax\n ret\n .Ltwo: leal (%rdi,%rdi), %eax\n ret\n"
              ".pushsection .rodata\n .p2align 3\n .Lhand: .quad .Lone, .Ltwo\n .popsection");
    }"""
    module = tmebox.compile(source_text=source)
    assert module.file.table_entries == 2
    assert not len(module.file.labels)
    with tmebox.Sandbox(module) as sandbox:
        assert [sandbox.call_raw("f", 21, which) for which in (0, 1)] == [1, 42]


@pytest.mark.parametrize("what", ["nop", ".quad 1", "ret"])
def test_whoever_writes_into_the_tables_section_is_refused_or_harmless(what: str) -> None:
    source = f'{SWITCH}\n__asm__(".pushsection {TABLES_PREFIX}0,\\"ax\\"\\n{what}\\n.popsection");'
    try:
        module = tmebox.compile(source_text=source)
    except (CompileError, tmebox.VerificationError):
        return
    assert called(module) == EXPECTED


def test_claims_are_sorted_and_of_one_type() -> None:
    module = compile_text(SWITCH)
    assert module.labels.dtype == module.functions.dtype == np.uint32
