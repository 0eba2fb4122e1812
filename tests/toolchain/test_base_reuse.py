"""Loads of the window's base that straight-line code does not repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

import tmebox
from tmebox.abi import CONTROL_WINDOW_BASE
from tmebox.toolchain.build import CompileOptions, build
from tmebox.toolchain.rewrite.speed.base_reuse import without_repeated_bases
from tmebox.toolchain.rewrite.speed.listing import read

LOAD = f"\tmovq\t%gs:{CONTROL_WINDOW_BASE:#x}, %"

ROUNDS = """
static unsigned t0[256], t1[256], t2[256], t3[256];
void fill(void) { for (unsigned i = 0; i < 256; i++) t0[i] = i * 2654435761u, t1[i] = t0[i] ^ i << 9,
	t2[i] = t1[i] * 5 + 1, t3[i] = t2[i] >> 3 | t0[i] << 29; }
unsigned mix(unsigned a, unsigned b, unsigned c, unsigned d, int n)
{
	while (n--) {
		unsigned e = t0[a >> 24] ^ t1[b >> 16 & 255] ^ t2[c >> 8 & 255] ^ t3[d & 255] ^ n;
		unsigned f = t0[b >> 24] ^ t1[c >> 16 & 255] ^ t2[d >> 8 & 255] ^ t3[a & 255];
		unsigned g = t0[c >> 24] ^ t1[d >> 16 & 255] ^ t2[a >> 8 & 255] ^ t3[b & 255];
		unsigned h = t0[d >> 24] ^ t1[a >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[c & 255];
		a = e, b = f, c = g, d = h;
	}
	return a ^ b ^ c ^ d;
}
"""


def code(*lines: str) -> str:
    return "\n".join(["\t.text", "\t.type\tf,@function", "f:", *lines, "\tretq", "\t.size\tf, .-f", ""])


def reused(text: str) -> dict[int, str]:
    listing = read(text)
    assert listing is not None
    return without_repeated_bases(listing, listing.graph.live_everywhere(), set())


FIRST = (f"{LOAD}r11", "\tmovl\t8(%r11,%rdi), %eax")
AGAIN = f"{LOAD}r11"
OTHER = (f"{LOAD}rdx", "\tmovl\t4(%rdx,%rsi), %ecx", "\tmovl\t%eax, %edx")

CASES = {
    "the same register": ((*FIRST, AGAIN, "\tmovl\t4(%r11,%rsi), %ecx"), {2: ""}),
    "another one": ((*FIRST, *OTHER), {2: "", 3: "\tmovl\t4(%r11,%rsi), %ecx\n"}),
    "past a branch": ((*FIRST, "\tje\t.L", AGAIN, "\tmovl\t4(%r11,%rsi), %ecx", ".L:"), {3: ""}),
    "a write between": ((*FIRST, "\tmovl\t%edi, %r11d", AGAIN, "\tmovl\t4(%r11,%rsi), %ecx"), {}),
    "an arrival between": ((*FIRST, "\tje\t.L", ".L:", AGAIN, "\tmovl\t4(%r11,%rsi), %ecx"), {}),
    "an arrival at a number between": ((*FIRST, "1:", AGAIN, "\tmovl\t4(%r11,%rsi), %ecx"), {}),
    "a call between": ((*FIRST, "\tcall\tg", AGAIN, "\tmovl\t4(%r11,%rsi), %ecx"), {}),
    "needed afterwards": ((*FIRST, *OTHER[:2], "\tmovq\t%rdx, %rax"), {}),
    "the holder is the index": ((*FIRST, f"{LOAD}rdx", "\tmovl\t4(%rdx,%r11), %ecx"), {}),
    "a string instruction": ((*FIRST, AGAIN, "\tleaq\t(%r11,%rdi), %rdi", "\trep stosb"), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_load_goes_where_the_base_is_known_to_be_there(case: str) -> None:
    lines, expected = CASES[case]
    found = reused(code(*lines))
    assert {index: text.strip() for index, text in found.items()} == {
        index: text.strip() for index, text in expected.items()
    }


def test_tables_in_a_row_take_few_loads_and_give_the_same_results(tmp_path: Path) -> None:
    source = tmp_path / "rounds.c"
    source.write_text(ROUNDS)
    with tmebox.Sandbox(tmebox.Module(build([source], CompileOptions(optimize="-O2")))) as sandbox:
        sandbox.fill()
        assert sandbox.mix(1, 2, 3, 4, 1000) == expected_mix(1, 2, 3, 4, 1000)


def expected_mix(a: int, b: int, c: int, d: int, n: int) -> int:
    mask = (1 << 32) - 1
    t0 = [i * 2654435761 & mask for i in range(256)]
    t1 = [t0[i] ^ i << 9 for i in range(256)]
    t2 = [t1[i] * 5 + 1 & mask for i in range(256)]
    t3 = [t2[i] >> 3 | t0[i] << 29 & mask for i in range(256)]

    def looked_up(w: int, x: int, y: int, z: int) -> int:
        return t0[w >> 24] ^ t1[x >> 16 & 255] ^ t2[y >> 8 & 255] ^ t3[z & 255]

    for left in range(n - 1, -1, -1):
        a, b, c, d = (
            looked_up(a, b, c, d) ^ left,
            looked_up(b, c, d, a),
            looked_up(c, d, a, b),
            looked_up(d, a, b, c),
        )
    return a ^ b ^ c ^ d
