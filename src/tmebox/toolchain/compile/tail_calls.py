"""Which jumps by pointer are tail calls, where clang does not say it in a comment.

Its comments are most of the text that it writes, and take a tenth of the time that a file takes. All but one
say what the text says anyway. `jmpq *%rax # TAILCALL` leads to a function, and `jmpq *%rax` to a label of its
own one. They are told apart by the frame, which is gone before a tail call, and by what the function has:
without labels whose addresses are values there is nowhere else to jump to. What is left needs the comments.
"""

from __future__ import annotations

import re

from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import debug

WITHOUT_COMMENTS = "-fno-verbose-asm"
_JUMP = regex(r"^\tjmpq?\t\*(?!\.LJTI)", re.MULTILINE)
"""By pointer: not by an entry of the compiler's own tables."""
_STEP = regex(
    r"^\t(?:\.cfi_(?:(?P<begins>startproc)|(?P<ends>endproc)|def_cfa_offset (?P<offset>\d+)"
    r"|def_cfa %rsp, (?P<restored>\d+)|(?P<register>def_cfa_register|def_cfa) %(?!rsp)"
    r"|(?P<remembers>remember_state)|(?P<returns>restore_state))"
    r"|(?P<inline>#APP)[^\n]*|jmpq?\t\*(?!\.LJTI)(?P<target>[^\n#]*)(?P<comment>#[^\n]*)?)",
    re.MULTILINE,
)
_INLINE_ENDS = "\n\t#NO_APP"
_LABEL = regex(r"^(\.Ltmp\d+):", re.MULTILINE)
_VALUE = regex(r"^(?!\t\.uleb128)\t[^\n]*\.Ltmp\d[^\n]*", re.MULTILINE)
_NAME = regex(r"\.Ltmp\d+")
_TABLE = regex(r"^\t(?!jmpq?\t\*\.LJTI|\.)[^\n]*\.LJTI", re.MULTILINE)
"""An instruction that reads a table, or names it, for a jump to come."""
_RETURN_ADDRESS = 8
_CLANG = "\t# clang version, which -fno-ident leaves out\n"


def marked(text: str) -> str | None:
    """`text` of clang WITHOUT_COMMENTS, with the mark TAILCALL at each tail call by pointer; None if it needs
    clang's comments to know."""
    if "clang version" not in text:  # by which the rewriter knows a compiler's text
        text = _CLANG + text
    if _JUMP.search(text) is None:
        return text
    values: set[str] | None = None
    out: list[str] = []
    copied = begin = depth = 0
    kept: list[int] = []
    has_labels: bool | None = None
    place = 0
    while step := _STEP.search(text, place):
        place = step.end()
        if step["inline"]:
            place = max(text.find(_INLINE_ENDS, place), place)
        elif step["begins"]:
            begin, depth, has_labels = place, _RETURN_ADDRESS, None
        elif step["offset"] or step["restored"]:
            depth = int(step["offset"] or step["restored"])
        elif step["register"]:
            depth = 0
        elif step["remembers"]:
            kept.append(depth)
        elif step["returns"]:
            depth = kept.pop()
        elif step["target"] and not step["comment"] and depth == _RETURN_ADDRESS:
            if has_labels is None:
                values = _values(text) if values is None else values
                has_labels = _has_labels(text[begin : text.find("\t.cfi_endproc", begin)], values)
            if has_labels:
                return None
            out += [text[copied:place], "\t# TAILCALL"]
            copied = place
    return "".join([*out, text[copied:]])


def _values(text: str) -> set[str]:
    """Labels that instructions or data name."""
    code, _ = debug.apart(text)
    return {name for line in _VALUE.findall(code) for name in _NAME.findall(line)}


def _has_labels(function: str, values: set[str]) -> bool:
    """Whether a jump by pointer may lead to a label of the function."""
    return _TABLE.search(function) is not None or not values.isdisjoint(_LABEL.findall(function))
