"""TME-MK as software: an exact model of the memory encryption that TME-Box relies on, and the attacks on it.

    from tmebox import tme

    machine = tme.Machine(memory="64MiB", key_id_bits=6, algorithm="aes-xts-128-integrity")
    machine.activate()
    machine.pconfig(key_id=3, command="random")
    machine.write(0x1000, b"secret", key_id=3)

docs/tme.md says what is public, what is inferred, and what only hardware knows.
"""

from __future__ import annotations

from tmebox.tme.algorithms import ALGORITHMS as ALGORITHMS
from tmebox.tme.algorithms import Algorithm as Algorithm
from tmebox.tme.dram import Dram as Dram
from tmebox.tme.dram import DramLine as DramLine
from tmebox.tme.events import Event as Event
from tmebox.tme.events import Trace as Trace
from tmebox.tme.faults import AccessError as AccessError
from tmebox.tme.faults import ConfigurationError as ConfigurationError
from tmebox.tme.faults import GeneralProtection as GeneralProtection
from tmebox.tme.faults import IntegrityError as IntegrityError
from tmebox.tme.faults import PconfigError as PconfigError
from tmebox.tme.faults import TmeError as TmeError
from tmebox.tme.faults import TranslationFault as TranslationFault
from tmebox.tme.faults import UndefinedInstruction as UndefinedInstruction
from tmebox.tme.inspection import CachedLine as CachedLine
from tmebox.tme.inspection import KeySlot as KeySlot
from tmebox.tme.machine import Machine as Machine
from tmebox.tme.machine_check import MachineCheck as MachineCheck
from tmebox.tme.paging import Pages as Pages
from tmebox.tme.paging import Tables as Tables
from tmebox.tme.paging import Translation as Translation
from tmebox.tme.paging import walk as walk
from tmebox.tme.pconfig import KeyProgram as KeyProgram
from tmebox.tme.rules import RULES as RULES
from tmebox.tme.rules import Rule as Rule
from tmebox.tme.scenario import TwoGuests as TwoGuests
from tmebox.tme.scenario import two_guests as two_guests
from tmebox.tme.virtual import Guest as Guest
from tmebox.tme.virtual import Iommu as Iommu
from tmebox.tme.virtual import walk_ept as walk_ept
