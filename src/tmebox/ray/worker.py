"""What runs on a worker. Modules and snapshots arrive as bytes, which are believed as little as any: a module
is verified, a snapshot is checked page by page, and neither gets more than the pool says."""

from __future__ import annotations

import pickle
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import ray

import tmebox
from tmebox.python import PythonSnapshot
from tmebox.runtime.pool.pool import run_task

KEPT = 16
"""Snapshots, and modules, that a worker keeps ready: those used last."""


class Parcel(NamedTuple):
    """What a pool put into the object store, once. `module` is None where it is the Python guest, which each
    worker has of its own."""

    module: ray.ObjectRef | None
    state: ray.ObjectRef
    options: ray.ObjectRef
    memory_bytes: int
    stack_bytes: int
    key: bytes | None
    """The snapshot is sealed with it where the compiler of its module is trusted."""


class Failed(NamedTuple):
    """The task raised `error`."""

    error: Exception
    traceback: str


Task = str | Callable[..., Any]
Run = Callable[[Task, tuple[Any, ...]], Any]
_modules: OrderedDict[bytes, tmebox.Module] = OrderedDict()
_ready: OrderedDict[str, Run] = OrderedDict()


def perform(parcel: Parcel, function: Task, arguments: tuple[Any, ...]) -> Any:
    """One task, in a sandbox or interpreter of its own: what it returns, or Failed."""
    try:
        return _kept(_ready, parcel.state.hex(), lambda: _unpacked(parcel))(function, arguments)
    except Exception as error:
        return Failed(_portable(error), traceback.format_exc())


def _unpacked(parcel: Parcel) -> Run:
    """Raises VerificationError, SnapshotError, LimitError."""
    options: Mapping[str, Any] = ray.get(parcel.options)
    data: bytes = ray.get(parcel.state)
    memory, stack = parcel.memory_bytes, parcel.stack_bytes
    if parcel.module is None:
        state = PythonSnapshot.from_bytes(data, memory=memory, stack=stack, **options)
        return partial(_interpret, state)
    contents: bytes = ray.get(parcel.module)
    trusted = parcel.key is not None
    module = _kept(_modules, contents, lambda: tmebox.Module.from_bytes(contents, trust_compiler=trusted))
    snapshot = tmebox.Snapshot.from_bytes(data, module, key=parcel.key, memory=memory, stack=stack)
    return partial(run_task, snapshot.configured(**options))


def _interpret(snapshot: PythonSnapshot, function: Task, arguments: tuple[Any, ...]) -> Any:
    with snapshot.spawn() as python:
        return (
            python.call(function, *arguments) if isinstance(function, str) else function(python, *arguments)
        )


def _kept(kept: OrderedDict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    if key not in kept:
        kept[key] = make()
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[key]


def _portable(error: Exception) -> Exception:
    """The error, or what it says, where it cannot be told to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class does when it is pickled
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
