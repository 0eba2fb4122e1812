"""`dataclass`, `field` and `replace` as the standard library has them, for what a compiler's start waits for.

A build starts `tmebox cc` for each file. The library's module takes 5 ms to import, and half a millisecond to
make a class, since it compiles the text of six methods. Here a class's constructor is compiled when it is
first called, and the other methods are functions that need no text. Type checkers see the library's own.

There is what the toolchain uses: `frozen`, `slots`, defaults, factories of them, `__post_init__`. The
library's functions (`fields`, `asdict`, `replace`, `is_dataclass`) take such objects, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import CodeType
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "replace"]


_UNSET: Any = object()

kept_constructors: dict[str, CodeType] = {}
new_constructors: dict[str, CodeType] = {}
"""By their text: what was compiled before, if somebody keeps it, and here."""


class _Field:
    """What is said of one. make: makes a default anew for each object. compare: whether equality minds it.
    repr: whether it is shown."""

    def __init__(
        self, default: Any = _UNSET, make: Callable[[], Any] = _UNSET, compare: bool = True, repr: bool = True
    ) -> None:
        self.default = default
        self.make = make
        self.compare = compare
        self.repr = repr


if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:

    def dataclass(cls: type | None = None, *, frozen: bool = False, slots: bool = False) -> Any:
        """A class with what its annotations name; without a class, what makes one of it."""
        return _made(cls, frozen, slots) if cls is not None else lambda cls: _made(cls, frozen, slots)

    def field(*, default_factory: Callable[[], Any] = _UNSET, **facts: Any) -> Any:
        return _Field(make=default_factory, **facts)

    def replace(value: Any, /, **changes: Any) -> Any:
        """Another object, with these fields changed."""
        for name in value.__match_args__:
            if name not in changes:
                changes[name] = getattr(value, name)
        return value.__class__(**changes)


def _made(cls: Any, frozen: bool, slots: bool) -> Any:
    given = dict(cls.__dict__)
    fields = {name: _field(given, name) for name in given.get("__annotations__", ())}
    names = tuple(fields)
    if slots:
        kept = {key: value for key, value in given.items() if key not in (*names, "__dict__", "__weakref__")}
        qualified = cls.__qualname__
        cls = type(cls)(cls.__name__, cls.__bases__, {**kept, "__slots__": names})
        cls.__qualname__ = qualified
    else:
        for name in names:
            if fields[name].default is not _UNSET:
                setattr(cls, name, fields[name].default)
            elif name in given:
                delattr(cls, name)
    values = _values([name for name in names if fields[name].compare])
    methods = {
        "__match_args__": names,
        "__repr__": _repr([name for name in names if fields[name].repr]),
        "__eq__": _equal(values),
    }
    methods["__hash__"] = _hash(values) if frozen else None
    if frozen:
        methods |= {"__setattr__": _refusing("assign to", cls, names)}
        methods |= {"__delattr__": _refusing("delete", cls, names)}
    if frozen and slots:
        methods |= {"__getstate__": _state, "__setstate__": _set_state}
    for name, method in methods.items():
        if given.get(name) is None:
            setattr(cls, name, method)
    cls.__dataclass_fields__ = _Asked(lambda: _library_fields(cls, fields))
    cls.__signature__ = _Asked(lambda: _signature(cls, fields, frozen, slots))
    cls.__init__ = _first(cls, fields, frozen, slots)
    return cls


def _field(given: dict[str, Any], name: str) -> _Field:
    found = given.get(name, _UNSET)
    return found if isinstance(found, _Field) else _Field(found)


class _Asked:
    """An attribute of a class that is computed when it is asked for."""

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute = compute

    def __get__(self, value: object, owner: type | None = None) -> Any:
        return self._compute()


def _values(names: Sequence[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda value: ()


def _repr(names: Sequence[str]) -> Any:
    def show(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return show


def _equal(values: Callable[[Any], Any]) -> Any:
    def equal(self: Any, other: Any) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(values: Callable[[Any], Any]) -> Any:
    def hashed(self: Any) -> int:
        return hash(values(self))

    return hashed


def _refusing(what: str, cls: type, names: tuple[str, ...]) -> Any:
    """`__setattr__` and `__delattr__` of what does not change. Subclasses may have more attributes."""
    usual = object.__setattr__ if what == "assign to" else object.__delattr__

    def refuse(self: Any, name: str, *value: Any) -> None:
        if type(self) is cls or name in names:
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot {what} field {name!r}")
        usual(self, name, *value)

    return refuse


def _state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__match_args__]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__match_args__, state, strict=True):
        object.__setattr__(self, name, value)


def _first(cls: Any, fields: Mapping[str, _Field], frozen: bool, slots: bool) -> Any:
    def first(self: Any, *values: Any, **named: Any) -> None:
        cls.__init__ = made = _init(cls, fields, frozen, slots)
        made(self, *values, **named)

    first.__name__ = "__init__"
    return first


def _init(cls: Any, fields: Mapping[str, _Field], frozen: bool, slots: bool) -> Any:
    known: dict[str, Any] = {"_set": object.__setattr__, "_unset": _UNSET}
    parameters, lines = [], []
    for name, facts in fields.items():
        value = name
        if facts.make is not _UNSET:
            known[f"_new_{name}"] = facts.make
            parameters.append(f"{name}=_unset")
            value = f"_new_{name}() if {name} is _unset else {name}"
        elif facts.default is not _UNSET:
            known[f"_default_{name}"] = facts.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        if frozen and slots:
            known[f"_set_{name}"] = cls.__dict__[name].__set__
            lines.append(f" _set_{name}(self, {value})")
        elif frozen:
            lines.append(f" _set(self, {name!r}, {value})")
        else:
            lines.append(f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    text = "\n".join([f"def __init__(self, {', '.join(parameters)}):", *lines, " pass"])
    code = kept_constructors.get(text)
    if code is None:
        code = new_constructors[text] = compile(text, "<record>", "exec")
    exec(code, known)
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _signature(cls: Any, fields: Mapping[str, _Field], frozen: bool, slots: bool) -> Any:
    import inspect

    found = inspect.signature(_init(cls, fields, frozen, slots))
    return found.replace(parameters=list(found.parameters.values())[1:])


def _library_fields(cls: Any, fields: Mapping[str, _Field]) -> Any:
    """What the library's functions go by."""
    import dataclasses

    items: list[Any] = []
    for name, facts in fields.items():
        default = {"default": facts.default} if facts.default is not _UNSET else {}
        default |= {"default_factory": facts.make} if facts.make is not _UNSET else {}
        found = dataclasses.field(**default, compare=facts.compare, repr=facts.repr)
        items.append((name, cls.__annotations__[name], found))
    made: Any = dataclasses.make_dataclass(cls.__name__, items)
    return made.__dataclass_fields__
