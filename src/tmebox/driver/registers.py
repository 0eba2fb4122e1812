"""What this machine's processor and firmware offer of TME-MK, and why the driver would not use it.

The rules are those of `driver/tmebox_bits.h`, which a test compares with these. Registers: Intel 336907
(memory encryption technologies); 0x87 and the bits for TDX: Intel 343754.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

CAPABILITY, ACTIVATE, CORE_ACTIVATE, PARTITIONING, ALIASES = 0x981, 0x982, 0x9FF, 0x087, 0x06F
INTEGRITY = 2
"""AES-XTS-128 with integrity, as a bit of the algorithms."""
MOST_KEY_BITS = 15
ENTRY_ADDRESS_BITS = 52
PAGE_SHIFT = 12


@dataclass(frozen=True)
class Registers:
    """`address_bits` is CPUID's, which KeyID bits are part of. A register is None where it cannot be read."""

    has_tme: bool = False
    has_pconfig: bool = False
    has_movdir64b: bool = False
    address_bits: int = 0
    capability: int | None = None
    activate: int | None = None
    partitioning: int | None = None
    aliases: int | None = None
    core_activate: int | None = None


@dataclass(frozen=True)
class Layout:
    """Keys are 1 to `keys`. `taken_by_tdx` is how many more the KeyID bits could say."""

    key_bits: int
    key_shift: int
    keys: int
    taken_by_tdx: int


class UnusableError(Exception):
    """The message is the reason why TME-MK cannot be used."""


def layout(registers: Registers) -> Layout:
    """Raises UnusableError."""
    _need(registers.has_tme, "the CPU has no memory encryption (TME)")
    _need(registers.has_pconfig, "the CPU cannot program keys (no PCONFIG for TME-MK)")
    _need(registers.has_movdir64b, "the CPU has no MOVDIR64B")
    capability, activate = registers.capability, registers.activate
    if capability is None or activate is None:
        raise UnusableError("the TME registers cannot be read")
    _need(activate & 1, "the firmware left TME_ACTIVATE unlocked")
    _need(activate & 2, "the firmware did not enable TME")
    _need(not activate & 1 << 31, "TME is bypassed")
    bits = _field(activate, 35, 32)
    _need(bits, "the firmware gave TME-MK no KeyID bits")
    core = registers.core_activate
    _need(
        core is None or _field(core, 35, 32) == bits,
        "the firmware did not give the core its KeyID bits (MK_TME_CORE_ACTIVATE)",
    )
    _need(capability & INTEGRITY, "the CPU has no integrity for AES-XTS-128")
    _need(_field(activate, 63, 48) & INTEGRITY, "the firmware does not allow keys with integrity")
    _need(not (registers.aliases or 0) & 1 << 8, "the CPU forbids one page under several KeyIDs")
    shift = registers.address_bits - bits
    fits = bits <= MOST_KEY_BITS and shift > PAGE_SHIFT and registers.address_bits <= ENTRY_ADDRESS_BITS
    _need(fits, "the KeyID bits do not fit a page-table entry")
    for_tdx = _field(activate, 39, 36)
    _need(for_tdx < bits, "TDX has all the keys")
    keys = min((1 << (bits - for_tdx)) - 1, _field(capability, 50, 36))
    if registers.partitioning is not None:
        keys = min(keys, _field(registers.partitioning, 31, 0))
    _need(keys, "TDX has all the keys")
    return Layout(bits, shift, keys, (1 << bits) - (1 << (bits - for_tdx)))


def read() -> Registers:
    """This machine's, as far as the kernel shows them to this process."""
    words = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    flags = set(words.partition("\nflags")[2].partition("\n")[0].split())
    sizes = re.search(r"(\d+) bits physical", words)
    activate = _register(ACTIVATE)
    # The kernel takes the KeyID bits off.
    bits = _field(activate, 35, 32) if activate and activate & 2 else 0
    return Registers(
        has_tme="tme" in flags,
        has_pconfig="pconfig" in flags,
        has_movdir64b="movdir64b" in flags,
        address_bits=int(sizes[1]) + bits if sizes else 0,
        capability=_register(CAPABILITY),
        activate=activate,
        partitioning=_register(PARTITIONING),
        aliases=_register(ALIASES),
        core_activate=_register(CORE_ACTIVATE),
    )


def unfit() -> str:
    """Why a proof on this machine is refused; "" if it is not."""
    try:
        layout(read())
    except UnusableError as error:
        return str(error)
    if not handles_machine_checks():
        return "its kernel does not handle machine checks, so a wrong key would end it"
    return ""


def handles_machine_checks() -> bool:
    """Without a handler, the first access with a wrong key ends the kernel."""
    return Path("/sys/devices/system/machinecheck/machinecheck0").exists()


def _register(number: int) -> int | None:
    """Of the first processor; needs root and the kernel's module `msr`."""
    try:
        descriptor = os.open("/dev/cpu/0/msr", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        value: int = struct.unpack("<Q", os.pread(descriptor, 8, number))[0]
    except (OSError, struct.error):
        return None
    finally:
        os.close(descriptor)
    return value


def _field(value: int, high: int, low: int) -> int:
    return value >> low & (1 << (high - low + 1)) - 1


def _need(condition: object, otherwise: str) -> None:
    if not condition:
        raise UnusableError(otherwise)
