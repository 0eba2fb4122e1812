"""Golden files, refusals, and where refusals point to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain.rewriting import GOLDEN, verified
from tmebox import abi
from tmebox.errors import CompileError, Diagnostic
from tmebox.toolchain import objects
from tmebox.toolchain.options import CompileOptions, SourceText
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.emit import FULL_RED_ZONE
from tmebox.toolchain.rewrite.rewrite import rewrite

CASES = sorted(
    (base, isolation, path.name.removesuffix(".in.s"))
    for (base, isolation), folder in GOLDEN.items()
    for path in folder.glob("*.in.s")
)


@pytest.mark.parametrize(("base", "isolation", "name"), CASES)
def test_the_instrumented_text_is_the_golden_one(base: str, isolation: str, name: str) -> None:
    folder = GOLDEN[base, isolation]
    source = (folder / f"{name}.in.s").read_text()
    expected = (folder / f"{name}.out.s").read_text()
    assert rewrite(source, file=f"{name}.in.s", base=base, isolation=isolation) == expected


@pytest.mark.parametrize(
    ("base", "isolation", "name"),
    sorted({*CASES, *((base, "data", name) for base, _, name in CASES)}),
)
def test_the_verifier_accepts_what_golden_sources_become(
    base: str, isolation: str, name: str, tmp_path: Path
) -> None:
    folders = (folder for (other, _), folder in GOLDEN.items() if other == base)
    path = next(folder / f"{name}.in.s" for folder in folders if (folder / f"{name}.in.s").exists())
    text = rewrite(path.read_text(), file=f"{name}.in.s", isolation=isolation, base=base)
    assert verified(text, tmp_path, isolation, base).instruction_count > 0


RESERVED = [
    "movq %r15, %rax", "movl (%r14), %eax", "popq %r15", "leaq 8(%rax,%r14), %rax", "callq *%r15",
    "jmp *8(%r14)", "xorl %r14d, %r14d", "movb %r15b, (%rax)",
]  # fmt: skip


@pytest.mark.parametrize("line", RESERVED)
def test_programs_with_the_base_in_r15_leave_r14_and_r15_alone(line: str) -> None:
    with pytest.raises(CompileError, match="is reserved for the sandbox's base"):
        rewrite(f"\t.text\nf:\n\t{line}\n\tud2\n", file="bad.s", base="r15")
    rewrite(f"\t.text\nf:\n\t{line}\n\tud2\n", file="good.s", base="gs")


REFUSED = [
    # Instructions that leave the sandbox, or whose effects nobody checked.
    "syscall", "int $0x80", "sysenter", "iretq", "rdpmc", "rdpid %rax", "in %dx, %al",
    "outb %al, %dx",
    "wrgsbase %rax", "rdfsbase %rax", "swapgs", "wrpkru", "xsave (%rax)", "fxsave (%rax)", "fldenv (%rax)",
    "fnsave (%rax)", "clzero", "movntq %mm0, (%rax)", "movntdq %xmm0, (%rax)", "movnti %eax, (%rdx)",
    "maskmovdqu %xmm0, %xmm1", "vgatherdps %ymm1, (%rax,%ymm2), %ymm0", "monitor", "xbegin 1f", "lgdt (%rax)",
    "unheard_of %eax",
    # State that code relies on.
    "std", "pushfw", "popfw", "enter $16, $0", "movw %ax, %ds", "movl %gs, %eax", "pushq %fs",
    "movq %cr0, %rax",
    # Implicit or unconfined addresses.
    "xlatb", "scasb", "repne scasb", "cmpsb", "lodsq", "rep lodsb", "movsd", "cmpsd", "insb", "repne stosb",
    "movabsq symbol, %rax", "movabsl 8(%rdi), %eax", "movabsl %gs:8, %eax",
    "movabsl 8, %r11d", "movabsl 8, 16", "movabsq %rax, %rcx, 8",
    "movl %gs:4, %eax", "movl %gs:(%rax), %eax",
    "movl %ds:(%rax), %eax", "movl %fs:40, %eax", "movl -0x200000, %eax", "movl 8(%rip), %eax",
    "movl 8(%ax), %ecx", "movq tls@TLSGD(%rip), %rdi", "leaq %fs:8(%rax), %rax", "btw %ax, (%rdi)",
    # The stack pointer in parts, or in places where no sequence exists.
    "movw %ax, %sp", "movb $1, %spl", "popw %ax", "pushw %ax", "xaddq %rsp, %rax", "xchgq %rsp, (%rax)",
    "mulxq %rax, %rsp, %rcx", "addq %r11, %rsp; imulq %r11, %rsp; movq %r11, %rax",
    # Branches to computed places without a check.
    "retq $8", "lret", "lcall *(%rax)", "ljmp *(%rax)", "jmp 0x1234", "jmp .+4", "jmp sym+4", "call %rax",
    "jmp *%rsp",
    "callq *%eax", "callw *%ax", "jne *%rax", "movl *%eax, %ecx",
    # Prefixes.
    "lock movl %eax, (%rdx)", "rep addl %eax, %ecx", "xacquire lock incl (%rax)", "data16 nop",
    "bnd jmp 1f", "lock",
    # Directives that hide instructions, files or branches.
    ".incbin \"/etc/passwd\"",
    ".include \"x\"",
    ".macro m", ".rept 3", ".irp x,1", ".if 1", ".altmacro", ".code32", ".intel_syntax noprefix",
    ".org 8", ".nops 8",
    ".p2align 4, 0xcc", ".p2align sym", ".section .x,\"awx\"", ".section .x,\"a?\"", ".text 1",
    ".subsection 1",
    ".popsection", ".set x, %rax", "x = y@GOTPCREL", ".reloc 0, R_X86_64_NONE, f", ".unheard_of",
    # Names of ours.
    ".Ltmebox1: nop",
]  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_made_safe_is_refused(line: str) -> None:
    with pytest.raises(CompileError) as caught:
        rewrite(f"\t.text\nf:\n\t{line}\n", file="bad.s")
    diagnostics = caught.value.diagnostics
    assert {(item.file, item.line) for item in diagnostics} <= {("bad.s", 3), ("bad.s", 4)}


def test_a_breakpoint_is_one_however_it_is_written() -> None:
    assert "\tint3\n" in rewrite("\tint $3\n\thlt\n", file="t.s")
    for other in ("int $0x80", "int $4", "int", "int $3, $3"):
        with pytest.raises(CompileError):
            rewrite(f"\t{other}\n\thlt\n", file="t.s")


def test_an_instruction_in_a_data_section_is_refused() -> None:
    with pytest.raises(CompileError, match=r"bad\.s:2: error: .*`\.data`"):
        rewrite("\t.data\n\tnop\n", file="bad.s")


def test_data_in_a_data_section_is_kept() -> None:
    assert rewrite("\t.data\n\t.byte 15, 5\n", file="a.s") == "\t.data\n\t.byte\t15, 5\n"


def test_all_refusals_of_a_file_are_reported_at_once() -> None:
    with pytest.raises(CompileError) as caught:
        rewrite("\tsyscall\n\tnop\n\trdpmc\n\t.macro m\n", file="bad.s")
    assert [item.line for item in caught.value.diagnostics] == [1, 3, 4]
    assert "3 lines" in str(caught.value)


def test_a_refusal_points_to_the_c_line_that_loc_names() -> None:
    files = '\t.file 0 "/dir" "a.c" md5 0x1\n\t.file 1 "inc" "b.h"\n'
    text = f"{files}\t.loc 1 7 3\n\tnop\n\tsyscall\n\t.loc 0 9\n\trdpmc\n"
    with pytest.raises(CompileError) as caught:
        rewrite(text, file="a.s")
    assert [(item.file, item.line) for item in caught.value.diagnostics] == [("inc/b.h", 7), ("a.c", 9)]
    assert "line 5 of the assembly" in caught.value.diagnostics[0].message


def test_a_refusal_points_to_the_line_that_a_line_marker_names() -> None:
    text = '# 1 "start.S"\n\tnop\n# 40 "start.S" 2\n\tnop\n\tsyscall\n# 0 "" 2\n\trdpmc\n'
    with pytest.raises(CompileError) as caught:
        rewrite(text, file="out.s")
    assert [(item.file, item.line) for item in caught.value.diagnostics] == [("start.S", 41), ("out.s", 7)]


def test_a_rebase_between_flags_and_a_reader_of_the_carry_is_refused() -> None:
    with pytest.raises(CompileError, match="while the flags are in use"):
        rewrite(
            "\taddl %eax, %ecx\n\tmovq %rbx, %rsp\n\tadcl %edx, %esi\n\tud2\n", file="a.s", isolation="data"
        )


@pytest.mark.parametrize(
    "line", ["movq %rbx, %rsp", "andq $-48, %rsp", "leave", "popq %rsp", "addq %rax, %rsp"]
)
def test_rsp_moves_by_constants_only(line: str) -> None:
    with pytest.raises(CompileError, match="moves the stack pointer by what is not a constant") as caught:
        rewrite(f"\t.text\nf:\n\t{line}\n\tud2\n", file="bad.s")
    assert [item.line for item in caught.value.diagnostics] == [3]
    rewrite(f"\t.text\nf:\n\t{line}\n\tud2\n", file="good.s", isolation="data")


ALL_IN_USE = "".join(
    f"\taddq %{name}, %rax\n" for name in registers.NAMES_64 if name not in ("rsp", "rax", *abi.RESERVED)
)
"""Whoever jumps to where this is has no register free."""
KEEPING = f"\tjmp *.Lt(,%rax,8)\n.La:\n{ALL_IN_USE}\tud2\n"


@pytest.mark.parametrize(("use", "is_full"), [
    ("movq %rbx, -120(%rsp)", False), ("movq %rbx, -136(%rsp)", False), ("movq %rbx, -128(%rsp)", True),
    ("movl -124(%rsp), %ebx", True), ("movb $1, -121(%rsp)", True), ("leaq -0x80(%rsp), %rbx", True),
])  # fmt: skip
def test_a_checked_target_is_kept_where_nothing_else_is(use: str, is_full: bool) -> None:
    """Before the jump and after it, but not in another function."""
    table = "\t.data\n.Lt:\n\t.quad .La\n"
    other = f"\t.size f, .-f\n\t.globl other\nother:\n\t{use}\n\tud2\n{table}"
    kept = f"jmp\t*{abi.SPILL_TARGET}(%rsp)"
    assert kept in rewrite(f"\t.text\nf:\n{KEEPING}{other}", file="f.s", base="r15")
    for body in (f"\t{use}\n{KEEPING}", f"{KEEPING}.Lb:\n\t{use}\n\tud2\n"):
        text = f"\t.text\nf:\n{body}{other}"
        if not is_full:
            assert kept in rewrite(text, file="f.s", base="r15")
            continue
        with pytest.raises(CompileError) as caught:
            rewrite(text, file="f.s", base="r15")
        assert ["fills its red zone" in item.message for item in caught.value.diagnostics] == [True]


def test_what_fills_its_red_zone_is_compiled_again_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: assembly in the source stays as it is."""
    tried = []

    def once(source: SourceText, options: CompileOptions, language: str | None, name: str) -> None:
        tried.append(options.flags)
        place = Diagnostic(f"`jmp`: {FULL_RED_ZONE}", "f.c", 1)
        raise CompileError("1 line of assembly that cannot run in a sandbox", (place,))

    monkeypatch.setattr(objects, "_instrument_once", once)
    with pytest.raises(CompileError):
        objects.instrument(SourceText("int f;"), CompileOptions(flags=("-O1",)))
    assert tried == [("-O1",), ("-O1", "-mno-red-zone")]


def test_an_indirect_jump_with_flags_in_use_is_refused() -> None:
    text = "\tcmpl %eax, %ecx\n\tjmp *.Lt(,%rax,8)\n.La:\n\tjne .La\n\tud2\n\t.data\n.Lt:\n\t.quad .La\n"
    with pytest.raises(CompileError, match="while the flags are in use"):
        rewrite(text, file="a.s")


def test_an_unknown_base_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="base is one of"):
        rewrite("", file="a.s", base="r13")


def test_an_unknown_isolation_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="isolation is one of"):
        rewrite("", file="a.s", isolation="none")


def test_data_isolation_leaves_returns_and_branches_alone() -> None:
    text = rewrite("\tcallq *8(%rdi)\n\tjmpq *%rax\n\tretq\n", file="a.s", isolation="data")
    assert text == "\tcallq\t*%gs:8(%edi)\n\tjmp\t*%rax\n\tretq\n"
