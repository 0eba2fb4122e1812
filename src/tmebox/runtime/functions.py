"""Exports as Python callables: what the core converts itself, and the careful path for everything else."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from tmebox import _native
from tmebox.prototypes import Array, Bool, CType, Float, Integer, Pointer, Prototype, Void, size_of
from tmebox.runtime.abi_classes import MEMORY, SSE, classify
from tmebox.runtime.arguments import (
    CallFrame,
    Converter,
    Space,
    check_count,
    converter,
    describe,
    variadic_converter,
)
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.runtime.values import unpack

INTEGER_CODES = {(8, True): "b", (8, False): "B", (16, True): "h", (16, False): "H",
                 (32, True): "i", (32, False): "I", (64, True): "l", (64, False): "L"}  # fmt: skip


class Host(Space, Protocol):
    """What a bound function needs of its sandbox."""

    instance: _native.Instance

    @property
    def memory(self) -> SandboxMemory: ...


def type_code(ctype: CType) -> str | None:
    """The core's code for a type it can convert by itself, or None."""
    match ctype:
        case Void():
            return "v"
        case Bool():
            return "?"
        case Integer(bits, signed, _):
            return INTEGER_CODES.get((bits, signed))
        case Float(32):
            return "f"
        case Float(64):
            return "d"
        case Pointer(_, const):
            return "P" if const else "p"
        case Array():
            return "p"
    return None


def is_string(ctype: CType) -> bool:
    """`const char *`, which reads as text in Python."""
    return (
        isinstance(ctype, Pointer)
        and ctype.const
        and isinstance(ctype.target, Integer)
        and ctype.target.name == "char"
    )


@dataclass(frozen=True)
class CallPlan:
    """How to call functions of one prototype; worked out once. `fast` is (argument codes, result code)."""

    prototype: Prototype
    names: tuple[str, ...]
    converters: tuple[Converter, ...]
    result_classes: tuple[str, ...]
    fast: tuple[str, str] | None


@lru_cache(maxsize=4096)
def plan(prototype: Prototype) -> CallPlan:
    names = tuple(p.name or f"argument{index + 1}" for index, p in enumerate(prototype.parameters))
    converters = tuple(
        converter(p.type, describe(index, p.name, p.type)) for index, p in enumerate(prototype.parameters)
    )
    classes = classify(prototype.result)
    if isinstance(prototype.result, Float) and prototype.result.bits > 64:
        raise TypeError(f"{prototype.name}() returns {prototype.result}, which cannot reach Python")
    codes = [type_code(p.type) for p in prototype.parameters]
    result = type_code(prototype.result)
    fast = None
    if (
        not prototype.variadic
        and result is not None
        and not is_string(prototype.result)
        and None not in codes
    ):
        fast = ("".join(code for code in codes if code), result.lower() if result == "P" else result)
    return CallPlan(prototype, names, converters, classes, fast)


def signature_of(prototype: Prototype) -> inspect.Signature:
    """For help() and inspect.signature: C types as annotations."""
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str(p.type))
        for name, p in zip(_python_names(prototype), prototype.parameters, strict=True)
    ]
    if prototype.variadic:
        parameters.append(inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL))
    return inspect.Signature(parameters, return_annotation=str(prototype.result))


def _python_names(prototype: Prototype) -> list[str]:
    names: list[str] = []
    for index, parameter in enumerate(prototype.parameters):
        name = parameter.name if parameter.name.isidentifier() else f"argument{index + 1}"
        try:
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        except ValueError:
            name = f"{name}_"
        names.append(name if name not in names else f"{name}_{index + 1}")
    return names


def careful_call(
    host: Host,
    call_plan: CallPlan,
    address: int,
    arguments: Sequence[Any],
    keywords: dict[str, Any],
    timeout_s: float,
) -> Any:
    """Convert every argument by its parameter, call, copy back, convert the result."""
    prototype = call_plan.prototype
    values = _bind(call_plan, arguments, keywords)
    frame = CallFrame(host)
    result_offset = 0
    try:
        if MEMORY in call_plan.result_classes:
            result_offset = frame.reserve(size_of(prototype.result))
            frame.integer(result_offset)
        for convert, value in zip(call_plan.converters, values, strict=False):
            convert(value, frame)
        for index in range(len(call_plan.converters), len(values)):
            variadic_converter(values[index], frame, f"argument {index + 1}")
        registers = host.instance.call(address, frame.integers, frame.vectors, bytes(frame.stack), timeout_s)
        frame.finish()
        return _result(host, call_plan, registers, result_offset)
    finally:
        frame.close()


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
                f"{call_plan.prototype.name}() got an unexpected or repeated argument {unexpected!r}"
            )
    check_count(call_plan.prototype.name, names, len(values), call_plan.prototype.variadic)
    return values


def _result(host: Host, call_plan: CallPlan, registers: tuple[int, int, int, int], result_offset: int) -> Any:
    ctype = call_plan.prototype.result
    if isinstance(ctype, Void):
        return None
    if MEMORY in call_plan.result_classes:
        return unpack(ctype, host.memory.read(result_offset, size_of(ctype)))
    rax, rdx, xmm0, xmm1 = registers
    integers, vectors = [rax, rdx], [xmm0, xmm1]
    words = [(vectors if kind == SSE else integers).pop(0) for kind in call_plan.result_classes]
    data = b"".join(word.to_bytes(8, "little") for word in words)
    if is_string(ctype):
        offset = rax & 0xFFFF_FFFF
        return host.memory.string(offset).decode("utf-8", "replace") if offset else None
    return unpack(ctype, data)


def export(prototype: Prototype, address: int) -> _native.Export:
    """What one export's functions, of all sandboxes, share: the core's fast path if the types allow it. Its
    `bind(instance, host, owner)` makes one of them."""
    call_plan = plan(prototype)

    def slow(host: Host, *arguments: Any, **keywords: Any) -> Any:
        return careful_call(host, call_plan, address, arguments, keywords, -1.0)

    arguments, result = call_plan.fast or (None, None)
    attributes = {"__doc__": f"{prototype}", "__signature__": signature_of(prototype)}
    return _native.Export(address, prototype.name, arguments, result, slow, attributes)
