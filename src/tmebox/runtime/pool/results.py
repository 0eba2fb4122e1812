"""The results of many tasks, in order, as they come: begun a bounded number ahead of who asks for them."""

from __future__ import annotations

import asyncio
import operator
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from tmebox.runtime.background import settled
from tmebox.uncopied import Uncopied

R = TypeVar("R")
Submit = Callable[[tuple[Any, ...]], "Future[Any]"]


class Bar(Protocol):
    """Progress, as shown to a person."""

    def advance(self) -> None: ...
    def close(self) -> None: ...


class _Ahead(Uncopied, Generic[R]):
    """Tasks that were begun and not yet asked for. `submit` begins one; `source` gives their arguments, and
    is advanced by whoever asks for results, never by another thread.

    Several may ask, and each result is one's: they wait for the first task until one of them has taken it."""

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
        while (source := self._source) is not None and len(self._begun) < self._ahead:
            try:
                self._begun.append(self._submit(next(source)))
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
        with suppress(IndexError):
            return self._begun[0]
        self._end()
        return None

    def _takes(self, future: Future[Any]) -> bool:
        """False where somebody else has taken it, or closed this. In one step: others may be threads."""
        try:
            self._begun.remove(future)
        except ValueError:
            return False
        return True

    def _result(self, future: Future[Any]) -> R:
        """Of a task that is done, and taken."""
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
        """Begin no more tasks, and forget those that were begun. Idempotent."""
        self._source = None
        with suppress(IndexError):
            while True:
                self._begun.popleft().cancel()
        self._end()

    def _end(self) -> None:
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
        while (future := self._next()) is not None:
            with suppress(CancelledError):  # somebody has closed this
                future.exception()  # waits; an interrupt leaves it first
            if self._takes(future):
                return self._result(future)
        raise StopIteration


class AsyncResults(_Ahead[R], AsyncIterator[R]):
    """An asynchronous iterator; otherwise as `Results`. Tasks that share it get results in the order in which
    they ask."""

    def __init__(self, *arguments: Any) -> None:
        self._turn = asyncio.Lock()
        super().__init__(*arguments)

    async def __anext__(self) -> R:
        async with self._turn:
            while (future := self._next()) is not None:
                await settled(future)
                if self._takes(future):
                    return self._result(future)
        raise StopAsyncIteration


def length_of(iterables: Iterable[Iterable[Any]]) -> int | None:
    """How many tasks there will be, if the iterables know."""
    lengths = [operator.length_hint(iterable, -1) for iterable in iterables]
    known = [length for length in lengths if length >= 0]
    return min(known, default=None)
