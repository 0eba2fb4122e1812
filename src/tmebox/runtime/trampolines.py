"""Trampolines: what sandboxed code calls to reach a function of the host by pointer.

A trampoline is a function of two instructions, as the link stage makes them for imports: the callback's
number into r11d, and a jump to the host-call gate. They are texts of their own, verified and placed like any
module's, which all sandboxes with the base in the same register share. Which function of the host a number
is, each sandbox's instance knows.
"""

from __future__ import annotations

import struct

import numpy as np

from tmebox import abi
from tmebox.modulefile.file import LineTable, ModuleFile, Relocations, Symbol
from tmebox.runtime.module import Module

PER_TEXT = 512
"""As the core's table of callbacks grows."""
SIZE = 16
_JUMP = 6
"""Where the jump starts in a trampoline."""
HLT = b"\xf4"


def _file(base: str, first: int) -> ModuleFile:
    """A text of trampolines, from callback number `first` on."""
    address = abi.TEXT_NOMINAL
    text = bytearray()
    for index in range(PER_TEXT):
        place = address + index * SIZE
        move = b"\x41\xbb" + struct.pack("<I", abi.MAX_IMPORTS + first + index)
        jump = b"\xe9" + struct.pack("<i", abi.GATE_HOSTCALL - (place + _JUMP + 5))
        text += (move + jump).ljust(SIZE, HLT)
    starts = np.arange(PER_TEXT, dtype=np.uint32) * SIZE
    none = np.zeros(0, np.uint32)
    symbols = (Symbol(address + index * SIZE, SIZE, f"callback {first + index}") for index in range(PER_TEXT))
    return ModuleFile(
        isolation="code+data",
        base=base,
        text_address=address,
        text=bytes(text),
        segments=(),
        exports=(),
        imports=(),
        functions=starts + np.uint32(address),
        labels=none,
        relocations=Relocations(none, none, starts + np.uint32(_JUMP + 1), none, none),
        symbols=tuple(symbols),
        lines=LineTable(none, np.zeros(0, np.uint16), none, ()),
        producer="tmebox",
    )


_texts: dict[tuple[str, int], Module] = {}
"""Kept for good: sandboxed code may have their addresses, and keep them in snapshots."""


def address_of(base: str, index: int) -> int:
    """Host address of the trampoline for a callback's index. Raises LimitError if there is no room for its
    text."""
    first = index // PER_TEXT * PER_TEXT
    module = _texts.get((base, first))
    if module is None:
        module = _texts.setdefault((base, first), Module(_file(base, first)))
    return module.address + index % PER_TEXT * SIZE


def index_at(base: str, address: int) -> int | None:
    """Which callback's trampoline is at an address, if one is."""
    for (its_base, first), module in list(_texts.items()):
        place = address - module.address
        if its_base == base and 0 <= place < PER_TEXT * SIZE and place % SIZE == 0:
            return first + place // SIZE
    return None
