"""Computed gotos through differences of labels, and of functions: what sums can reach is claimed, no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.toolchain.compiling import compile_text
from tmebox.abi import Base
from tmebox.hints import Optimization
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain import sections
from tmebox.toolchain.build import CompileOptions, SourceText, compile_object
from tmebox.toolchain.compile.gcc import gcc
from tmebox.toolchain.link.link import link
from tmebox.toolchain.rewrite.rewrite import rewrite

INTERPRETERS = {
    "ints": ("static const int off[] = { ENTRIES };", "&&base + off[*code++]"),
    "shorts": ("static const short off[] = { ENTRIES };", "&&base + off[*code++]"),
    "longs": ("static long off[] = { ENTRIES };", "(char *)&&base + off[*code++]"),
    "added at run time": (
        "long off[] = { ENTRIES }; long sum = 0; for (int i = 0; i < 4; i++) sum += off[i];"
        "if (sum == 1) return 0;",
        "(char *)&&base + off[*code++]",
    ),
}
RUN = """
int interpret(const unsigned char *code, int x)
{{
    {table}
    goto *({next});
base: x += 3; goto *({next});
mul: x *= 5; goto *({next});
neg: x = -x; goto *({next});
end: return x;
}}
"""
ENTRIES = ", ".join(f"(char *)&&{name} - (char *)&&base" for name in ("base", "mul", "neg", "end"))


@pytest.mark.parametrize("base", ["gs", "r15"])
@pytest.mark.parametrize("optimize", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("name", INTERPRETERS)
def test_an_interpreter_of_label_differences_runs(name: str, optimize: Optimization, base: Base) -> None:
    if base == "r15":
        try:
            gcc()
        except tmebox.CompileError as error:
            pytest.skip(str(error))
    table, step = INTERPRETERS[name]
    source = RUN.format(table=table.replace("ENTRIES", ENTRIES), next=step)
    module = tmebox.compile(source_text=source, optimize=optimize, base=base)
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.interpret(b"\0\1\2\0\3", 2) == -22


def test_functions_that_differences_lead_to_can_be_called() -> None:
    source = """
    __asm__(".section .rodata\\noffsets: .long first - first, second - first\\n.text\\n"
            ".type first,@function\\nfirst: movl $1, %eax\\nret\\n"
            ".type second,@function\\nsecond: movl $2, %eax\\nret\\n");
    extern const int offsets[2]; int first(void);
    int at(int i) { return ((int (*)(void))((char *)first + offsets[i]))(); }
    """
    with tmebox.Sandbox(tmebox.compile(source_text=source)) as sandbox:
        assert [sandbox.at(i) for i in (0, 1)] == [1, 2]


LABELS = """
int f(int i) { static const int off[] = { (char *)&&a - (char *)&&a, (char *)&&b - (char *)&&a };
    goto *((char *)&&a + off[i & 1]); a: return 1; b: return 2; }
"""
POKED = "int g(long where) { goto *(void *)where; l: return (int)(long)&&l; }"


def test_a_sum_that_leads_anywhere_else_is_stopped() -> None:
    source = LABELS.replace("off[i & 1]", "off[i & 1] + (i >> 1)")
    with tmebox.Sandbox(tmebox.compile(source_text=source)) as sandbox:
        assert [sandbox.f(i) for i in (0, 1)] == [1, 2]
        with pytest.raises(tmebox.ControlFlowViolation):
            sandbox.f(2)


def test_labels_of_functions_that_are_dropped_are_not_claimed(tmp_path: Path) -> None:
    source = (
        LABELS.replace("int f", '__attribute__((visibility("hidden"))) int f')
        + "int used(void) { return 1; }"
    )
    options = CompileOptions(use_libc=False)
    compile_object(SourceText(source), tmp_path / "a.o", options)
    module = link([tmp_path / "a.o"], [], options)
    assert {symbol.name for symbol in module.symbols} == {"used"} and len(module.labels) == 0
    assert len(compile_text(LABELS).labels) == 2


def claiming(quads: str) -> ModuleFile:
    section = f'.section {sections.LABELS},\\"\\",@progbits\\n{quads}\\n.text'
    return compile_text(f'int f(int x) {{ return x * 1234567; }} __asm__("{section}");')


def test_a_list_that_lies_is_the_verifiers_to_refuse() -> None:
    assert len(claiming(".quad f, f + 2, 0, 1, 0x1234, -1").labels) == 1
    with pytest.raises(tmebox.VerificationError, match="target-is-instruction-start"):
        tmebox.Module(claiming(".quad f + 1"))


@pytest.mark.parametrize("quads", [".byte 1, 2, 3", "", ".quad -1, 0x7fffffff"])
def test_a_list_that_is_damaged_claims_nothing(quads: str) -> None:
    assert len(claiming(quads).labels) == 0


def test_a_list_that_is_loaded_is_data_and_no_list() -> None:
    section = f'.section {sections.LABELS},\\"a\\",@progbits\\n.quad 0x41000000\\n.text'
    module = compile_text(f'int f(int x) {{ return x; }} __asm__("{section}");')
    assert len(module.labels) == 0


def test_addresses_alone_and_debug_information_need_no_list() -> None:
    text = "\t.text\nf:\n\tmovl\t$.La, %eax\n.La:\n\tud2\n\t.data\n\t.quad\t.La, f+8\n"
    text += '\t.section\t.debug_x,"",@progbits\n\t.long\t.La-f\n'
    assert sections.LABELS not in rewrite(text, file="a.s")


def test_labels_are_claimed_once_and_only_where_code_is() -> None:
    data = "\t.data\n.Ld:\n\t.long\t.La-f, .La-f, .Ld-.Le, .La - elsewhere\n.Le:\n"
    text = rewrite(f"\t.text\nf:\n\tnop\n.La:\n\tud2\n{data}", file="a.s")
    listed = text.split(sections.LABELS)[1]
    assert listed.count(".quad") == 2 and np.all([f".quad\t{name}\n" in listed for name in (".La", "f")])
