"""What the sandboxed C library has buffered for stdout, read by the host when a sandbox ends.

A process's exit() writes it. A sandbox whose functions are called never exits, and after a trap no code of it
can run. So the host looks into the buffer itself. Everything there is the sandbox's word: it can have
something written to where it could have written anyway, of a bounded size, and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress

from tmebox import abi
from tmebox.modulefile import Segment
from tmebox.runtime.sandbox_memory import BadPointer, SandboxMemory
from tmebox.runtime.system import System

LONGEST = 1 * abi.MIB
TRIES = 3
"""How often a stream is asked that has no room, each time for one slice."""


def stdout_place(segments: Sequence[Segment]) -> int | None:
    """Offset of the C library's stdout; None if the module has none."""
    mark = struct.pack("<Q", abi.STDOUT_MARK)
    for segment in segments:
        at = segment.data.find(mark) if segment.writable else -1
        if at >= abi.FILE_COOKIE:
            return segment.offset + at - abi.FILE_COOKIE
    return None


def deliver(memory: SandboxMemory, place: int, system: System) -> None:
    """Write what is buffered to where it was to go. Raises what the host's stream raises."""
    try:
        (written,) = struct.unpack("<Q", memory.read(place + abi.FILE_WPOS, 8))
        (begin,) = struct.unpack("<Q", memory.read(place + abi.FILE_WBASE, 8))
        (number,) = struct.unpack("<i", memory.read(place + abi.FILE_FD, 4))
        data = memory.read(begin, min(written - begin, LONGEST)) if begin < written else b""
    except BadPointer:
        return
    tries = TRIES
    while data and tries:
        count = 0
        with suppress(InterruptedError):
            count = max(system.descriptors[number].write(data), 0)
        data = data[count:]
        tries -= not count
