"""Debug information, with which a compiler's assembly ends: most of the text of C++. Nearly all of it stays
as it is, so it is looked at many lines at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tmebox.toolchain.patterns import regex

_BEGINS = "\n\t.section\t.debug_"
_CODE_FLAGS = regex(r',[ \t]*"ax')
"""Of a section. A name such as "axis" begins with the same letters, and has no comma before its quote."""
_PLAIN = (
    r"(?:\t\.(?:byte|short|long|quad|ascii|asciz|uleb128|sleb128)[ \t]"
    r'(?:"(?:[^"\\\r\n]|\\[^\r\n])*"[ \t]*|[^"\\;#@/\r\n]*)|(?:\.L[\w.$]+:|[ \t])[ \t]*)(?:#[^\r\n]*)?'
)
"""Nothing in it matches spaces after what may end with spaces: a line of them would take quadratic time."""
_PLAIN_LINE = regex(rf"{_PLAIN}\Z")
_OTHER_LINE = regex(rf"^(?!{_PLAIN}$)[^\n]*\n?", re.MULTILINE)


def is_plain(line: str) -> bool:
    """Whether a line of a debug section needs nothing."""
    return _PLAIN_LINE.match(line) is not None


def apart(text: str) -> tuple[str, str]:
    """Assembly up to the debug information that ends it, and that; after it there is no code."""
    start = text.find(_BEGINS) + 1
    is_last = start > 0 and "\t.text" not in text[start:] and _CODE_FLAGS.search(text, start) is None
    return (text[:start], text[start:]) if is_last else (text, "")


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Whether all is plain, and lines, each with its end: as many plain ones as follow each other, or one."""
    end = 0
    for other in _OTHER_LINE.finditer(text):
        if end < other.start():
            yield True, text[end : other.start()]
        if other[0]:
            yield False, other[0]
        end = other.end()
    if end < len(text):
        yield True, text[end:]
