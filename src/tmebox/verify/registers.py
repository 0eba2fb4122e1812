"""The general-purpose registers but rsp, as the decoder numbers them and as texts name them."""

from __future__ import annotations

from typing import Final

from iced_x86 import Register

_NAMES: Final = "rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15"
NAMES: Final = {getattr(Register, name.upper()): name for name in _NAMES.split()}
NAMES_32: Final = {
    getattr(Register, f"{name.upper()}D" if name[1:].isdigit() else f"E{name[1:].upper()}"): name
    for name in NAMES.values()
}
"""Their lower halves, by the same names."""
NUMBERS: Final = {name: register - Register.RAX for register, name in NAMES.items()}
"""As in an encoding."""
BY_NUMBER: Final = {number: name for name, number in NUMBERS.items()}
EVERY: Final = (1 << 16) - 1
"""A mask of all sixteen: register n is the bit 1 << n."""


_BITS: Final = {Register.RAX + number: 1 << number for number in range(16)}


def mask(written: set[int]) -> int:
    """Those of the widest registers that are general-purpose ones."""
    bits = 0
    for register in written:
        bits |= _BITS.get(register, 0)
    return bits
