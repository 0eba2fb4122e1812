"""Timed operations: each does its work so many times and returns the seconds that one took."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

Operation = Callable[[int], float]


def repeated(function: Callable[..., Any], *arguments: Any) -> Operation:
    """An operation that is one call."""

    def action(times: int) -> float:
        start_ns = time.perf_counter_ns()
        for _ in itertools.repeat(None, times):
            function(*arguments)
        return (time.perf_counter_ns() - start_ns) / times / 1e9

    return action


def inside(function: Callable[[int], Any]) -> Operation:
    """An operation that the function itself repeats."""

    def action(times: int) -> float:
        start_ns = time.perf_counter_ns()
        function(times)
        return (time.perf_counter_ns() - start_ns) / times / 1e9

    return action


def prepared(prepare: Callable[[], AbstractContextManager[Callable[[], Any]]]) -> Operation:
    """An operation that needs something new each time, which is not timed."""

    def action(times: int) -> float:
        spent_ns = 0
        for _ in range(times):
            with prepare() as function:
                start_ns = time.perf_counter_ns()
                function()
                spent_ns += time.perf_counter_ns() - start_ns
        return spent_ns / times / 1e9

    return action


def accompanied(operation: Operation) -> Operation:
    """The operation while another Python thread exists, and sleeps: who releases the GIL for it?"""

    def action(times: int) -> float:
        done = threading.Event()
        companion = threading.Thread(target=done.wait)
        companion.start()
        try:
            return operation(times)
        finally:
            done.set()
            companion.join()

    return action
