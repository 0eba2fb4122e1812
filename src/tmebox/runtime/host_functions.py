"""Functions the host offers to sandboxed code: matched to the module's imports and wrapped once."""

from __future__ import annotations

import inspect
import struct
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from tmebox.errors import ModuleError
from tmebox.listing import listed
from tmebox.prototypes import (
    Bool,
    CType,
    Float,
    Integer,
    Parameter,
    Pointer,
    Prototype,
    Void,
    size_of,
)
from tmebox.runtime.abi_classes import MEMORY, SSE, classify
from tmebox.runtime.functions import is_string, type_code
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.runtime.values import pack, unpack

F = TypeVar("F", bound=Callable[..., Any])
NativeImport = tuple[Callable[..., Any], str, str, str]

_registered: dict[str, Callable[..., Any]] = {}
CONST_CHAR_POINTER = Pointer(Integer(8, True, "char"), True)


@dataclass(frozen=True)
class Guest:
    """What a host function's wrapper needs of the sandbox that calls it. `sandbox` is the user's object,
    which may be gone while its code still runs; `kind` its class."""

    memory: SandboxMemory
    sandbox: weakref.ref[Any]
    kind: type


def host_function(function: F | None = None, *, name: str | None = None) -> Any:
    """Offer a Python function to every sandbox whose module imports its name.

    Use as `@host_function` or `@host_function(name="log")`. Functions given to `Sandbox(imports=…)` come
    first. A parameter annotated with `str` or `bytes` gets the C string its pointer points to, one
    annotated with `Sandbox` gets the calling sandbox; other pointers are window offsets.
    """

    def register(target: F) -> F:
        _registered[name or target.__name__] = target
        return target

    return register if function is None else register(function)


def by_name(
    imports: Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]] | None,
) -> dict[str, Callable[..., Any]]:
    """What the user gave as `imports=`: a mapping, or functions that carry their name."""
    if imports is None:
        return {}
    if isinstance(imports, Mapping):
        given = dict(imports)
    else:
        given = {_name_of(function): function for function in listed(imports, "imports")}
    for name, function in given.items():
        if not callable(function):
            raise TypeError(f"import {name!r} is not callable: {function!r}")
    return given


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"import {function!r} carries no name: pass imports={{'name': function}}")
    return name


def find(
    name: str, prototype: Prototype | None, given: Mapping[str, Callable[..., Any]]
) -> Callable[..., Any]:
    function = given.get(name) or _registered.get(name)
    if function is None:
        shown = str(prototype) if prototype else f"{name}(…)"
        raise ModuleError(
            f"the module needs a host function: {shown}; pass imports={{{name!r}: function}} to Sandbox, "
            "decorate one with @tmebox.host_function, or link what defines it"
        )
    return function


def wrap(guest: Guest, name: str, prototype: Prototype | None, function: Callable[..., Any]) -> NativeImport:
    """(handler, argument codes, result code, name in messages) for the core."""
    hints, sandbox_parameters = _annotations(guest, function)
    if prototype is None:
        prototype = _from_annotations(name, function, hints)
    parameters = [p.type for p in prototype.parameters]
    python_names = _positional_names(function, sandbox_parameters)
    readers = [_reader(guest, ctype, _hint(hints, python_names, i)) for i, ctype in enumerate(parameters)]
    codes = [type_code(ctype) for ctype in parameters]
    result = type_code(prototype.result)
    simple = None not in codes and result is not None and not prototype.variadic
    bound = _bind_sandbox(function, guest, sandbox_parameters)
    shown = str(prototype).encode("ascii", "backslashreplace").decode().replace("\0", "?")
    if simple:
        code_string = "".join(code for code in codes if code).replace("P", "p")
        result_code = "p" if result == "P" else str(result)
        if all(reader is None for reader in readers):
            return bound, code_string, result_code, shown
        return _converting(bound, readers), code_string, result_code, shown
    return _raw(guest, bound, prototype, readers), "*", "*", shown


def _annotations(guest: Guest, function: Callable[..., Any]) -> tuple[dict[str, Any], list[str]]:
    """Resolved annotations, and the parameters that want the calling sandbox."""
    try:
        hints = get_type_hints(function)
    except Exception:  # annotations may be anything; builtins have none
        hints = {}
    wanted = [name for name, hint in hints.items() if name != "return" and _is_type_of(guest, hint)]
    return hints, wanted


def _is_type_of(guest: Guest, hint: Any) -> bool:
    return isinstance(hint, type) and hint is not object and issubclass(guest.kind, hint)


def _positional_names(function: Callable[..., Any], without: list[str]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds and p.name not in without]


def _hint(hints: dict[str, Any], names: list[str], index: int) -> Any:
    return hints.get(names[index]) if index < len(names) else None


def _bind_sandbox(function: Callable[..., Any], guest: Guest, names: list[str]) -> Callable[..., Any]:
    if not names:
        return function
    parameters = list(inspect.signature(function).parameters)
    places = sorted(parameters.index(name) for name in names)

    def call(*arguments: Any) -> Any:
        values = list(arguments)
        for place in places:
            values.insert(place, guest.sandbox())
        return function(*values)

    return call


def _reader(guest: Guest, ctype: CType, hint: Any) -> Callable[[int], Any] | None:
    """How a pointer argument becomes a Python value; None leaves it as it is."""
    if not isinstance(ctype, Pointer):
        return None
    if hint is bytes:
        return lambda offset: guest.memory.string(offset) if offset else None
    if hint is str or (hint is not int and is_string(ctype)):
        return lambda offset: guest.memory.string(offset).decode("utf-8", "replace") if offset else None
    return None


def _converting(
    function: Callable[..., Any], readers: list[Callable[[int], Any] | None]
) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return function(*[a if read is None else read(a) for read, a in zip(readers, arguments, strict=True)])

    return call


def _from_annotations(name: str, function: Callable[..., Any], hints: dict[str, Any]) -> Prototype:
    """A prototype from Python annotations, for imports whose C prototype is not known."""
    known: dict[Any, CType] = {
        int: Integer(64, True, "long"),
        float: Float(64),
        bool: Bool(),
        str: CONST_CHAR_POINTER,
        bytes: CONST_CHAR_POINTER,
        type(None): Void(),
    }
    names = _positional_names(function, [])
    unknown = [n for n in names if hints.get(n) not in known]
    if unknown or (hints and hints.get("return", type(None)) not in known):
        raise ModuleError(
            f"the C prototype of import {name!r} is not known: compile with its declaration in scope, or "
            "annotate the host function's parameters and result with int, float, bool, str or bytes"
        )
    result = known[hints.get("return", type(None))]
    return Prototype(name, result, tuple(Parameter(n, known[hints[n]]) for n in names))


def _raw(
    guest: Guest,
    function: Callable[..., Any],
    prototype: Prototype,
    readers: list[Callable[[int], Any] | None],
) -> Callable[..., Any]:
    """Structs by value, variadic functions and wide types: from registers and stack by the ABI's rules."""
    result_classes = classify(prototype.result)

    def call(integers: Sequence[int], vectors: bytes, stack_offset: int) -> tuple[int, int, int, int]:
        reading = _Arguments(guest, list(integers), list(struct.unpack("<8Q", vectors)), stack_offset)
        if MEMORY in result_classes:
            raise ModuleError(
                f"{prototype.name}() returns a struct of over 16 bytes; let it fill it through a pointer"
            )
        values: list[Any] = []
        for parameter, read in zip(prototype.parameters, readers, strict=True):
            value = reading.take(parameter.type)
            values.append(value if read is None else read(value))
        return _to_registers(prototype.result, function(*values), result_classes, prototype.name)

    return call


class _Arguments:
    """Takes arguments one after the other from registers, then from the sandbox's stack."""

    def __init__(self, guest: Guest, integers: list[int], vectors: list[int], stack_offset: int) -> None:
        self._guest = guest
        self._integers = integers
        self._vectors = vectors
        self._stack = stack_offset

    def take(self, ctype: CType) -> Any:
        classes = classify(ctype)
        wanted = classes.count(SSE)
        fits = len(classes) - wanted <= len(self._integers) and wanted <= len(self._vectors)
        if MEMORY not in classes and fits:
            words = [(self._vectors if kind == SSE else self._integers).pop(0) for kind in classes]
            return unpack(ctype, b"".join(word.to_bytes(8, "little") for word in words))
        size = -(-size_of(ctype) // 8) * 8
        data = self._guest.memory.read(self._stack, size)
        self._stack += size
        return unpack(ctype, data)


def _to_registers(ctype: CType, value: Any, classes: tuple[str, ...], what: str) -> tuple[int, int, int, int]:
    if isinstance(ctype, Void):
        return 0, 0, 0, 0
    data = pack(ctype, value, f"result of {what}()").ljust(8 * len(classes), b"\0")
    integers: list[int] = []
    vectors: list[int] = []
    for index, kind in enumerate(classes):
        word = int.from_bytes(data[8 * index : 8 * index + 8], "little")
        (vectors if kind == SSE else integers).append(word)
    integers += [0] * (2 - len(integers))
    vectors += [0] * (2 - len(vectors))
    return integers[0], vectors[0], integers[1], vectors[1]
