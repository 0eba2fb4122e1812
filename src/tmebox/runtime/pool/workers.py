"""Threads that work off tasks. Unlike concurrent.futures' they never keep the process from ending: a task may
be a sandbox's call without a time limit."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from tmebox import _native
from tmebox.errors import SandboxClosed
from tmebox.runtime.background import Job, perform
from tmebox.uncopied import Uncopied

Task = Callable[[], Any]
Tasks = queue.SimpleQueue[Job | None]


class _Here(threading.local):
    """Whose tasks this thread works off, if any."""

    tasks: Tasks | None = None


_here = _Here()


class Workers(Uncopied):
    """At most `count` threads, started as tasks come. (One more for each start that an exception of a signal
    handler interrupts.) There is no lock: a signal handler may submit while this thread does."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._vacant: _native.Shelf[int] = _native.Shelf()
        for number in reversed(range(count)):
            self._vacant.put(number)
        self._threads: list[threading.Thread] = []
        self._tasks: Tasks = queue.SimpleQueue()
        self._closed = False
        # Also when nobody closes: threads know only the queue, so this object can go while they wait.
        self._end = weakref.finalize(self, _end, self._tasks)
        self._end.atexit = False

    @property
    def _ended(self) -> bool:
        """Also for a finalizer that has a task still: the collector told the threads before it."""
        return self._closed or not self._end.alive

    def submit(self, task: Task) -> Future[Any]:
        """Have a thread call `task`, in a copy of the caller's context of its own. Raises SandboxClosed."""
        future: Future[Any] = Future()
        if self._ended:
            raise SandboxClosed("the pool is closed")
        self._tasks.put((copy_context(), task, future))
        self._hire()
        if self._ended:  # since we looked: the threads may have gone
            self._refuse_waiting()
        return future

    def _hire(self) -> None:
        place = self._vacant.take()
        if place is not None:
            name = f"tmebox-pool-{place.thing}"
            thread = threading.Thread(target=_work, args=(self._tasks,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
            place.settle()

    def close(self) -> None:
        """Tasks that have not begun fail with SandboxClosed; others go on to their end. Idempotent."""
        self._closed = True
        self._refuse_waiting()
        self._end()

    def is_here(self) -> bool:
        """Whether this thread is one of them."""
        return _here.tasks is self._tasks

    def join(self) -> None:
        """Wait until all have ended, once closed. Nobody waits on one of them: it would wait for itself, and
        for another that may wait for it."""
        if not self.is_here():
            for thread in list(self._threads):
                thread.join()

    def _refuse_waiting(self) -> None:
        ended = False
        with suppress(queue.Empty):
            while True:
                item = self._tasks.get_nowait()
                ended |= item is None
                if item and (future := item[2]).set_running_or_notify_cancel():
                    future.set_exception(SandboxClosed("the pool was closed before this task began"))
        if ended:
            _end(self._tasks)


def _end(tasks: Tasks) -> None:
    """Tell all threads: who gets it passes it on."""
    tasks.put(None)


def _work(tasks: Tasks) -> None:
    _here.tasks = tasks
    while (item := tasks.get()) is not None:
        context, task, future = item
        context.run(perform, task, future)
        # A thread that waits keeps nothing of the last task alive.
        del item, context, task, future
    _end(tasks)
