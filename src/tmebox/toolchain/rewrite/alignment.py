"""Frames of a compiler's functions are aligned to 16 bytes, as everywhere, and are not aligned further: their
depth is a constant. What of more bytes is in one goes there and back with moves that need no alignment, which
cost nothing where it happens to be aligned. What has an address that others may know, and needs more, has to
be elsewhere: see `frames.WITHOUT_VARIABLE_SIZES`."""

from __future__ import annotations

import re

from tmebox.toolchain.patterns import regex

FRAME_ALIGNMENT = 16
_WIDE = regex(
    r"\bv(?:mov(a)(ps|pd)|mov(dqa)(32|64)?|movnt(?:ps|pd|dqa?))\b(?=[^;#]*%[yz]mm)(?=[^;#]*\()",
)
"""Moves of more than 16 bytes to or from memory that is aligned."""
_FROM_FRAME = regex(r"\(%r[sb]p\b")
_ADDRESS = regex(r"\t(?:lea[lq]?\t[^#]*\(%rsp\b[^#]*\)|mov[lq]?\t%[re]sp),\s*%(?!rsp\b)")
_ADDRESS_OF_ARGUMENT = regex(r"\tlea[lq]?\t(\d+)\(%rbp\b[^#]*\),\s*%(?!rsp\b)")
_ALIGNS = regex(r"\tandq?\t\$-(\d+), %rsp")
_FIRST_ARGUMENT = 16
"""From rbp, behind what was pushed and the return address."""


def unaligned(line: str, *, anywhere: bool = False) -> str:
    """`line` with moves that need no alignment, where they go to a frame, or to anywhere."""
    if "mm" not in line or not (anywhere or _FROM_FRAME.search(line)):
        return line
    return _WIDE.sub(_without, line)


def _without(match: re.Match[str]) -> str:
    if match[1]:
        return f"vmovu{match[2]}"
    return f"vmovdqu{match[4] or ''}" if match[3] else "vmovups"


def is_wanted(text: str) -> bool:
    """Whether a compiler's assembly aligns a frame further than frames are: for a vector register, an object,
    or arguments."""
    return any(int(amount) > FRAME_ALIGNMENT for amount in _ALIGNS.findall(text))


def takes_address(line: str) -> bool:
    """Whether it makes an address of rsp."""
    return _ADDRESS.match(line) is not None


def takes_address_of_argument(line: str) -> bool:
    """Of one on the stack, in a function whose rbp points into its frame."""
    match = _ADDRESS_OF_ARGUMENT.match(line)
    return match is not None and int(match[1]) >= _FIRST_ARGUMENT


def size_to_listed(alignment: int, pushed: int, size: int) -> int:
    """How far rsp is below the return address by the compiler's own list of a frame that it means to align to
    `alignment`, after it pushed so many bytes, rbp first, and made room for `size`. The list knows nothing of
    what aligning skips: what lies there is a multiple of `alignment`, return address included."""
    return (size + pushed + 8) // alignment * alignment - 8
