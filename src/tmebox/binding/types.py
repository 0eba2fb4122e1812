"""The types that headers define: all of them are there for `Box.new`, whether or not a function spells them.

Debug information has the types that functions use, some only in part. So a package has functions that nobody
calls, whose parameters are the headers' types. They also tell what a struct without a tag is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tmebox.modulefile.file import Export, ModuleFile
from tmebox.modulefile.prototypes import (
    Array,
    CType,
    Function,
    Parameter,
    Pointer,
    Prototype,
    Struct,
    StructField,
    Void,
)
from tmebox.runtime.calls.named import TYPES

_DEFINED = re.compile(r"\b(typedef\s+)?(struct|union)\s+([A-Za-z_]\w*)?\s*\{")
_ALIAS = re.compile(r"\btypedef\s+(?:struct|union)\s+[A-Za-z_]\w*\s+([A-Za-z_]\w*)\s*;")
_TYPEDEF = re.compile(r"\btypedef\b")
_CALLBACK = re.compile(r"\(\s*\*\s*(?:const\s+)?([A-Za-z_]\w*)\s*\)\s*\(")
_BRACE = re.compile(r"[{}]")
_END = re.compile(r"[;{}]")
_NAME = re.compile(r"\s*([A-Za-z_]\w*)\s*[,;]")
_NO_TAG = frozenset({"struct", "union"})
"""What structs without a tag are called, until a typedef's name is known."""
EACH = 6
"""Types that one function tells of: what a prototype spells out is bounded."""


def types_in(code: str) -> list[str]:
    """The types that preprocessed text defines at its top level, as C names them: "struct point"."""
    found: dict[str, None] = {}
    position = depth = 0
    for match in _DEFINED.finditer(code):
        depth += code.count("{", position, match.start()) - code.count("}", position, match.start())
        position = match.start()
        if depth:
            continue  # within another
        if match[3]:
            found[f"{match[2]} {match[3]}"] = None
        end = _closing(code, match.end())
        if end is None:
            break
        named = _NAME.match(code, end)
        if match[1] and named:
            found[named[1]] = None
    found.update(dict.fromkeys(_ALIAS.findall(code)))
    for statement in _END.split(code):
        typedef = _TYPEDEF.search(statement)
        callback = _CALLBACK.search(statement, typedef.end()) if typedef else None
        if callback:
            found[callback[1]] = None
    return list(found)


def _closing(code: str, start: int) -> int | None:
    """Where it goes on behind the brace that ends what began before `start`."""
    depth = 1
    for match in _BRACE.finditer(code, start):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return match.end()
    return None


def witnesses(types: list[str]) -> str:
    """C source of the functions."""
    lines = []
    for number in range(0, len(types), EACH):
        parameters = ", ".join(f"{name} *p{i}" for i, name in enumerate(types[number : number + EACH]))
        lines.append(f"void {TYPES}{number // EACH}({parameters}) {{}}")
    return "\n".join(lines)


def names_of_witnesses(types: list[str]) -> list[str]:
    return [f"{TYPES}{number}" for number in range(-(-len(types) // EACH))]


def with_names(file: ModuleFile, types: list[str]) -> ModuleFile:
    """The module, in whose prototypes structs without a tag have the names that typedefs give them, where one
    only fits."""
    named: dict[Struct, set[str]] = {}
    for name, ctype in _told(file, types):
        if isinstance(ctype, Struct) and " " not in name:
            named.setdefault(_bare(ctype), set()).add(name)
    known = {struct: next(iter(names)) for struct, names in named.items() if len(names) == 1}
    exports = tuple(_renamed(export, known) for export in file.exports)
    told = {
        witness: types[number * EACH : (number + 1) * EACH]
        for number, witness in enumerate(names_of_witnesses(types))
    }
    return with_parameters(replace(file, exports=exports), told)  # the types' names, for `Box.new`


def with_parameters(file: ModuleFile, names: Mapping[str, Sequence[str]]) -> ModuleFile:
    """The module, whose functions' parameters are called as headers call them, where those do."""
    return replace(
        file, exports=tuple(_called_as(export, names.get(export.name, ())) for export in file.exports)
    )


def _called_as(export: Export, names: Sequence[str]) -> Export:
    prototype = export.prototype
    if prototype is None or len(names) != len(prototype.parameters):
        return export
    pairs = zip(prototype.parameters, names, strict=True)
    parameters = tuple(replace(parameter, name=name or parameter.name) for parameter, name in pairs)
    if len({parameter.name for parameter in parameters}) < len(parameters):
        return export
    return replace(export, prototype=replace(prototype, parameters=parameters))


def structs_of(file: ModuleFile, types: list[str]) -> dict[str, Struct]:
    """Structs by the headers' names for them; several may be one."""
    return {name: ctype for name, ctype in _told(file, types) if isinstance(ctype, Struct)}


def _told(file: ModuleFile, types: list[str]) -> Iterator[tuple[str, CType]]:
    prototypes = {export.name: export.prototype for export in file.exports}
    for number, witness in enumerate(names_of_witnesses(types)):
        prototype = prototypes.get(witness)
        for index, parameter in enumerate(prototype.parameters if prototype else ()):
            if isinstance(parameter.type, Pointer):
                yield types[number * EACH + index], parameter.type.target


def _bare(struct: Struct) -> Struct:
    """By which the same struct is known from one source to the next, which may know more of what its pointers
    lead to."""
    fields = tuple(replace(field, type=_without_targets(field.type)) for field in struct.fields)
    return replace(struct, name="", tag="", fields=fields)


def _without_targets(ctype: CType) -> CType:
    match ctype:
        case Pointer():
            return Pointer(Void())
        case Array(element, count):
            return Array(_without_targets(element), count)
        case Struct():
            return _bare(ctype)
    return ctype


def _renamed(export: Export, known: dict[Struct, str]) -> Export:
    prototype = export.prototype
    if prototype is None:
        return export
    parameters = _parameters(prototype.parameters, known)
    renamed = Prototype(
        prototype.name, _type(prototype.result, known), parameters, prototype.variadic, prototype.convention
    )
    return replace(export, prototype=renamed)


def _parameters(parameters: tuple[Parameter, ...], known: dict[Struct, str]) -> tuple[Parameter, ...]:
    return tuple(Parameter(parameter.name, _type(parameter.type, known)) for parameter in parameters)


def _type(ctype: CType, known: dict[Struct, str]) -> CType:
    match ctype:
        case Pointer(target, const):
            return Pointer(_type(target, known), const)
        case Array(element, count):
            return Array(_type(element, known), count)
        case Function(result, parameters, variadic, name):
            return Function(_type(result, known), _parameters(parameters, known), variadic, name)
        case Struct() if ctype.name in _NO_TAG and _bare(ctype) in known:
            return replace(ctype, name=known[_bare(ctype)])
        case Struct():
            fields = tuple(
                StructField(field.name, field.offset, _type(field.type, known), field.bits, field.bit)
                for field in ctype.fields
            )
            return replace(ctype, fields=fields)
    return ctype
