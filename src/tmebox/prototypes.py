"""C types and function prototypes, as they are stored in a module and checked at each call.

Plain data: no parsing, no marshalling. `to_json`/`from_json` are exact inverses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tmebox.errors import ModuleError


@dataclass(frozen=True)
class Void:
    def __str__(self) -> str:
        return "void"


@dataclass(frozen=True)
class Integer:
    """`bits` is 8, 16, 32, 64 or 128; enums are integers under their own name."""

    bits: int
    signed: bool
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Bool:
    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True)
class Float:
    """`bits` is 32, 64, or 80 (long double: never passed by a call, only named)."""

    bits: int

    def __str__(self) -> str:
        return {32: "float", 64: "double", 80: "long double"}.get(self.bits, f"_Float{self.bits}")


@dataclass(frozen=True)
class Pointer:
    """`target` is Void for `void *`, function pointers and types too deep to spell out."""

    target: CType
    const: bool = False

    def __str__(self) -> str:
        target = str(self.target)
        return f"{'const ' * self.const}{target}{'' if target.endswith('*') else ' '}*"


@dataclass(frozen=True)
class Array:
    element: CType
    count: int

    def __str__(self) -> str:
        return f"{self.element}[{self.count}]"


@dataclass(frozen=True)
class StructField:
    name: str
    offset: int
    type: CType


@dataclass(frozen=True)
class Struct:
    """A struct or union (`union` has every field at offset 0). `fields` is empty when unknown."""

    name: str
    size_bytes: int
    align: int
    fields: tuple[StructField, ...] = field(default=())

    def __str__(self) -> str:
        return self.name


CType = Void | Integer | Bool | Float | Pointer | Array | Struct


@dataclass(frozen=True)
class Parameter:
    name: str
    type: CType


@dataclass(frozen=True)
class Prototype:
    """A function's prototype. `variadic` functions take more arguments than `parameters` names."""

    name: str
    result: CType
    parameters: tuple[Parameter, ...]
    variadic: bool = False

    def __str__(self) -> str:
        inside = [
            f"{p.type}{'' if str(p.type).endswith('*') else ' '}{p.name}".strip() for p in self.parameters
        ]
        if self.variadic:
            inside.append("...")
        gap = "" if str(self.result).endswith("*") else " "
        return f"{self.result}{gap}{self.name}({', '.join(inside) or 'void'})"


def type_to_json(ctype: CType) -> Any:
    match ctype:
        case Void():
            return "void"
        case Bool():
            return "bool"
        case Integer(bits, signed, name):
            return {"int": bits, "signed": signed, "name": name}
        case Float(bits):
            return {"float": bits}
        case Pointer(target, const):
            return {"pointer": type_to_json(target), "const": const}
        case Array(element, count):
            return {"array": type_to_json(element), "count": count}
        case Struct(name, size_bytes, align, fields):
            rows = [[f.name, f.offset, type_to_json(f.type)] for f in fields]
            return {"struct": name, "size": size_bytes, "align": align, "fields": rows}
    raise TypeError(f"not a C type: {ctype!r}")


MAX_DEPTH = 32


def type_from_json(data: Any, depth: int = 0) -> CType:
    """Inverse of `type_to_json`; raises ModuleError on anything else, since module files are not trusted."""
    if depth > MAX_DEPTH:
        raise ModuleError("a type in the module's prototypes nests too deeply")
    if data == "void":
        return Void()
    if data == "bool":
        return Bool()
    try:
        if "int" in data and data["int"] in (8, 16, 32, 64, 128):
            return Integer(data["int"], bool(data["signed"]), str(data["name"]))
        if "float" in data and data["float"] in (16, 32, 64, 80, 128):
            return Float(data["float"])
        if "pointer" in data:
            return Pointer(type_from_json(data["pointer"], depth + 1), bool(data["const"]))
        if "array" in data and 0 <= int(data["count"]) < 1 << 31:
            element = type_from_json(data["array"], depth + 1)
            # Nothing loops over elements that take no memory.
            return Array(element, int(data["count"]) if size_of(element) else 0)
        if "struct" in data:
            return _struct_from_json(data, depth)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModuleError(f"malformed type in the module's prototypes: {error}") from None
    raise ModuleError("unknown type in the module's prototypes")


def _struct_from_json(data: Any, depth: int) -> Struct:
    size, align = int(data["size"]), int(data["align"])
    if not (0 <= size < 1 << 31 and align in (1, 2, 4, 8, 16, 32, 64)):
        raise ModuleError("impossible struct size in the module's prototypes")
    fields = tuple(StructField(str(f[0]), int(f[1]), type_from_json(f[2], depth + 1)) for f in data["fields"])
    if any(f.offset < 0 or f.offset + size_of(f.type) > size for f in fields):
        raise ModuleError("a struct's field lies outside it in the module's prototypes")
    return Struct(str(data["struct"]), size, align, fields)


def size_of(ctype: CType) -> int:
    """Size in bytes, as the x86-64 System V ABI has it."""
    match ctype:
        case Void():
            return 0
        case Bool():
            return 1
        case Integer(bits, _, _):
            return bits // 8
        case Float(bits):
            return 16 if bits in (80, 128) else bits // 8
        case Pointer():
            return 8
        case Array(element, count):
            return size_of(element) * count
        case Struct(_, size_bytes, _, _):
            return size_bytes
    raise TypeError(f"not a C type: {ctype!r}")


def prototype_to_json(prototype: Prototype) -> Any:
    return {
        "name": prototype.name,
        "result": type_to_json(prototype.result),
        "parameters": [[p.name, type_to_json(p.type)] for p in prototype.parameters],
        "variadic": prototype.variadic,
    }


def prototype_from_json(data: Any) -> Prototype:
    try:
        parameters = tuple(Parameter(str(name), type_from_json(ctype)) for name, ctype in data["parameters"])
        return Prototype(
            str(data["name"]), type_from_json(data["result"]), parameters, bool(data["variadic"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModuleError(f"malformed prototype in the module: {error}") from None
