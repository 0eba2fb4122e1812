"""Work on threads that a coroutine can wait for. Never on an event loop's executor: whoever holds its few
threads may wait for what is done here, and what is done here for one of them."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, TypeVar

from tmebox.errors import LimitError

R = TypeVar("R")
Job = tuple[Context, Callable[[], Any], "Future[Any]"]
Mail = queue.SimpleQueue[Job]

IDLE_S = 1.0
"""So long a thread waits for more work: to start one takes longer than a short run of Python."""
_idle: list[Mail] = []
"""Of threads that wait. There is no lock: a signal handler may begin something while this thread does."""
os.register_at_fork(after_in_child=_idle.clear)


def begun(work: Callable[[], R]) -> Future[R]:
    """Do it on a thread that does nothing else meanwhile, and does not keep the process from ending, with the
    context variables of who calls this; what it sets is its own. Raises LimitError if the system has no
    thread."""
    future: Future[R] = Future()
    job = copy_context(), work, future
    try:
        mail = _idle.pop()
    except IndexError:
        mail = queue.SimpleQueue()
        thread = threading.Thread(target=_work, args=(mail,), name="tmebox-background", daemon=True)
        mail.put(job)
        try:
            thread.start()
        except RuntimeError as error:
            raise LimitError(f"no thread could be started ({error}): begin fewer things at once") from None
    else:
        mail.put(job)
    return future


def _work(mail: Mail) -> None:
    context, work, future = mail.get()
    while True:
        context.run(perform, work, future)
        del context, work, future  # a thread that waits keeps nothing of it alive
        _idle.append(mail)
        try:
            context, work, future = mail.get(timeout=IDLE_S)
        except queue.Empty:
            with suppress(ValueError):
                _idle.remove(mail)
                return
            context, work, future = mail.get()  # somebody has just found it there


def perform(work: Callable[[], R], future: Future[R]) -> None:
    """Do it, and give the future what it returns or raises; not if the future was cancelled before."""
    try:
        if future.set_running_or_notify_cancel():
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
    finally:
        del work, future  # an exception has this frame, and the future the exception


async def settled(future: Future[Any]) -> None:
    """Wait until a future of another thread is done, and leave it as it is."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
