"""Debug information says where variables are only if a debugger is to see it, and the code is the same."""

from __future__ import annotations

from pathlib import Path

from tests.toolchain.compiling import compile_text
from tmebox.toolchain.compile.compile import compile_to_assembly
from tmebox.toolchain.options import CompileOptions

LOOKED_UP = """
struct node { struct node *next; int key, weight; };
int ask(int key), tell(int key, int value);
static int measured(struct node *node, int key)
{
    int total = 0;
    for (struct node *at = node; at; at = at->next) {
        int weight = at->weight, found = at->key - key;
        if (found) total += ask(found) * weight;
        else if (weight) total -= tell(key, weight);
    }
    return total;
}
int find(struct node *node, int key)
{
    for (int steps = 0; node; node = node->next, steps++) {
        int found = measured(node, key), other = measured(node->next, key + steps);
        if (found > other) return ask(steps);
        key += tell(found, other);
    }
    return -1;
}
"""


def test_where_variables_are_is_found_out_for_debuggers_only(tmp_path: Path) -> None:
    source = tmp_path / "find.c"
    source.write_text(LOOKED_UP)

    def places(debug: bool) -> int:
        """Lines about them."""
        text = compile_to_assembly(source, CompileOptions(optimize="-O2", debug=debug)).text
        sections = text.split("\t.section\t")
        return sum(part.count("\n") for part in sections if part.startswith(".debug_loclists"))

    assert places(True) > 2 * places(False)


def test_the_code_is_the_same_for_a_debugger() -> None:
    there = "int ask(int key) { return key; } int tell(int key, int value) { return key * value; }"
    plain, full = (compile_text(LOOKED_UP, there, optimize="-O2", debug=debug) for debug in (False, True))
    assert plain.text == full.text
    assert plain.exports == full.exports
    assert plain.lines.files == full.lines.files
