"""What a trap has to know of the sandbox that it ended: each thing is looked up when it is asked for.

A trap of most kinds needs little of it, and a sandbox that runs what nobody has read may trap at every call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tmebox import _native
from tmebox.memory.windows import Window
from tmebox.runtime.calling import Calling
from tmebox.runtime.module import Module, module_at
from tmebox.runtime.system.names import import_name
from tmebox.runtime.thread_names import thread_at

if TYPE_CHECKING:
    from tmebox.runtime.tenancy import Tenancy


class Surroundings:
    """Of one sandbox, for one trap of this thread's call."""

    __slots__ = ("_calling", "_tenancy", "base", "layout")

    def __init__(self, tenancy: Tenancy, calling: Calling) -> None:
        self._tenancy = tenancy
        self._calling = calling
        self.base = tenancy.base
        self.layout = tenancy.template.contents.layout

    @property
    def key_id(self) -> int:
        """0 without a shared heap."""
        return self._tenancy.instance.key_id

    def hold(self) -> Window | None:
        """Keeps the window mapped, or says that it is gone."""
        return self._tenancy.window

    def text_at(self, address: int) -> Module | None:
        """Whose code it is: a sandbox can reach every module's functions, but hardly ever does."""
        own = self._tenancy.module
        return own if own.covers(address) else module_at(address)

    @property
    def exhausted_bytes(self) -> int:
        """Of the last allocation that was refused."""
        system = self._calling.program or self._tenancy.system_if_made
        return 0 if system is None else system.exhausted_bytes

    @property
    def timeout_s(self) -> float:
        return self._calling.timeout_s

    def import_name(self, index: int, first_argument: int) -> str:
        """What a host call was of."""
        return import_name(self._tenancy.module.file, index, first_argument)

    def log_check(self, outcome: int, offset: int, outcome_key: int) -> object:
        """Log what the shared heap's memory said of a read at an offset in a window; None without a heap."""
        heap = self._tenancy.heap
        return None if heap is None else heap.log_check(outcome, offset, outcome_key)

    def thread_at(self, offset: int) -> str:
        """Who has a control stack that ends there, for messages."""
        return thread_at(self._tenancy.memory, offset)

    @property
    def read_control(self) -> Callable[[int, int], bytes] | None:
        """Of the control stack, by offset and size in bytes, if the sandbox has one."""
        tenancy = self._tenancy
        return tenancy.instance.read_control if tenancy.module.has_control else None

    def stack(self, window: Window, offset: int, size_bytes: int) -> bytes:
        """Where return addresses are."""
        read = self.read_control
        return _native.read(window.base + offset, size_bytes) if read is None else read(offset, size_bytes)
