"""Whatever a source or an option says: a CompileError that says what is wrong, and no other exception."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.link.linked import Elf
from tmebox.toolchain.objects import compile_object
from tmebox.toolchain.options import CompileOptions, SourceText

LONG = "9" * 5000
"""More digits than Python reads."""
LINES = [
    ".file 1,",
    ".file",
    '.file 1, "',
    '.file 1 "a"',
    ".file 1 a b",
    '.file 0 "" ""',
    ".loc",
    ".loc 1",
    ".loc 1 x",
    ".loc 1,2",
    f".loc 1 {LONG}",
    f".loc {LONG} 1",
    f'# {LONG} "x"',
    f".byte {LONG}",
    f"movl ${LONG}, %eax",
    f"movl {LONG}(%rsp), %eax",
    f"subq ${LONG}, %rsp",
    f"leaq {LONG}(%rsp), %rsp",
    f".cfi_def_cfa_offset {LONG}",
    f".p2align {LONG}",
    f".set x, {LONG}",
    f"jmp {LONG}f",
    f"{LONG}:",
    f"movl 0x{LONG}(%rdi), %eax",
    f".zero {LONG}",
    f"pushq ${LONG}",
    f"movl (%rdi,%rsi,{LONG}), %eax",
    ".size",
    ".type",
    ".section",
    ".section ,",
    ".globl",
    ".comm",
    ".set",
    ".set x",
    "1f = 2",
    ".quad 1,,2",
    "lock",
    "lock; lock",
]


@pytest.mark.parametrize("base", ["gs", "r15"])
@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:30])
@pytest.mark.parametrize("where", ["file", "function"])
def test_strange_lines_of_assembly(line: str, base: str, where: str, tmp_path: Path) -> None:
    text = "".join(rf"\{character}" if character in '"\\' else character for character in line).replace(
        "%", "%%"
    )
    asm = f'__asm__("{text if where == "function" else text.replace("%%", "%")}");'
    source = (
        f"{asm}\nint f(void) {{ return 1; }}"
        if where == "file"
        else f"int f(int x) {{ {asm.replace(');', ' : : );')} return x; }}"
    )
    try:
        compile_object(SourceText(source), tmp_path / "f.o", CompileOptions(base=base, use_libc=False))
    except CompileError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("-std=zig",), "invalid value 'zig'"),
        (("-march=foo",), "unknown target CPU 'foo'"),
        (("-ftemplate-depth=99999999999999",), "invalid integral value"),
    ],
)
def test_a_header_is_missing_only_where_one_is(flags: tuple[str, ...], said: str, tmp_path: Path) -> None:
    options = CompileOptions(flags=flags, use_libc=False)
    with pytest.raises(CompileError, match=said) as caught:
        compile_object(SourceText("int f(void) { return 1; }"), tmp_path / "f.o", options)
    assert "header" not in str(caught.value)
    with pytest.raises(CompileError, match="a header is missing"):
        compile_object(
            SourceText('#include "none.h"\n#error no\n'), tmp_path / "f.o", CompileOptions(use_libc=False)
        )


@pytest.mark.parametrize("timeout", [math.inf, math.nan, 1e30, 0, -1])
def test_times_that_are_none_are_refused_at_once(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        tmebox.compile(source_text="int f(void) { return 1; }", timeout=timeout)


def test_more_sections_than_a_header_counts_are_named(tmp_path: Path) -> None:
    compile_object(SourceText("int f(void) { return 1; }"), tmp_path / "f.o", CompileOptions(use_libc=False))
    for offset, value in ((60, b"\0\0"), (62, b"\xff\xff")):
        data = bytearray((tmp_path / "f.o").read_bytes())
        data[offset : offset + 2] = value
        with pytest.raises(CompileError, match="more than 65,280 sections"):
            Elf(bytes(data), "many.o")
