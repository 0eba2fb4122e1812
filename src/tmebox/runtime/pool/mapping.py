"""`map` of pools, whatever they are made of: checked arguments, and how far ahead tasks are begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, NamedTuple

from tmebox.progress import Bar
from tmebox.runtime.pool.results import Submit, length_of

AHEAD_PER_THREAD = 8
Task = str | Callable[..., Any]
Iterables = tuple[Iterable[Any], ...]


class Mapped(NamedTuple):
    """What `Results` and `AsyncResults` take."""

    submit: Submit
    source: Iterator[tuple[Any, ...]]
    ahead: int
    return_exceptions: bool
    bar: Bar | None


def mapped(
    submit: Callable[..., Future[Any]],
    threads: int,
    function: Task,
    iterables: Iterables,
    ahead: int | None,
    progress: bool | str,
    return_exceptions: bool,
) -> Mapped:
    """submit(function, *arguments) begins a task, with the context variables that there are now, whoever asks
    for its result. threads: tasks that run at a time. Raises TypeError, ValueError."""
    if not iterables:
        raise TypeError("map() needs at least one iterable")
    if ahead is None:
        ahead = AHEAD_PER_THREAD * threads
    if ahead < 1:
        raise ValueError(f"ahead={ahead}: at least 1")
    bar: Bar | None = None
    if progress:
        title = progress if isinstance(progress, str) else str(getattr(function, "__name__", function))
        bar = Bar(title, length_of(iterables))
    context = copy_context()

    def begin(arguments: tuple[Any, ...]) -> Future[Any]:
        return context.copy().run(submit, function, *arguments)

    return Mapped(begin, zip(*iterables, strict=False), ahead, return_exceptions, bar)
