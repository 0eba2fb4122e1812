"""What is refused of calls with variable arguments: one that has to be aligned to more than frames are. The
function that is called looks for such an argument behind an address that it rounds up, and the caller cannot
know where that leads. (Others, with a place of their own, lie at a distance that both know.)"""

from __future__ import annotations

import re

from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.alignment import FRAME_ALIGNMENT

FLAGS = ("-emit-llvm", "-Xclang", "-disable-llvm-passes", "-w")
"""With -S: what clang says of calls, before it optimizes."""
_FUNCTION = regex(r'^define\b.*?@("[^"]+"|[\w.$]+)\(', re.MULTILINE)
_CALL = regex(r"\b(?:call|invoke)\b[^\n@%]*\([^\n()]*\.\.\.\)\s+([^\n]*)")
_ALIGNED = regex(r"\bbyval\([^)]*\) align (\d+)")
_VECTOR = regex(r"<(\d+) x (i\d+|half|bfloat|float|double|ptr)>")
_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64, "ptr": 64}


def too_aligned(ir: str) -> tuple[str, int] | None:
    """The first function of a file in clang's intermediate form that passes such an argument, and how many
    bytes it has to be aligned to; or None."""
    name = ""
    for line in ir.split("\n"):
        if match := _FUNCTION.match(line):
            name = match[1].strip('"')
        elif match := _CALL.search(line):
            wanted = max(map(int, _ALIGNED.findall(match[1])), default=0)
            for count, kind in _VECTOR.findall(match[1]):
                wanted = max(wanted, int(count) * (_BITS.get(kind) or int(kind[1:])) // 8)
            if wanted > FRAME_ALIGNMENT:
                return name, wanted
    return None
