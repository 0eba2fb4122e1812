"""Memory encryption with a key for each sandbox: for CPUs with TME-MK and integrity, and the driver."""

from __future__ import annotations

import fcntl
import os
import struct

from tmebox.memory.backends.contract import Detection
from tmebox.memory.backends.mmu import Mmu, allow_mappings

DEVICE = "/dev/tmebox"
SIMULATED_VARIABLE = "TMEBOX_SIMULATED_KEYS"
"""Set to 1, it lets a device serve that encrypts nothing: for tests."""
INFO = struct.Struct("=6I2Q3Q")
INFO_CALL = 2 << 30 | INFO.size << 16 | 0xB7 << 8
VERSION = 1
INTEGRITY, SIMULATED = 1, 4


class UnusableError(OSError):
    """The message says why there is no such backend here."""


class Tmemk:
    """`native/heap/tmemk.c`."""

    name = "tmemk"
    detects: Detection = "owner's next read"

    def views(self) -> bool:
        """Pages are withheld by the driver, in parts of windows that are given to it as for page tables."""
        return Mmu().views()

    def device(self) -> int:
        """A descriptor of the driver, for one heap. Raises UnusableError."""
        if not allow_mappings():
            raise UnusableError("nobody knows how many mappings a process may have: /proc is not mounted")
        try:
            descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise UnusableError(
                f"{DEVICE}: {error.strerror}; `tmebox doctor` says what is missing"
            ) from error
        try:
            _check(*_said(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def simulated(descriptor: int) -> bool:
    """Whether the device that was opened encrypts nothing."""
    return bool(_said(descriptor)[1] & SIMULATED)


def _said(descriptor: int) -> tuple[int, int]:
    """The driver's version and the device's flags."""
    version, _, _, _, flags, *_ = INFO.unpack(fcntl.ioctl(descriptor, INFO_CALL, bytes(INFO.size)))
    return version, flags


def _check(version: int, flags: int) -> None:
    if version != VERSION:
        raise UnusableError(f"{DEVICE} is version {version} of the driver, this tmebox is for {VERSION}")
    if flags & SIMULATED:
        if os.environ.get(SIMULATED_VARIABLE) != "1":
            raise UnusableError(
                f"{DEVICE} is simulated and protects nothing; {SIMULATED_VARIABLE}=1 permits it"
            )
    elif not flags & INTEGRITY:
        raise UnusableError(f"{DEVICE} has no integrity")
