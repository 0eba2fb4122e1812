"""NoWorld: what code has that was given nothing, and needs nothing."""

from __future__ import annotations

import errno
from typing import ClassVar

from tmebox import abi
from tmebox.runtime.system.calls import ENDING, GuestMemory
from tmebox.runtime.system.system import System

ANSWERED = ENDING | {
    abi.SYS_MEMORY_EXHAUSTED,
    abi.SYS_ASSERTION_FAILED,
    abi.SYS_CPU_FEATURES,
    abi.SYS_ABORT_MESSAGE,
}
"""By these a guest ends, and says why. They lead to nothing of the host's."""


class NoWorld(System):
    """Any other system call is refused, so there are no streams, clocks or random bytes, also not for code
    that has taken over the C library in its window."""

    core_answers: ClassVar[bool] = False

    def handle(self, memory: GuestMemory, number: int, arguments: tuple[int, ...]) -> int:
        return super().handle(memory, number, arguments) if number in ANSWERED else -errno.ENOSYS
