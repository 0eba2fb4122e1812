"""tmebox: run untrusted native code inside your own Python process.

module = tmebox.compile("blur.c")
with tmebox.Sandbox(module, memory="64MiB", timeout=1.0) as sandbox:
    sandbox.blur(image, out, w, h)
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tmebox._version import __version__ as __version__

if TYPE_CHECKING:
    from tmebox.compilation import compile as compile
    from tmebox.errors import (
        Aborted as Aborted,
    )
    from tmebox.errors import (
        ArithmeticTrap as ArithmeticTrap,
    )
    from tmebox.errors import (
        BadReference as BadReference,
    )
    from tmebox.errors import (
        BadResult as BadResult,
    )
    from tmebox.errors import (
        CompileError as CompileError,
    )
    from tmebox.errors import (
        CompileWarning as CompileWarning,
    )
    from tmebox.errors import (
        ControlFlowViolation as ControlFlowViolation,
    )
    from tmebox.errors import (
        Deadlock as Deadlock,
    )
    from tmebox.errors import (
        Diagnostic as Diagnostic,
    )
    from tmebox.errors import (
        Frame as Frame,
    )
    from tmebox.errors import (
        IllegalInstruction as IllegalInstruction,
    )
    from tmebox.errors import (
        IntegrityViolation as IntegrityViolation,
    )
    from tmebox.errors import (
        LimitError as LimitError,
    )
    from tmebox.errors import (
        MemoryFault as MemoryFault,
    )
    from tmebox.errors import (
        ModuleError as ModuleError,
    )
    from tmebox.errors import (
        OutOfMemory as OutOfMemory,
    )
    from tmebox.errors import (
        SandboxBusy as SandboxBusy,
    )
    from tmebox.errors import (
        SandboxClosed as SandboxClosed,
    )
    from tmebox.errors import (
        SnapshotError as SnapshotError,
    )
    from tmebox.errors import (
        StackOverflow as StackOverflow,
    )
    from tmebox.errors import (
        Timeout as Timeout,
    )
    from tmebox.errors import (
        TmeboxError as TmeboxError,
    )
    from tmebox.errors import (
        Trap as Trap,
    )
    from tmebox.errors import (
        VerificationError as VerificationError,
    )
    from tmebox.errors import (
        Violation as Violation,
    )
    from tmebox.runtime.box import Box as Box
    from tmebox.runtime.calls.arguments import In as In
    from tmebox.runtime.calls.arguments import InOut as InOut
    from tmebox.runtime.calls.arguments import Out as Out
    from tmebox.runtime.calls.callbacks import Callback as Callback
    from tmebox.runtime.calls.handles import Handle as Handle
    from tmebox.runtime.calls.host_functions import host_function as host_function
    from tmebox.runtime.columns import Column as Column
    from tmebox.runtime.commands import Completed as Completed
    from tmebox.runtime.module import Module as Module
    from tmebox.runtime.pool.pool import SandboxPool as SandboxPool
    from tmebox.runtime.resources import (
        Limits as Limits,
    )
    from tmebox.runtime.resources import (
        Stats as Stats,
    )
    from tmebox.runtime.resources import (
        limits as limits,
    )
    from tmebox.runtime.resources import (
        stats as stats,
    )
    from tmebox.runtime.sandbox import Sandbox as Sandbox
    from tmebox.runtime.sandbox import Snapshot as Snapshot
    from tmebox.runtime.sandbox_memory import (
        BadPointer as BadPointer,
    )
    from tmebox.runtime.sandbox_memory import (
        SandboxMemory as SandboxMemory,
    )
    from tmebox.runtime.shared_heap import Block as Block
    from tmebox.runtime.shared_heap import HeapStats as HeapStats
    from tmebox.runtime.shared_heap import SharedHeap as SharedHeap
    from tmebox.runtime.time_left import remaining_time as remaining_time
    from tmebox.runtime.typed.pointers import Pointer as Pointer

with suppress(ImportError):  # without the core there are no sandboxes, but the compiler driver works
    from tmebox.memory.reservation import reserve_early

    reserve_early()

# Loaded at first use: the compiler driver and the command line's help need neither NumPy nor the core.
_HOMES = {
    "Aborted": "tmebox.errors",
    "ArithmeticTrap": "tmebox.errors",
    "BadReference": "tmebox.errors",
    "BadResult": "tmebox.errors",
    "CompileError": "tmebox.errors",
    "CompileWarning": "tmebox.errors",
    "ControlFlowViolation": "tmebox.errors",
    "Deadlock": "tmebox.errors",
    "Diagnostic": "tmebox.errors",
    "Frame": "tmebox.errors",
    "IllegalInstruction": "tmebox.errors",
    "IntegrityViolation": "tmebox.errors",
    "LimitError": "tmebox.errors",
    "MemoryFault": "tmebox.errors",
    "ModuleError": "tmebox.errors",
    "OutOfMemory": "tmebox.errors",
    "SandboxBusy": "tmebox.errors",
    "SandboxClosed": "tmebox.errors",
    "SnapshotError": "tmebox.errors",
    "StackOverflow": "tmebox.errors",
    "Timeout": "tmebox.errors",
    "TmeboxError": "tmebox.errors",
    "Trap": "tmebox.errors",
    "VerificationError": "tmebox.errors",
    "Violation": "tmebox.errors",
    "Box": "tmebox.runtime.box",
    "Callback": "tmebox.runtime.calls.callbacks",
    "Handle": "tmebox.runtime.calls.handles",
    "Pointer": "tmebox.runtime.typed.pointers",
    "In": "tmebox.runtime.calls.arguments",
    "InOut": "tmebox.runtime.calls.arguments",
    "Out": "tmebox.runtime.calls.arguments",
    "Completed": "tmebox.runtime.commands",
    "compile": "tmebox.compilation",
    "host_function": "tmebox.runtime.calls.host_functions",
    "remaining_time": "tmebox.runtime.time_left",
    "Module": "tmebox.runtime.module",
    "Limits": "tmebox.runtime.resources",
    "Stats": "tmebox.runtime.resources",
    "limits": "tmebox.runtime.resources",
    "stats": "tmebox.runtime.resources",
    "Column": "tmebox.runtime.columns",
    "Sandbox": "tmebox.runtime.sandbox",
    "SandboxPool": "tmebox.runtime.pool.pool",
    "BadPointer": "tmebox.runtime.sandbox_memory",
    "SandboxMemory": "tmebox.runtime.sandbox_memory",
    "Block": "tmebox.runtime.shared_heap",
    "HeapStats": "tmebox.runtime.shared_heap",
    "SharedHeap": "tmebox.runtime.shared_heap",
    "Snapshot": "tmebox.runtime.sandbox",
}

__all__ = [
    "Aborted",
    "ArithmeticTrap",
    "BadPointer",
    "BadReference",
    "BadResult",
    "Block",
    "Box",
    "Callback",
    "Column",
    "CompileError",
    "CompileWarning",
    "Completed",
    "ControlFlowViolation",
    "Deadlock",
    "Diagnostic",
    "Frame",
    "Handle",
    "HeapStats",
    "IllegalInstruction",
    "In",
    "InOut",
    "IntegrityViolation",
    "LimitError",
    "Limits",
    "MemoryFault",
    "Module",
    "ModuleError",
    "Out",
    "OutOfMemory",
    "Pointer",
    "Sandbox",
    "SandboxBusy",
    "SandboxClosed",
    "SandboxMemory",
    "SandboxPool",
    "SharedHeap",
    "Snapshot",
    "SnapshotError",
    "StackOverflow",
    "Stats",
    "Timeout",
    "TmeboxError",
    "Trap",
    "VerificationError",
    "Violation",
    "compile",
    "host_function",
    "limits",
    "remaining_time",
    "stats",
]


if not TYPE_CHECKING:  # to which a name that is not in the list above is a mistake

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'tmebox' has no attribute {name!r}")
        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
