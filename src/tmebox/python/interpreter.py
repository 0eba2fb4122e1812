"""Python: one interpreter in one sandbox."""

from __future__ import annotations

import asyncio
import struct
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

import tmebox
from tmebox.errors import SandboxBusy, SandboxClosed
from tmebox.python import guest, wire
from tmebox.python.arrays import Arrays
from tmebox.python.ctrl_c import Listener
from tmebox.python.endings import ending
from tmebox.python.errors import PythonError
from tmebox.python.hostside import HostSide, Settings
from tmebox.python.opaque import Opaque
from tmebox.python.output import Printed
from tmebox.python.reading import value_of
from tmebox.python.snapshot import PythonSnapshot
from tmebox.python.values import Encoder, encoded
from tmebox.shown import Fact, Shown

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_MEMORY = "32MiB"
DEFAULT_STACK = "1MiB"
DEFAULT_OUTPUT = "1MiB"
UNLIMITED = (1 << 63) - 1
NESTED = 256
_WORDS = struct.Struct("<II")
_WORD = struct.Struct("<I")
_EACH_RUN = struct.Struct("<IIIIqQ")
_REQUEST = struct.Struct("<BIBI")
_STR = struct.Struct("<BI")


class Python(Shown):
    """An interpreter that shares nothing with any other, nor with the host but what it is given.

    `python.run(source)`, `python.eval(expression)`, `python["name"]`, `python["name"] = value`,
    `python.call("function", …)`. Values cross as copies: None, bool, int, float, str, bytes, list, tuple,
    dict and NumPy arrays; arrays of `python.array()` are shared instead. One run at a time: another thread's
    meanwhile raises SandboxBusy."""

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
            _checked_modules(modules),
            guest.size_bytes(output),
            _checked_instructions(instructions),
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
        self._busy = threading.Lock()
        self._thread = 0
        self._depth = 0
        self.printed = Printed(stdout, self.settings.output_bytes)
        self._host = HostSide(weakref.ref(self))
        self._listener = Listener(_interrupting(weakref.ref(self)), self._host.runs)
        self.sandbox = tmebox.Sandbox(state, timeout=timeout, imports={"python_host": self._host})
        self._begin()
        if functions:
            self._offer(functions)

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
        pack("<I", view, wire.GENERATION, self.arrays.generation)
        pack("<I", view, wire.HAS_MODULES, bool(settings.modules))
        if settings.clock is not None:
            pack("<Q", view, wire.CLOCK, int(settings.clock * 1e9))
        self._allowed = UNLIMITED if settings.instructions is None else settings.instructions
        self._each_run = _EACH_RUN.pack(
            0, self.printed.streams, 0, settings.clock is not None, self._allowed, settings.output_bytes
        )
        view[: wire.EACH_RUN_END] = self._each_run

    def _offer(self, functions: Mapping[str, Any]) -> None:
        for name in functions:
            if not isinstance(name, str) or not name.isidentifier():
                raise ValueError(f"functions={{{name!r}: …}}: a name that a program can call is expected")
        self._perform(wire.OFFER, tuple(functions))

    def add_functions(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        """More functions that programs may call; one of a name that is there takes its place."""
        self.settings = self.settings._replace(functions={**self.settings.functions, **functions})
        self._options["functions"] = self.settings.functions
        self._offer(functions)

    # -- running ---------------------------------------------------------------------------------
    def run(self, source: str, *, filename: str = "<python>") -> Any:
        """Run statements in the global namespace. The value of the last one, if it is an expression, else
        None; an Opaque if that is a value that cannot leave the sandbox.

        Raises PythonError, OutOfInstructions, a Trap (Timeout, StackOverflow …)."""
        return self._answer(wire.RUN, _request(source, filename))

    def eval(self, expression: str, *, filename: str = "<python>") -> Any:
        """The value of an expression. Raises as `run` does, and PythonError (TypeError) if the value cannot
        leave the sandbox."""
        return self._answer(wire.EVALUATE, _request(expression, filename))

    def interact(self, source: str, *, filename: str = "<stdin>") -> None:
        """Run statements as at a prompt: the value of the last expression is printed, and kept as `_`."""
        self._answer(wire.INTERACT, _request(source, filename))

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a global function of the program's. Raises as `eval` does."""
        return self._perform(wire.CALL, (name, arguments, keywords))

    async def run_async(self, source: str, *, filename: str = "<python>") -> Any:
        """As `run`, on a thread, while the event loop goes on: async functions of the host run there. Where
        the task is cancelled, the program is interrupted."""
        return await self._on_thread(self.run, source, filename)

    async def eval_async(self, expression: str, *, filename: str = "<python>") -> Any:
        """As `run_async`, for an expression."""
        return await self._on_thread(self.eval, expression, filename)

    async def _on_thread(self, work: Callable[..., Any], source: str, filename: str) -> Any:
        loop = asyncio.get_running_loop()
        host = self._host

        def on_loop() -> Any:
            with host.awaiting_on(loop):
                return work(source, filename=filename)

        running = loop.run_in_executor(None, on_loop)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            host.cancel()
            while not running.done():
                self.interrupt()
                await asyncio.wait([running], timeout=0.01)
            running.exception()  # it was looked at
            raise

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
        outer = self._enter()
        try:
            if outer:
                listening = self._listener.begin()
                try:
                    status = self._do(self._mailbox_offset, operation, *self._lay(request, self._requests))
                finally:
                    if listening:
                        self._listener.end()
            else:
                kept = len(self._requests)
                place = self._lay(request, self._requests)
                try:
                    status = self._do(self._mailbox_offset, operation | NESTED, *place)
                finally:
                    del self._requests[kept:]
            if status == wire.DONE:
                return self.result()
            ended = ending(status, self._said, self._host.failure, self._allowed)
            if isinstance(ended, Opaque):
                return ended
            interrupted = isinstance(ended, PythonError) and ended.type == "KeyboardInterrupt"
            if outer and interrupted and self._listener.heard:
                raise KeyboardInterrupt from ended
            raise ended
        finally:
            self._leave()

    def _enter(self) -> bool:
        """Whether this is no call from a host function that the program called."""
        if self._thread == threading.get_ident():
            self._depth += 1
            return False
        if not self._busy.acquire(blocking=False):
            raise SandboxBusy("the interpreter runs on another thread; make a Python for each thread")
        self._thread = threading.get_ident()
        self._depth = 1
        self.mailbox[: wire.EACH_RUN_END] = self._each_run
        self.printed.begin()
        return True

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._requests, self._replies = [], []
            self._thread = 0
            try:
                self.take_output()
                self.printed.end()
            finally:
                self._busy.release()

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
        return PythonSnapshot(self.sandbox.snapshot(), self._options)

    def reset(self) -> None:
        """As it began, also after a trap; faster than a new one. Raises SandboxBusy."""
        self.sandbox.reset()
        self._begin()
        if self.settings.functions:
            self._offer(self.settings.functions)

    @property
    def closed(self) -> bool:
        return self.sandbox.closed

    @property
    def ended(self) -> bool:
        """Whether it was closed, or a trap ended it: then `reset` begins anew."""
        try:
            self.sandbox.python_protocol()
        except SandboxClosed:
            return True
        except SandboxBusy:
            return False
        return False

    def close(self) -> None:
        """Idempotent. Raises SandboxBusy while it runs."""
        if not self._busy.acquire(blocking=False):
            raise SandboxBusy("the interpreter runs")
        try:
            # With nothing that looks into it, the window keeps its pages for the next interpreter.
            self.mailbox = memoryview(bytearray(self.mailbox))
            self.arrays.forget()
            self.sandbox.close()
        finally:
            self._busy.release()

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


def _interrupting(python: weakref.ref[Python]) -> Callable[[], None]:
    def interrupt() -> None:
        running = python()
        if running is not None:
            running.interrupt()

    return interrupt


def _request(source: str, filename: str) -> bytes:
    """(source, filename), encoded."""
    if not isinstance(source, str):
        raise TypeError(f"source text is str, not {type(source).__name__}")
    try:
        text, name = source.encode(), filename.encode(errors="backslashreplace")
    except UnicodeEncodeError as error:  # a surrogate alone, as JSON can have it
        raise PythonError("SyntaxError", f"the source is no text of Unicode: {error}") from None
    return b"".join(
        (_REQUEST.pack(wire.TUPLE, 2, wire.STR, len(text)), text, _STR.pack(wire.STR, len(name)), name)
    )


def _checked_modules(given: Mapping[str, str] | None) -> dict[str, str]:
    """Raises TypeError, ValueError."""
    modules = dict(given or {})
    for name, source in modules.items():
        if not isinstance(name, str) or not isinstance(source, str):
            raise TypeError(f"modules[{name!r:.100}]: names and sources are str, not {type(source).__name__}")
        encoded(name, f"modules: the name {name!a:.100}")
        encoded(source, f"modules[{name!r:.100}]")
    return modules


def _checked_instructions(instructions: int | None) -> int | None:
    if instructions is None or (type(instructions) is int and 0 < instructions < UNLIMITED):
        return instructions
    raise ValueError(f"instructions={instructions!r}: a positive whole number, or None")


PythonSnapshot.interpreter = Python
