"""Calls by pointer that a compiler makes jumps of lead to functions. Which jumps those are, clang says in
comments, which cost time: most files are compiled without, and the text has to tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tmebox
from tmebox.toolchain.compile import tail_calls
from tmebox.toolchain.compile.compile import compile_to_assembly
from tmebox.toolchain.options import CompileOptions

SOURCE = """
const char *path(void) { return "0102"; }
int twice(int x) { return 2 * x; }
int tail(unsigned long f, int x) { return ((int (*)(int))f)(x); }

/* Switches beside tail calls. */
int choose(int which, unsigned long f, int x) {
    int (*g)(int) = (int (*)(int))f;
    switch (which) {
        case 0: return g(x);
        case 1: return g(x + 10);
        case 2: return x;
        case 3: return g(x * 7);
        case 4: return g(x - 9);
        case 5: return x + 3;
    }
    return g(-x);
}

/* Labels as values, beside a tail call without a frame, and alone with one. */
int walk(const char *p, unsigned long f, int x) {
    static void *const steps[] = {&&add, &&triple, &&end};
    goto *steps[*p++ - '0'];
add:
    x += 5;
    goto *steps[*p++ - '0'];
triple:
    x *= 3;
    goto *steps[*p++ - '0'];
end:
    return ((int (*)(int))f)(x);
}
int walk_far(const char *p, unsigned long f, int x) {
    static void *const steps[] = {&&add, &&triple, &&end};
    goto *steps[*p++ - '0'];
add:
    x += tail(f, x) - x;
    goto *steps[*p++ - '0'];
triple:
    x = tail(f, x * 3);
    goto *steps[*p++ - '0'];
end:
    return tail(f, x) + tail(f, 1);
}
"""
LEVELS = ["-O0", "-O1", "-O2", "-Os", "-O3"]


@pytest.mark.parametrize("flags", [*([level] for level in LEVELS), ["-O2", "-fno-ident"]])
def test_a_tail_call_by_pointer_arrives(flags: list[str]) -> None:
    module = tmebox.compile(source_text=SOURCE, flags=flags)
    with tmebox.Sandbox(module) as sandbox:
        twice, exports = module.address_of("twice"), sandbox.exports
        assert exports["tail"](twice, 21) == 42
        found = [exports["choose"](which, twice, 11) for which in range(7)]
        assert found == [22, 42, 11, 154, 4, 14, -22]
        path = exports["path"]()
        assert exports["walk"](path, twice, 1) == 46
        assert exports["walk_far"](path, twice, 1) == 50


@pytest.mark.parametrize("level", LEVELS[1:])
@pytest.mark.parametrize("function", [None, "walk", "walk_far"])
def test_what_the_text_tells_is_what_clang_says(
    tmp_path: Path, level: str, function: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the text does not tell, nothing is guessed. A frame tells labels from functions."""
    functions = [part for part in re.split(r"\n(?=const|int|/\*)", SOURCE) if part.strip()]
    chosen = [part for part in functions if "static void" not in part or f"int {function}(" in part]
    source = tmp_path / "it.c"
    source.write_text("\n".join(chosen))
    options = CompileOptions(optimize=level)
    told: list[str | None] = []
    real = tail_calls.marked

    def marked(text: str) -> str | None:
        told.append(real(text))
        return None

    monkeypatch.setattr(tail_calls, "marked", marked)
    said = compile_to_assembly(source, options).text
    assert (told[0] is None) == (function == "walk")
    if told[0] is not None:
        assert calls(told[0]) == calls(said) != []


def calls(text: str) -> list[tuple[str, bool]]:
    jumps = re.findall(r"^\tjmpq\t(\*(?!\.LJTI)[^\s#]+)([^\n]*)", text, re.MULTILINE)
    return [(target, "TAILCALL" in comment) for target, comment in jumps]


def test_inline_assembly_says_itself_where_it_jumps() -> None:
    lines = [
        "\t.cfi_startproc",
        "\t#APP",
        "\tjmpq\t*%rax",
        "\t#NO_APP",
        "\tjmpq\t*%rcx",
        "\t.cfi_endproc",
        "",
    ]
    found = tail_calls.marked("\n".join(lines))
    assert found is not None
    assert "*%rax\n" in found
    assert "*%rcx\t# TAILCALL\n" in found


def test_text_that_looks_like_assembly_stays_as_it_is() -> None:
    text = r"mov 8(%esp), %eax; lea 4(%rsp), %edi\n\tmovl %esp, %eax"
    source = f'int letter(int place) {{ const char *volatile text = "{text}"; return text[place]; }}'
    expected = text.encode().decode("unicode_escape") + "\0"
    with tmebox.Sandbox(tmebox.compile(source_text=source)) as sandbox:
        letter = sandbox.exports["letter"]
        assert "".join(chr(letter(place)) for place in range(len(expected))) == expected
