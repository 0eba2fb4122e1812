"""What the assembler is given, looked at once more: nothing but statements that the rewriter writes.

LLVM's assembler opens files when a directive tells it so, and its messages quote them. The rewriter passes on
much as it stands: strings, names, expressions. Would the two divide one text into other statements, then any
file of the host's were within reach. So this reads the whole text in the strictest way: each line is labels,
one known statement and a comment, and outside of strings there is nothing that could begin another.
"""

from __future__ import annotations

import re

from tmebox.errors import CompileError, Diagnostic
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.asm import STRING
from tmebox.toolchain.rewrite.directives import ALIGNMENTS, ASSIGNMENTS, DATA, KEPT, SECTIONS

_DIRECTIVES = KEPT | DATA | SECTIONS | ALIGNMENTS | ASSIGNMENTS | {".type", ".loc"}
_NAMES = "|".join(re.escape(name[1:]) for name in sorted(_DIRECTIVES))
_PLAIN = r"[\t !$-&(-.0-9<>-\[\]-~]*"
_LABELS = rf"[ \t]*(?:(?:[\w.$]+|{STRING})[ \t]*:[ \t]*)*"
_STATEMENT = rf"(?:\.(?:{_NAMES})|(?:\{{\w+\}}[ \t]*)?[a-z]\w*)(?=[ \t#\n]|\Z)"
_REST = rf"{_PLAIN}(?:(?:{STRING}|(?<=%[c-gs]s):|/(?![*/])){_PLAIN})*"
_LINE = rf"{_LABELS}(?:{_STATEMENT}{_REST})?(?:#[^\r\n]*)?"
_LINES = rf"(?:{_LINE}\n){{1,64}}"


def require_known(text: str, file: str) -> None:
    """Raise CompileError for a line that could mean something else to an assembler. `file`: the source."""
    lines = regex(_LINES, re.ASCII)
    text = text if text.endswith("\n") else f"{text}\n"
    position = 0
    while found := lines.match(text, position):
        position = found.end()
    if position < len(text):
        line = text[position:].partition("\n")[0]
        number = 1 + text.count("\n", 0, position)
        shown = Diagnostic(f"`{line.strip()[:200]}`", f"{file} (instrumented assembly)", number)
        raise CompileError(f"{file}: a line that is no statement of a sandbox's assembly", (shown,))


def is_known(line: str) -> bool:
    return regex(_LINE, re.ASCII).fullmatch(line) is not None
