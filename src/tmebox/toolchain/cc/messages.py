"""What the compiler and the archiver say, on stderr. Sources and archives choose names in it: these reach the
terminal as printable characters, with the colours that the compiler adds."""

from __future__ import annotations

import sys

from tmebox.shown import printable
from tmebox.toolchain.patterns import regex

_COLOUR = regex("(\x1b\\[[0-9;]*m)")


def show(messages: str) -> None:
    pieces = _COLOUR.split(messages)
    pieces[::2] = [printable(piece, keep="\n\t") for piece in pieces[::2]]
    sys.stderr.write("".join(pieces))
