"""A module's exports as Python source that type checkers read: a class with one method for each.

Names and types are the module's author's word, and what is written here gets imported: whatever is no plain
identifier is left out, and comments hold nothing but printable ASCII.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count

from tmebox.modulefile.prototypes import (
    Array,
    Bool,
    Complex,
    CType,
    Float,
    Function,
    Integer,
    Opaque,
    Pointer,
    Prototype,
    Struct,
    Vector,
    Void,
)
from tmebox.runtime.attributes import BOX_ATTRIBUTES, SANDBOX_ATTRIBUTES, is_attribute
from tmebox.runtime.calls.functions import is_string, plan, python_names
from tmebox.runtime.calls.items import takes_text
from tmebox.runtime.calls.stub_pointers import PointerClasses

IMPORTED = frozenset(
    [
        "TYPE_CHECKING",
        "Any",
        "Callable",
        "Literal",
        "Mapping",
        "NamedTuple",
        "Sequence",
        "TypeAlias",
        "TypedDict",
        "annotations",
        "overload",
    ]
)
TAKEN = (
    IMPORTED
    | {"bool", "bytes", "complex", "float", "int", "str", "tmebox", "tuple", "hints"}
    | {"Final", "Path", "Unpack"}
)
"""Names that mean something else in a stub, or in the package that `tmebox bind` makes of one."""
OF_TUPLES = frozenset(dir(tuple))
LONGEST_TEXT = 500
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]|[\"\\]")


def stub(
    exports: Iterable[tuple[str, Prototype | None]],
    *,
    name: str,
    by_clang: bool = True,
    box: bool = False,
    docs: Mapping[str, str] | None = None,
    structs: Mapping[str, Struct] | None = None,
) -> str:
    """Source of a stub. exports: names and prototypes; name: of the file they are in; by_clang: see
    `Passing.is_wide`; box: of a Box, whose pointers have types; docs: of functions, by name; structs: those
    that a box's pointers may lead to."""
    class_name = _camel_case(name, "Exports")
    names = {class_name}
    pointers = PointerClasses(structs or {}, names)
    records = _Records(names, pointers if box else None)
    taken = BOX_ATTRIBUTES if box else SANDBOX_ATTRIBUTES
    methods = list(_methods(exports, records, by_clang, docs or {}, taken))
    lines = [
        f'"""What {_plain(name)} exports, for type checkers. Written by `tmebox stub`."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Callable, Mapping, Sequence",
        "from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict, overload",
        "",
        "import tmebox",
        "from tmebox import hints",
        "",
        *records.lines,
        *pointers.lines(),
        "",
        f"class {class_name}(tmebox.{'Box' if box else 'Sandbox'}):",
        f'    """A sandbox of {_plain(name)}."""',
        "",
        "    if TYPE_CHECKING:",
        "        __getattr__: None  # type: ignore  # what is not named here is a mistake",
        *(f"        {line}" for line in [*pointers.methods(), *methods]),
    ]
    return "\n".join(lines) + "\n"


def _methods(
    exports: Iterable[tuple[str, Prototype | None]],
    records: _Records,
    by_clang: bool,
    docs: Mapping[str, str],
    taken: frozenset[str],
) -> Iterator[str]:
    for name, prototype in exports:
        reason = _left_out(name, prototype, by_clang, taken)
        if reason is not None or prototype is None:
            yield f"# {_plain(name)}: {_plain(reason or '')}"
            continue
        method = _method(name, prototype, records, docs.get(name, ""))
        if name in records.names:
            yield f"# {name}: a type has this name; use exports"
        else:
            yield from method


def _left_out(name: str, prototype: Prototype | None, by_clang: bool, taken: frozenset[str]) -> str | None:
    """Why an export has no method, if so."""
    if not is_attribute(name):
        return "begins with an underscore; use exports"
    if name in taken:
        return "every sandbox has an attribute of this name; use exports"
    if not _is_name(name) or name in TAKEN:
        return "not a name for a method; use exports"
    if prototype is None:
        return "its prototype is not known; use call_raw"
    return plan(prototype, by_clang).refusal


def _method(name: str, prototype: Prototype, records: _Records, doc: str) -> list[str]:
    names, rest = python_names(prototype, lambda name: name.isascii() and name.isidentifier())
    own = "self"
    while own in (*names, rest):
        own = f"_{own}"
    parameters = [own]
    for shown, parameter in zip(names, prototype.parameters, strict=True):
        parameters.append(f"{shown}: {records.given(parameter.type)}")
    if prototype.variadic:
        parameters.append(f"*{rest}: hints.Variadic")
    result = "str | None" if is_string(prototype.result) else records.result(prototype.result)
    return [
        f"def {name}({', '.join(parameters)}) -> {result}:",
        *_documented(str(prototype), doc),
        "    ...",
    ]


def _documented(prototype: str, doc: str) -> list[str]:
    lines = [_plain(line) for line in doc.splitlines()]
    if not lines:
        return [f'    """{_plain(prototype)}"""']
    return [f'    """{_plain(prototype)}', "", *(f"    {line}".rstrip() for line in lines), '    """']


class _Records:
    """The structs that exports have, each with three types: `Point`, a named tuple, is what comes back;
    `PointFields` a mapping; and `PointGiven` all that can be passed."""

    def __init__(self, names: set[str], pointers: PointerClasses | None) -> None:
        """pointers: of a box."""
        self.names = names
        self._pointers = pointers
        self.lines: list[str] = []
        self._known: dict[Struct, str | None] = {}
        self._last_numbers: dict[str, int] = {}

    def given(self, ctype: CType) -> str:
        """The type of a parameter."""
        match ctype:
            case Pointer(Function() as function, _):
                return f"{self._callable(function)} | tmebox.Callback | hints.Offset"
            case Pointer(target, const):
                kind = f"hints.{'Const' * const}{'Text' if takes_text(target) else 'Pointer'}"
                return f"{self._struct_given(target)} | {kind}" if isinstance(target, Struct) else kind
            case Array(target, _):
                return self.given(Pointer(target))
        return self._member(ctype)

    def _callable(self, function: Function) -> str:
        """A function of the host that goes by pointer; its result may be what C converts."""
        arguments = ", ".join(self._arriving(parameter.type) for parameter in function.parameters)
        result = "object" if isinstance(function.result, Void) else self._member(function.result)
        return f"Callable[[{'...' if function.variadic else arguments}], {result}]".replace("[[...]", "[...")

    def _arriving(self, ctype: CType) -> str:
        """The type of an argument that a function of the host gets: what it says that it takes is believed of
        pointers, which arrive as texts, objects, offsets or pointers."""
        return "Any" if isinstance(ctype, Pointer | Array) else self.returned(ctype)

    def result(self, ctype: CType) -> str:
        if isinstance(ctype, Pointer) and isinstance(ctype.target, Function):
            return f"{self._callable(ctype.target)} | None"
        if self._pointers and isinstance(ctype, Pointer):
            return f"{self._pointers.of(ctype.target)} | None"
        return self.returned(ctype)

    def returned(self, ctype: CType) -> str:
        """The type of a member of a result."""
        match ctype:
            case Void():
                return "None"
            case Bool():
                return "bool"
            case Integer() | Pointer():
                return "hints.Untrusted" if self._pointers else "int"
            case Float(80):
                return "hints.LongDouble"
            case Float(128) | Opaque():
                return "bytes"
            case Float():
                return "float"
            case Complex(80):
                return "hints.LongComplex"
            case Complex():
                return "complex"
            case Array(element, _) | Vector(element, _, _):
                return f"tuple[{self.returned(element)}, ...]"
            case Struct():
                return self._name(ctype) or "Any"
        return "Any"

    def _member(self, ctype: CType) -> str:
        """The type of a value that is passed by itself, or in a struct."""
        match ctype:
            case Bool():
                return "hints.Truth"
            case Integer():
                return "hints.Int"
            case Float():
                return "hints.Real"
            case Complex():
                return "hints.Complex"
            case Pointer():
                return "hints.Offset"
            case Array(element, _) | Vector(element, _, _):
                return f"Sequence[{self._member(element)}] | hints.Buffer"
            case Struct():
                return self._struct_given(ctype)
            case Opaque():
                return "hints.Buffer"
        return "Any"

    def _stored(self, ctype: CType) -> str:
        """The type of a member of a struct, which texts and functions may stand for as well."""
        match ctype:
            case Pointer(Function(), _):
                return "hints.Offset | tmebox.Callback | Callable[..., object]"
            case Pointer(target, _):
                text = " | str | bytes" if takes_text(target) else ""
                handle = " | tmebox.Handle" if isinstance(target, Void) else ""
                return f"hints.Offset | tmebox.Pointer{handle}{text}"
            case Array(element, _) | Vector(element, _, _):
                text = " | str" if isinstance(element, Integer) and element.is_char else ""
                return f"Sequence[{self._stored(element)}] | hints.Buffer{text}"
        return self._member(ctype)

    def _struct_given(self, struct: Struct) -> str:
        name = self._name(struct)
        return f"{name}Given" if name else "Mapping[str, Any] | tuple[Any, ...] | hints.Buffer"

    def _name(self, struct: Struct) -> str | None:
        """Of a struct's types, written when it is first met; None if its members have no names in Python."""
        if struct not in self._known:
            self._known[struct] = self._write(struct)
        return self._known[struct]

    def _write(self, struct: Struct) -> str | None:
        fields = [field.name for field in struct.fields]
        if not fields or len(set(fields)) < len(fields):
            return None
        if any(not _is_name(name) or not is_attribute(name) or name in TAKEN for name in fields):
            return None
        returned = [self.returned(field.type) for field in struct.fields]
        members = [self._stored(field.type) for field in struct.fields]
        name = self._new_name(struct)
        if not self.names.isdisjoint(fields):
            self.names -= _three(name)
            return None
        items = members[:1] if struct.union else members
        self.lines += ["", f"class {name}(NamedTuple):"]
        for field, ctype in zip(fields, returned, strict=True):
            self.lines.append(f"    {field}: {ctype}{'  # type: ignore' * (field in OF_TUPLES)}")
        self.lines += ["", "", f"class {name}Fields(TypedDict, total=False):"]
        self.lines += [f"    {field}: {ctype}" for field, ctype in zip(fields, members, strict=True)]
        given = f"{name}Fields | tuple[{', '.join(items)}] | hints.Buffer"
        self.lines += ["", "", f'{name}Given: TypeAlias = "{given}"', ""]
        return name

    def _new_name(self, struct: Struct) -> str:
        base = _camel_case(struct.name.split()[-1] if struct.name else "", "Struct")
        for number in count(self._last_numbers.get(base, 0) + 1):
            name = base if number == 1 else f"{base}{number}"
            if all(three not in self.names and three not in TAKEN for three in _three(name)):
                break
        self._last_numbers[base] = number  # hundreds of structs may have one name
        self.names |= _three(name)
        return name


def _three(name: str) -> set[str]:
    return {name, f"{name}Fields", f"{name}Given"}


def _is_name(name: str) -> bool:
    """Of something that is defined: Python defines __debug__ itself."""
    is_free = not keyword.iskeyword(name) and name != "__debug__"
    return is_free and name.isascii() and name.isidentifier()


def _camel_case(text: str, otherwise: str) -> str:
    """A class's name: "read_only" becomes ReadOnly."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words)[:80]
    return name if _is_name(name) and name not in TAKEN else otherwise


def _plain(text: str) -> str:
    """For a comment or a docstring."""
    return _NOT_PLAIN.sub("?", text[:LONGEST_TEXT])
