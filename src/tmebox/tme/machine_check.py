"""Machine-check records as a kernel reads them: banks, status words, addresses with KeyID bits.

Layout of IA32_MCi_STATUS: SDM volume 3, machine-check architecture. Model-specific codes: what IntegriTag's
kernel matches.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_BANK = 13
"""Banks of the memory controller's channels."""
CHANNELS = 8
MSCOD = {"integrity": 0x82A, "td-mismatch": 0x82B, "poison": 0x82D}
MCACOD_MEMORY_READ = 0x0090
"""Memory controller error, read; the channel is in the last four bits."""
VALID, OVER, UC, EN, MISCV, ADDRV, PCC, S, AR = (1 << bit for bit in (63, 62, 61, 60, 59, 58, 57, 56, 55))
MISC_PHYSICAL_LINE = 2 << 6 | 6
"""IA32_MCi_MISC: the address is physical, and its last six bits say nothing."""

MCG_CAP, MCG_STATUS, MC0_CTL = 0x179, 0x17A, 0x400
MCG_STATUS_EIPV, MCG_STATUS_MCIP = 2, 4


@dataclass(frozen=True)
class MachineCheck:
    """What one bank logged. `status`, `address` and `misc` are the registers; `key_shift` is where a KeyID
    begins in an address on this machine."""

    bank: int
    status: int
    address: int
    misc: int
    key_shift: int

    @property
    def key_id(self) -> int:
        return self.address >> self.key_shift

    @property
    def physical_address(self) -> int:
        """The line's, with the KeyID bits masked off."""
        return self.address & ((1 << self.key_shift) - 1)

    @property
    def mscod(self) -> int:
        """The model-specific code: 0x82A integrity error, 0x82B TD bit mismatch, 0x82D poison."""
        return self.status >> 16 & 0xFFFF

    @property
    def mcacod(self) -> int:
        return self.status & 0xFFFF

    @property
    def kind(self) -> str:
        return next(kind for kind, code in MSCOD.items() if code == self.mscod)

    def log(self) -> str:
        """The lines that Linux prints for such a record."""
        return "\n".join(
            [
                "mce: [Hardware Error]: CPU 0: Machine Check Exception: 6 "
                f"Bank {self.bank}: {self.status:016x}",
                f"mce: [Hardware Error]: TSC 0 ADDR {self.address:x} MISC {self.misc:x}",
            ]
        )


class Banks:
    """The registers of the banks, for one machine."""

    def __init__(self) -> None:
        self._logged: dict[int, MachineCheck] = {}
        self.global_status = 0

    def log(self, kind: str, address: int, key_id: int, key_shift: int) -> MachineCheck:
        """Record an error. A bank that still holds one keeps its address and gets OVER: both are
        uncorrected."""
        channel = address // 64 % CHANNELS
        bank = FIRST_BANK + channel
        status = VALID | UC | EN | MISCV | ADDRV | PCC | S | AR
        status |= MSCOD[kind] << 16 | MCACOD_MEMORY_READ | channel
        record = MachineCheck(bank, status, address | key_id << key_shift, MISC_PHYSICAL_LINE, key_shift)
        held = self._logged.get(bank)
        if held is None:
            self._logged[bank] = record
        else:
            self._logged[bank] = MachineCheck(bank, held.status | OVER, held.address, held.misc, key_shift)
        self.global_status = MCG_STATUS_EIPV | MCG_STATUS_MCIP
        return record

    def read(self, index: int) -> int | None:
        """An MSR of the banks, or None if it is none of theirs."""
        if index == MCG_CAP:
            return FIRST_BANK + CHANNELS
        if index == MCG_STATUS:
            return self.global_status
        bank, register = divmod(index - MC0_CTL, 4)
        if not 0 <= bank < FIRST_BANK + CHANNELS:
            return None
        held = self._logged.get(bank)
        values = (0xFFFF_FFFF, held.status, held.address, held.misc) if held else (0xFFFF_FFFF, 0, 0, 0)
        return values[register]

    def write(self, index: int, value: int) -> bool | None:
        """True if written, False for #GP (only 0 may be), None if it is none of theirs."""
        if self.read(index) is None:
            return None
        if index == MCG_STATUS:
            self.global_status = value & 7
            return True
        bank, register = divmod(index - MC0_CTL, 4)
        if index == MCG_CAP or (register != 0 and value != 0):
            return False
        if register == 1:
            self._logged.pop(bank, None)
        return True
