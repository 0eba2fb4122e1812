"""What a sandbox holds while it lives: window, instance, host memory, system.

Nothing here refers to the `Sandbox` itself, so a sandbox that is dropped without `close()` ends at once, and
not whenever the garbage collector comes by. Whoever reads or writes window memory holds the `Window`
meanwhile: another thread may close the sandbox at any moment, and the pages must stay mapped.

Many sandboxes are made for one short call: what not every one needs is made when it is first asked for.
"""

from __future__ import annotations

import errno
import struct
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from tmebox import _native, abi
from tmebox.errors import Aborted, LimitError, SandboxBusy, SandboxClosed, SnapshotError, Trap
from tmebox.memory.capture import written_pages
from tmebox.memory.contents import Contents, Layout
from tmebox.memory.templates import Template
from tmebox.memory.windows import WINDOWS, Window
from tmebox.runtime import core as _core  # noqa: F401 told what it has to know before any sandbox is made
from tmebox.runtime import stdio
from tmebox.runtime.arena import Arena
from tmebox.runtime.calling import Calling, calling_among
from tmebox.runtime.calls.callbacks import Callbacks
from tmebox.runtime.calls.host_functions import NativeImport
from tmebox.runtime.layout import later_contents
from tmebox.runtime.module import Module
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.runtime.share import Share, require_room
from tmebox.runtime.standing import aborted, standing_trap
from tmebox.runtime.surroundings import Surroundings
from tmebox.runtime.system import Abort, Exit, System
from tmebox.runtime.traps import make_trap

TEXT_ROOM = 4 * abi.KIB
"""For all texts that are arguments of one call, and of those inside it; what does not fit takes longer."""


class Tenancy:
    """One sandbox's hold on a window."""

    __slots__ = (
        "_arena", "_callbacks", "_callings", "_changing", "_delivered", "_ended_by", "_make_system",
        "_memory", "_system", "_window", "base", "heap", "instance", "module", "template", "timeout_s",
    )  # fmt: skip

    def __init__(
        self,
        module: Module,
        template: Template,
        timeout_s: float,
        make_system: Callable[[], System],
        share: Share | None = None,
    ) -> None:
        """make_system: called when the sandbox first asks for something of the world."""
        _native.ensure_handlers()
        self.module = module
        self.template = template
        self.timeout_s = timeout_s
        self._callings: dict[int, Calling] | None = None
        self._delivered = False
        self._ended_by: tuple[type[Trap], tuple[Any, ...], dict[str, Any]] | None = None
        self._make_system = make_system
        self._system: System | None = None
        self._memory: SandboxMemory | None = None
        self._arena: Arena | None = None
        self._callbacks: Callbacks | None = None
        self._changing = threading.RLock()
        self._window: Window | None = None  # for `end`, should there be none left
        self.heap = heap = None if share is None else share[0]
        if heap is not None:
            require_room(template.contents.layout, heap)
        kept_for_heap = template if heap is None else heap.template_for(template)
        self._window = window = WINDOWS.acquire(kept_for_heap)
        self.base = base = window.base
        file = module.file
        self.instance = _native.Instance(
            base,
            base + template.contents.layout.stack_low,
            base + template.contents.layout.stack_top,
            self,
            file.base == "r15",
            file.isolation == "code+data",
            timeout_s,
            module.has_control,
            template.contents.layout.data_bytes,
        )
        try:
            if template.contents.threads:
                self.instance.begin_threads(template.contents.threads)
            if template.contents.callbacks:
                self.instance.begin_callbacks(template.contents.callbacks)
            self.instance.keep_words(module.kept_words(self.layout.arrays_end))
            if share is not None:
                share[0].attach(self.instance, share[1])
        except BaseException:
            self.abandon()  # it and the instance refer to each other
            raise

    @property
    def layout(self) -> Layout:
        return self.template.contents.layout

    @property
    def system(self) -> System:
        system = self._system
        if system is None:
            made = self._make_system()
            system = _native.set_first(self, "_system", made)
            if system is not made:
                made.close()
            if system.core_answers:
                self.instance.lend_descriptors(system.core)
            if self._window is None:  # it has ended meanwhile, and did not see it
                system.close()
        return system

    @system.setter
    def system(self, system: System) -> None:
        self._system = system
        self.instance.lend_descriptors(system.core)

    @property
    def system_if_made(self) -> System | None:
        return self._system

    @property
    def has_open_files(self) -> bool:
        return self._system is not None and self._system.has_open_files

    # -- running ---------------------------------------------------------------------------------
    def start(self, imports: Sequence[NativeImport]) -> None:
        """Give the code its host functions, and run the library start-up if there is one."""
        if imports:
            self.instance.set_imports(imports)
        self._initialize()

    def _initialize(self) -> None:
        initializer = self.module.library_initializer
        if initializer is not None and not self.template.contents.initialized:
            self.instance.call(initializer, (), (), b"", -1.0)

    def calling(self, timeout_s: float, program: System | None = None) -> AbstractContextManager[None]:
        """For one call on this thread: its time limit and, for a program, the world it has. What runs
        meanwhile may be another thread's call, which makes this one be refused: it sees nothing of this."""
        return calling_among(self._callings or _native.set_first(self, "_callings", {}), timeout_s, program)

    @property
    def _calling(self) -> Calling:
        """Of this thread."""
        callings = self._callings
        found = callings.get(threading.get_ident()) if callings else None
        return Calling(self.timeout_s, None) if found is None else found

    def deliver_output(self) -> None:
        """Write what the C library has buffered for stdout, once, before the sandbox's memory goes or its
        code never runs again. Raises what the host's stream raises."""
        if not self._delivered:
            self._delivered = True
            place = self.module.stdout
            descriptor, data = (-1, b"") if place is None else stdio.buffered(self.memory, place)
            if data:  # only then is a system worth making
                stdio.deliver(self._calling.program or self.system, descriptor, data)

    def drop_output(self) -> None:
        """What is buffered by now stays there: the program has ended, and wrote what it wanted to."""
        self._delivered = True

    def _end_by(self, trap: Trap) -> None:
        """Keep what ended the sandbox, without the frames that the trap will be raised through, and what
        their variables refer to."""
        self._ended_by = type(trap), trap.args, vars(trap).copy()
        with suppress(Exception):  # the trap is more important
            self.deliver_output()

    def closed_error(self) -> SandboxClosed:
        """For the core: why the sandbox cannot be called."""
        if self._ended_by is None:
            ended = "was closed" if self.ended else "was ended by a call that was interrupted: reset() it"
            return SandboxClosed(f"the sandbox {ended}")
        kind, arguments, facts = self._ended_by
        trap = kind.__new__(kind, *arguments)
        vars(trap).update(facts)
        remedy = "" if self.ended else "; reset() makes it callable again"
        error = SandboxClosed(f"a trap ended the sandbox{remedy}. It was {trap.kind}: {trap}")
        error.__cause__ = trap
        return error

    def __call__(self, *details: Any) -> BaseException:
        """The exception for a trap, for the core. A method with a name would be one more object for each."""
        self._end_by(trap := make_trap(self._surroundings(), *details))
        return trap

    def _surroundings(self) -> Surroundings:
        return Surroundings(self, self._calling)

    def reset(self) -> None:
        """Stack, data and heap as at the beginning, and callable, also after a trap. Host arrays stay.
        Raises SandboxBusy, SandboxClosed."""
        self.hold()  # before the lock: in a forked child, a thread that is not there may have it
        self.deliver_last()
        with self._alone():  # nobody may come in, or end it, before it is whole again
            window = self.hold()
            try:
                self.instance.pause()
                self._begin_again(window)
                self._ended_by = None
                self._delivered = False
                self.instance.revive()  # not before all of it is as at the beginning
            except BaseException:
                if self.instance.paused:
                    self.instance.condemn()
                raise
        self._initialize()

    def _alone(self) -> AbstractContextManager[Any]:
        """To be held while the window changes hands or contents. Other threads wait; whoever comes from
        within, out of a finalizer or signal handler, would see it half changed. Raises SandboxBusy."""
        if self._changing._is_owned():  # type: ignore[attr-defined]
            raise SandboxBusy(
                "the sandbox is being reset, captured or closed, and this finalizer or signal handler came "
                "in between: it can be used again once it has returned"
            )
        return self._changing

    def _begin_again(self, window: Window) -> None:
        if self._system is not None:
            self._system.reset()
        if self._arena is not None:
            self._arena.scrub()
        self.instance.end_shared_blocks()
        window.reset(self.instance)
        self.instance.begin_threads(self.template.contents.threads)

    def capture(self) -> Contents:
        """What the window holds now, for others to start with: data and heap, but no stack, since no call
        runs, and no host arrays. Raises SandboxBusy while a call runs, SandboxClosed after a trap,
        SnapshotError while files are open."""
        contents = self.template.contents
        self.hold()  # as in reset
        with self._alone():
            window = self.hold()
            try:
                if not self.instance.pause():  # nobody may come in meanwhile
                    raise SandboxClosed(
                        "a trap ended this sandbox: what it left is not a state to go on from"
                    )
                if self.heap is not None and self.heap.lines_of(self.instance)[1]:
                    raise SnapshotError(
                        "the sandbox's code has blocks of the shared heap, which are no part of a snapshot: "
                        "it has to free them, or the host to adopt() them"
                    )
                if self.has_open_files:  # now that nobody opens, resets or closes any
                    raise SnapshotError(
                        "the sandbox has files open, or has closed or moved stdin, stdout or stderr: others "
                        "could not go on from there"
                    )
                written = written_pages(window.base, contents)
                try:
                    threads = self.instance.threads()
                except ValueError as error:
                    raise SnapshotError(str(error)) from None
            finally:
                if self.instance.paused:
                    self.instance.revive()
        made = self._callbacks
        callbacks = contents.callbacks if made is None else max(contents.callbacks, made.end)
        later = later_contents(self.module, contents.layout, written)
        return replace(later, threads=threads, callbacks=callbacks)

    def system_call(self, number: int, arguments_offset: int) -> int:
        """The host function behind `__tmebox_syscall`."""
        memory = self.memory
        try:
            arguments = struct.unpack("<6q", memory.read(arguments_offset, 48))
        except IndexError:  # not libc's call: a guest may say anything
            return -errno.EFAULT
        program = None if self._callings is None else self._calling.program
        system = program or self.system
        if number == abi.SYS_CPU_FEATURES:
            system.cpu_features = self.module.features
        elif number == abi.SYS_CALL_DEPTH:  # where the core knows no descriptors
            return self.instance.depth
        elif number == abi.SYS_THREADS_STAND_STILL:
            raise self._ended(standing_trap(self._surroundings(), memory, *arguments[:3]))
        try:
            return system.handle(memory, number, arguments)
        except Abort as request:
            raise self._ended(aborted(request)) from None
        except Exit as request:
            if program is not None:
                raise
            raise self._ended(Aborted(f"the module called exit({request.code}) during a call")) from None

    def _ended(self, trap: Trap) -> Trap:
        """The sandboxed code ended itself: like after a trap, it cannot be called again."""
        self.instance.condemn()
        self._end_by(trap)
        return trap

    # -- memory ----------------------------------------------------------------------------------
    @property
    def memory(self) -> SandboxMemory:
        memory = self._memory
        if memory is None:
            memory = self._memory = SandboxMemory(
                self.hold, self.layout, self.instance, None if self.heap is None else self.heap.log_check
            )
        return memory

    @property
    def window(self) -> Window | None:
        """None once it was given back."""
        return self._window

    def hold(self) -> Window:
        """The window, whose pages stay mapped as long as the caller keeps it. Raises SandboxClosed."""
        window = self._window
        if window is None:
            raise SandboxClosed("the sandbox is closed; its memory is gone")
        if window.is_inherited:
            raise SandboxClosed("the sandbox belongs to the process that this one was forked from")
        return window

    @property
    def arena(self) -> Arena:
        """Raises SandboxClosed."""
        window, arena = self.hold(), self._arena
        if arena is None:
            made = Arena(window, self.layout.memory_bytes, self.layout.arena_end)
            arena = _native.set_first(self, "_arena", made)
            if self._window is None:  # it has ended meanwhile, and did not see it
                arena.close()
        return arena

    def scratch(self, size_bytes: int) -> _native.Extent:
        """Offsets of temporary room for an argument, as long as the caller keeps it. Raises LimitError,
        SandboxClosed."""
        return self.arena.allocate(size_bytes)

    def lend_text_room(self) -> None:
        """From now on the core copies texts by itself, where there is room for them. Raises SandboxClosed."""
        if not self.instance.has_text_room:
            with suppress(LimitError):
                self.instance.lend_text_room(self.scratch(TEXT_ROOM))

    def shared_offset(self, address: int, size_bytes: int) -> int | None:
        """Where memory of the host lies in the shared heap of the sandbox, if it does."""
        heap = self.heap
        place = -1 if heap is None else address - heap.host_address
        inside = heap is not None and 0 <= place <= heap.size_bytes - size_bytes
        return abi.SHARED_START + place if inside else None

    def hold_block(self, block: _native.Block, what: str) -> tuple[int, object]:
        """For the argument `what`: its offset, and what keeps it there. Raises TypeError."""
        if block.heap is not self.heap:
            raise TypeError(f"{what}: the block is of a shared heap that this sandbox does not have")
        return block.hold()

    @property
    def callbacks(self) -> Callbacks:
        """Functions that go by pointer, and handles."""
        callbacks = self._callbacks
        if callbacks is None:
            made = Callbacks(self.instance, self.memory, self.module)
            callbacks = _native.set_first(self, "_callbacks", made)
        return callbacks

    def allocate(self, size_bytes: int) -> _native.Region:
        """Room for a host array; it lives as long as someone looks into it. Raises LimitError."""
        window = self.hold()
        room = self.arena.allocate(size_bytes)
        pin = window.show(room.start, size_bytes, True)
        return _native.Region(window.base + room.start, size_bytes, (window, room, pin), True)

    # -- ending ----------------------------------------------------------------------------------
    def end(self) -> None:
        """Give everything back. Idempotent. Raises SandboxBusy while a call runs, and what the host's stream
        raises, but OSError: then it has ended all the same."""
        try:
            self.deliver_last()
        finally:
            self._end()

    def deliver_last(self) -> None:
        """`deliver_output` for a sandbox that is about to end. Like exit(), it ignores errors of streams."""
        window = self._window
        if window is not None and not window.is_inherited and self.instance.state != _native.RUNNING:
            with suppress(OSError, SandboxClosed):
                self.deliver_output()

    def _end(self) -> None:
        window = self._give_up()
        self._memory = None
        for part in filter(None, (self._callbacks, self._arena, self._system)):
            part.close()  # type: ignore[attr-defined]
        if window is None:
            return
        still_held = weakref.ref(window)
        del window  # the last holder gives it back
        if (kept := still_held()) is not None and not kept.is_inherited:
            kept.blank()

    def _give_up(self) -> Window | None:
        """The window, unless it was given up before."""
        window = self._window
        if window is not None and window.is_inherited:
            self.instance.condemn()  # not kill(): threads that are not in this process may be in it
            self._window = None
            return window
        with self._alone():
            window = self._window
            if window is not None:
                self.instance.kill()
                self._window = None
            return window

    def abandon(self) -> None:
        """`end` for a sandbox that nobody wants any more; one that still runs ends when its call does. A
        finalizer can come at any moment, so that the host's streams are left alone."""
        try:
            self._end()
        except SandboxBusy:
            if not self.instance.doom():  # else the core calls this again; its call has ended meanwhile
                with suppress(SandboxBusy, LimitError):
                    self._end()
        except LimitError:
            pass  # it is ended; views of it still show what it could only read

    @property
    def ended(self) -> bool:
        """Also while the last call still runs."""
        return self._window is None or self.instance.closed
