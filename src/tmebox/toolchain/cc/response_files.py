"""`@file` on a command line: the arguments that stand in a file, quoted as gcc and GNU's tools have it.

Only for command lines, whose author may read what the process may read. `tmebox.compile` knows none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import TmeboxError
from tmebox.toolchain.patterns import regex

_FILES_MAX = 2000
"""As in gcc: files that name each other come to an end."""
_PIECE = regex(r"""\s+|'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|\\(.)|([^\s'"\\]+)""", re.DOTALL)
_ESCAPE = regex(r"\\(.)", re.DOTALL)


class ResponseFileError(TmeboxError):
    """A response file that cannot be taken apart."""


def expand(arguments: Sequence[str]) -> list[str]:
    """The arguments with every `@file` replaced by what the file holds; of a file that does not exist, the
    argument itself stays. Raises ResponseFileError, OSError."""
    result: list[str] = []
    waiting = list(reversed(arguments))
    files = 0
    while waiting:
        argument = waiting.pop()
        path = Path(argument[1:])
        if not argument.startswith("@") or len(argument) == 1 or not path.exists():
            result.append(argument)
            continue
        files += 1
        if files > _FILES_MAX:
            raise ResponseFileError(f"{path}: more than {_FILES_MAX} response files")
        waiting += reversed(split(path.read_text(encoding="utf-8", errors="surrogateescape"), str(path)))
    return result


def split(text: str, name: str) -> list[str]:
    """Words, between white space outside quotes; a backslash quotes any character, also inside them."""
    words: list[str] = []
    word: str | None = None
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            raise ResponseFileError(f"{name}: a quote that is not closed, or a backslash at the end")
        position = piece.end()
        single, double, escaped, plain = piece.groups()
        if piece[0].isspace():
            if word is not None:
                words.append(word)
            word = None
            continue
        quoted = single if single is not None else double
        word = (word or "") + (_ESCAPE.sub(r"\1", quoted) if quoted is not None else escaped or plain)
    return words if word is None else [*words, word]
