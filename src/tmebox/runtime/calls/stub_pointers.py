"""Pointers to structs as Python source that type checkers read: a class for each, with the struct's members.

Only type checkers see them. Numbers are `Untrusted`, so a member that is used as an index is a mistake, as is
one that the struct has not.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from itertools import count

from tmebox.modulefile.prototypes import Array, Bool, CType, Float, Function, Integer, Opaque, Pointer, Struct
from tmebox.runtime.attributes import is_attribute

POINTER = "tmebox.Pointer"
OF_POINTERS = frozenset(
    ("array", "free", "freed", "instance", "kind", "offset", "read", "string", "tobytes", "type")
)
"""What every pointer has, whatever members its struct has: those hide it."""


class PointerClasses:
    """known: the structs of a library by the names that C code uses. names: what is taken, and gets more."""

    def __init__(self, known: Mapping[str, Struct], names: set[str]) -> None:
        self._classes: dict[Struct, str] = {}
        self._called: dict[str, list[str]] = {}
        self._known = known
        last_numbers: dict[str, int] = {}
        for name, struct in known.items():
            if not _has_names(struct):
                continue
            if struct not in self._classes:
                self._classes[struct] = chosen = _class_name(name, names, last_numbers)
                names.add(chosen)
            self._called.setdefault(self._classes[struct], []).append(name)

    def of(self, ctype: CType) -> str:
        """The class of pointers to a type."""
        if isinstance(ctype, Opaque):
            ctype = self._known.get(ctype.tag) or self._known.get(ctype.name) or ctype
        return self._classes.get(ctype, POINTER) if isinstance(ctype, Struct) else POINTER

    def lines(self) -> list[str]:
        """The classes' source."""
        lines = []
        for struct, name in self._classes.items():
            lines += ["", "", f"class {name}({POINTER}):"]
            lines += ["    if TYPE_CHECKING:"]
            lines += [f"        {name}: None  # type: ignore" for name in ("__getattr__", "__setattr__")]
            for field in struct.fields:
                kind = f"hints.Member[{self._read(field.type)}]"
                hides = "  # type: ignore" if field.name in OF_POINTERS else ""
                lines.append(f"        {field.name}: {kind} = hints.Member(){hides}")
        return lines

    def methods(self) -> list[str]:
        """`new` of a box, which says what it makes."""
        if not self._called:
            return []
        lines = []
        for name, called in self._called.items():
            literal = ", ".join(f'"{each}"' for each in called)
            lines += ["@overload", f"def new(self, type: Literal[{literal}], {_GIVEN}) -> {name}: ..."]
        lines += ["@overload", f"def new(self, type: str, {_GIVEN}) -> {POINTER}: ..."]
        return [*lines, f"def new(self, type: str, {_GIVEN}) -> Any: ..."]

    def _read(self, ctype: CType) -> str:
        match ctype:
            case Integer():
                return "hints.Untrusted"
            case Bool():
                return "bool"
            case Float(bits) if bits <= 64:
                return "float"
            case Pointer(Function()):
                return "Any"
            case Pointer(target):
                return f'"{self.of(target)} | None"'
            case Array():
                return POINTER
        return "Any"


_GIVEN = "value: Any = None, /, **members: Any"


def _has_names(struct: Struct) -> bool:
    names = [field.name for field in struct.fields]
    return bool(names) and all(
        name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and is_attribute(name)
        for name in names
    )


def _class_name(name: str, taken: set[str], last_numbers: dict[str, int]) -> str:
    """last_numbers: of what is called alike otherwise."""
    words = re.findall(r"[A-Za-z0-9]+", name.rsplit(maxsplit=1)[-1])
    base = "".join(word[0].upper() + word[1:] for word in words)[:80] + "Pointer"
    base = base if base.isidentifier() else "StructPointer"
    for number in count(last_numbers.get(base, 0) + 1):
        chosen = base if number == 1 else f"{base}{number}"
        if chosen not in taken:
            break
    last_numbers[base] = number
    return chosen
