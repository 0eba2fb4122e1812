"""Where a line of assembly comes from, whatever its directives say."""

from __future__ import annotations

import pytest

from tmebox.errors import CompileError
from tmebox.toolchain.rewrite.rewrite import rewrite

CODE = "\t.text\nf:\n"


@pytest.mark.parametrize(
    "line",
    [".file 1,", ".file 1 \"", '.file 1 "a" md5', ".file 1 ,,,", ".file 0 x", ".loc", ".loc 1", ".loc x y",
     f".loc {9 * 10**30} {9 * 10**30}", "# 12 \"a.c", "# 99999999999999999999 \"a.c\""],
)  # fmt: skip
def test_a_refused_line_below_any_directive_is_named(line: str) -> None:
    with pytest.raises(CompileError) as caught:
        rewrite(f"{CODE}\t{line}\n{line}\n\tsyscall\n", file="a.s")
    assert caught.value.diagnostics


def test_files_are_named_with_their_directories() -> None:
    for file, shown in (('1 "/src" "a.c"', "/src/a.c"), ('1 "b.c"', "b.c"), ('0 "/src" "c.c"', "c.c")):
        with pytest.raises(CompileError) as caught:
            rewrite(f"{CODE}\t.file {file}\n\t.loc {file[0]} 7 1\n\tsyscall\n", file="a.s")
        assert (caught.value.diagnostics[0].file, caught.value.diagnostics[0].line) == (shown, 7)
