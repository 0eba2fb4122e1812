"""Runs that a task of an event loop waits for, while they go on on a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tmebox.errors import LimitError
from tmebox.python.errors import PythonError
from tmebox.runtime.background import begun, settled

ASK_AGAIN_S = 0.01
LOOK_AGAIN_S = 1.0
"""Then who waits for the loop looks whether there still is one."""
_SET = (1).to_bytes(4, "little")
_Running = concurrent.futures.Future[Any]


class AwaitedRun:
    """One such run. What belongs to it is kept here and not with the interpreter, whose run may be another:
    a task whose run is refused, or has not begun, ends nobody else's when it is cancelled."""

    def __init__(self) -> None:
        """Raises RuntimeError without a running loop."""
        self._loop = asyncio.get_running_loop()
        self._pending: set[_Running] = set()
        self._cancelled = False
        self._interrupt = memoryview(bytearray(4))

    async def over(self, work: Callable[[AwaitedRun], Any]) -> Any:
        """What `work` returns on a thread; it is given this, and calls `begin` and `end`. Raises what it
        raises, and LimitError.

        A task that is cancelled waits until the run has ended; cancelled once more, it does not, and the run
        is interrupted all the same."""
        running = begun(partial(work, self))
        try:
            await settled(running)
            return running.result()
        except BaseException as error:
            if not running.done():
                self._cancel(running)
                if isinstance(error, asyncio.CancelledError):  # else nobody is there to wait
                    await settled(running)
            raise
        finally:
            del running  # it has the exception, whose traceback has this frame, and the interpreter's

    # -- on the loop's thread ----------------------------------------------------------------------
    def _cancel(self, running: _Running) -> None:
        self._cancelled = True
        for pending in tuple(self._pending):
            pending.cancel()
        self._ask()
        if not sys.is_finalizing():  # then no thread would begin
            with contextlib.suppress(LimitError):  # it was asked once
                begun(partial(self._ask_until_over, running))

    # -- on any thread -----------------------------------------------------------------------------
    def _ask(self) -> None:
        """The program to end."""
        with contextlib.suppress(ValueError):  # it was released: the run has ended
            self._interrupt[:] = _SET

    def _ask_until_over(self, running: _Running) -> None:
        """It may handle an interrupt, and go on."""
        while not concurrent.futures.wait([running], timeout=ASK_AGAIN_S).done:
            self._ask()

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
        """Of what an async function of the host's has returned: a task of the loop's, with the run's context
        variables. Raises what that raises, and RuntimeError if it was cancelled, or the loop is closed."""
        pending = asyncio.run_coroutine_threadsafe(coroutine(awaitable), self._loop)
        self._pending.add(pending)
        if self._cancelled:  # since before it was among those that are cancelled
            pending.cancel()
        try:
            while not concurrent.futures.wait([pending], timeout=LOOK_AGAIN_S).done:
                if self._loop.is_closed():
                    raise RuntimeError("the event loop was closed before the host's function had returned")
            return pending.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("the host's function was cancelled") from None
        finally:
            self._pending.discard(pending)
            del pending  # as in `over`


def coroutine(awaitable: Any) -> Coroutine[Any, Any, Any]:
    """One, whatever it is that can be awaited."""
    return awaitable if inspect.iscoroutine(awaitable) else _awaited(awaitable)


async def _awaited(awaitable: Any) -> Any:
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
