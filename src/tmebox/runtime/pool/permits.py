"""Permits: so many holders at a time, threads and coroutines alike; those who wait are served in order."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from tmebox import _native
from tmebox.errors import LimitError, SandboxClosed
from tmebox.uncopied import Uncopied

CLOSED = "the pool is closed"
LONGEST_WAIT_S = 1.0
"""Then who waits looks for itself: whoever should have served it may have been interrupted."""


class Permit:
    """`holder` is the number of the thread that took it."""

    __slots__ = ("holder",)

    def __init__(self) -> None:
        self.holder = 0


Held: TypeAlias = "_native.Claim[Permit]"


class Waiter:
    """Somebody who waits for a permit; None says that there will be none. What arrives after nobody waits any
    more goes back by itself, since it is a claim."""

    def __init__(self, thread: int, wake: Callable[[], object] | None = None) -> None:
        self.thread = thread
        self.mail: queue.SimpleQueue[Held | None] = queue.SimpleQueue()
        self._wake = wake

    def deliver(self, permit: Held | None) -> None:
        self.mail.put(permit)
        if self._wake is not None:
            self._wake()

    def look(self) -> Held | None:
        """Raises queue.Empty."""
        return self.mail.get_nowait()


class Permits(Uncopied):
    """Counts down from `count`. `acquire` returns what is given back to `release`.

    There is no lock: a signal handler may want a permit while this thread is about to take one. A permit lies
    on the shelf or is claimed, a waiter likewise, and each step is one that nothing interrupts.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._all = [Permit() for _ in range(count)]
        self._free: _native.Shelf[Permit] = _native.Shelf()
        for permit in self._all:
            self._free.put(permit)
        self._waiting: _native.Shelf[Waiter] = _native.Shelf()
        self._closed = False

    def acquire(self, timeout_s: float | None) -> Held:
        """Wait for a permit. Raises LimitError after `timeout_s` seconds, or at once if this thread holds
        every permit and would wait for itself; SandboxClosed when closed."""
        thread = threading.get_ident()
        held = self._at_once(thread)
        if held is not None:
            return held
        if not len(self._free) and all(permit.holder == thread for permit in self._all):
            raise LimitError(
                f"this thread has leased all {self.count} sandboxes of the pool and would wait for itself: "
                "give one back first, or make the pool larger with size="
            )
        waiter = Waiter(thread)
        end = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._begin_to_wait(waiter)
            while True:
                left = LONGEST_WAIT_S if end is None else min(LONGEST_WAIT_S, end - time.monotonic())
                with suppress(queue.Empty):
                    return self._checked(waiter.mail.get(timeout=max(0.0, left)))
                if end is not None and end <= time.monotonic():
                    raise self._exhausted(timeout_s)
                self._serve()
        finally:
            self._leave(waiter)

    async def acquire_async(self, timeout_s: float | None) -> Held:
        """As `acquire`, without blocking the event loop: other coroutines may give permits back meanwhile."""
        held = self._at_once(threading.get_ident())
        if held is not None:
            return held
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(arrived.set)

        waiter = Waiter(threading.get_ident(), wake)
        end = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._begin_to_wait(waiter)
            while True:
                left = LONGEST_WAIT_S if end is None else min(LONGEST_WAIT_S, end - time.monotonic())
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(arrived.wait(), max(0.0, left))
                with suppress(queue.Empty):
                    return self._checked(waiter.look())
                if end is not None and end <= time.monotonic():
                    raise self._exhausted(timeout_s)
                self._serve()
        finally:
            self._leave(waiter)

    def release(self, held: Held) -> None:
        held.thing.holder = 0
        held.give(self._free)
        self._serve()

    def close(self) -> None:
        """Refuse whoever waits and whoever comes."""
        self._closed = True
        self._serve()

    def _at_once(self, thread: int) -> Held | None:
        """A permit, if there is one and nobody waits for it."""
        if self._closed:
            raise SandboxClosed(CLOSED)
        held = None if self._waiting else self._free.take()
        if held is not None:
            held.thing.holder = thread
        return held

    def _begin_to_wait(self, waiter: Waiter) -> None:
        self._waiting.put(waiter)
        self._serve()  # a permit may have come back, or the pool been closed, just before

    def _serve(self) -> None:
        """Give those who wait, in order, what there is."""
        while self._waiting:
            held = None
            if not self._closed and (held := self._free.take()) is None:
                return
            found = self._waiting.take(oldest=True)
            if found is not None:
                waiter = found.thing
                if held is not None:
                    held.thing.holder = waiter.thread
                waiter.deliver(held)
                found.settle()

    def _leave(self, waiter: Waiter) -> None:
        """Nobody waits there any more. What has arrived meanwhile goes to others."""
        if not self._waiting.remove(waiter):
            with suppress(queue.Empty):
                late = waiter.look()
                if late is not None:
                    self.release(late)

    @property
    def held(self) -> int:
        """How many permits somebody has."""
        return self.count - len(self._free)

    @staticmethod
    def _checked(held: Held | None) -> Held:
        if held is None:
            raise SandboxClosed(CLOSED)
        return held

    def _exhausted(self, timeout_s: float | None) -> LimitError:
        return LimitError(
            f"none of the pool's {self.count} sandboxes came free in {timeout_s:g} s: wait longer, or make "
            "the pool larger with size="
        )
