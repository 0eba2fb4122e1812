"""Where checks and loops lie: what runs from one taken branch to the next is kept within a cache line.

Processors fetch such a stretch at a rate of a line per cycle, so a short one that lies across two lines takes
a cycle longer. The checks of code isolation make the ends of functions and of an interpreter's operations
longer, segment prefixes make loops longer, and so more of them lie across lines. The assembler is asked to
skip to the next line where that would happen.
"""

from __future__ import annotations

from collections.abc import Set

from tmebox.abi import TARGET_MAP
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.speed.sizes import size_bytes

LINE = 64
"""Bytes of a cache line."""
_LONGEST = {"retq": LINE // 2, "jmp": LINE}
"""Bytes of a stretch that is worth moving, by what ends it. To reach a return, code may run through what is
skipped; what leads to an operation's end is most often a jump."""
_LABEL = regex(r"([^\s#:]+):\Z")
_CHECK = f"{TARGET_MAP:#x}("
_KEEPING_PLACE = (".loc", ".cfi_", ".file", "#")
"""Beginnings of statements that neither take room nor move what follows."""

_OTHERS = ("", ".", "#", "c", "j", " ", "\t")
"""What a line begins with that may be more than an instruction from which control goes on. Tab before."""
_OTHERS_OF_CHECKS = (*_OTHERS, "r", "h")
"""Checks end in returns, too, and in traps."""
_KEPT = tuple(f"\t{name}" for name in _KEEPING_PLACE)


def within_lines(text: str, arrivals: Set[str]) -> str:
    """`text`: instrumented assembly. `arrivals`: the file's labels that code or data refer to."""
    return _loops_within_lines(_checks_within_lines(text, arrivals))


def _loops_within_lines(text: str) -> str:
    """Loops without calls or other loops, which a compiler has aligned less than that or not at all."""
    out = text.split("\n")
    starts: dict[str, tuple[int, int]] = {}
    sizes: dict[int, int] = {}
    size, last_aligned = 0, -1
    for index, line in enumerate(out):
        if line.startswith(_KEPT):
            continue
        if line[:1] == "\t" and line[1:2] not in _OTHERS:  # an instruction that ends no loop
            size += size_bytes(line)
            continue
        label = _LABEL.match(line) if line.endswith(":") else None
        words = line.split()
        if label:
            starts[label[1]] = (index, size)
        elif not words or words[0].startswith("#"):
            continue
        elif words[0] == ".p2align":
            last_aligned = index
        elif words[0].startswith("."):
            if not words[0].startswith(_KEEPING_PLACE):
                starts = {}
        else:
            size += size_bytes(line)
            if words[0].startswith("call"):
                starts = {}
            elif words[0].startswith("j") and words[1] in starts:
                start, before = starts[words[1]]
                if start > last_aligned and 1 < size - before <= LINE:
                    sizes[start] = size - before
    for start, length in sizes.items():
        out[start] = _aligned(out[start], length)
    return "\n".join(out)


def _aligned(label: str, length: int) -> str:
    """The label, at the next line's start if `length` bytes from it would lie across two lines."""
    return f"\t.p2align\t6, , {length - 1}\n{label}"


def _checks_within_lines(text: str, arrivals: Set[str]) -> str:
    out: list[str] = []
    stretch = _Stretch()
    for line in text.split("\n"):
        if line.startswith(_KEPT):
            out.append(line)
            continue
        if line[:1] == "\t" and line[1:2] not in _OTHERS_OF_CHECKS:
            stretch.size += size_bytes(line)
            stretch.is_checked |= _CHECK in line
            out.append(line)
            continue
        label = _LABEL.match(line) if line.endswith(":") else None
        word = line.split(None, 1)[0] if line.strip() else ""
        if label and label[1] in arrivals:
            stretch.starts.append((len(out), stretch.size))
        elif word.startswith(".") or label:
            if not label and not word.startswith(_KEEPING_PLACE):
                stretch = _Stretch()
        elif word and not word.startswith("#"):
            stretch.size += size_bytes(line)
            stretch.is_checked |= _CHECK in line
            if word in _LONGEST and stretch.is_checked:
                stretch.keep_together(out, _LONGEST[word])
            if word in _LONGEST or word.startswith(("call", "hlt")):
                stretch = _Stretch()
        out.append(line)
    return "\n".join(out)


class _Stretch:
    """starts: lines where control can arrive, each with the bytes before it."""

    def __init__(self) -> None:
        self.starts: list[tuple[int, int]] = []
        self.size = 0
        self.is_checked = False

    def keep_together(self, out: list[str], longest: int) -> None:
        """From the first place that is not too far from the end."""
        for index, before in self.starts:
            size = self.size - before
            if 1 < size <= longest:
                out[index] = _aligned(out[index], size)
                return
