"""What the sandboxed C library has buffered for stdout, read by the host when a sandbox ends.

A process's exit() writes it. A sandbox whose functions are called never exits, and after a trap no code of it
can run. So the host looks into the buffer itself. Everything there is the sandbox's word: it can have
something written to where it could have written anyway, of a bounded size, and nothing else.
"""

from __future__ import annotations

from contextlib import suppress

from tmebox import abi
from tmebox.runtime.sandbox_memory import BadPointer, SandboxMemory
from tmebox.runtime.system import System

LONGEST = 1 * abi.MIB
TRIES = 3
"""How often a stream is asked that has no room, each time for one slice."""


def buffered(memory: SandboxMemory, place: int) -> tuple[int, bytes]:
    """(the descriptor that stdout has, what is buffered for it)"""
    try:
        file = memory.read(place, abi.FILE_COOKIE)
        begin, end = _word(file, abi.FILE_WBASE), _word(file, abi.FILE_WPOS)
        data = memory.read(begin, min(end - begin, LONGEST)) if begin < end else b""
    except BadPointer:
        return -1, b""
    return int.from_bytes(file[abi.FILE_FD : abi.FILE_FD + 4], "little", signed=True), data


def deliver(system: System, descriptor: int, data: bytes) -> None:
    """Write it to where it was to go. Raises what the host's stream raises."""
    tries = TRIES
    while data and tries:
        count = 0
        with suppress(InterruptedError):
            count = max(system.descriptors[descriptor].write(data), 0)
        data = data[count:]
        tries -= not count


def _word(file: bytes, offset: int) -> int:
    return int.from_bytes(file[offset : offset + 8], "little")
