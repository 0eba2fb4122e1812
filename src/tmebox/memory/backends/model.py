"""A machine with TME-MK, as software: blocks are cipher text in its DRAM. A page is decrypted for its owner's
view, and that is page tables' business."""

from __future__ import annotations

from tmebox.memory.backends.contract import Detection
from tmebox.memory.backends.mmu import Mmu


class Model:
    """`native/heap/model.c`."""

    name = "model"
    detects: Detection = "access"

    def views(self) -> bool:
        """As for page tables."""
        return Mmu().views()
