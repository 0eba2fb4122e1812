"""The results of many tasks, in order, as they come: begun a bounded number ahead of who asks for them."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from tmebox.runtime.pool.permits import settled
from tmebox.uncopied import Uncopied

R = TypeVar("R")
Submit = Callable[[tuple[Any, ...]], "Future[Any]"]


class Bar(Protocol):
    """Progress, as shown to a person."""

    def advance(self) -> None: ...
    def close(self) -> None: ...


class _Ahead(Uncopied, Generic[R]):
    """Tasks that were begun and not yet asked for. `submit` begins one; `source` gives their arguments, and
    is advanced by whoever asks for results, never by another thread."""

    def __init__(
        self,
        submit: Submit,
        source: Iterator[tuple[Any, ...]],
        ahead: int,
        return_exceptions: bool,
        bar: Bar | None,
    ) -> None:
        self._submit = submit
        self._source: Iterator[tuple[Any, ...]] | None = source
        self._ahead = ahead
        self._return_exceptions = return_exceptions
        self._bar = bar
        self._begun: deque[Future[Any]] = deque()
        self._fill()

    def _fill(self) -> None:
        while self._source is not None and len(self._begun) < self._ahead:
            try:
                self._begun.append(self._submit(next(self._source)))
            except StopIteration:
                self._source = None
            except Exception as error:  # of the input, or a closed pool: told where the results end
                self._source = None
                failed: Future[Any] = Future()
                failed.set_exception(error)
                self._begun.append(failed)

    def _next(self) -> Future[Any] | None:
        """The task whose turn it is; it stays first until it is taken. None at the end."""
        self._fill()
        if self._begun:
            return self._begun[0]
        self.close()
        return None

    def _take(self) -> R:
        """The result of the first task, which is done."""
        future = self._begun.popleft()
        if self._bar is not None:
            self._bar.advance()
        error = future.exception()
        if error is None:
            result: R = future.result()
            return result
        if self._return_exceptions and isinstance(error, Exception):
            return error  # type: ignore[return-value]
        try:
            raise error
        finally:
            del error, future

    def close(self) -> None:
        """Begin no more tasks, and forget those that nobody asked for. Idempotent."""
        self._source = None
        while self._begun:
            self._begun.popleft().cancel()
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def __del__(self) -> None:
        if hasattr(self, "_begun"):
            self.close()


class Results(_Ahead[R], Iterator[R]):
    """An iterator. A task that failed raises its exception when its turn comes, and the next one goes on
    behind it."""

    def __next__(self) -> R:
        future = self._next()
        if future is None:
            raise StopIteration
        future.exception()  # waits; an interrupt leaves it first
        return self._take()


class AsyncResults(_Ahead[R], AsyncIterator[R]):
    """An asynchronous iterator; otherwise as `Results`."""

    async def __anext__(self) -> R:
        future = self._next()
        if future is None:
            raise StopAsyncIteration
        await settled(future)
        return self._take()


def length_of(iterables: Iterable[Iterable[Any]]) -> int | None:
    """How many tasks there will be, if the iterables know."""
    lengths = [operator.length_hint(iterable, -1) for iterable in iterables]
    known = [length for length in lengths if length >= 0]
    return min(known, default=None)
