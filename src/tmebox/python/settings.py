"""What an interpreter was given, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tmebox.python.values import encoded

UNLIMITED = (1 << 63) - 1


class Settings(NamedTuple):
    """As `Python` was given them."""

    functions: Mapping[str, Callable[..., Any]]
    modules: Mapping[str, str]
    output_bytes: int
    instructions: int | None
    seed: int | None
    clock: float | None


def checked_modules(given: Mapping[str, str] | None) -> dict[str, str]:
    """Raises TypeError, ValueError."""
    modules = dict(given or {})
    for name, source in modules.items():
        if not isinstance(name, str) or not isinstance(source, str):
            raise TypeError(f"modules[{name!r:.100}]: names and sources are str, not {type(source).__name__}")
        encoded(name, f"modules: the name {name!a:.100}")
        encoded(source, f"modules[{name!r:.100}]")
    return modules


def checked_instructions(instructions: int | None) -> int | None:
    """Raises ValueError."""
    if instructions is None or (type(instructions) is int and 0 < instructions < UNLIMITED):
        return instructions
    raise ValueError(f"instructions={instructions!r}: a positive whole number, or None")


def checked_names(functions: Mapping[str, Any]) -> tuple[str, ...]:
    """Of functions that programs may call. Raises ValueError."""
    for name in functions:
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"functions={{{name!r}: …}}: a name that a program can call is expected")
    return tuple(functions)
