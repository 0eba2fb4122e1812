"""Objects and vectors that need more alignment than frames have."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

import tmebox
from tests.properties.test_same_results import this_machine_runs
from tests.toolchain.rewriting import clang, tool
from tests.toolchain.wide_vectors import generate
from tmebox.hints import Optimization
from tmebox.toolchain.rewrite import alignment, frames
from tmebox.toolchain.rewrite.replacement import Refusal

HERE = Path(__file__).parent
SOURCES = [HERE / "aligned.c", HERE / "aligned_elsewhere.c"]
VECTORS = "-march=x86-64-v3"


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("\tvmovaps\t%ymm0, 32(%rsp)", "\tvmovups\t%ymm0, 32(%rsp)"),
        ("\tvmovapd\t16(%rbp), %ymm3", "\tvmovupd\t16(%rbp), %ymm3"),
        ("\tvmovdqa\t%ymm0, (%rsp,%rax)", "\tvmovdqu\t%ymm0, (%rsp,%rax)"),
        ("\tvmovdqa64\t%zmm0, (%rsp)", "\tvmovdqu64\t%zmm0, (%rsp)"),
        ("\tvmovdqa32\t(%rsp), %zmm0 {%k1} {z}", "\tvmovdqu32\t(%rsp), %zmm0 {%k1} {z}"),
        ("\tvmovntps\t%ymm0, (%rsp)", "\tvmovups\t%ymm0, (%rsp)"),
        ("\tvmovntdqa\t(%rsp), %ymm0", "\tvmovups\t(%rsp), %ymm0"),
        ("\tvmovntdq\t%zmm0, (%rsp)", "\tvmovups\t%zmm0, (%rsp)"),
        ("\tvmovaps\t%xmm0, 32(%rsp)", "\tvmovaps\t%xmm0, 32(%rsp)"),  # frames have 16 bytes
        ("\tvmovaps\t%ymm0, %ymm1", "\tvmovaps\t%ymm0, %ymm1"),
        ("\tvmovaps\t%ymm0, (%rdi)", "\tvmovaps\t%ymm0, (%rdi)"),  # not a frame, as far as anyone knows
        ("\tvaddps\t(%rsp), %ymm0, %ymm1", "\tvaddps\t(%rsp), %ymm0, %ymm1"),
    ],
)
def test_wide_moves_to_frames_need_no_alignment(line: str, changed: str) -> None:
    assert alignment.unaligned(line) == changed
    assert ("%rdi" in line) == (alignment.unaligned(line, anywhere=True) != changed)


FUNCTION = """\
\t.type\tf,@function
f:
\t.cfi_startproc
\tpushq\t%rbp
\t.cfi_def_cfa_offset 16
\tmovq\t%rsp, %rbp
\t.cfi_def_cfa_register %rbp
\tpushq\t%rbx
\tandq\t$-64, %rsp
\tsubq\t$2688, %rsp
{}
\tleaq\t-8(%rbp), %rsp
\tpopq\t%rbx
\tpopq\t%rbp
\tretq
"""
"""As clang does it: what it lists as lying at -2624 is at 56(%rsp)."""
LISTED = """\
a.c:1:1: remark:\x20
Function: f
Offset: [SP-8], Type: Spill, Align: 16, Size: 8
Offset: [SP-16], Type: Spill, Align: 8, Size: 8
Offset: [SP-2616], Type: Variable, Align: {}, Size: 2560
Offset: [SP-2688], Type: Spill, Align: 64, Size: 64 [-Rpass-analysis=stack-frame-layout]
"""


def test_a_frame_that_would_be_aligned_moves_by_a_constant() -> None:
    found, _ = frames.layouts(LISTED.format(16))
    text = frames.with_twin(FUNCTION.format("\tvmovaps\t%zmm0, (%rsp)\n\tvmovaps\t%zmm0, 64(%rsp)"), found)
    assert "andq" not in text and "\tleaq\t-8(%rsp), %rsp\n\tsubq\t$2688, %rsp" in text
    assert "\tvmovups\t%zmm0, (%rsp)\n\tvmovups\t%zmm0, 64(%esp)\n\tleaq\t2696(%rsp), %rsp" in text


@pytest.mark.parametrize(
    ("align", "line"),
    [
        (64, "\tleaq\t64(%rsp), %rdi"),
        (32, "\tmovq\t%rsp, %rdi"),
        (16, "\tleaq\t16(%rbp), %rdi"),  # an argument's
        (16, "#APP\n\tvmovaps\t64(%rsp), %ymm0\n\t#NO_APP"),
    ],
)
def test_what_has_an_address_and_needs_alignment_goes_elsewhere(align: int, line: str) -> None:
    found, _ = frames.layouts(LISTED.format(align))
    text = FUNCTION.format(line.replace("#APP", "\t#APP"))
    with pytest.raises(Refusal, match="f: an object with an alignment of more than 16 bytes"):
        frames.with_twin(text, found)
    moved = frames.with_twin(FUNCTION.format("\tvmovaps\t%ymm0, (%rdi)"), found, elsewhere=True)
    assert "\tvmovups\t%ymm0, (%rdi)" in moved


@pytest.mark.parametrize(
    "options", ["-O0", "-O2", f"-O2 {VECTORS}", f"-O2 -fno-omit-frame-pointer {VECTORS}"]
)
def test_aligned_objects_are_aligned(options: str) -> None:
    if not this_machine_runs(options.split()):
        pytest.skip("this processor has no AVX2")
    level, *flags = options.split()
    optimize: Optimization = level  # type: ignore[assignment]
    with tmebox.Sandbox(tmebox.compile(SOURCES, optimize=optimize, flags=[*flags, "-w"])) as sandbox:
        assert sandbox.check() == 0


@pytest.mark.parametrize(("seed", "kinds"), [(1, "frames only"), (2, "addresses"), (3, "all")])
def test_random_vectors_compute_what_they_do_natively(seed: int, kinds: str, tmp_path: Path) -> None:
    if not this_machine_runs([VECTORS]):
        pytest.skip("this processor has no AVX2")
    sources = [tmp_path / "a.c", tmp_path / "b.c"]
    for path, text in zip(
        sources, generate(seed, variable=kinds == "all", escaping=kinds != "frames only"), strict=True
    ):
        path.write_text(text)
    objects = [path.with_suffix(".o") for path in sources]
    for source, output in zip(sources, objects, strict=True):
        clang("-O2", "-w", "-fPIC", "-ffreestanding", VECTORS, "-c", source, "-o", output)
    tool("ld.lld", "-shared", *objects, "-o", tmp_path / "native.so")
    native = ctypes.CDLL(str(tmp_path / "native.so")).whole
    native.argtypes, native.restype = [ctypes.c_long], ctypes.c_long
    module = tmebox.compile(sources, flags=(VECTORS, "-w"), exports=["whole"])
    with tmebox.Sandbox(module) as sandbox:
        assert [sandbox.whole(n) for n in range(5)] == [native(n) for n in range(5)]


@pytest.mark.parametrize(
    "argument",
    ["typedef float wide __attribute__((vector_size(32)));", "typedef struct { _Alignas(64) int x; } wide;"],
)
def test_an_aligned_argument_where_their_number_varies_is_refused_with_a_way_out(argument: str) -> None:
    source = f"""
        #include <stdarg.h>
        {argument}
        int f(const char *more, ...);
        int passes(wide *p) {{ return f("", *p); }}
        __attribute__((noinline)) int f(const char *more, ...) {{
            va_list all;
            va_start(all, more);
            wide one = va_arg(all, wide);
            return *(volatile char *)&one;
        }}
    """
    with pytest.raises(tmebox.CompileError, match=r"passes: an argument that needs .* pass its address"):
        tmebox.compile(source_text=source, flags=(VECTORS, "-w"))


def test_aligned_objects_survive_exceptions() -> None:
    if not this_machine_runs([VECTORS]):
        pytest.skip("this processor has no AVX2")
    module = tmebox.compile(HERE / "aligned.cpp", flags=(VECTORS, "-w"))
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.check() == 0
