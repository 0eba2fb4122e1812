"""Threads that work off tasks. Unlike concurrent.futures' they never keep the process from ending: a task may
be a sandbox's call without a time limit."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from tmebox.errors import SandboxClosed

Task = Callable[[], Any]
Tasks = queue.SimpleQueue["tuple[Task, Future[Any]] | None"]


class Workers:
    """At most `count` threads, started as tasks come."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._tasks: Tasks = queue.SimpleQueue()
        self._closed = False
        # Also when nobody closes: threads know only the queue, so this object can go while they wait.
        self._end = weakref.finalize(self, _end, self._tasks, count)
        self._end.atexit = False

    def submit(self, task: Task) -> Future[Any]:
        """Have a thread call `task`. Raises SandboxClosed."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise SandboxClosed("the pool is closed")
            self._tasks.put((task, future))
            if len(self._threads) < self.count:
                name = f"tmebox-pool-{len(self._threads)}"
                thread = threading.Thread(target=_work, args=(self._tasks,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def close(self, *, wait: bool) -> None:
        """Tasks that have not begun fail with SandboxClosed; those that have go on to their end, which `wait`
        waits for. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._refuse_waiting()
                self._end()
            threads = list(self._threads)
        if wait:
            for thread in threads:
                if thread is not threading.current_thread():
                    thread.join()

    def _refuse_waiting(self) -> None:
        with suppress(queue.Empty):
            while True:
                item = self._tasks.get_nowait()
                if item and (future := item[1]).set_running_or_notify_cancel():
                    future.set_exception(SandboxClosed("the pool was closed before this task began"))


def _end(tasks: Tasks, count: int) -> None:
    for _ in range(count):
        tasks.put(None)


def _work(tasks: Tasks) -> None:
    while (item := tasks.get()) is not None:
        task, future = item
        if future.set_running_or_notify_cancel():
            try:
                result = task()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        # A thread that waits keeps nothing of the last task alive.
        del item, task, future
