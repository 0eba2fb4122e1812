"""Functions the host offers to sandboxed code: matched to the module's imports and wrapped once."""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints, overload

from tmebox import _native, abi
from tmebox.demangle import called
from tmebox.errors import BadReference, ModuleError
from tmebox.listing import listed
from tmebox.modulefile.prototypes import Bool, CType, Float, Integer, Parameter, Pointer, Prototype, Void
from tmebox.runtime.calls import formats
from tmebox.runtime.calls.classes import INTEGER_REGISTERS, SSE, Passing, Unpassable, argument, result
from tmebox.runtime.calls.codes import type_code
from tmebox.runtime.calls.functions import MOST_CONVERTED, is_string
from tmebox.runtime.calls.values import pack, require_own, unpack
from tmebox.runtime.sandbox_memory import SandboxMemory

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

LONGEST_TEXT = abi.MIB
"""Bytes, of a text behind `...` with a precision."""

_registered: dict[str, Callable[..., Any]] = {}
CONST_CHAR_POINTER = Pointer(Integer(8, True, "char"), True)


@dataclass(frozen=True)
class Guest:
    """What a host function's wrapper needs of the sandbox that calls it. `sandbox` is the user's object,
    which may be gone while its code still runs; `kind` its class. `by_clang`: see `Passing.is_wide`.
    `pointers`: what makes Python values of pointers of a type. `handles`: objects that words stand for."""

    instance: _native.Instance
    memory: SandboxMemory
    sandbox: Callable[[], Any]
    kind: type
    by_clang: bool = True
    pointers: Callable[[Pointer], _native.PointerMaker | None] | None = None
    handles: Callable[[], Mapping[int, Any]] = dict


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


def wrap(
    guest: Guest,
    name: str,
    prototype: Prototype | None,
    function: Callable[..., Any],
    offsets: Set[int] = frozenset(),
) -> NativeImport:
    """What the core calls: (handler, argument codes, result code, name in messages[, what makes a word of
    other results]). offsets: indices of pointers that arrive as such, whatever they point to."""
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
    shown = str(prototype).encode("ascii", "backslashreplace").decode().replace("\0", "?")
    simple = None not in codes and code is not None and len(codes) <= MOST_CONVERTED
    if not simple or prototype.variadic or prototype.convention:
        return _raw(guest, bound, prototype, readers, formatted), "*", "*", shown
    code_string = "".join(code for code in codes if code).replace("P", "p")
    convert = _result_word(prototype)

    def read(index: int, offset: int) -> Any:
        makes = readers[index]
        assert makes is not None
        return makes(offset)

    makers = tuple(makes if isinstance(makes, _native.PointerMaker) else None for makes in readers)
    return bound, code_string, "p" if code == "P" else str(code), shown, convert, False, read, makers


def result_words(prototype: Prototype, value: Any) -> tuple[int, int, int, int]:
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
    return _to_registers(_extended(prototype.result, value, f"result {prototype.result}"), returning)


def _result_word(prototype: Prototype) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        what = f"result of the host function {called(prototype.name)}() ({prototype.result})"
        return int.from_bytes(_extended(prototype.result, value, what), "little")

    return convert


def _extended(ctype: CType, value: Any, what: str) -> bytes:
    """Bytes of a value in registers: integers are extended by their sign."""
    data = pack(ctype, value, what)
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
    readers: list[Reader | None],
    formatted: bool = False,
) -> Callable[..., Any]:
    """Structs by value, variadic functions and wide types: from registers and stack by the ABI's rules.
    formatted: the last parameter is a format, by which those behind the `...` are decoded."""
    name = prototype.name
    refusal = None
    passings: list[Passing] = []
    returning = Passing((), False, 0)
    try:
        if prototype.convention:
            raise Unpassable(f"it is called by the calling convention {prototype.convention}")
        returning = result(prototype.result)
        passings = [argument(parameter.type) for parameter in prototype.parameters]
        for passing, ctype in zip((returning, *passings), _types(prototype), strict=True):
            if passing.needs_whole_registers:
                where = "x87 registers" if passing.x87 else "a vector register as a whole"
                raise Unpassable(f"{ctype} goes in {where}; let it go by a pointer")
    except Unpassable as error:
        refusal = f"the host function {prototype} cannot be called: {error}"

    def call(integers: Sequence[int], vectors: bytes, stack_offset: int) -> tuple[int, int, int, int]:
        if refusal is not None:
            raise TypeError(refusal)
        reading = _Received(guest, name, list(integers), list(struct.unpack("<8Q", vectors)), stack_offset)
        place = reading.integer() if returning.in_memory else 0
        values: list[Any] = []
        for parameter, passing, read in zip(prototype.parameters, passings, readers, strict=True):
            value = reading.take(parameter.type, passing)
            values.append(value if read is None else read(value))
        if formatted:
            values += reading.behind(values[-1])
        returned = function(*values)
        if isinstance(prototype.result, Void):
            return 0, 0, 0, 0
        what = f"result of the host function {name}() ({prototype.result})"
        require_own(returned, guest.instance, what)
        data = _extended(prototype.result, returned, what)
        if returning.in_memory:
            guest.memory.write(place, data[: returning.size_bytes])
            return place, 0, 0, 0
        return _to_registers(data, returning)

    return call


def _types(prototype: Prototype) -> list[CType]:
    return [prototype.result, *(parameter.type for parameter in prototype.parameters)]


class _Received:
    """Takes arguments one after the other from registers, then from the sandbox's stack."""

    def __init__(
        self, guest: Guest, name: str, integers: list[int], vectors: list[int], stack_offset: int
    ) -> None:
        self._guest = guest
        self._name = name
        self._integers = integers
        self._vectors = vectors
        self._integers_used = self._vectors_used = 0
        self._integer_registers = INTEGER_REGISTERS
        self._stack = stack_offset
        self._used_bytes = 0

    def integer(self) -> int:
        """A pointer in the next integer register."""
        self._integers_used += 1
        return self._integers[self._integers_used - 1] & 0xFFFF_FFFF

    def take(self, ctype: CType, passing: Passing) -> Any:
        if passing.fits(self._integer_registers - self._integers_used, self._vectors_used):
            data = bytearray(passing.stack_bytes)
            for kind, index in passing.words:
                data[8 * index : 8 * index + 8] = self._word(kind).to_bytes(8, "little")
            return self._value(ctype, bytes(data[: passing.size_bytes]))
        if passing.is_wide and self._guest.by_clang:
            self._integer_registers = self._integers_used
        try:
            place = passing.stack_place(self._used_bytes)
        except Unpassable as error:
            raise TypeError(f"argument {ctype} of the host function {self._name}(): {error}") from None
        self._used_bytes = place + passing.stack_bytes
        return self._value(ctype, self._guest.memory.read(self._stack + place, passing.size_bytes))

    def behind(self, format: str | bytes | int | None) -> list[Any]:
        """Arguments behind the `...`, as a format says: integers, floats, texts as str and None for NULL,
        pointers as offsets or the objects that handles stand for. Raises ValueError, BadPointer."""
        if isinstance(format, int):
            format = self._guest.memory.string(format) if format else None
        text = format.decode("utf-8", "replace") if isinstance(format, bytes) else format or ""
        values: list[Any] = []
        precision = 0
        for wanted in formats.arguments(text):
            value = self.take(wanted.ctype, argument(wanted.ctype))
            if wanted.bits:
                value &= (1 << wanted.bits) - 1
                value -= value >> (wanted.bits - 1) << wanted.bits if wanted.signed else 0
            if wanted.is_precision:
                precision = value
            if wanted.is_text:
                limit = precision if wanted.limit_bytes == -1 else wanted.limit_bytes
                value = self._text(value, None if limit is None or limit < 0 else limit) if value else None
            values.append(value)
        return values

    def _text(self, offset: int, limit_bytes: int | None) -> str:
        """Up to its NUL, or a number of bytes: behind those nothing needs to be there."""
        if limit_bytes is None:
            return self._guest.memory.string(offset).decode("utf-8", "replace")
        found = bytearray()
        while len(found) < min(limit_bytes, LONGEST_TEXT):
            place = offset + len(found)
            step = min(min(limit_bytes, LONGEST_TEXT) - len(found), abi.PAGE_SIZE - place % abi.PAGE_SIZE)
            found += self._guest.memory.read(place, step)
            if (end := found.find(0)) >= 0:
                del found[end:]
                break
        return found.decode("utf-8", "replace")

    def _value(self, ctype: CType, data: bytes) -> Any:
        word = int.from_bytes(data[:8], "little")
        if isinstance(ctype, Pointer) and isinstance(ctype.target, Void) and word >> 32:
            try:
                return self._guest.handles()[word]
            except KeyError:
                raise BadReference(
                    f"sandboxed code passed {self._name}() a pointer that is neither an offset nor a "
                    f"handle that is open"
                ) from None
        return unpack(ctype, data, self._guest.instance)

    def _word(self, kind: str) -> int:
        if kind == SSE:
            self._vectors_used += 1
            return self._vectors[self._vectors_used - 1]
        self._integers_used += 1
        return self._integers[self._integers_used - 1]


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
