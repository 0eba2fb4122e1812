"""Two virtual machines that share a third KeyID: the example that Intel's MKTME was introduced with.

The hypervisor works with KeyID 0. Each guest's memory has a KeyID of its own, 1 and 2. One page is mapped
into both with KeyID 3, at the same guest-physical address. No guest has a KeyID in its hands: EPT's entries
have them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.tme.machine import Machine, Modelled
from tmebox.tme.paging import Pages, Tables
from tmebox.tme.virtual import EPT_ALL, Guest

PAGE = 4096
PRIVATE, SHARED = 0x1000, 0x8000
"""Guest-physical addresses of a page of its own, and of the common one."""
TABLES_START = 0x40000
HOST_PAGES = {1: 0x100000, 2: 0x101000, 3: 0x102000}
"""Where the pages of KeyIDs 1, 2 and 3 are in the host."""


@dataclass(frozen=True)
class TwoGuests:
    """The machine, both guests, and the frames that are left for more tables."""

    machine: Modelled
    one: Guest
    two: Guest
    frames: Pages


def two_guests(machine: Modelled | None = None) -> TwoGuests:
    """Build it: program three keys, zero each page through its KeyID, map them in two EPTs.

    machine: one that is not activated yet; otherwise a small one is made.
    """
    machine = machine or Machine(memory="2MiB", key_id_bits=6)
    machine.activate()
    for key_id, page in HOST_PAGES.items():
        machine.pconfig(key_id, "random")
        machine.clear(page, PAGE, key_id=key_id)
    frames = Pages(TABLES_START, HOST_PAGES[1])
    guests = []
    for key_id, name in ((1, "VM 1"), (2, "VM 2")):
        ept = Tables(machine, frames, present=EPT_ALL)
        ept.map(PRIVATE, HOST_PAGES[key_id], key_id)
        ept.map(SHARED, HOST_PAGES[3], 3)
        guests.append(Guest(machine, name, ept))
    return TwoGuests(machine, guests[0], guests[1], frames)
