"""The model-specific registers of memory encryption: what they hold, what locks them, and which writes give
#GP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tmebox.tme.algorithms import ALGORITHMS, by_number
from tmebox.tme.faults import GeneralProtection
from tmebox.tme.options import Options

CAPABILITY, ACTIVATE, EXCLUDE_MASK, EXCLUDE_BASE, CORE_ACTIVATE = 0x981, 0x982, 0x983, 0x984, 0x9FF
PARTITIONING = 0x87
CORE_CAPABILITIES = 0x6F
LOCK, ENABLE, KEY_SELECT, SAVE_KEY = 1, 2, 4, 8
BYPASS = 1 << 31
ALIASES_FORBIDDEN = 1 << 8
MASK_ENABLE = 1 << 11
RESERVED = (1 << 31) - (1 << 8) | 0xFF << 40 | 0xFFF << 52
"""Bits of IA32_TME_ACTIVATE: 30:8, 47:40, and the algorithms that do not exist."""


def field(value: int, high: int, low: int) -> int:
    return value >> low & ((1 << (high - low + 1)) - 1)


class Platform(Protocol):
    """What activation needs of the rest of the machine."""

    def new_platform_key(self, policy: int) -> bool: ...
    def restore_platform_key(self, policy: int) -> bool: ...
    def save_platform_key(self) -> None: ...
    def use_key_ids(self) -> None: ...


class Registers:
    """The registers of one package with one core."""

    def __init__(self, options: Options, platform: Platform) -> None:
        self._options = options
        self._platform = platform
        self.activate = 0
        self.exclude_mask = 0
        self.exclude_base = 0
        self.core_key_bits = 0

    @property
    def locked(self) -> bool:
        return bool(self.activate & LOCK)

    @property
    def enabled(self) -> bool:
        return self.activate & (LOCK | ENABLE) == LOCK | ENABLE

    @property
    def key_bits(self) -> int:
        """As activated for the package; a core uses them once 9FFH was written."""
        return field(self.activate, 35, 32) if self.enabled else 0

    @property
    def tdx_bits(self) -> int:
        return field(self.activate, 39, 36) if self.enabled else 0

    @property
    def algorithms(self) -> int:
        """The bits of those that PCONFIG may select."""
        return field(self.activate, 63, 48) if self.enabled else 0

    @property
    def bypassed(self) -> bool:
        return self.enabled and bool(self.activate & BYPASS)

    @property
    def excluding(self) -> bool:
        return self.enabled and bool(self.exclude_mask & MASK_ENABLE)

    @property
    def capability(self) -> int:
        bits = sum(ALGORITHMS[name].bit for name in self._options.algorithms)
        most = self._options.most_key_id_bits
        return bits | BYPASS | most << 32 | ((1 << most) - 1) << 36

    @property
    def partitioning(self) -> int:
        """How many KeyIDs TME-MK has, and how many TDX has, above them."""
        bits = self.key_bits
        if bits == 0:
            return 0
        shared = 1 << (bits - self.tdx_bits)
        return shared - 1 | (1 << bits) - shared << 32

    def read(self, index: int) -> int:
        values: dict[int, Callable[[], int]] = {
            CAPABILITY: lambda: self.capability,
            ACTIVATE: lambda: self.activate,
            EXCLUDE_MASK: lambda: self.exclude_mask,
            EXCLUDE_BASE: lambda: self.exclude_base,
            CORE_ACTIVATE: lambda: self.core_key_bits << 32,
            PARTITIONING: lambda: self.partitioning,
            CORE_CAPABILITIES: lambda: ALIASES_FORBIDDEN if self._options.aliases_forbidden else 0,
        }
        if index not in values:
            raise GeneralProtection(f"RDMSR of {index:#x}: there is no such register", "msr-known")
        return values[index]()

    def write(self, index: int, value: int) -> None:
        writers = {
            ACTIVATE: self._write_activate,
            EXCLUDE_MASK: self._write_mask,
            EXCLUDE_BASE: self._write_base,
            CORE_ACTIVATE: self._write_core,
        }
        if index in (CAPABILITY, PARTITIONING, CORE_CAPABILITIES):
            raise GeneralProtection(f"WRMSR of {index:#x}, which is read-only", "msr-read-only")
        if index not in writers:
            raise GeneralProtection(f"WRMSR of {index:#x}: there is no such register", "msr-known")
        writers[index](value)

    def _write_activate(self, value: int) -> None:
        def need(good: bool, problem: str, rule: str) -> None:
            if not good:
                raise GeneralProtection(f"WRMSR of 0x982 with {value:#x}: {problem}", rule)

        policy, key_bits, tdx_bits = field(value, 7, 4), field(value, 35, 32), field(value, 39, 36)
        need(not self.locked, "it is locked", "activate-locked")
        need(not value & RESERVED, f"reserved bits {value & RESERVED:#x}", "activate-reserved")
        listed = by_number(policy)
        need(
            listed is not None and bool(self.capability & listed.bit),
            f"policy {policy} is not in the capabilities",
            "activate-policy",
        )
        need(not value & BYPASS or bool(self.capability & BYPASS), "no bypass here", "activate-bypass")
        most = self._options.most_key_id_bits
        need(key_bits <= most, f"{key_bits} KeyID bits, at most {most}", "activate-key-bits")
        need(key_bits == 0 or bool(value & ENABLE), "KeyID bits without enable", "activate-needs-enable")
        need(tdx_bits <= key_bits, f"{tdx_bits} TDX bits of {key_bits}", "activate-tdx-bits")
        need(
            not field(value, 63, 48) & ~field(self.capability, 15, 0),
            "algorithms that the part does not have",
            "activate-algorithms",
        )
        if not value & ENABLE:
            self.activate = value | LOCK
            return
        restore = bool(value & KEY_SELECT)
        platform = self._platform
        done = platform.restore_platform_key(policy) if restore else platform.new_platform_key(policy)
        if not done:
            self.activate = KEY_SELECT if restore else 0  # neither enabled nor locked, nothing committed
            return
        self.activate = value | LOCK
        if value & SAVE_KEY:
            platform.save_platform_key()
        platform.use_key_ids()

    def _excluding_write(self, index: int, value: int, allowed: int) -> None:
        if self.locked:
            raise GeneralProtection(f"WRMSR of {index:#x} after 0x982 was locked", "exclude-locked")
        if value & ~allowed:
            raise GeneralProtection(
                f"WRMSR of {index:#x} with reserved bits {value & ~allowed:#x}", "exclude-reserved"
            )

    @property
    def _frame(self) -> int:
        """Bits MAXPHYADDR-1:12."""
        return (1 << self._options.physical_bits) - (1 << 12)

    def _write_mask(self, value: int) -> None:
        self._excluding_write(EXCLUDE_MASK, value, self._frame | MASK_ENABLE)
        mask = value & self._frame
        if value & MASK_ENABLE and (mask == 0 or mask != self._frame & ~((mask & -mask) - 1)):
            raise GeneralProtection(
                f"WRMSR of 0x983 with {value:#x}: the mask has holes", "exclude-contiguous"
            )
        self.exclude_mask = value

    def _write_base(self, value: int) -> None:
        self._excluding_write(EXCLUDE_BASE, value, self._frame)
        self.exclude_base = value

    def _write_core(self, value: int) -> None:
        if value != 0:
            raise GeneralProtection(f"WRMSR of 0x9ff with {value:#x}: it is written as 0", "core-activate")
        if self._options.most_key_id_bits == 0:
            raise GeneralProtection("WRMSR of 0x9ff without TME-MK", "core-activate")
        self.core_key_bits = self.key_bits
        self._platform.use_key_ids()
