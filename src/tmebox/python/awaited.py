"""Runs that a task of an event loop waits for, while they go on on a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
from collections.abc import Callable
from typing import Any

from tmebox.python.errors import PythonError

ASK_AGAIN_S = 0.01
_SET = (1).to_bytes(4, "little")


class AwaitedRun:
    """One such run. What belongs to it is kept here and not with the interpreter, whose run may be another:
    a task whose run is refused, or waits for a thread, ends nobody else's when it is cancelled."""

    def __init__(self) -> None:
        """Raises RuntimeError without a running loop."""
        self._loop = asyncio.get_running_loop()
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._cancelled = False
        self._interrupt = memoryview(bytearray(4))

    async def over(self, work: Callable[[AwaitedRun], Any]) -> Any:
        """What `work` returns on a thread; it is given this, and calls `begin` and `end`. Raises what it
        raises."""
        running = self._loop.run_in_executor(None, work, self)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():
                self._cancel()
                await asyncio.wait([running], timeout=ASK_AGAIN_S)
            running.exception()  # it was looked at
            raise
        finally:
            del running  # it has the exception, whose traceback has this frame, and the interpreter's

    # -- on the loop's thread ----------------------------------------------------------------------
    def _cancel(self) -> None:
        self._cancelled = True
        for pending in tuple(self._pending):
            pending.cancel()
        with contextlib.suppress(ValueError):  # it was released: the run has ended
            self._interrupt[:] = _SET

    # -- on the run's thread -----------------------------------------------------------------------
    def begin(self, interrupt: memoryview) -> None:
        """The interpreter is its own now. interrupt: where to say that the program shall be interrupted,
        until `end` releases it. Raises PythonError (KeyboardInterrupt) if it was cancelled before."""
        self._interrupt = interrupt
        if self._cancelled:
            raise PythonError("KeyboardInterrupt", "")

    def end(self) -> None:
        """From now on the interpreter may be another run's."""
        self._interrupt.release()

    def result_of(self, awaitable: Any) -> Any:
        """Of what an async function of the host's has returned. Raises what that raises, and RuntimeError if
        it was cancelled."""
        pending = asyncio.run_coroutine_threadsafe(awaited(awaitable), self._loop)
        self._pending.add(pending)
        try:
            return pending.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("the host's function was cancelled") from None
        finally:
            self._pending.discard(pending)
            del pending  # as in `over`


async def awaited(awaitable: Any) -> Any:
    """A coroutine, whatever it is that can be awaited."""
    return await awaitable


async def _settled(awaitable: Any) -> tuple[Any, Exception | None]:
    """What comes of it: raised through asyncio.run, an exception and the task would keep each other."""
    try:
        return await awaitable, None
    except Exception as error:
        return None, error


def result_without_loop(awaitable: Any) -> Any:
    """In a loop that is made for it. Raises RuntimeError below one that runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        value, error = asyncio.run(_settled(awaitable))
        try:
            if error is not None:
                raise error
        finally:
            del error  # as in `over`
        return value
    if inspect.iscoroutine(awaitable):
        awaitable.close()  # it was never started
    raise RuntimeError("an async function was called below an event loop: use run_async or eval_async")
