"""SandboxPool: tasks in sandboxes of one module, each fresh, from threads or coroutines."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tmebox.errors import SandboxClosed
from tmebox.runtime.background import begun, settled
from tmebox.runtime.module import Module
from tmebox.runtime.pool.face import Pool
from tmebox.runtime.pool.mapping import Task
from tmebox.runtime.pool.permits import Held, Permits
from tmebox.runtime.pool.workers import Workers
from tmebox.runtime.sandbox import Sandbox, Snapshot
from tmebox.uncopied import Uncopied

if TYPE_CHECKING:
    from typing_extensions import Self, TypeVarTuple, Unpack

    from tmebox.runtime.option_types import SandboxOptions, SpawnOptions

    Given = TypeVarTuple("Given")  # mypy 2 does not see that `*arguments: Any` takes them all

DEFAULT_SIZE = 64
R = TypeVar("R")


class SandboxPool(Pool):
    """Sandboxes that all start in one state, which is a snapshot's, or a module's after its constructors.

    A lease gives one to the caller, a task has one for itself. No sandbox serves twice: what was leased is
    closed when it comes back, and only its window is used again, so a reference that was kept, or an array,
    shows nothing of whoever comes next. Thread-safe; of no use in a child after fork.
    """

    @overload
    def __init__(
        self,
        source: Module,
        *,
        size: int = DEFAULT_SIZE,
        threads: int | None = None,
        **options: Unpack[SandboxOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: Snapshot,
        *,
        size: int = DEFAULT_SIZE,
        threads: int | None = None,
        **options: Unpack[SpawnOptions],
    ) -> None: ...
    def __init__(
        self,
        source: Module | Snapshot,
        *,
        size: int = DEFAULT_SIZE,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        """size: leases at a time. threads: tasks at a time, each in a thread of its own, which lets go of the
        interpreter while sandboxed code runs; default: as many as this process may use processors. Tasks need
        no lease. options: those of `Sandbox`; set a `timeout` for code that may not end.

        Makes one sandbox at once, so that options that do not fit, and constructors that trap, show here.
        """
        if threads is None:
            threads = len(os.sched_getaffinity(0))
        for name, value in (("size", size), ("threads", threads)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: a whole number, at least 1")
        if isinstance(source, Snapshot):
            self.snapshot = source.configured(**options)
            tried = self.snapshot.spawn()
            tried._tenancy.drop_output()  # what is buffered in the snapshot is its tasks'
            tried.close()
        else:
            with Sandbox(source, **options) as first:
                # Its heap is no part of a snapshot, but of what each sandbox of the pool is given.
                heap = {name: options[name] for name in ("heap", "heap_limit") if name in options}
                self.snapshot = first.snapshot().configured(**heap)
                first._tenancy.drop_output()
        self.size = size
        self.threads = threads
        self._permits = Permits(size)
        self._workers = Workers(threads)
        self._process = os.getpid()

    # -- leases ----------------------------------------------------------------------------------
    def lease(self, *, timeout: float | None = None) -> Lease:
        """`with pool.lease() as sandbox:` or `async with pool.lease() as sandbox:`.

        timeout: seconds to wait while `size` others are out; then LimitError. It comes at once if all of
        them are this thread's own, which would wait for itself. Raises SandboxClosed when closed.
        """
        return Lease(self, timeout)

    # -- tasks -----------------------------------------------------------------------------------
    @overload
    def submit(self, function: str, /, *arguments: Any) -> Future[Any]: ...
    @overload
    def submit(
        self, function: Callable[[Sandbox, Unpack[Given]], R], /, *arguments: Unpack[Given]
    ) -> Future[R]: ...
    def submit(self, function: Task, *arguments: Any) -> Future[Any]:  # type: ignore[misc]
        """Begin a task: call an export by name, or `function(sandbox, *arguments)`, in a fresh sandbox.

        The future has what it returns, or what it raises, a Trap for instance; nobody else notices. Results
        are values: an array that lives in the sandbox ends with it. The task has the context variables of who
        submits it, as asyncio.to_thread has them; what it sets is its own. Raises SandboxClosed when closed.
        """
        self._require_process()
        return self._workers.submit(partial(run_task, self.snapshot, function, arguments))

    @overload
    async def call(self, function: str, /, *arguments: Any) -> Any: ...
    @overload
    async def call(
        self, function: Callable[[Sandbox, Unpack[Given]], R], /, *arguments: Unpack[Given]
    ) -> R: ...
    async def call(self, function: Task, *arguments: Any) -> Any:  # type: ignore[misc]
        """`submit`, awaited. Cancelled, it leaves a task that has begun to its end, or its time limit."""
        future = self.submit(function, *arguments)
        try:
            await settled(future)
        except BaseException:
            future.cancel()
            raise
        return future.result()

    # -- life ------------------------------------------------------------------------------------
    def close(self, *, wait: bool = True) -> None:
        """Refuse new leases and tasks, and those that wait. Leases that are out stay good until they end, and
        so do tasks that have begun, for which `wait` waits; not where a task of the pool closes it, which the
        others may wait for. Idempotent."""
        if os.getpid() == self._process:
            self._permits.close()
            self._workers.close()
            if wait:
                self._workers.join()

    def _require_process(self) -> None:
        if os.getpid() != self._process:
            raise SandboxClosed("the pool is the parent process's; make a new one after fork")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close(wait=False)
        if not self._workers.is_here():
            await settled(begun(self.close))

    def __repr__(self) -> str:
        return f"<tmebox.SandboxPool of {self.size}, {self.threads} threads, {self.snapshot.module!r}>"


class Lease(Uncopied):
    """One sandbox for one `with` or `async with`. It ends then, even if a call was left running in it."""

    def __init__(self, pool: SandboxPool, timeout_s: float | None) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._held: tuple[Sandbox, Held] | None = None

    def __enter__(self) -> Sandbox:
        self._require_unused()
        return self._begin(self._pool._permits.acquire(self._timeout_s))

    def __exit__(self, *_: object) -> None:
        held, self._held = self._held, None
        if held is not None:
            sandbox, permit = held
            try:
                discard(sandbox)
            finally:
                self._pool._permits.release(permit)

    async def __aenter__(self) -> Sandbox:
        self._require_unused()
        return self._begin(await self._pool._permits.acquire_async(self._timeout_s))

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def _require_unused(self) -> None:
        self._pool._require_process()
        if self._held is not None:
            raise RuntimeError("this lease is in use; call pool.lease() for another sandbox")

    def _begin(self, permit: Held) -> Sandbox:
        try:
            sandbox = self._pool.snapshot.spawn()
        except BaseException:
            self._pool._permits.release(permit)
            raise
        self._held = (sandbox, permit)
        return sandbox


def run_task(snapshot: Snapshot, function: Task, arguments: tuple[Any, ...]) -> Any:
    sandbox = snapshot.spawn()
    try:
        if isinstance(function, str):
            return sandbox.call(function, *arguments)
        return function(sandbox, *arguments)
    finally:
        discard(sandbox)


def discard(sandbox: Sandbox) -> None:
    """Close it; if a call that it was left with still runs, on another thread, that is its last."""
    tenancy = sandbox._tenancy
    try:
        tenancy.deliver_last()
    finally:
        tenancy.abandon()
