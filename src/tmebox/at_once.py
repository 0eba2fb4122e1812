"""Functions that do their work when they are called, and those that only return what would."""

from __future__ import annotations

import inspect
from functools import partial
from types import FunctionType, MethodType
from typing import Any

_LATER = (
    inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
)
_ASYNC = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE
_DEEPEST = 10
"""Objects whose calls are calls of other objects end somewhere, or Python itself does not call them."""


def require_at_once(function: Any, what: str) -> None:
    """Raise TypeError for an async function or a generator: what calls it would drop what it returns, and
    nothing would ever have run. what: what it is given for."""
    found = _function_in(function)
    if found is None:
        return
    flags = found.__code__.co_flags
    marked = bool(found.__dict__) and inspect.iscoroutinefunction(found)  # as a function may be from 3.12 on
    if flags & _ASYNC or marked:
        raise TypeError(
            f"{what} is an async function, which nobody would await: {function!r:.100}. Give a function that "
            "waits for it, as by asyncio.run_coroutine_threadsafe(...).result()"
        )
    if flags & _LATER:
        raise TypeError(
            f"{what} is a generator, of which a call runs nothing: {function!r:.100}. Give a function that "
            "returns its result"
        )


def _function_in(target: Any) -> FunctionType | None:
    """What a call comes to, where that is written in Python."""
    for _ in range(_DEEPEST):
        if isinstance(target, FunctionType):
            return target
        if isinstance(target, partial):
            target = target.func
        elif isinstance(target, MethodType):
            target = target.__func__
        elif callable(target):
            target = type(target).__call__
        else:
            break
    return None
