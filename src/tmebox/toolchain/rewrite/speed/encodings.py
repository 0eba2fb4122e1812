"""Shorter instructions that do the same: those for single precision, where it makes no difference.

A prefix says that `movapd` moves doubles and `movdqa` integers. `movaps` moves the same bytes without it. An
access to the window has a prefix of its own: so most of those to vectors are as long as natively, and code
without accesses is shorter. Code that does not fit where a processor keeps decoded instructions runs as fast
as it is decoded, and there each byte counts. Loads and stores do not know what they move; between registers
only doubles are renamed to singles, since integers may belong to other units.
"""

from __future__ import annotations

from typing import Final

from tmebox.toolchain.patterns import regex

_DOUBLES: Final = "mova movu movl movh movnt and andn or xor"
_RENAMED: Final = tuple((f"\t{name}pd\t", f"\t{name}ps\t") for name in _DOUBLES.split())
_INTEGERS: Final = regex(r"\tmovdq([au])\t(?=[^\n]*\()")


def shorter(text: str) -> str:
    """A compiler's assembly, with a tab on both sides of mnemonics."""
    for long, short in _RENAMED:
        text = text.replace(long, short)
    return _INTEGERS.sub(r"\tmov\1ps\t", text) if "\tmovdq" in text else text
