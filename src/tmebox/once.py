"""once: what an object works out when it is first asked for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Owner = TypeVar("Owner")
Value = TypeVar("Value")


class once(Generic[Owner, Value]):  # noqa: N801  (used like property)
    """functools.cached_property without its lock: before Python 3.12 all objects of a class share one, and a
    child forked while another thread had it would wait for ever. Two threads may both work a value out."""

    def __init__(self, function: Callable[[Owner], Value]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type[Owner], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Owner] | None = None) -> once[Owner, Value]: ...
    @overload
    def __get__(self, instance: Owner, owner: type[Owner] | None = None) -> Value: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        # From now on the attribute is found there, without asking this object.
        value = instance.__dict__[self._name] = self._function(instance)
        return value
