"""RayPool: `SandboxPool`'s tasks, on the workers of a Ray cluster."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
from ray import cloudpickle, exceptions

from tmebox.errors import SandboxClosed
from tmebox.ray.errors import RemoteTraceback, WorkerLost
from tmebox.ray.source import portable, source_of
from tmebox.ray.worker import Failed, Parcel, Task, perform
from tmebox.runtime.background import settled
from tmebox.runtime.layout import parse_size
from tmebox.runtime.pool.face import Pool

if TYPE_CHECKING:
    from typing_extensions import Self

    import tmebox
    from tmebox.python import PythonSnapshot
    from tmebox.runtime.option_types import Size

LOST = (
    exceptions.WorkerCrashedError,
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.ObjectLostError,
    exceptions.OutOfMemoryError,
)


class _Here(threading.local):
    """Whether this thread is giving out a task's result. It is Ray's, and gives out those of all tasks."""

    settles = False


_here = _Here()


def pool(
    source: tmebox.Module | tmebox.Snapshot | PythonSnapshot,
    *,
    cpus: float = 1.0,
    reserved_memory: Size | None = None,
    retries: int = 0,
    trust_compiler: bool = False,
    **options: Any,
) -> RayPool:
    """A pool of tasks that each start in the state of `source`, on any machine of the cluster. Connects to
    Ray as `ray.init()` does, where the program has not.

    cpus, reserved_memory: what Ray sets aside for each task, where it places it; memory as "64MiB" or in
    bytes, default: all that one may use. retries: how often a task may be begun again whose worker was lost:
    it may then have run more than once. options: those of `Sandbox`, or of `Python` for a PythonSnapshot;
    functions among them are pickled, and run on the worker. trust_compiler: needed for modules of isolation
    "data".

    Makes one sandbox here at once, so that options that do not fit show here. Raises TypeError, ValueError,
    LimitError, ModuleError, a Trap."""
    return RayPool(source, cpus, reserved_memory, retries, trust_compiler, options)


class RayPool(Pool):
    """`map`, `map_async`, `submit`, `call` and `close` as `SandboxPool` has them. There are no leases: a
    sandbox does not leave its process, but a task that is a function gets it as its first argument.

    Module and snapshot go into the object store once. A worker verifies and checks them when it first gets a
    task of the pool."""

    def __init__(
        self,
        source: tmebox.Module | tmebox.Snapshot | PythonSnapshot,
        cpus: float,
        reserved_memory: Size | None,
        retries: int,
        trust_compiler: bool,
        options: dict[str, Any],
    ) -> None:
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise ValueError(f"retries={retries!r}: a whole number, at least 0")
        if not cpus > 0:
            raise ValueError(f"cpus={cpus!r}: more than 0")
        found = source_of(source, trust_compiler, options)
        given = portable(found.options, cloudpickle.dumps)
        if not ray.is_initialized():
            ray.init()
        self.memory_bytes = found.most_bytes
        if reserved_memory is not None:
            self.memory_bytes = parse_size(reserved_memory, "reserved_memory")
        self.retries = retries
        self.threads = max(1, int(ray.cluster_resources().get("CPU", 1) / cpus))
        """Tasks that the cluster runs at a time, by its processors now."""
        self._parcel = Parcel(
            None if found.module is None else ray.put(found.module),
            ray.put(found.state),
            ray.put(given),
            found.layout.memory_bytes,
            found.layout.stack_bytes,
            found.key,
        )
        self._perform = ray.remote(num_cpus=cpus, memory=self.memory_bytes, max_retries=retries)(perform)
        self._closed = False
        self._pending: set[Future[Any]] = set()
        """Changed and copied in one step each: finalizers and signal handlers may submit tasks, too."""

    # -- tasks -----------------------------------------------------------------------------------
    def submit(self, function: Task, /, *arguments: Any) -> Future[Any]:
        """Begin a task: call an export, or a program's function, by name; or `function(sandbox, *arguments)`
        (`function(python, …)`), in a fresh sandbox or interpreter on some worker.

        The future has what it returns, or what it raises, with the worker's traceback as its cause; or
        WorkerLost. Cancelling it cancels the task. Raises SandboxClosed when closed."""
        if self._closed:
            raise SandboxClosed("the pool is closed")
        reference = self._perform.remote(self._parcel, function, arguments)
        future: Future[Any] = Future()
        self._pending.add(future)
        future.add_done_callback(partial(self._ended, reference))
        reference.future().add_done_callback(partial(_settle, future))
        return future

    def _ended(self, reference: Any, future: Future[Any]) -> None:
        self._pending.discard(future)
        if future.cancelled():
            ray.cancel(reference)

    async def call(self, function: Task, /, *arguments: Any) -> Any:
        """`submit`, awaited."""
        future = self.submit(function, *arguments)
        try:
            await settled(future)
        except BaseException:
            future.cancel()
            raise
        return future.result()

    # -- life ------------------------------------------------------------------------------------
    def close(self, *, wait: bool = True) -> None:
        """Refuse new tasks. Those that were submitted go on; `wait` waits for them, but not in a future's
        done-callback, without whose end no other task is done. Idempotent."""
        self._closed = True
        if wait and not _here.settles:
            wait_for(list(self._pending))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        for future in list(self._pending):
            await settled(future)

    def __repr__(self) -> str:
        return f"<tmebox.ray.RayPool of {self.threads} tasks at a time, {self.memory_bytes:,} bytes each>"


def _settle(future: Future[Any], done: Future[Any]) -> None:
    """Give `future` what Ray says of its task, unless it was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    error = done.exception()
    result = None if error is not None else done.result()
    if isinstance(result, Failed):
        error = result.error
        if error.__cause__ is None:
            error.__cause__ = RemoteTraceback(result.traceback)
    elif isinstance(error, LOST):
        error, lost = WorkerLost(f"the worker that ran the task was lost: {error}"), error
        error.__cause__ = lost
    elif isinstance(error, exceptions.RayTaskError) and isinstance(error.cause, Exception):
        error = error.cause
    before, _here.settles = _here.settles, True
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    finally:
        _here.settles = before
