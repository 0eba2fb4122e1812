"""Functions the host offers to sandboxed code: matched to the module's imports and wrapped once."""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, TypeVar, get_type_hints, overload

from tmebox import _native
from tmebox.at_once import require_at_once
from tmebox.demangle import called
from tmebox.errors import ModuleError
from tmebox.listing import listed
from tmebox.modulefile.prototypes import (
    Bool,
    CType,
    Float,
    Integer,
    Parameter,
    Pointer,
    Prototype,
    Void,
)
from tmebox.runtime.calls.classes import SSE, Passing, Unpassable, argument, result
from tmebox.runtime.calls.codes import type_code
from tmebox.runtime.calls.extents import fit_in_call
from tmebox.runtime.calls.functions import MOST_CONVERTED, is_string
from tmebox.runtime.calls.received import MOST_TEXTS, Guest, Received
from tmebox.runtime.calls.values import pack
from tmebox.shown import printable

F = TypeVar("F", bound=Callable[..., Any])
NativeImport = (
    str  # a function of the core
    | tuple[Callable[..., Any], str, str, str]
    | tuple[Callable[..., Any], str, str, str, Callable[[Any], int]]
    | tuple[Callable[..., Any], str, str, str, None, bool]
    | tuple[
        Callable[..., Any],
        str,
        str,
        str,
        Callable[[Any], int],
        bool,
        Callable[[int, int], Any],
        tuple[_native.PointerMaker | None, ...],
    ]
)
Reader = Callable[[int], Any]

TEXT_CODE, BYTES_CODE, HANDLE_CODE = "s", "y", "o"
TEXTS = (TEXT_CODE, BYTES_CODE)

_registered: dict[str, Callable[..., Any]] = {}
CONST_CHAR_POINTER = Pointer(Integer(8, True, "char"), True)


@overload
def host_function(function: F) -> F: ...
@overload
def host_function(function: None = None, *, name: str | None = None) -> Callable[[F], F]: ...
def host_function(function: F | None = None, *, name: str | None = None) -> Any:
    """Offer a Python function to every sandbox whose module imports its name.

    Use as `@host_function` or `@host_function(name="log")`. Functions given to `Sandbox(imports=…)` come
    first. A pointer annotated with `str` or `bytes` arrives as the C string that it points to, and so does,
    as `str`, a `const char *` without an annotation; other pointers, and those annotated with `int`, are
    window offsets. A parameter annotated with `Sandbox` gets the calling sandbox.
    """

    def register(target: F) -> F:
        _registered[target.__name__ if name is None else name] = target
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
    function = given.get(name, _registered.get(name))  # which may be an empty list that can be called
    if function is None:
        shown = printable(str(prototype) if prototype else f"{name}(…)")
        raise ModuleError(
            f"the module needs a host function: {shown}; pass imports={{{name!r}: function}} to Sandbox, "
            "decorate one with @tmebox.host_function, or link what defines it"
        )
    return function


def wrap(
    guest: Guest,
    name: str,
    prototype: Prototype | None,
    function: Callable[..., Any],
    offsets: Set[int] = frozenset(),
) -> NativeImport:
    """What the core calls: (handler, argument codes, result code, name in messages[, what makes a word of
    other results]). offsets: indices of pointers that arrive as such, whatever they point to. Raises
    ModuleError for an import whose types are not known; TypeError for an async function or a generator."""
    require_at_once(function, f"the host function {called(name)}()")
    hints, sandbox_parameters = _annotations(guest, function)
    if prototype is None:
        prototype = _from_annotations(name, function, hints)
    parameters = [p.type for p in prototype.parameters]
    python_names = _positional_names(function, sandbox_parameters) if hints else []
    readers: list[Reader | None] = []
    codes: list[str | None] = []
    for index, ctype in enumerate(parameters):
        hint = int if index in offsets else _hint(hints, python_names, index)
        given_as, reader = _given_as(guest, ctype, hint)
        readers.append(reader)
        codes.append(given_as or type_code(ctype))
    code = type_code(prototype.result)
    bound = _bind_sandbox(function, guest, sandbox_parameters)
    formatted = prototype.variadic and bool(parameters) and is_string(parameters[-1])
    formatted = formatted and _takes_more(function, len(parameters) + len(sandbox_parameters))
    shown = printable(str(prototype)).encode("ascii", "backslashreplace").decode()
    simple = None not in codes and code is not None and len(codes) <= MOST_CONVERTED
    simple = simple and sum(code in TEXTS for code in codes) <= MOST_TEXTS
    if not simple or prototype.variadic or prototype.convention:
        return _raw(guest, bound, prototype, codes, readers, formatted), "*", "*", shown
    code_string = "".join(code for code in codes if code).replace("P", "p")
    convert = _result_word(guest, prototype)

    def read(index: int, offset: int) -> Any:
        makes = readers[index]
        assert makes is not None
        return makes(offset)

    makers = tuple(makes if isinstance(makes, _native.PointerMaker) else None for makes in readers)
    return bound, code_string, "p" if code == "P" else str(code), shown, convert, False, read, makers


def result_words(guest: Guest, prototype: Prototype, value: Any) -> tuple[int, int, int, int]:
    """rax, xmm0, rdx and xmm1 for a result. Raises TypeError, OverflowError."""
    if isinstance(prototype.result, Void):
        return 0, 0, 0, 0
    returning = result(prototype.result)
    if returning.in_memory or returning.needs_whole_registers:
        where = "in memory" if returning.in_memory else "in whole vector or x87 registers"
        raise TypeError(
            f"a {prototype.result} is returned {where}: only what goes in registers of 64 bits can be given "
            "here"
        )
    return _to_registers(_extended(prototype.result, value, guest, f"result {prototype.result}"), returning)


def _result_word(guest: Guest, prototype: Prototype) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        what = f"result of the host function {called(prototype.name)}() ({prototype.result})"
        return int.from_bytes(_extended(prototype.result, value, guest, what), "little")

    return convert


def _extended(ctype: CType, value: Any, guest: Guest, what: str) -> bytes:
    """Bytes of a value in registers: integers are extended by their sign."""
    data = pack(ctype, value, guest, what)
    sign = 0xFF if isinstance(ctype, Integer) and ctype.signed and data[-1] & 0x80 else 0
    return data + bytes([sign]) * (-len(data) % 8)


def _annotations(guest: Guest, function: Callable[..., Any]) -> tuple[dict[str, Any], list[str]]:
    """Resolved annotations, and the parameters that want the calling sandbox."""
    if not getattr(function, "__annotations__", None):
        return {}, []
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


def _takes_more(function: Callable[..., Any], count: int) -> bool:
    """Whether it takes more positional arguments than so many."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > count or any(p.kind is p.VAR_POSITIONAL for p in parameters)


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


def _given_as(guest: Guest, ctype: CType, hint: Any) -> tuple[str | None, Reader | None]:
    """(the core's code for how a pointer arrives, what makes a Python value of its offset), each None where
    it is nothing but an offset."""
    if not isinstance(ctype, Pointer):
        return None, None
    memory = guest.memory
    if guest.pointers is not None and isinstance(hint, type) and issubclass(hint, _native.Pointer):
        return None, guest.pointers(ctype)
    if hint is bytes:
        return BYTES_CODE, lambda offset: memory.string(offset) if offset else None
    if hint is str or (hint is not int and is_string(ctype)):
        return TEXT_CODE, lambda offset: memory.string(offset).decode("utf-8", "replace") if offset else None
    if isinstance(ctype.target, Void):
        return HANDLE_CODE, None
    return None, None if guest.pointers is None or hint is int else guest.pointers(ctype)


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
    codes: list[str | None],
    readers: list[Reader | None],
    formatted: bool = False,
) -> Callable[..., Any]:
    """Structs by value, variadic functions, wide types, many texts: from registers and stack by the ABI's
    rules. formatted: the last parameter is a format, by which those behind the `...` are decoded."""
    name = prototype.name
    refusal = None
    passings: list[Passing] = []
    returning = Passing((), False, 0)
    try:
        if prototype.convention:
            raise Unpassable(f"it is called by the calling convention {prototype.convention}")
        returning = result(prototype.result)
        passings = [argument(parameter.type) for parameter in prototype.parameters]
        if not fit_in_call(_types(prototype)):
            raise Unpassable("it would get or give too many values in one call; let them go by pointers")
        for passing, ctype in zip((returning, *passings), _types(prototype), strict=True):
            if passing.needs_whole_registers:
                where = "x87 registers" if passing.x87 else "a vector register as a whole"
                raise Unpassable(f"{ctype} goes in {where}; let it go by a pointer")
    except Unpassable as error:
        refusal = f"the host function {prototype} cannot be called: {error}"

    def call(integers: Sequence[int], vectors: bytes, stack_offset: int) -> tuple[int, int, int, int]:
        if refusal is not None:
            raise TypeError(refusal)
        reading = Received(guest, name, list(integers), list(struct.unpack("<8Q", vectors)), stack_offset)
        place = reading.integer() if returning.in_memory else 0
        values: list[Any] = []
        for parameter, passing, code, read in zip(
            prototype.parameters, passings, codes, readers, strict=True
        ):
            value = reading.take(parameter.type, passing)
            if code in TEXTS:
                text = reading.text(value) if value else None
                is_decoded = code == TEXT_CODE and text is not None
                values.append(str(text, "utf-8", "replace") if is_decoded else text)  # type: ignore[arg-type]
            else:
                values.append(value if read is None else read(value))
        if formatted:
            values += reading.behind(values[-1])
        returned = function(*values)
        if isinstance(prototype.result, Void):
            return 0, 0, 0, 0
        what = f"result of the host function {name}() ({prototype.result})"
        data = _extended(prototype.result, returned, guest, what)
        if returning.in_memory:
            guest.memory.write(place, data[: returning.size_bytes])
            return place, 0, 0, 0
        return _to_registers(data, returning)

    return call


def _types(prototype: Prototype) -> list[CType]:
    return [prototype.result, *(parameter.type for parameter in prototype.parameters)]


def _to_registers(data: bytes, passing: Passing) -> tuple[int, int, int, int]:
    """rax, xmm0, rdx, xmm1."""
    integers: list[int] = []
    vectors: list[int] = []
    for kind, index in passing.words:
        word = int.from_bytes(data[8 * index : 8 * index + 8], "little")
        (vectors if kind == SSE else integers).append(word)
    integers += [0] * (2 - len(integers))
    vectors += [0] * (2 - len(vectors))
    return integers[0], vectors[0], integers[1], vectors[1]
