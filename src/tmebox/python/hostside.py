"""What the host does for a program that runs: functions, output, clocks, modules. Every argument is
hostile."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
import struct
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tmebox.errors import LimitError
from tmebox.python import wire

if TYPE_CHECKING:
    from tmebox.python.interpreter import Python

LONGEST_SLEEP_NS = 20_000_000
"""Time limits and interrupts take effect in between."""
LONGEST_NAME = 200
LONGEST_MESSAGE = 4096
_DATA = frozenset((type(None), bool, int, float, str, bytes, list, tuple, dict))
U64 = (1 << 64) - 1


class Settings(NamedTuple):
    """What an interpreter was given, checked."""

    functions: Mapping[str, Callable[..., Any]]
    modules: Mapping[str, str]
    output_bytes: int
    instructions: int | None
    seed: int | None
    clock: float | None


class HostSide:
    """The one import of the guest. Knows its interpreter weakly, which owns it by way of the sandbox."""

    __name__ = "python_host"
    __signature__ = inspect.Signature(
        [inspect.Parameter("operation", inspect.Parameter.POSITIONAL_ONLY, annotation=int)]
    )
    """Known: working it out for each interpreter would take longer than the rest of a start."""

    def __init__(self, python: weakref.ref[Python]) -> None:
        self._python = python
        self._failures: tuple[int, BaseException | None] = (0, None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.depth = 0
        """Functions of the host that run now, one called by a program that another has started."""
        self._pending: set[concurrent.futures.Future[Any]] = set()

    def runs(self) -> bool:
        """Whether a function of the host runs now."""
        return self.depth > 0

    def __call__(self, operation: int) -> int:
        python = self._python()
        if python is None:  # it is going while its program runs, which cannot be
            raise LimitError("the interpreter is gone")
        mailbox = python.mailbox
        if operation == wire.HOST_CALL:
            python.take_output()
            self.depth += 1
            try:
                return _reply(python, self._call(python))
            finally:
                self.depth -= 1
        if operation == wire.HOST_PRINT:
            python.take_output()
        elif operation == wire.HOST_CLOCK:
            struct.pack_into("<Q", mailbox, wire.CLOCK, time.time_ns() & U64)
        elif operation == wire.HOST_TICKS:
            struct.pack_into("<Q", mailbox, wire.CLOCK, time.monotonic_ns() & U64)
        elif operation == wire.HOST_SLEEP:
            time.sleep(min(struct.unpack_from("<Q", mailbox, wire.CLOCK)[0], LONGEST_SLEEP_NS) * 1e-9)
        elif operation == wire.HOST_MODULE:
            return _reply(python, self._module(python))
        elif operation == wire.HOST_SEED:
            seed = python.settings.seed
            given = os.urandom(8) if seed is None else (seed & U64).to_bytes(8, "little")
            mailbox[wire.SEED : wire.SEED + 8] = given
        else:
            raise LimitError(f"the sandbox asks the host for something unknown ({operation})")
        return 0

    def _module(self, python: Python) -> bytes:
        name = python.result()
        source = python.settings.modules.get(name) if isinstance(name, str) else None
        return python.encoder.encode(source)

    def _call(self, python: Python) -> bytes:
        """The encoded result, or what went wrong. What is no Exception goes through the sandbox."""
        try:
            match python.result():
                case (str(name), tuple(arguments), dict(keywords)):
                    function = python.settings.functions.get(name)
                    if function is None:
                        raise NameError(f"the host has no function {name[:LONGEST_NAME]!r}")
                    result = function(*arguments, **keywords)
                    if type(result) not in _DATA and inspect.isawaitable(result):
                        result = self._await(result)
                    return python.encoder.encode(result)
            raise TypeError("the sandbox does not say what to call")
        except Exception as error:
            number = self._failures[0] + 1
            self._failures = number, error
            return bytes([wire.FAILED]) + python.encoder.encode((number, *_described(error)))

    def failure(self, number: int) -> BaseException | None:
        """What a host function raised, by its number: only the latest."""
        known, error = self._failures
        return error if known == number else None

    # -- async functions -------------------------------------------------------------------------
    def _await(self, result: Any) -> Any:
        async def waiting() -> Any:
            return await result

        loop = self._loop
        if loop is None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return asyncio.run(waiting())
            with contextlib.suppress(AttributeError):
                result.close()  # it was never started
            raise RuntimeError(
                "an async function was called below an event loop: use run_async or eval_async"
            )
        pending = asyncio.run_coroutine_threadsafe(waiting(), loop)
        self._pending.add(pending)
        try:
            return pending.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("the host's function was cancelled") from None
        finally:
            self._pending.discard(pending)

    @contextlib.contextmanager
    def awaiting_on(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Meanwhile async functions run on `loop`, which runs on another thread."""
        self._loop = loop
        try:
            yield
        finally:
            self._loop = None

    def cancel(self) -> None:
        """What is being awaited."""
        for pending in tuple(self._pending):
            pending.cancel()


def _described(error: Exception) -> tuple[str, str]:
    """The built-in exception that it is in the sandbox, and what it says there."""
    kind = next(one for one in type(error).__mro__ if one.__module__ == "builtins")
    try:
        text = str(error)
    except Exception:  # its class's own doing
        text = "its text cannot be had"
    message = text[:LONGEST_MESSAGE].encode(errors="replace")[:LONGEST_MESSAGE].decode(errors="replace")
    if kind is Exception:
        return "RuntimeError", f"{type(error).__name__[:LONGEST_NAME]}: {message}"
    return kind.__name__, message


def _reply(python: Python, data: bytes) -> int:
    offset, size = python.reply(data)
    return offset << 32 | size
