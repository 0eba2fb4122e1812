"""The machine in whose DRAM a shared heap with backend="model" lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tmebox import abi

if TYPE_CHECKING:
    from tmebox.tme import Machine

KEY_ID_BITS = 15
"""What TME-MK has at most, and as many keys as a heap has."""


def encrypting_machine(heap_bytes: int) -> Machine:
    """Active, with integrity, a KeyID for every key, and a page behind the heap for PCONFIG's structure. It
    has no cache: what a processor would have there, the heap keeps in views. heap_bytes: whole pages."""
    from tmebox.tme import Machine

    machine = Machine(heap_bytes + abi.PAGE_SIZE, KEY_ID_BITS, "aes-xts-128-integrity", cache=None)
    machine.activate()
    return machine
