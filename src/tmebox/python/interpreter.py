"""Python: one interpreter in one sandbox."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import tmebox
from tmebox import _native
from tmebox.errors import SandboxBusy, SandboxClosed
from tmebox.python import guest, wire
from tmebox.python.arrays import Arrays
from tmebox.python.awaited import AwaitedRun
from tmebox.python.ctrl_c import Listener
from tmebox.python.endings import ending
from tmebox.python.errors import PythonError
from tmebox.python.hostside import HostSide
from tmebox.python.opaque import Opaque
from tmebox.python.output import Printed
from tmebox.python.reading import value_of
from tmebox.python.settings import UNLIMITED, Settings, checked_instructions, checked_modules, checked_names
from tmebox.python.snapshot import PythonSnapshot
from tmebox.python.values import Encoder, encoded_source
from tmebox.runtime.worldless import WorldlessSandbox
from tmebox.shown import Fact, Shown
from tmebox.uncopied import Uncopied

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_MEMORY = "32MiB"
DEFAULT_STACK = "1MiB"
DEFAULT_OUTPUT = "1MiB"
NESTED = 256
_WORDS = struct.Struct("<II")
_WORD = struct.Struct("<I")
_EACH_RUN = struct.Struct("<IIIIqQ")


class Python(Uncopied, Shown):
    """An interpreter that shares nothing with any other, nor with the host but what it is given.

    `python.run(source)`, `python.eval(expression)`, `python["name"]`, `python["name"] = value`,
    `python.call("function", …)`. Values cross as copies: None, bool, int, float, str, bytes, list, tuple,
    dict and NumPy arrays; arrays of `python.array()` are shared instead. One thing at a time: what another
    thread wants meanwhile raises SandboxBusy, and changes nothing."""

    def __init__(
        self,
        *,
        memory: Any = DEFAULT_MEMORY,
        timeout: float | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        modules: Mapping[str, str] | None = None,
        stdout: Any = None,
        output: Any = DEFAULT_OUTPUT,
        stack: Any = DEFAULT_STACK,
        instructions: int | None = None,
        seed: int | None = None,
        clock: float | None = None,
        state: tmebox.Snapshot | None = None,
    ) -> None:
        """memory: limit on all objects; arrays of the host have an allowance of the same size. timeout:
        seconds that each run may take; after that the interpreter is gone. functions: what programs may call,
        by name. modules: sources that programs may import, by name. stdout: where print goes, a callable or a
        text stream; default: kept, as `python.stdout`. output: bytes that a run may print. stack: limits
        recursion. instructions: limit on the interpreter's instructions for each run, the same on every
        machine. seed: `random` starts from it, instead of from random bits. clock: clocks start at this time,
        in seconds, and move only when a program looks at them or sleeps. state: used by snapshots.

        Raises LimitError, ModuleError if the guest is not installed."""
        self.settings = Settings(
            dict(functions or {}),
            checked_modules(modules),
            guest.size_bytes(output),
            checked_instructions(instructions),
            seed,
            clock,
        )
        self._options: dict[str, Any] = {
            "timeout": timeout,
            "functions": functions,
            "modules": modules,
            "stdout": stdout,
            "output": output,
            "instructions": instructions,
            "seed": seed,
            "clock": clock,
        }
        if state is None:
            start = guest.started(memory, stack)
            state, self._memory_bytes = start
        else:
            self._memory_bytes = state.template.contents.layout.memory_bytes
        self._turns: _native.Shelf[str] = _native.Shelf()
        self._turns.put("turn")
        self.printed = Printed(stdout, self.settings.output_bytes)
        self._host = HostSide(weakref.ref(self))
        self._listener = Listener(weakref.ref(self), self._host.runs)
        self.sandbox = WorldlessSandbox(state, timeout=timeout, imports={"python_host": self._host})
        self._begin()
        self._offer_all()

    def _begin(self) -> None:
        """A mailbox, and nothing in it."""
        sandbox = self.sandbox
        mailbox = sandbox.array(wire.MAILBOX_SIZE)
        self.arrays = Arrays(sandbox)
        self.mailbox = view = memoryview(mailbox.data)
        self._mailbox_offset = mailbox.__array_interface__["data"][0] - sandbox.base
        self._do = sandbox.python_do
        self.memory = sandbox.memory
        self.encoder = Encoder(self.arrays.place)
        self._requests: list[Any] = []
        self._replies: list[Any] = []
        settings, pack = self.settings, struct.pack_into
        pack("<Q", view, wire.GENERATION, self.arrays.generation)
        pack("<I", view, wire.HAS_MODULES, bool(settings.modules))
        pack("<I", view, wire.UNSEEDED, True)
        if settings.clock is not None:
            pack("<Q", view, wire.CLOCK, int(settings.clock * 1e9))
        self._allowed = UNLIMITED if settings.instructions is None else settings.instructions
        self._each_run = _EACH_RUN.pack(
            0, self.printed.streams, 0, settings.clock is not None, self._allowed, settings.output_bytes
        )
        view[: wire.EACH_RUN_END] = self._each_run

    def _offer_all(self) -> None:
        names = checked_names(self.settings.functions)
        if names:
            self._alone(wire.OFFER, self.encoder.encode(names))

    def add_functions(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        """More functions that programs may call; one of a name that is there takes its place. Raises
        ValueError, SandboxBusy, SandboxClosed."""
        names = checked_names(functions)
        turn = self._turn(also_inside=True)
        try:
            self.settings = self.settings._replace(functions={**self.settings.functions, **functions})
            self._options["functions"] = self.settings.functions
            request = self.encoder.encode(names)
            if turn is None:
                self._inside(wire.OFFER, request)
            else:
                self._alone(wire.OFFER, request)
        finally:
            del turn

    # -- running ---------------------------------------------------------------------------------
    def run(self, source: str, *, filename: str = "<python>") -> Any:
        """Run statements in the global namespace. The value of the last one, if it is an expression, else
        None; an Opaque if that is a value that cannot leave the sandbox.

        Raises PythonError, OutOfInstructions, a Trap (Timeout, StackOverflow …)."""
        return self._answer(wire.RUN, encoded_source(source, filename))

    def eval(self, expression: str, *, filename: str = "<python>") -> Any:
        """The value of an expression. Raises as `run` does, and PythonError (TypeError) if the value cannot
        leave the sandbox."""
        return self._answer(wire.EVALUATE, encoded_source(expression, filename))

    def interact(self, source: str, *, filename: str = "<stdin>") -> None:
        """Run statements as at a prompt: the value of the last expression is printed, and kept as `_`."""
        self._answer(wire.INTERACT, encoded_source(source, filename))

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a global function of the program's. Raises as `eval` does."""
        return self._perform(wire.CALL, (name, arguments, keywords))

    async def run_async(self, source: str, *, filename: str = "<python>") -> Any:
        """As `run`, on a thread of its own, while the event loop goes on: async functions of the host run
        there. Functions have the caller's context variables, as with asyncio.to_thread. Where the task is
        cancelled, the program is interrupted until it ends. Raises LimitError if there is no thread."""
        return await self._on_thread(wire.RUN, encoded_source(source, filename))

    async def eval_async(self, expression: str, *, filename: str = "<python>") -> Any:
        """As `run_async`, for an expression."""
        return await self._on_thread(wire.EVALUATE, encoded_source(expression, filename))

    async def _on_thread(self, operation: int, request: bytes) -> Any:
        def work(awaited: AwaitedRun) -> Any:
            turn = self._turn()
            try:
                return self._alone(operation, request, awaited)
            finally:
                del turn

        return await AwaitedRun().over(work)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the program, from any thread, at the next branch or call that it
        executes. As in Python, a program can handle it; `timeout` is what it cannot handle."""
        struct.pack_into("<I", self.mailbox, wire.INTERRUPT, 1)

    # -- globals ---------------------------------------------------------------------------------
    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise TypeError(f"a global is looked up by its name, not by {type(name).__name__}")
        try:
            return self._perform(wire.GET, (name,))
        except PythonError as error:
            if error.type == "NameError" and not error.frames:
                raise KeyError(name) from None
            raise

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name.isidentifier():
            raise KeyError(f"{name!r} is no name of a global")
        self._perform(wire.SET, (name, value))

    def __delitem__(self, name: str) -> None:
        try:
            self._perform(wire.DELETE, (name,))
        except PythonError as error:
            if error.type == "NameError":
                raise KeyError(name) from None
            raise

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """Names of the program's globals, in no order."""
        found = self._perform(wire.NAMES, ())
        names = found if isinstance(found, list) else ()
        return [name for name in names if isinstance(name, str) and not name.startswith("__")]

    def update(self, values: Mapping[str, Any]) -> None:
        """Set globals."""
        for name, value in values.items():
            self[name] = value

    def array(self, shape: Any, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """A zeroed NumPy array that lives in the sandbox: passed to the program it is shared, not copied. It
        stays there as long as this interpreter."""
        return self.arrays.new(shape, dtype)

    # -- what was printed, and how much was done ---------------------------------------------------
    @property
    def stdout(self) -> str:
        """What the latest run printed, if `stdout` was not given."""
        return self.printed.text

    @property
    def instructions(self) -> int:
        """Instructions of the interpreter that the latest run executed."""
        left: int = struct.unpack_from("<q", self.mailbox, wire.INSTRUCTIONS_LEFT)[0]
        return min(max(self._allowed - left, 0), self._allowed + 1)

    # -- crossing ----------------------------------------------------------------------------------
    def _perform(self, operation: int, parts: tuple[Any, ...]) -> Any:
        return self._answer(operation, self.encoder.encode(parts))

    def _answer(self, operation: int, request: bytes) -> Any:
        turn = self._turn(also_inside=True)
        try:
            return self._inside(operation, request) if turn is None else self._alone(operation, request)
        finally:
            del turn

    def _turn(self, also_inside: bool = False) -> _native.Claim[str] | None:
        """Others are refused until what this returns is dropped. To be kept in a local variable, and deleted
        in a `finally`: taking and dropping are one step each, and nothing that a signal handler raises can
        come between them and what protects them. also_inside: None for a function of the host's that the
        program called: the turn is its own. Raises SandboxBusy."""
        if also_inside and self._host.is_below():
            return None
        turn = self._turns.take()
        if turn is None:
            raise SandboxBusy("the interpreter does one thing at a time; make a Python for each thread")
        return turn

    def _inside(self, operation: int, request: bytes) -> Any:
        """For a function of the host's, while the program waits for it."""
        kept = len(self._requests)
        place = self._lay(request, self._requests)
        try:
            status = self._do(self._mailbox_offset, operation | NESTED, *place)
        finally:
            del self._requests[kept:]
        return self._outcome(status)

    def _alone(self, operation: int, request: bytes, awaited: AwaitedRun | None = None) -> Any:
        """For who has the turn. Whatever the run before has left is made anew: it may have been cut off
        anywhere, by Ctrl-C."""
        mailbox, host, listener = self.mailbox, self._host, self._listener
        mailbox[: wire.EACH_RUN_END] = self._each_run
        self.printed.begin()
        host.awaited = awaited
        listening = False
        try:
            if awaited is not None:
                awaited.begin(mailbox[wire.INTERRUPT : wire.INTERRUPT + 4])
            try:
                listening = listener.begin()
                status = self._do(self._mailbox_offset, operation, *self._lay(request, self._requests))
            finally:
                listener.on = False  # Ctrl-C raises from here on, also amid what follows
                if listening:
                    listener.end()
            if listener.heard and _WORD.unpack_from(mailbox, wire.INTERRUPT)[0]:
                raise KeyboardInterrupt  # which came too late for the program to see it
            return self._outcome(status)
        finally:
            host.awaited = None
            host.forget()
            self._requests, self._replies = [], []
            if awaited is not None:
                awaited.end()
            self.take_output()
            self.printed.end()

    def _outcome(self, status: int) -> Any:
        """The value of what was done. Raises PythonError, OutOfInstructions, KeyboardInterrupt."""
        if status == wire.DONE:
            return self.result()
        ended = ending(status, self._said, self._host.failure, self._allowed)
        if isinstance(ended, Opaque):
            return ended
        try:
            if self._listener.heard and isinstance(ended, PythonError) and ended.type == "KeyboardInterrupt":
                raise KeyboardInterrupt from ended
            raise ended
        finally:
            del ended  # else it and this frame keep each other, and this interpreter

    def reply(self, data: bytes) -> tuple[int, int]:
        """An answer to the guest: offset and size of where it is. It has read the one before."""
        self._replies.clear()
        return self._lay(data, self._replies)

    def _lay(self, data: bytes, blocks: list[Any]) -> tuple[int, int]:
        """Bytes for the guest: where they are, in the mailbox or in a new one of the blocks."""
        size = len(data)
        if size <= wire.TRANSFER_SIZE:
            self.mailbox[wire.TRANSFER : wire.TRANSFER + size] = data
            return self._mailbox_offset + wire.TRANSFER, size
        block = self.sandbox.array(size)
        block[:] = np.frombuffer(data, np.uint8)
        blocks.append(block)
        return block.__array_interface__["data"][0] - self.sandbox.base, size

    def result(self) -> Any:
        """What the guest has left for the host. It may have left anything."""
        offset, size = _WORDS.unpack_from(self.mailbox, wire.RESULT)
        try:
            data = self.memory.read(offset, size)
            return value_of(data, self._memory_bytes, self.arrays.view)
        except (ValueError, IndexError) as error:  # Malformed, BadPointer, and what NumPy has to say
            raise PythonError("SystemError", f"the sandbox handed out no value: {error}") from None

    def _said(self) -> Any:
        """About how it ended."""
        if _WORDS.unpack_from(self.mailbox, wire.RESULT)[1] == 0:
            raise PythonError("MemoryError", "no memory is left to describe the exception")
        return self.result()

    def take_output(self) -> None:
        """Hand on what is in the mailbox's buffer."""
        size = min(_WORD.unpack_from(self.mailbox, wire.PRINTED)[0], wire.OUTPUT_SIZE)
        if size:
            struct.pack_into("<I", self.mailbox, wire.PRINTED, 0)
            self.printed.write(bytes(self.mailbox[wire.OUTPUT : wire.OUTPUT + size]))

    # -- life ------------------------------------------------------------------------------------
    def snapshot(self) -> PythonSnapshot:
        """The interpreter's state, with all modules and globals, for others to start from. Arrays of the host
        are not in it. Raises SnapshotError, SandboxBusy, SandboxClosed."""
        turn = self._turn()
        try:
            return PythonSnapshot(self.sandbox.snapshot(), self._options)
        finally:
            del turn

    def reset(self) -> None:
        """As it began, also after a trap; faster than a new one. Raises SandboxBusy, SandboxClosed if closed,
        LimitError."""
        turn = self._turn()
        try:
            self.sandbox.reset()
            self._begin()
            self._offer_all()
        except BaseException:
            # Half of it, after Ctrl-C say, is no state to go on from.
            self.sandbox._tenancy.instance.condemn()
            raise
        finally:
            del turn

    @property
    def closed(self) -> bool:
        return self.sandbox.closed

    @property
    def ended(self) -> bool:
        """Whether it was closed, or a trap ended it: then `reset` begins anew."""
        turn = self._turns.take()
        if turn is None:  # it does something
            return False
        try:
            self.sandbox.python_protocol()
        except SandboxClosed:
            return True
        except SandboxBusy:
            return False
        finally:
            del turn
        return False

    def close(self) -> None:
        """Idempotent. Raises SandboxBusy while it runs."""
        turn = self._turn()
        try:
            # With nothing that looks into it, the window keeps its pages for the next interpreter.
            self.mailbox = memoryview(bytearray(self.mailbox))
            self.arrays.forget()
            self.sandbox.close()
        finally:
            del turn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _facts(self) -> list[Fact]:
        return [
            ("state", "closed" if self.closed else "open"),
            ("memory", f"at most {self._memory_bytes:,} bytes"),
            ("functions", ", ".join(self.settings.functions) or None),
            ("modules", ", ".join(self.settings.modules) or None),
        ]

    def __repr__(self) -> str:
        return f"<tmebox.python.Python {'closed' if self.closed else 'open'}>"


PythonSnapshot.interpreter = Python
