"""The guest: MicroPython as a module, found, loaded once, and started once for each size."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import tmebox
from tmebox import abi
from tmebox.errors import LimitError, ModuleError
from tmebox.python import wire
from tmebox.runtime.layout import parse_size
from tmebox.runtime.worldless import WorldlessSandbox

SHIPPED = Path(__file__).parent / "shipped" / "micropython.tbx"
SPARE_BYTES = 64 * abi.KIB
"""For what the C library keeps besides MicroPython's heap."""
LEAST_HEAP_BYTES = 64 * abi.KIB


class Started(NamedTuple):
    """A sandbox's state after MicroPython has started, for all Pythons of a size."""

    snapshot: tmebox.Snapshot
    memory_bytes: int


def path() -> Path:
    """Where the guest is. Raises ModuleError."""
    if SHIPPED.is_file():
        return SHIPPED
    raise ModuleError("the Python guest is not here: wheels bring it; in a checkout, `make python` builds it")


def available() -> bool:
    """Whether the guest is installed."""
    try:
        path()
    except ModuleError:
        return False
    return True


@lru_cache(maxsize=1)
def module() -> tmebox.Module:
    """The guest, verified. Raises ModuleError, VerificationError."""
    return load(path())


def load(file: Path) -> tmebox.Module:
    loaded = tmebox.Module.load(file)
    with WorldlessSandbox(loaded, imports={"python_host": _nobody}) as sandbox:
        protocol = sandbox.python_protocol()
    if protocol != wire.PROTOCOL:
        raise ModuleError(
            f"the Python guest speaks protocol {protocol}, this tmebox {wire.PROTOCOL}: install both in one "
            "version"
        )
    return loaded


def _nobody(operation: int) -> int:
    raise LimitError("the guest may not ask the host while it starts")


@lru_cache(maxsize=64)
def started(memory: Any, stack: Any) -> Started:
    """Raises LimitError where that is too little memory."""
    guest = module()
    imports = {"python_host": _nobody}
    with WorldlessSandbox(guest, memory=memory, stack=stack, imports=imports) as sandbox:
        mailbox = sandbox.array(wire.MAILBOX_SIZE)
        offset = mailbox.__array_interface__["data"][0] - sandbox.base
        memory_bytes = size_bytes(memory)
        heap = memory_bytes - (guest.image_end - abi.IMAGE_START) - SPARE_BYTES
        if heap < LEAST_HEAP_BYTES or sandbox.python_start(heap, size_bytes(stack), offset):
            raise LimitError(
                f"memory={memory!r} is too little for Python; 1 MiB is enough for small programs"
            )
        return Started(sandbox.snapshot(), memory_bytes)


def size_bytes(size: Any) -> int:
    """Of what `memory=` and its like take. Raises ValueError."""
    return parse_size(size, "size")
