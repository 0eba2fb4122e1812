"""Pool: what pools have alike, wherever their tasks run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

from tmebox.runtime.pool.mapping import Iterables, Mapped, Task, mapped
from tmebox.runtime.pool.results import AsyncResults, Results

if TYPE_CHECKING:
    from typing_extensions import Self

R = TypeVar("R")


class Pool(ABC):
    """Tasks, one or one for each item. threads: how many run at a time."""

    threads: int

    @abstractmethod
    def submit(self, function: Any, /, *arguments: Any) -> Future[Any]:
        """Begin a task, an export's name or a function. Raises SandboxClosed when closed."""

    @abstractmethod
    def close(self) -> None:
        """Refuse new tasks. Idempotent."""

    @overload
    def map(
        self,
        function: str,
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: bool = False,
    ) -> Results[Any]: ...
    @overload
    def map(
        self,
        function: Callable[..., R],
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: Literal[False] = False,
    ) -> Results[R]: ...
    @overload
    def map(
        self,
        function: Callable[..., R],
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: bool,
    ) -> Results[R | Exception]: ...
    def map(
        self,
        function: Task,
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: bool = False,
    ) -> Results[Any]:
        """A task per item, as `concurrent.futures.Executor.map` does it: an iterator of results, in order.

        A task that fails raises its exception at its turn; `next()` goes on behind it. With
        return_exceptions the exception takes the result's place, as with `asyncio.gather`. ahead: how many
        tasks are begun before they are asked for, and thus how far the input is consumed; default 8 a
        thread. progress: show a bar on the terminal, with this title. `close()` of the iterator, or dropping
        it, begins no more tasks.
        """
        return Results(*self._mapped(function, iterables, ahead, progress, return_exceptions))

    @overload
    def map_async(
        self,
        function: str,
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: bool = False,
    ) -> AsyncResults[Any]: ...
    @overload
    def map_async(
        self,
        function: Callable[..., R],
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: Literal[False] = False,
    ) -> AsyncResults[R]: ...
    @overload
    def map_async(
        self,
        function: Callable[..., R],
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: bool,
    ) -> AsyncResults[R | Exception]: ...
    def map_async(
        self,
        function: Task,
        *iterables: Iterable[Any],
        ahead: int | None = None,
        progress: bool | str = False,
        return_exceptions: bool = False,
    ) -> AsyncResults[Any]:
        """As `map`, for `async for`."""
        return AsyncResults(*self._mapped(function, iterables, ahead, progress, return_exceptions))

    def _mapped(
        self, function: Task, iterables: Iterables, ahead: int | None, progress: bool | str, keep: bool
    ) -> Mapped:
        return mapped(self.submit, self.threads, function, iterables, ahead, progress, keep)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a pool is not copied or pickled: its snapshot can be, and pools made of it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
