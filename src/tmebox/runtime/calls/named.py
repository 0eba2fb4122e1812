"""C types by the names that C programs write: of structs, typedefs and function pointers of a module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tmebox import _native
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
    size_of,
)
from tmebox.runtime.calls.layouts import layout_of
from tmebox.runtime.module import Module

BASIC: dict[str, CType] = {
    "void": Void(),
    "bool": Bool(),
    "_Bool": Bool(),
    "char": Integer(8, True, "char"),
    "float": Float(32),
    "double": Float(64),
    "long double": Float(80),
    "_Float16": Float(16),
    "float _Complex": Complex(32),
    "double _Complex": Complex(64),
    "long double _Complex": Complex(80),
    "__int128": Integer(128, True, "__int128"),
    "unsigned __int128": Integer(128, False, "unsigned __int128"),
    "size_t": Integer(64, False, "size_t", "unsigned long"),
    "ssize_t": Integer(64, True, "ssize_t", "long"),
    "intptr_t": Integer(64, True, "intptr_t", "long"),
    "uintptr_t": Integer(64, False, "uintptr_t", "unsigned long"),
    "ptrdiff_t": Integer(64, True, "ptrdiff_t", "long"),
    "signed char": Integer(8, True, "signed char"),
    "unsigned char": Integer(8, False, "unsigned char"),
    "unsigned": Integer(32, False, "unsigned int"),
}
for _name, _bits in (("short", 16), ("int", 32), ("long", 64), ("long long", 64)):
    for _sign in ("", "unsigned "):
        BASIC[_sign + _name] = Integer(_bits, not _sign, _sign + _name)
for _bits in (8, 16, 32, 64):
    for _sign in ("", "u"):
        BASIC[f"{_sign}int{_bits}_t"] = Integer(_bits, not _sign, f"{_sign}int{_bits}_t")

_WORDS = re.compile(r"\s*((?:(?:struct|union|enum)\s+)?[A-Za-z_]\w*(?:\s+[A-Za-z_]\w*)*)\s*(.*)", re.DOTALL)
_SUFFIX = re.compile(r"\s*(\*\s*(?:const\b)?|\[\s*(\d+)\s*\])")
LARGEST_COUNT = 1 << 31
TYPES = "tmebox_types_"
"""What begins the name of a function that nobody calls: its parameters point to types that headers define,
and are called as those are."""


@dataclass(frozen=True, eq=False)
class Room:
    """What `Box.new` needs of a type: what is in it, how often, and its size. layout: of a struct that the
    core packs by itself."""

    type: CType
    target: CType
    count: int
    size_bytes: int
    layout: _native.StructLayout | None


MOST_FOUND = 1024
"""Texts whose types are remembered."""


class Names:
    """The types of a module by name."""

    def __init__(
        self, prototypes: Iterable[Prototype | None], declared: dict[str, CType] | None = None
    ) -> None:
        """declared: names of types that come first."""
        self._named: dict[str, CType] = {}
        self._found: dict[str, CType] = {}
        self._rooms: dict[str, Room] = {}
        for prototype in filter(None, prototypes):
            for ctype in (prototype.result, *(p.type for p in prototype.parameters)):
                self._collect(ctype)
            for index, parameter in enumerate(prototype.parameters):
                if _function_of(parameter.type):
                    self._named.setdefault(f"{prototype.name}.{parameter.name or index}", parameter.type)
        self._named.update(declared or {})

    def declare(self, told: Prototype) -> None:
        """Types by names that they do not know themselves, such as those of pointers."""
        for parameter in told.parameters:
            if isinstance(parameter.type, Pointer):
                self._named.setdefault(parameter.name, parameter.type.target)

    def _collect(self, ctype: CType) -> None:
        for found in _inside(ctype, set()):
            name = str(found)
            for field in found.fields if isinstance(found, Struct) else ():
                if _function_of(field.type):
                    self._named.setdefault(f"{name}.{field.name}", field.type)
            names = {name, getattr(found, "tag", "") or name}
            for name in names:
                known = self._named.get(name)
                if known is None or (isinstance(known, Opaque) and not isinstance(found, Opaque)):
                    self._named[name] = found

    def find(self, text: str) -> CType:
        """The type that a text such as "struct point", "int[100]" or "XML_StartElementHandler" names. Raises
        TypeError."""
        known = self._found.get(text)
        if known is None:
            known = self._parse(text)
            if len(self._found) < MOST_FOUND:
                self._found[text] = known
        return known

    def room(self, text: str) -> Room:
        """Raises TypeError, also for a type whose size is not known."""
        known = self._rooms.get(text)
        if known is None:
            known = _room_of(self.find(text))
            if len(self._rooms) < MOST_FOUND:
                self._rooms[text] = known
        return known

    def _parse(self, text: str) -> CType:
        exact = self._named.get(" ".join(text.split()))
        if exact is not None:
            return exact
        match = _WORDS.fullmatch(text)
        if match is None:
            raise TypeError(f"{text!r} is not the name of a C type")
        words = " ".join(word for word in match[1].split() if word not in ("const", "volatile"))
        is_const = "const" in match[1].split()
        ctype = self._named.get(words) or BASIC.get(words)
        if ctype is None:
            raise TypeError(f"the module has no type {words!r}{self._close_to(words)}")
        return _with_suffixes(ctype, match[2], is_const, text)

    def _close_to(self, words: str) -> str:
        found = [name for name in self._named if words in name or name.split()[-1] == words]
        return f"; it has {', '.join(sorted(found)[:5])}" if found else ""

    def full(self, ctype: CType) -> CType:
        """A struct whose members were left out where it was met, with them."""
        found = self._named.get(ctype.tag or ctype.name) if isinstance(ctype, Opaque) else None
        return found if isinstance(found, Struct) else ctype

    def function(self, text: str) -> Function:
        """The type of function that a function pointer's name means. Raises TypeError."""
        function = _function_of(self.find(text))
        if function is None:
            raise TypeError(f"{text} is no type of function pointers")
        return function

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)


def _function_of(ctype: CType) -> Function | None:
    target = ctype.target if isinstance(ctype, Pointer) else ctype
    return target if isinstance(target, Function) else None


def _with_suffixes(ctype: CType, rest: str, is_const: bool, text: str) -> CType:
    counts: list[int] = []
    position = 0
    while position < len(rest.rstrip()):
        match = _SUFFIX.match(rest, position)
        if match is None or (counts and not match[2]):
            raise TypeError(f"{text!r}: write types like 'struct point', 'char *', 'int[100]' or 'char *[4]'")
        if match[2]:
            counts.append(int(match[2]))
        else:
            ctype, is_const = Pointer(ctype, is_const), False
        position = match.end()
    for count in reversed(counts):
        if count >= LARGEST_COUNT:
            raise OverflowError(f"{text!r}: {count} items are more than a sandbox can have")
        ctype = Array(ctype, count)
    return ctype


def _room_of(ctype: CType) -> Room:
    target, count = (ctype.element, ctype.count) if isinstance(ctype, Array) else (ctype, 1)
    size = size_of(ctype)
    if isinstance(target, Void | Function) or (not size and not isinstance(target, Struct)):
        raise TypeError(f"how large a {ctype} is is not known")
    return Room(ctype, target, count, size, layout_of(ctype) if isinstance(ctype, Struct) else None)


def _inside(ctype: CType, seen: set[int]) -> Iterator[CType]:
    """What has a name in a type, itself included."""
    if id(ctype) in seen:
        return
    seen.add(id(ctype))
    match ctype:
        case Pointer(Function() as function, _):
            yield ctype
            yield from _inside(function, seen)
        case Pointer(target, _):
            yield from _inside(target, seen)
        case Array(element, _) | Vector(element, _, _):
            yield from _inside(element, seen)
        case Function():
            for inner in (ctype.result, *(p.type for p in ctype.parameters)):
                yield from _inside(inner, seen)
        case Struct():
            yield ctype
            for field in ctype.fields:
                yield from _inside(field.type, seen)
        case Integer() | Opaque():
            yield ctype


def names_of(module: Module) -> Names:
    """Collected once."""
    names: Names | None = module.names
    if names is None:
        names = module.names = Names([*module.exports.values(), *module.imports.values()])
        for name, prototype in module.exports.items():
            if name.startswith(TYPES) and prototype is not None:
                names.declare(prototype)
    return names
