"""x86-64 register names: which register a name is a part of, and the names of its other parts."""

from __future__ import annotations

_LEGACY = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")

NAMES_64 = tuple(f"r{name}" for name in _LEGACY) + tuple(f"r{number}" for number in range(8, 16))
NAMES_32 = tuple(f"e{name}" for name in _LEGACY) + tuple(f"r{number}d" for number in range(8, 16))
NAMES_16 = _LEGACY + tuple(f"r{number}w" for number in range(8, 16))
NAMES_8 = (
    "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil",
    *(f"r{number}b" for number in range(8, 16)),
)  # fmt: skip
NAMES_8_HIGH = ("ah", "ch", "dh", "bh")

BY_WIDTH = {64: NAMES_64, 32: NAMES_32, 16: NAMES_16, 8: NAMES_8}
"""Width in bits → the sixteen names, by register number."""

NUMBER = {name: number for names in (*BY_WIDTH.values(), NAMES_8_HIGH) for number, name in enumerate(names)}
"""Name → register number; `ah` counts as part of `rax`."""

WIDTH = {name: width for width, names in BY_WIDTH.items() for name in names} | dict.fromkeys(NAMES_8_HIGH, 8)

RSP = NUMBER["rsp"]
R11 = NUMBER["r11"]

OTHERS = frozenset(
    [f"{kind}{number}" for kind in ("xmm", "ymm") for number in range(16)]
    + ["st", *(f"st({number})" for number in range(8))]
)
"""Registers that hold no addresses. All others (segments, control, mmx, zmm, masks) are refused."""


def part(name: str, width: int) -> str:
    """The name of the low `width` bits of the register that `name` is a part of."""
    return BY_WIDTH[width][NUMBER[name]]
