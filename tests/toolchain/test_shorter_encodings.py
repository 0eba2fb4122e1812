"""Instructions for single precision stand for longer ones, and do the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.toolchain.rewriting import compile_with_twin
from tmebox.toolchain.rewrite.rewrite import rewrite
from tmebox.toolchain.rewrite.speed.encodings import shorter
from tmebox.toolchain.rewrite.speed.sizes import size_bytes

BOTH = {
    "movapd": "movaps", "movupd": "movups", "andpd": "andps", "andnpd": "andnps", "orpd": "orps",
    "xorpd": "xorps",
}  # fmt: skip
LOADS = {**BOTH, "movlpd": "movlps", "movhpd": "movhps", "movdqa": "movaps", "movdqu": "movups"}
STORES = {
    **{name: short for name, short in LOADS.items() if name.startswith("mov")},
    "movntpd": "movntps",
}
FORMS = (
    *(("%xmm0, %xmm1", name, short) for name, short in BOTH.items()),
    *(("16(%rsi), %xmm1", name, short) for name, short in LOADS.items()),
    *(("%xmm1, 32(%rsi)", name, short) for name, short in STORES.items()),
)


@pytest.mark.parametrize(("operands", "long", "short"), FORMS)
def test_a_shorter_instruction_stands_for_a_longer_one(operands: str, long: str, short: str) -> None:
    assert shorter(f"f:\n\t{long}\t{operands}\n\tretq\n") == f"f:\n\t{short}\t{operands}\n\tretq\n"


@pytest.mark.parametrize(
    "line",
    [
        "\tmovdqa\t%xmm0, %xmm1", "\tmovdqa\t%xmm0, %xmm1\n\tmovl\t(%rax), %eax", "\taddpd\t%xmm0, %xmm1",
        "\tunpcklpd\t%xmm0, %xmm1", "\tcmplepd\t(%rax), %xmm1", "\tvmovapd\t(%rax), %xmm1",
        '\t.asciz\t"movapd\\t(%rax)"', "\tmovmskpd\t%xmm0, %eax", "\tmovsd\t(%rax), %xmm0",
    ],
)  # fmt: skip
def test_others_stay(line: str) -> None:
    assert shorter(line) == line


def _function(name: str, lines: list[str]) -> str:
    code = "\\n\\t".join(line.replace("\t", " ") for line in lines)
    return f'void {name}(unsigned char *data);\n__asm__("{name}:\\n\\t{code}\\n\\tretq");\n'


def test_what_is_shorter_writes_the_same_bytes(tmp_path: Path) -> None:
    """Run natively, with not-a-numbers and denormal numbers among the data."""
    pieces = []
    for number, (operands, long, short) in enumerate(FORMS):
        for kind, name in (("long", long), ("short", short)):
            first = ["movdqu\t(%rdi), %xmm0", "movdqu\t16(%rdi), %xmm1", "movq\t%rdi, %rsi"]
            last = ["movdqu\t%xmm0, 48(%rdi)", "movdqu\t%xmm1, 64(%rdi)"]
            pieces.append(_function(f"{kind}_{number}", [*first, f"{name}\t{operands}", *last]))
    calls = "".join(f"  check({number}, long_{number}, short_{number});\n" for number in range(len(FORMS)))
    source = tmp_path / "both.c"
    source.write_text(
        "#include <stdio.h>\n#include <string.h>\n" + "".join(pieces)
        + "typedef void work(unsigned char *);\nstatic int bad;\n"
        "static void check(int number, work *one, work *other) {\n"
        "  _Alignas(16) unsigned char first[80], second[80];\n"
        "  unsigned long long words[] = {0x7ff4000000000001, 0xfff0000000000000, 1, 0x7f8000017fc00000,\n"
        "                                0x8000000000000000, 0x0080000000000001, 0x3ff0000000000000};\n"
        "  for (int turn = 0; turn < 7 * 7; turn++) {\n"
        "    for (int i = 0; i < 80; i += 8) memcpy(first + i, &words[(i / 8 * turn + turn / 7) % 7], 8);\n"
        "    memcpy(second, first, 80);\n"
        "    one(first), other(second);\n"
        "    if (memcmp(first, second, 80)) printf(\"%d differs\\n\", number), bad = 1;\n"
        "  }\n}\n"
        f"int main(void) {{\n{calls}  return bad;\n}}\n"
    )  # fmt: skip
    program = tmp_path / "both"
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-w", "-fno-pie", source, "-o", program], check=True
    )
    assert subprocess.run([program], capture_output=True, text=True, check=False).stdout == ""


def test_a_compilers_assembly_is_rewritten_so(tmp_path: Path) -> None:
    source = tmp_path / "f.c"
    source.write_text(
        "double a[64], b[64], c[64];\nvoid f(void) { for (int i = 0; i < 64; i++) a[i] = -b[i] * c[i]; }\n"
    )
    before = compile_with_twin(source, "-O2")
    after = rewrite(before, file="f.s")
    assert "\tmovapd\t" in before
    assert "\tmulpd\t" in after and "\tmovaps\t" in after
    assert not any(f"\t{name}\t" in after for name in BOTH)


def test_their_sizes_are_known() -> None:
    assert size_bytes("\tmovaps\t%gs:8(%rip), %xmm0") == size_bytes("\tmovapd\t%gs:8(%rip), %xmm0") - 1
