"""What a sandbox holds while it lives: window, instance, host memory, system.

Nothing here refers to the `Sandbox` itself, so a sandbox that is dropped without `close()` ends at once, and
not whenever the garbage collector comes by. Whoever reads or writes window memory holds the `Window`
meanwhile: another thread may close the sandbox at any moment, and the pages must stay mapped.
"""

from __future__ import annotations

import struct
import threading
import weakref
from collections.abc import Sequence
from signal import SIGABRT
from typing import Any

from tmebox import _native, abi
from tmebox.errors import Aborted, LimitError, SandboxBusy, SandboxClosed
from tmebox.memory.contents import Contents
from tmebox.memory.windows import WINDOWS, Window
from tmebox.runtime import layout
from tmebox.runtime.arena import Arena, Block
from tmebox.runtime.host_functions import NativeImport
from tmebox.runtime.image import Image
from tmebox.runtime.module import Module, module_at
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.runtime.system import Abort, Exit, System
from tmebox.runtime.traps import Surroundings, make_trap

_native.configure(busy=SandboxBusy, closed=SandboxClosed)
# Whatever verified code can touch, not only what the module at hand uses: a sandbox can reach every module's
# functions, also those of one that is loaded while it runs. No rule accepts AVX-512.
_native.set_vector_policy(avx=_native.cpu_features()["avx"], avx512=False, x87=True)

TEXT_ROOM = 4 * abi.KIB
"""For all texts that are arguments of one call, and of those inside it; what does not fit takes longer."""


class Tenancy:
    """One sandbox's hold on a window."""

    def __init__(self, image: Image, timeout_s: float, system: System) -> None:
        _native.install_handlers()
        self.image = image
        self.module = image.module
        self.layout = image.contents.layout
        self.timeout_s = self.call_timeout_s = timeout_s
        self.system = system
        self.in_program = False
        self._changing = threading.RLock()
        self._text_room: int | None = None
        self.owner: weakref.ref[Any] | None = None
        window = WINDOWS.acquire()
        self.base = window.base
        layout.fill_window(window, image.contents)
        self._window: Window | None = window
        self._arena = Arena(window, abi.ARENA_START, image.memory_bytes)
        self.memory = SandboxMemory(self.hold, self.layout, self._arena, self._write)
        self.instance: _native.Instance

    # -- running ---------------------------------------------------------------------------------
    def start(self, imports: Sequence[NativeImport]) -> None:
        """Make the window's contents callable, and run the library start-up if there is one."""
        around = Surroundings(
            base=self.base,
            stack_low=self.layout.stack_low,
            hold=lambda: self._window,
            text_at=self._module_at,
            exhausted_bytes=lambda: self.system.exhausted_bytes,
            timeout_s=lambda: self.call_timeout_s,
        )

        def trapped(*details: Any) -> BaseException:
            return make_trap(around, *details)

        stack_low, stack_top = self.base + self.layout.stack_low, self.base + abi.STACK_TOP
        self.instance = _native.Instance(
            self.base,
            stack_low,
            stack_top,
            trapped,
            base_in_r15=self.module.file.base == "r15",
            checks_returns=self.module.file.isolation == "code+data",
        )
        self.instance.timeout_s = self.timeout_s
        self.instance.set_imports(imports)
        self._initialize(self.image.contents)

    def _module_at(self, address: int) -> Module | None:
        """Whose code it is: a sandbox can reach every module's functions, but hardly ever does."""
        return self.module if self.module.covers(address) else module_at(address)

    def _initialize(self, contents: Contents) -> None:
        if self.module.initializer is not None and self.module.start is None and not contents.initialized:
            self.instance.call(self.module.initializer, (), (), b"", -1.0)

    def reset(self, contents: Contents | None = None) -> None:
        """Stack, data and heap as at the beginning, or as `contents` (of the same module and layout) has
        them, and callable, also after a trap. Host arrays stay. Raises SandboxBusy, SandboxClosed."""
        contents = contents or self.image.contents
        with self._changing:  # nobody may come in, or end it, before it is whole again
            window = self.hold()
            self.instance.kill()
            layout.fill_window(window, contents)
            self.system.reset()
            if self._text_room is not None:
                self._arena.free(self._text_room)
                self._text_room = None
            self._arena.scrub()
            self.instance.revive()
        self._initialize(contents)

    def capture(self) -> Contents:
        """What the window holds now, for others to start with: data and heap, but no stack, since no call
        runs, and no host arrays. Raises SandboxBusy while a call runs, SandboxClosed after a trap."""
        with self._changing:
            window = self.hold()
            if not self.instance.kill():  # nobody may come in meanwhile
                raise SandboxClosed("a trap ended this sandbox: what it left is not a state to go on from")
            try:
                written = layout.changed_pages(window, self.layout)
            finally:
                self.instance.revive()
        constants = (
            (segment.offset, segment.data)
            for segment in self.module.segments
            if segment.data and not segment.writable
        )
        return Contents(self.layout, tuple(sorted((*constants, *written))), initialized=True)

    def system_call(self, number: int, arguments_offset: int) -> int:
        """The host function behind `__tmebox_syscall`."""
        arguments = struct.unpack("<6q", self.memory.read(arguments_offset, 48))
        try:
            return self.system.handle(self.memory, number, arguments)
        except Abort as request:
            what = "called abort()" if request.signal == SIGABRT else f"raised signal {request.signal}"
            raise self._ended(f"the program {what}") from None
        except Exit as request:
            if self.in_program:
                raise
            raise self._ended(f"the module called exit({request.code}) during a call") from None

    def _ended(self, message: str) -> Aborted:
        """The sandboxed code ended itself: like after a trap, it cannot be called again."""
        self.instance.condemn()
        return Aborted(message)

    # -- memory ----------------------------------------------------------------------------------
    def hold(self) -> Window:
        """The window, whose pages stay mapped as long as the caller keeps it. Raises SandboxClosed."""
        window = self._window
        if window is None:
            raise SandboxClosed("the sandbox is closed; its memory is gone")
        return window

    def _write(self, address: int, data: Any) -> None:
        self.instance.write(address, data)

    def scratch(self, size_bytes: int) -> int:
        """Offset of temporary room for an argument. Raises LimitError, SandboxClosed."""
        self.hold()
        return self._arena.allocate(size_bytes)

    def release_scratch(self, offset: int) -> None:
        self._arena.free(offset)

    def lend_text_room(self) -> None:
        """From now on the core copies texts by itself, where there is room for them. Raises SandboxClosed."""
        with self._changing:
            self.hold()
            if self._text_room is None:
                try:
                    self._text_room = self._arena.allocate(TEXT_ROOM)
                except LimitError:
                    return
            self.instance.lend_text_room(self._text_room, TEXT_ROOM)

    def allocate(self, size_bytes: int) -> _native.Region:
        """Room for a host array; it lives as long as someone looks into it. Raises LimitError."""
        window = self.hold()
        offset = self._arena.allocate(size_bytes)
        block = Block(window, self._arena, offset)
        return _native.Region(window.base + offset, size_bytes, block, True)

    # -- ending ----------------------------------------------------------------------------------
    def end(self) -> None:
        """Give everything back. Idempotent. Raises SandboxBusy while a call runs."""
        with self._changing:
            window = self._window
            if window is None:
                return
            if hasattr(self, "instance"):
                self.instance.kill()
            self._window = None
        self.owner = None
        self._arena.close()
        self.system.close()
        still_held = weakref.ref(window)
        del window  # the last holder's finalizer unmaps and recycles
        if (kept := still_held()) is not None:
            kept.zero()

    def abandon(self, _: object = None) -> None:
        """`end` for a sandbox that nobody refers to any more; one that still runs ends when its call does."""
        try:
            self.end()
        except SandboxBusy:
            self.instance.condemn()

    @property
    def ended(self) -> bool:
        return self._window is None
