"""Permits: so many holders at a time, threads and coroutines alike; those who wait are served in order."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any

from tmebox.errors import LimitError, SandboxClosed

CLOSED = "the pool is closed"


class Permits:
    """Counts down from `count`. A permit is given back with the thread number that `acquire` returned.

    A waiter is a Future that is settled under the lock, or cancelled by the one who waits: whichever is
    first decides, so that no permit is lost between giving up and being served.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._held = 0
        self._held_by: Counter[int] = Counter()
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._closed = False

    def acquire(self, timeout_s: float | None) -> int:
        """Wait for a permit. Raises LimitError after `timeout_s` seconds, or at once if this thread holds
        every permit and would wait for itself; SandboxClosed when closed."""
        thread = threading.get_ident()
        waiter = self._enter(thread, blocking=True)
        if waiter is None:
            return thread
        try:
            waiter.result(timeout_s)
        except FutureTimeoutError:
            if waiter.cancel():
                raise self._exhausted(timeout_s) from None
            waiter.result()  # served at the last moment
        except BaseException:  # an interrupt, or closed
            self._give_up(waiter, thread)
            raise
        return thread

    async def acquire_async(self, timeout_s: float | None) -> int:
        """As `acquire`, without blocking the event loop: other coroutines may give permits back meanwhile."""
        thread = threading.get_ident()
        waiter = self._enter(thread, blocking=False)
        if waiter is None:
            return thread
        try:
            await asyncio.wait_for(settled(waiter), timeout_s)
        except asyncio.TimeoutError:
            if waiter.cancel():
                raise self._exhausted(timeout_s) from None
        except BaseException:  # cancelled
            self._give_up(waiter, thread)
            raise
        waiter.result()
        return thread

    def release(self, thread: int) -> None:
        with self._lock:
            self._held -= 1
            self._held_by[thread] -= 1
            if not self._held_by[thread]:
                del self._held_by[thread]
            self._serve()

    def close(self) -> None:
        """Refuse whoever waits and whoever comes."""
        with self._lock:
            self._closed = True
            self._serve()

    def _enter(self, thread: int, *, blocking: bool) -> Future[None] | None:
        """None if a permit was there."""
        with self._lock:
            if self._closed:
                raise SandboxClosed(CLOSED)
            if self._held < self.count and not self._waiting:
                self._take(thread)
                return None
            if blocking and self._held_by[thread] >= self.count:
                raise LimitError(
                    f"this thread has leased all {self.count} sandboxes of the pool and would wait for "
                    "itself: give one back first, or make the pool larger with size="
                )
            waiter: Future[None] = Future()
            self._waiting.append((thread, waiter))
            return waiter

    def _take(self, thread: int) -> None:
        self._held += 1
        self._held_by[thread] += 1

    def _serve(self) -> None:
        """Settle waiters, in order, as long as there are permits."""
        while self._waiting and (self._held < self.count or self._closed):
            thread, waiter = self._waiting.popleft()
            if not waiter.set_running_or_notify_cancel():
                continue
            if self._closed:
                waiter.set_exception(SandboxClosed(CLOSED))
            else:
                self._take(thread)
                waiter.set_result(None)

    def _give_up(self, waiter: Future[None], thread: int) -> None:
        if not waiter.cancel() and waiter.exception() is None:
            self.release(thread)

    def _exhausted(self, timeout_s: float | None) -> LimitError:
        return LimitError(
            f"none of the pool's {self.count} sandboxes came free in {timeout_s:g} s: wait longer, or make "
            "the pool larger with size="
        )


async def settled(future: Future[Any]) -> None:
    """Wait until a future of another thread is done, and leave it as it is."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
