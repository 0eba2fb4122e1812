"""What messages call a sandbox's threads, by what its C library says of them. Nothing of it is believed."""

from __future__ import annotations

from tmebox import abi
from tmebox.runtime.system.calls import GuestMemory
from tmebox.shown import printable


def thread_at(memory: GuestMemory, offset: int) -> str:
    """Whose stack ends there, by what the C library has about a thread right above it."""
    try:
        number = int.from_bytes(memory.read(offset + abi.TASK_NUMBER, 4), "little")
        name = memory.read(offset + abi.TASK_NAME, abi.TASK_NAME_BYTES)
    except IndexError:
        return "a thread"
    return called(number, shown_name(name))


def called(number: int, name: str) -> str:
    return f"thread '{name}'" if name else f"thread {number}"


def shown_name(name: bytes) -> str:
    return printable(name.split(b"\0")[0].decode("utf-8", "replace"))
