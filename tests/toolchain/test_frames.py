"""Frames on a control stack and its twin: what clang says of them, and that all of them work."""

from __future__ import annotations

from pathlib import Path

import pytest

import tmebox
from tmebox.abi import LABEL_DEPTHS, TWIN_DISTANCE
from tmebox.errors import CompileError
from tmebox.hints import Optimization
from tmebox.toolchain.compile.compile import compile_to_assembly
from tmebox.toolchain.options import CompileOptions
from tmebox.toolchain.rewrite import frames, hand_written
from tmebox.toolchain.rewrite.replacement import Refusal
from tmebox.toolchain.rewrite.rewrite import rewrite

SOURCE = Path(__file__).with_name("frames.c")

MESSAGES = """\
a.c:2:22: warning: unused variable 'y' [-Wunused-variable]
    2 | int bar(int x) { int y; }
      |                      ^
a.c:1:1: remark: 
Function: f
Offset: [SP+8], Type: Fixed, Align: 16, Size: 4
Offset: [SP-8], Type: Spill, Align: 16, Size: 8
Offset: [SP-36], Type: Variable, Align: 4, Size: 12
    named @ a.c:2
     @ a file.c:3
    of any name @ a.c:4
Offset: [SP-44], Type: Spill, Align: 4, Size: 8
    inner @ a.c:2 [-Rpass-analysis=stack-frame-layout]
123456 | int f(int x)
      | ^
In file included from a.c:1:
In file included from b.h:7:
c.h:1:1: remark: 
Function: g [-Rpass-analysis=stack-frame-layout]
1 warning generated.
"""  # noqa: W291


def test_remarks_are_read_and_taken_out_of_the_messages() -> None:
    found, messages = frames.layouts(MESSAGES)
    assert messages.splitlines() == [*MESSAGES.splitlines()[:3], "1 warning generated."]
    assert set(found) == {"f", "g"}
    assert [offset for offset in range(-48, 16) if found["f"].keeps_register(offset)] == [
        *range(-44, -36),
        *range(-8, 0),
    ]


FUNCTION = """\
\t.type\tf,@function
f:
\t.cfi_startproc
\tsubq\t$24, %rsp
\t.cfi_def_cfa_offset 32
{}
\taddq\t$24, %rsp
\t.cfi_def_cfa_offset 8
\tretq
"""


@pytest.mark.parametrize(
    ("line", "placed"),
    [
        ("movq\t%rax, 16(%rsp)", "movq\t%rax, 16(%rsp)"),  # where a register is kept
        ("movq\t%rax, 8(%rsp)", "movq\t%rax, 8(%esp)"),  # an object
        ("movq\t40(%rsp), %rax", "movq\t40(%esp), %rax"),  # an argument
        ("movq\t24(%rsp), %rax", "movq\t24(%rsp), %rax"),  # the return address
        ("movq\t16(%rsp,%rcx,8), %rax", "movq\t16(%esp,%ecx,8), %rax"),
        ("leaq\t16(%rsp), %rax", "leaq\t16(%rsp), %rax"),
        ("#APP\n\tpushq\t%rax\n\tincq\t(%rsp)\n\tincq\t24(%rsp)\n\tincq\t16(%rsp)\n\tpopq\t%rax\n\t#NO_APP",
         "#APP\n\tpushq\t%rax\n\tincq\t(%rsp)\n\tincq\t24(%rsp)\n\tincq\t16(%esp)\n\tpopq\t%rax\n\t#NO_APP"),
    ],
)  # fmt: skip
def test_registers_are_kept_where_rsp_points_and_objects_in_the_twin(line: str, placed: str) -> None:
    layout = {"f": frames.Layout([-8], [0])}
    assert frames.with_twin(FUNCTION.format(f"\t{line}"), layout) == FUNCTION.format(f"\t{placed}")


def test_what_was_pushed_by_hand_is_where_rsp_points() -> None:
    text = "f:\tpushq %rbx; subq $16, %rsp\n\tincq (%rsp)\n\tincq 16(%rsp)\n\tincq 24(%rsp)\n\tincq 32(%rsp)"
    assert hand_written.with_twin(text).split("\n")[1:] == [
        "\tincq (%esp)",
        "\tincq 16(%rsp)",
        "\tincq 24(%rsp)",
        "\tincq 32(%esp)",
    ]


@pytest.mark.parametrize(
    ("written", "placed"),
    [
        ("movups %xmm1, 64 + 1 * 16(%rsp)", "movups %xmm1, 80(%esp)"),
        ("movups 64 + 1 * 16(%rsp), %xmm1", "movups 80(%esp), %xmm1"),
        ("movq -8(%rsp), %rax", "movq -8(%esp), %rax"),
        ("movq 8*(2+1)(%rsp,%rcx), %rax", "movq 24(%esp,%ecx), %rax"),
        ("movq 64+8*2(%rsp), %rax", "movq 80(%esp), %rax"),
        ("movq 8*2(%rsp), %rax", "movq 16(%rsp), %rax"),  # what was pushed
        ("lock incq 0x8 + 8(%rsp)", "lock incq 16(%rsp)"),
        ("jmp *8 + 8 (%rsp)", "jmp *16(%rsp)"),
        ("incq ROOM + 8(%rsp)", "incq ROOM + 8(%rsp)"),  # for the rewriter to refuse
        ("leaq 64 + 2 * 8(%rsp), %rax", "leaq 80(%rsp), %rax"),
    ],
)
def test_displacements_are_computed(written: str, placed: str) -> None:
    text = f"f:\tpushq %rbx\n\tsubq $16, %rsp\n\t{written}"
    assert hand_written.with_twin(text).split("\n")[2] == f"\t{placed}"


SYMBOLS = """\
.set SAVED, 8*2
ROOM = SAVED-8
.equ\tALL, ROOM + SAVED
f:\tpushq %rbx
\tsubq $ROOM, %rsp
\tincq ROOM(%rsp)
\tincq 0(%rsp)
\tincq ALL-8*2(%rsp)
\taddq $ALL-SAVED, %rsp
\tROOM = 64
\tincq ROOM-64(%rsp)
\tincq ROOM(%rsp)
"""


def test_symbols_stand_for_the_numbers_that_they_had_further_up() -> None:
    assert hand_written.with_twin(SYMBOLS).split("\n")[3:] == [
        "f:\tpushq %rbx",
        "\tsubq $8, %rsp",
        "\tincq 8(%rsp)",
        "\tincq (%esp)",
        "\tincq 8(%rsp)",
        "\taddq $8, %rsp",
        "\tROOM = 64",
        "\tincq (%rsp)",
        "\tincq 64(%esp)",
        "",
    ]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("incq 8*N(%rsp)", "8*N"),
        ("incq N*8+16(%rsp)", "N*8+16"),
        ("movq %rax, later(%rsp)", "later"),
        ("leaq N+8(%rsp), %rax", "N+8"),
        ("addps 8/N(%rsp,%rcx), %xmm0", "8/N"),
        ("jmp *N(%rsp)", "N"),
    ],
)
@pytest.mark.parametrize("inline", [False, True])
def test_a_distance_from_rsp_that_nobody_knows_is_refused(written: str, shown: str, inline: bool) -> None:
    text = f"\tpushq %rbx\n\t{written}\n\tpopq %rbx\n"
    if inline:
        text = frames.with_twin(FUNCTION.format(f"\t#APP\n{text}\t#NO_APP"), {}) + "\t# clang version"
    else:
        text = f"f:\n{text}\tret\n\t.set later, 0\n"
    with pytest.raises(CompileError) as caught:
        rewrite(text, file="f.s")
    (found,) = caught.value.diagnostics
    assert found.message.startswith(f"`{shown}(%rsp)`: a distance from the stack pointer has to be a number")
    rewrite(text, file="f.s", isolation="data")


AT_FILE_SCOPE = """
__asm__(".text\\n.globl outer\\n.type outer,@function\\nouter:\\n"
	"@pushq %rdi\\n@subq $16, %rsp\\n"
	"@movq 16(%rsp), %rax\\n@movq %rax, (%rsp)\\n@addq (%rsp), %rax\\n"
	"@addq 32(%rsp), %rax\\n"                      /* an argument */
	"@leaq 8(%rsp), %rcx\\n@movq $5, (%rcx)\\n@addq 8(%rsp), %rax\\n"
	"@addq $16, %rsp\\n@popq %rdi\\n@ret\\n.size outer,.-outer\\n");
long outer(long, long, long, long, long, long, long);
long f(long value) { return outer(value, 0, 0, 0, 0, 0, 1000); }
"""


@pytest.mark.parametrize("indent", ["\\t", " ", ""])
def test_assembly_at_file_scope_has_its_stack_as_assembly_files_do(indent: str) -> None:
    module = tmebox.compile(source_text=AT_FILE_SCOPE.replace("@", indent))
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.f(21) == 42 + 1000 + 5


def test_addresses_are_a_distance_below_rsp() -> None:
    text = "\tleaq\t8(%rsp), %rax\n\tmovq\t%rsp, %rcx\n\tincl\t4(%esp)\n\tincl\t4(%rsp)"
    assert frames.at_distance(text).replace(" ", "").split("\n") == [
        f"\tleaq\t{8 - TWIN_DISTANCE}(%rsp),%rax",
        f"\tleaq\t{-TWIN_DISTANCE}(%rsp),%rcx",
        f"\tincl\t{4 - TWIN_DISTANCE}(%esp)",
        "\tincl\t4(%rsp)",
    ]


def test_an_array_without_a_constant_size_needs_a_place_of_its_own() -> None:
    with pytest.raises(Refusal, match="f: a frame whose size is not constant"):
        frames.with_twin(FUNCTION.format("\tsubq\t%rax, %rsp"), {})
    with pytest.raises(Refusal, match="f: a frame whose size is not constant"):
        frames.with_twin(FUNCTION.format("\tandq\t$-64, %rsp"), {})
    text = frames.with_twin(FUNCTION.format("\tmovq\t%rax, %rsp\n\tandq\t$-64, %rsp"), {}, elsewhere=True)
    assert "%rax" not in text and "andq" not in text


def test_jumps_to_labels_in_frames_without_a_mark_search() -> None:
    labels = "".join(f".Ltmp{number}:\n\tnop\n" for number in range(22))
    table = "\t.data\n" + "".join(f"\t.quad\t.Ltmp{number}\n" for number in range(20))
    jumps = "\tjmpq\t*%rax\n\tjmpq\t*t(,%rcx,8)\n\tjmpq\t*%rax\n"
    text = (
        FUNCTION.replace("$24", "$8888").replace("offset 32", "offset 8896").format(f"{labels}{jumps}")
        + table
    )
    assert LABEL_DEPTHS[-1] < 8888
    found = frames.with_twin(text, {})
    assert "jmpq\t*" not in found and found.count("\tjmp\t.Lsearch0") == 1
    for number in range(20):
        assert found.count(f"\tje\t.Ltmp{number}\n") == 2
    assert ".Ltmp20," not in found and "\tje\t.Ltmp20" not in found
    small = frames.with_twin(FUNCTION.format(f"{labels}{jumps}"), {})
    assert small.count("jmpq\t*") == 3


POINTED = (
    "\t.type\tf,@function\nf:\n\t.cfi_startproc\n\tpushq\t%rbp\n\t.cfi_def_cfa_offset 16\n"
    "\tmovq\t%rsp, %rbp\n\t.cfi_def_cfa_register %rbp\n\tpushq\t%rbx\n\tsubq\t$600, %rsp\n"
    ".Ltmp0:\n{}\tjmpq\t*%rax\n\taddq\t$600, %rsp\n\tpopq\t%rbx\n\tpopq\t%rbp\n\tretq\n"
    "\t.data\n\t.quad\t.Ltmp0\n"
)


def test_a_frame_that_rbp_points_into_grows_to_a_depth_that_has_a_mark() -> None:
    found = frames.with_twin(POINTED.format("\tmovq\t%rax, 592(%rsp)\n"), {})
    grown = 600 + next(depth for depth in LABEL_DEPTHS if depth >= 616) - 616
    assert f"\tsubq\t${grown}, %rsp" in found and f"\taddq\t${grown}, %rsp" in found
    assert "\tjmpq\t*%rax" in found and "search" not in found


@pytest.mark.parametrize(
    "more",
    [
        "\tmovq\t%rax, 600(%rsp)\n",  # it may be any of what lies above
        "\tsubq\t$16, %rsp\n\taddq\t$16, %rsp\n",
        "\tleaq\t-16(%rsp), %rsp\n",
        "\tandq\t$-32, %rsp\n",
    ],
)
def test_such_a_frame_of_which_more_is_not_known_searches(more: str) -> None:
    found = frames.with_twin(POINTED.format(more), {})
    assert "$600, %rsp" in found and "jmpq\t*" not in found and "search" in found


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(text, marks=[] if text in ("-O1", "-O2") else pytest.mark.slow)
        for text in ("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -fno-omit-frame-pointer", "-O2 -march=x86-64-v3",
                     "-O1 -fstack-protector-strong -g", "-O2 -ftrapv")
    ],
)  # fmt: skip
def test_frames_of_every_kind_work(options: str) -> None:
    level, *flags = options.split()
    optimize: Optimization = level  # type: ignore[assignment]
    with tmebox.Sandbox(tmebox.compile(SOURCE, optimize=optimize, flags=[*flags, "-w"])) as sandbox:
        assert sandbox.check() == 0


def test_functions_that_stand_nowhere_in_the_source_bring_no_messages(tmp_path: Path) -> None:
    source = tmp_path / "a.cpp"
    source.write_text(
        "struct S { int a[9]; S(); ~S(); }; S s[3]; thread_local S t; int f() { return t.a[1]; }\n"
    )
    assert compile_to_assembly(source, CompileOptions(optimize="-O1")).messages == ""


NAMELESS = """\
struct Pair { int first, second; };
Pair make();
void use(...);
template <class T> struct Box {
    int of(T, T&&) {
        auto inner = [this](int, auto...) { int used; use(&used); return used; };
        return inner(3, 4);
    }
};
int operator""_long(unsigned long long) { int d\u00e9j\u00e0; use(&d\u00e9j\u00e0); return d\u00e9j\u00e0; }
int entry(int, char**) {
    auto [first, second] = make();
    union { int one; char other; };
    use(&first, &second, &one);
    int both[] = {1, 2};
    for (int each : both) use(&each);
    try { use(); } catch (int) { use(1); }
    return Box<int>{}.of(1, 2);
}
"""


@pytest.mark.parametrize("optimize", ["-O0", "-O2"])
@pytest.mark.parametrize("debug", [False, True])
def test_variables_without_names_leave_no_remark(tmp_path: Path, optimize: Optimization, debug: bool) -> None:
    source = tmp_path / "nameless.cpp"
    source.write_text(NAMELESS)
    flags = ("-std=c++20",)
    options = CompileOptions(optimize=optimize, debug=debug, flags=flags)
    assert compile_to_assembly(source, options).messages == ""
