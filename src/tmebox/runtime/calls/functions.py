"""Exports as Python callables: what the core converts itself, and the careful path for everything else."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tmebox import _native
from tmebox.demangle import called
from tmebox.modulefile.prototypes import (
    Array,
    CType,
    Function,
    Integer,
    Pointer,
    Prototype,
    Struct,
    Void,
    size_of,
)
from tmebox.runtime import wide
from tmebox.runtime.calls.arguments import (
    CallFrame,
    Converter,
    Space,
    check_count,
    converter,
    describe,
    variadic_converter,
)
from tmebox.runtime.calls.classes import INTEGER, VECTOR, Passing, Unpassable, result
from tmebox.runtime.calls.codes import type_code
from tmebox.runtime.calls.extents import fit_in_call
from tmebox.runtime.calls.items import ANY, item_code
from tmebox.runtime.calls.kinds import parameter_kind
from tmebox.runtime.calls.layouts import parameter_layout, value_layout
from tmebox.runtime.calls.values import unpack
from tmebox.runtime.module import Module
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.shown import printable


class Host(Space, Protocol):
    """What a bound function needs of its sandbox."""

    instance: _native.Instance
    module: Module

    @property
    def memory(self) -> SandboxMemory: ...


def is_string(ctype: CType) -> bool:
    """`const char *`, which reads as text in Python."""
    return (
        isinstance(ctype, Pointer)
        and ctype.const
        and isinstance(ctype.target, Integer)
        and ctype.target.is_char
    )


def is_function_pointer(ctype: CType) -> bool:
    return isinstance(ctype, Pointer) and isinstance(ctype.target, Function)


MOST_CONVERTED = 64
"""Parameters that the core converts by itself, and words of them on the stack."""
BY_VALUE = "V"
"""The core's code for a struct."""


@dataclass(frozen=True)
class CallPlan:
    """How to call functions of one prototype; worked out once. `fast` is (argument codes, result code, item
    codes of pointers). `by_clang`: see `Passing.is_wide`. `refusal`: why they cannot be called, if so."""

    prototype: Prototype
    names: tuple[str, ...]
    converters: tuple[Converter, ...]
    passing: Passing
    fast: tuple[str, str, str] | None
    by_clang: bool
    refusal: str | None = None


NOTHING = Passing((), False, 0)


def plan(prototype: Prototype, by_clang: bool = True) -> CallPlan:
    names = tuple(python_names(prototype)[0])
    if prototype.convention:
        return _refused(
            prototype, names, f"it is compiled with the calling convention {prototype.convention}"
        )
    try:
        passing = result(prototype.result)
    except Unpassable as error:
        return _refused(prototype, names, f"its result ({prototype.result}): {error}")
    if not fit_in_call((prototype.result,)):
        return _refused(prototype, names, f"its result ({prototype.result}) has too many members")
    converters: list[Converter] = []
    for index, p in enumerate(prototype.parameters):
        what = describe(index, p.name, p.type)
        try:
            converters.append(converter(p.type, what))
        except Unpassable as error:
            return _refused(prototype, names, f"{what}: {error}")
    return CallPlan(prototype, names, tuple(converters), passing, _fast(prototype), by_clang)


def _refused(prototype: Prototype, names: tuple[str, ...], reason: str) -> CallPlan:
    message = f"{called(prototype.name)}() cannot be called from Python: {reason}"
    return CallPlan(prototype, names, (), NOTHING, None, True, message)


def _fast(prototype: Prototype) -> tuple[str, str, str] | None:
    codes = [_code(p.type) for p in prototype.parameters]
    code = _code(prototype.result)
    words = sum(-(-size_of(p.type) // 8) if isinstance(p.type, Struct) else 1 for p in prototype.parameters)
    if (
        prototype.variadic
        or code is None
        or is_function_pointer(prototype.result)
        or is_string(prototype.result)
        or None in codes
        or len(codes) > MOST_CONVERTED
        or words > MOST_CONVERTED
    ):
        return None
    items = "".join(
        item_code(p.type.target if isinstance(p.type, Pointer) else p.type.element)
        if isinstance(p.type, Pointer | Array)
        else ANY
        for p in prototype.parameters
    )
    return "".join(filter(None, codes)), "p" if code == "P" else code, items


def _code(ctype: CType) -> str | None:
    return type_code(ctype) if value_layout(ctype) is None else BY_VALUE


class Annotation:
    """A C type where a signature has Python's. It is no str: those are expressions to whoever resolves
    annotations, and the names of types are chosen by the module's author."""

    __slots__ = ("_text",)

    def __init__(self, ctype: CType) -> None:
        self._text = printable(str(ctype))

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Annotation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)


def signature_of(prototype: Prototype) -> inspect.Signature:
    """For help() and inspect.signature: C types as annotations."""
    names, rest = python_names(prototype)
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotation(p.type))
        for name, p in zip(names, prototype.parameters, strict=True)
    ]
    if prototype.variadic:
        parameters.append(inspect.Parameter(rest, inspect.Parameter.VAR_POSITIONAL))
    return inspect.Signature(parameters, return_annotation=Annotation(prototype.result))


def python_names(
    prototype: Prototype, is_name: Callable[[str], bool] = str.isidentifier
) -> tuple[list[str], str]:
    """Names of its parameters in Python, and of all behind `...`: each another. What has a name in C that
    nobody else has keeps it, unless it is a keyword of Python's."""
    used = {"__debug__", *keyword.kwlist}
    names: list[str] = []
    for index, parameter in enumerate(prototype.parameters):
        name = parameter.name if is_name(parameter.name) else f"argument{index + 1}"
        names.append(_free(name, index, used))
    return names, _free("arguments", len(names), used)


def _free(name: str, index: int, used: set[str]) -> str:
    """The name, or one like it that nobody has, which is used from then on."""
    chosen = name
    if chosen in used:
        chosen = f"{name}_" if keyword.iskeyword(name) else f"{name}_{index + 1}"
    while chosen in used:
        chosen += "_"
    used.add(chosen)
    return chosen


def careful_call(
    host: Host,
    call_plan: CallPlan,
    address: int,
    arguments: Sequence[Any],
    keywords: dict[str, Any],
    timeout_s: float,
    finish: _native.PointerMaker | None = None,
) -> Any:
    """Convert every argument by its parameter, call, copy back, convert the result. finish: see `export`."""
    if call_plan.refusal is not None:
        raise TypeError(call_plan.refusal)
    values = _bind(call_plan, arguments, keywords)
    frame = CallFrame(host, call_plan.by_clang)
    result_offset = 0
    try:
        if call_plan.passing.in_memory:
            host.lend_text_room()  # where the core has results of moderate size from then on
            result_offset = frame.reserve(call_plan.passing.size_bytes)
            frame.integer(result_offset)
        for convert, value in zip(call_plan.converters, values, strict=False):
            convert(value, frame)
        for index in range(len(call_plan.converters), len(values)):
            variadic_converter(values[index], frame, f"argument {index + 1}")
        frame.ready()
        registers = _entered(host, call_plan, address, frame, timeout_s)
        frame.finish()
        return _result(host, call_plan, registers, result_offset, finish)
    finally:
        frame.close()


def _entered(
    host: Host, call_plan: CallPlan, address: int, frame: CallFrame, timeout_s: float
) -> wide.Registers:
    integers, vectors, stack, x87 = frame.integers, frame.vectors, bytes(frame.stack), call_plan.passing.x87
    if frame.needs_whole_registers or call_plan.passing.needs_whole_registers:
        return wide.call(host, address, integers, vectors, stack, x87, timeout_s)
    rax, rdx, xmm0, xmm1 = host.instance.call(address, integers, vectors, stack, timeout_s)
    return wide.Registers(rax, rdx, (xmm0, xmm1), (0, 0))


def _bind(call_plan: CallPlan, arguments: Sequence[Any], keywords: dict[str, Any]) -> list[Any]:
    names = call_plan.names
    values = list(arguments)
    if keywords:
        for name in names[len(values) :]:
            if name not in keywords:
                break
            values.append(keywords.pop(name))
        if keywords:
            unexpected = next(iter(keywords))
            raise TypeError(
                f"{called(call_plan.prototype.name)}() got an unexpected or repeated argument {unexpected!r}"
            )
    check_count(called(call_plan.prototype.name), names, len(values), call_plan.prototype.variadic)
    return values


def _result(
    host: Host,
    call_plan: CallPlan,
    registers: wide.Registers,
    result_offset: int,
    finish: _native.PointerMaker | None,
) -> Any:
    ctype, passing = call_plan.prototype.result, call_plan.passing
    if isinstance(ctype, Void):
        return None
    if passing.in_memory:
        return unpack(ctype, host.memory.read(result_offset, passing.size_bytes), host.instance)
    rax = registers.rax
    if passing.x87:
        parts = [part.to_bytes(16, "little") for part in registers.x87[: passing.x87]]
        return unpack(ctype, b"".join(parts))
    if is_string(ctype):
        offset = rax & 0xFFFF_FFFF
        return host.memory.string(offset).decode("utf-8", "replace") if offset else None
    if isinstance(ctype, Pointer) and isinstance(ctype.target, Function):
        return host.callbacks.function_at(host, rax & 0xFFFF_FFFF, ctype.target)
    if finish is not None:
        if rax >> 32 and isinstance(ctype, Pointer) and isinstance(ctype.target, Void):
            handles = host.callbacks.handles
            if rax in handles:
                return handles[rax]
        return finish(host.instance, host, rax & 0xFFFF_FFFF)
    integers, vectors = [rax, registers.rdx], list(registers.vectors)
    data = bytearray(passing.stack_bytes)
    for kind, index in passing.words:
        word = (integers if kind == INTEGER else vectors).pop(0)
        size = 16 if kind == VECTOR else 8
        data[8 * index : 8 * index + size] = word.to_bytes(16, "little")[:size]
    return unpack(ctype, bytes(data[: passing.size_bytes]), host.instance)


def export(
    prototype: Prototype,
    address: int,
    by_clang: bool = True,
    *,
    keeps: object = None,
    finish: _native.PointerMaker | None = None,
) -> _native.Export:
    """What one export's functions, of all sandboxes, share: the core's fast path if the types allow it. Its
    `bind(instance, host, owner)` makes one of them. keeps: lives as long. finish: makes the pointers that
    calls return."""
    call_plan = plan(prototype, by_clang)

    def slow(host: Host, *arguments: Any, **keywords: Any) -> Any:
        return careful_call(host, call_plan, address, arguments, keywords, -1.0, finish)

    arguments, code, items = call_plan.fast or (None, None, "")
    attributes = {
        "__doc__": f"{prototype}",
        "__signature__": signature_of(prototype),
        "prototype": prototype,
        "keeps": keeps,
    }
    kinds = tuple(parameter_kind(p.type) for p in prototype.parameters)
    layouts = tuple(value_layout(p.type) or parameter_layout(p.type) for p in prototype.parameters)
    return _native.Export(
        address, printable(prototype.name), arguments, code, slow, attributes, items, kinds, finish, layouts,
        value_layout(prototype.result),
    )  # fmt: skip
