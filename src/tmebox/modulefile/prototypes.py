"""C types and function prototypes, as they are stored in a module and checked at each call.

Plain data: no parsing, no marshalling. `to_json`/`from_json` are exact inverses, of names that are printable;
others are spelled out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tmebox.demangle import called
from tmebox.errors import ModuleError
from tmebox.once import once
from tmebox.shown import printable


class _Type:
    """What others remember of a type is kept in it, under names with dots, and is no part of it."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if "." not in name}


@dataclass(frozen=True)
class Void(_Type):
    def __str__(self) -> str:
        return "void"


@dataclass(frozen=True)
class Integer(_Type):
    """`bits` is 8, 16, 32, 64 or 128; enums are integers under their own name. `base`: what `name` is a
    typedef of; empty if it is none."""

    bits: int
    signed: bool
    name: str
    base: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def is_char(self) -> bool:
        """Plain `char`, whatever typedef it goes by: what strings are made of."""
        return (self.base or self.name) == "char"

    @property
    def is_enum(self) -> bool:
        return (self.base or self.name).startswith("enum")


@dataclass(frozen=True)
class Bool(_Type):
    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True)
class Float(_Type):
    """`bits` is 16, 32, 64, 80 (long double) or 128."""

    bits: int

    def __str__(self) -> str:
        return {32: "float", 64: "double", 80: "long double"}.get(self.bits, f"_Float{self.bits}")


@dataclass(frozen=True)
class Complex(_Type):
    """A real and an imaginary part of `bits` each: 32, 64 or 80."""

    bits: int

    def __str__(self) -> str:
        return f"{Float(self.bits)} _Complex"


@dataclass(frozen=True)
class Pointer(_Type):
    """`target` is Void for `void *` and types too deep to spell out."""

    target: CType
    const: bool = False

    def __str__(self) -> str:
        if isinstance(self.target, Function):
            return self.target.pointer
        if isinstance(self.target, Pointer):
            return f"{self.target}{'const ' * self.const}*"
        return f"{'const ' * self.const}{self.target} *"


@dataclass(frozen=True)
class Array(_Type):
    element: CType
    count: int

    def __str__(self) -> str:
        return f"{self.element}[{self.count}]"


@dataclass(frozen=True)
class Vector(_Type):
    """What `vector_size` makes: `count` elements in `size_bytes`, a power of two."""

    element: CType
    count: int
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.element} __attribute__((vector_size({self.size_bytes})))"


@dataclass(frozen=True)
class Opaque(_Type):
    """A type of which only the size is known (0: not even that), and why that is not enough to pass it.
    `tag`: what `name` is a typedef of, if it is one."""

    name: str
    size_bytes: int
    align: int = 1
    reason: str = ""
    tag: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class StructField:
    """`offset` in bytes. A bit-field has `bits` of them, from bit number `bit` of the byte at `offset` on."""

    name: str
    offset: int
    type: CType
    bits: int = 0
    bit: int = 0


@dataclass(frozen=True)
class Struct(_Type):
    """A struct or union. An anonymous member has an empty name.

    align_certain: False where debug information does not tell whether it is packed, and `align` assumes not.
    tag: what `name` is a typedef of, if it is one.
    """

    name: str
    size_bytes: int
    align: int
    fields: tuple[StructField, ...] = field(default=())
    union: bool = False
    align_certain: bool = True
    tag: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Function(_Type):
    """What a function pointer points to. `name`: how the pointer is written, where a typedef says it."""

    result: CType
    parameters: tuple[Parameter, ...]
    variadic: bool = False
    name: str = ""

    @property
    def pointer(self) -> str:
        """The type of a pointer to it."""
        return self.name or f"{self.result} (*)({self._inside})"

    @property
    def _inside(self) -> str:
        types = [str(p.type) for p in self.parameters] + ["..."] * self.variadic
        return ", ".join(types) or "void"

    def __str__(self) -> str:
        return f"{self.result} ({self._inside})"


CType = Void | Integer | Bool | Float | Complex | Pointer | Array | Vector | Opaque | Struct | Function


@dataclass(frozen=True)
class Parameter:
    name: str
    type: CType


@dataclass(frozen=True)
class Prototype:
    """A function's prototype. `variadic` functions take more arguments than `parameters` names. `convention`
    names how it is called, if that is not the platform's way."""

    name: str
    result: CType
    parameters: tuple[Parameter, ...]
    variadic: bool = False
    convention: str = ""

    def __str__(self) -> str:
        return self._shown

    @once
    def _shown(self) -> str:
        """Each sandbox asks for it, for each of its imports."""
        inside = [
            f"{p.type}{'' if str(p.type).endswith('*') else ' '}{p.name}".strip() for p in self.parameters
        ]
        if self.variadic:
            inside.append("...")
        gap = "" if str(self.result).endswith("*") else " "
        return f"{self.result}{gap}{called(self.name)}({', '.join(inside) or 'void'})"


def type_to_json(ctype: CType) -> Any:
    match ctype:
        case Void():
            return "void"
        case Bool():
            return "bool"
        case Integer(bits, signed, name, base):
            return {"int": bits, "signed": signed, "name": name, **({"base": base} if base else {})}
        case Float(bits):
            return {"float": bits}
        case Complex(bits):
            return {"complex": bits}
        case Pointer(target, const):
            return {"pointer": type_to_json(target), "const": const}
        case Array(element, count):
            return {"array": type_to_json(element), "count": count}
        case Vector(element, count, size_bytes):
            return {"vector": type_to_json(element), "count": count, "size": size_bytes}
        case Function():
            return _function_to_json(ctype)
        case Opaque(name, size_bytes, align, reason, tag):
            data = {"opaque": name, "size": size_bytes, "align": align, "reason": reason}
            return {**data, "tag": tag} if tag else data
        case Struct():
            return _struct_to_json(ctype)
    raise TypeError(f"not a C type: {ctype!r}")


def _struct_to_json(struct: Struct) -> Any:
    rows = []
    for f in struct.fields:
        rows.append([f.name, f.offset, type_to_json(f.type), *([f.bits, f.bit] if f.bits else [])])
    data = {"struct": struct.name, "size": struct.size_bytes, "align": struct.align, "fields": rows}
    if struct.union:
        data["union"] = True
    if not struct.align_certain:
        data["align_certain"] = False
    if struct.tag:
        data["tag"] = struct.tag
    return data


def _function_to_json(function: Function) -> Any:
    return {
        "function": type_to_json(function.result),
        "parameters": [[p.name, type_to_json(p.type)] for p in function.parameters],
        **({"variadic": True} if function.variadic else {}),
        **({"name": function.name} if function.name else {}),
    }


MAX_DEPTH = 32
MAX_PARAMETERS = 1024
LONGEST_NAME = 1000
LONGEST_SYMBOL = 4096
"""Of functions, as C++ mangles them."""
LARGEST_BIT_FIELD_TYPE = 16
"""Bytes."""
ALIGNMENTS = tuple(1 << power for power in range(13))


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
            return Integer(
                data["int"], bool(data["signed"]), _name(data["name"]), _name(data.get("base", ""))
            )
        if "float" in data and data["float"] in (16, 32, 64, 80, 128):
            return Float(data["float"])
        if "complex" in data and data["complex"] in (32, 64, 80):
            return Complex(data["complex"])
        if "pointer" in data:
            target = data["pointer"]
            if isinstance(target, dict) and "function" in target:
                return Pointer(_function_from_json(target, depth + 1), bool(data["const"]))
            return Pointer(type_from_json(target, depth + 1), bool(data["const"]))
        if "array" in data and 0 <= int(data["count"]) < 1 << 31:
            element = type_from_json(data["array"], depth + 1)
            # Nothing loops over elements that take no memory.
            return Array(element, int(data["count"]) if size_of(element) else 0)
        if "vector" in data:
            return _vector_from_json(data, depth)
        if "opaque" in data:
            size, align = _size_and_align(data)
            tag = _name(data.get("tag", ""))
            return Opaque(_name(data["opaque"]), size, align, _name(data["reason"])[:200], tag)
        if "struct" in data:
            return _struct_from_json(data, depth)
        if "function" in data:
            raise ModuleError("a function is no value: only pointers to functions are, in prototypes")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModuleError(f"malformed type in the module's prototypes: {error}") from None
    raise ModuleError("unknown type in the module's prototypes")


def _name(data: Any, longest: int = LONGEST_NAME) -> str:
    """Names end up in messages and reprs, and are put together with those of their members. Those of C are
    printable as they are, and short: others are spelled out, and cut to what still tells them apart."""
    if not isinstance(data, str):
        raise TypeError("a name that is not text")
    name = printable(data, longest=longest)
    if len(data) <= longest and len(name) <= longest:
        return name
    digest = sha256(data.encode(errors="surrogatepass")).hexdigest()
    return f"{name[: longest - 20]}… {digest[:16]}"


def _size_and_align(data: Any) -> tuple[int, int]:
    size, align = int(data["size"]), int(data["align"])
    if not (0 <= size < 1 << 31 and align in ALIGNMENTS):
        raise ModuleError("impossible struct size in the module's prototypes")
    return size, align


def _vector_from_json(data: Any, depth: int) -> Vector:
    element, count, size = type_from_json(data["vector"], depth + 1), int(data["count"]), int(data["size"])
    if size not in ALIGNMENTS or not 0 < size_of(element) * count <= size:
        raise ModuleError("impossible vector in the module's prototypes")
    return Vector(element, count, size)


def _function_from_json(data: Any, depth: int) -> Function:
    if depth > MAX_DEPTH:
        raise ModuleError("a type in the module's prototypes nests too deeply")
    parameters = _parameters_from_json(data["parameters"], depth + 1)
    name = _name(data.get("name", ""))[:200]
    return Function(
        type_from_json(data["function"], depth + 1), parameters, bool(data.get("variadic", False)), name
    )


def _parameters_from_json(rows: Any, depth: int) -> tuple[Parameter, ...]:
    if not isinstance(rows, list) or len(rows) > MAX_PARAMETERS:
        raise ModuleError("impossible parameters in the module's prototypes")
    return tuple(Parameter(_name(name), type_from_json(ctype, depth)) for name, ctype in rows)


def _struct_from_json(data: Any, depth: int) -> Struct:
    size, align = _size_and_align(data)
    fields = []
    for name, offset, ctype, *bits in data["fields"]:
        found = StructField(_name(name), int(offset), type_from_json(ctype, depth + 1), *map(int, bits))
        if not (found.offset >= 0 and _end_of(found) <= 8 * size):
            raise ModuleError("a struct's field lies outside it in the module's prototypes")
        fields.append(found)
    union, certain = bool(data.get("union", False)), bool(data.get("align_certain", True))
    tag = _name(data.get("tag", ""))
    return Struct(_name(data["struct"]), size, align, tuple(fields), union, certain, tag)


def _end_of(struct_field: StructField) -> int:
    """In bits, from the struct's start. Raises ModuleError for a bit-field that cannot be."""
    bits, bit, ctype = struct_field.bits, struct_field.bit, struct_field.type
    if not bits and not bit:
        return 8 * (struct_field.offset + size_of(ctype))
    can_be = isinstance(ctype, Integer | Bool | Opaque) and size_of(ctype) <= LARGEST_BIT_FIELD_TYPE
    if not (can_be and 0 <= bit < 8 and 0 < bits <= 8 * size_of(ctype)):
        raise ModuleError("an impossible bit-field in the module's prototypes")
    return 8 * struct_field.offset + bit + bits


def size_of(ctype: CType) -> int:
    """Size in bytes, as the x86-64 System V ABI has it."""
    match ctype:
        case Void() | Function():
            return 0
        case Bool():
            return 1
        case Integer(bits, _, _):
            return bits // 8
        case Float(bits):
            return 16 if bits in (80, 128) else bits // 8
        case Complex(bits):
            return 2 * size_of(Float(bits))
        case Pointer():
            return 8
        case Array(element, count):
            return size_of(element) * count
        case Struct() | Opaque() | Vector():
            return ctype.size_bytes
    raise TypeError(f"not a C type: {ctype!r}")


def align_of(ctype: CType) -> int:
    """Alignment in bytes, as the x86-64 System V ABI has it."""
    match ctype:
        case Array(element, _):
            return align_of(element)
        case Complex(bits):
            return size_of(Float(bits))
        case Struct() | Opaque():
            return ctype.align
    return max(size_of(ctype), 1)


def prototype_to_json(prototype: Prototype) -> Any:
    return {
        "name": prototype.name,
        "result": type_to_json(prototype.result),
        "parameters": [[p.name, type_to_json(p.type)] for p in prototype.parameters],
        "variadic": prototype.variadic,
        **({"convention": prototype.convention} if prototype.convention else {}),
    }


def prototype_from_json(data: Any) -> Prototype:
    try:
        parameters = _parameters_from_json(data["parameters"], 0)
        convention = _name(data.get("convention", ""))[:200]
        result = type_from_json(data["result"])
        return Prototype(
            _name(data["name"], LONGEST_SYMBOL), result, parameters, bool(data["variadic"]), convention
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModuleError(f"malformed prototype in the module: {error}") from None
