"""Function prototypes out of DWARF 5: what the host checks each call against.

A reader of our own: only exports and imports are wanted out of units with hundreds of thousands of entries,
so entries are skipped at the cost of one table look-up each. It reads what clang writes; where anything is
not as expected the function has no prototype, which callers must handle anyway.
"""

from __future__ import annotations

from collections.abc import Set

from tmebox.errors import ModuleError
from tmebox.modulefile import prototypes as p
from tmebox.toolchain.link.debug.entries import DAMAGED, Entry, Unit, units
from tmebox.toolchain.link.debug.types import MAX_TYPES, TooLarge, Types
from tmebox.toolchain.link.linked import Elf

_FUNCTION, _PARAMETER, _ELLIPSIS, _VARIABLE, _SUBROUTINE = 0x2E, 0x05, 0x18, 0x34, 0x15
_TYPE, _EXTERNAL, _LOW_PC, _INLINE, _PROTOTYPED, _CONVENTION = 0x49, 0x3F, 0x11, 0x20, 0x27, 0x36
_CONVENTIONS = {
    0xC0: "vectorcall", 0xC1: "ms_abi", 0xC9: "preserve_most", 0xCA: "preserve_all", 0xCB: "regcall",
    0xCD: "preserve_none",
}  # fmt: skip
_NORMAL = {0, 1, 0xC2}
_NORMAL_FOR_CALLERS = _NORMAL | {0xC9, 0xCA}
"""Those that only save more registers."""


def prototypes(executable: Elf, names: Set[str]) -> dict[str, p.Prototype]:
    """Prototypes of the functions with the symbols `names`, as far as the debug information has them.

    A definition wins over a declaration, and what is visible to others over what is static.
    """
    found: dict[str, tuple[tuple[bool, bool], p.Prototype | None]] = {}
    wanted = frozenset(names)
    witnesses = {WITNESS + name: name for name in wanted}
    pointing = frozenset(witnesses)
    witnessed: dict[str, p.Prototype | None] = {}
    try:
        for unit in units(executable) if wanted else ():
            for entry in unit.find(_FUNCTION, wanted):
                rank = (_EXTERNAL in entry.values, _LOW_PC in entry.values)
                if entry.symbol in found and found[entry.symbol][0] >= rank:
                    continue
                found[entry.symbol] = (rank, _prototype(unit, entry, entry.symbol))
            for entry in unit.find(_VARIABLE, pointing):
                name = witnesses[entry.symbol]
                witnessed[name] = _of_pointer(unit, entry, name) or witnessed.get(name)
    except DAMAGED:
        pass  # written by another producer: its functions have no prototypes
    every = {name: prototype for name, (_, prototype) in found.items()}
    for name, prototype in witnessed.items():
        every[name] = every.get(name) or prototype
    return {name: prototype for name, prototype in every.items() if prototype is not None}


WITNESS = "__tmebox_witness_of_"
"""What begins the name of a variable that points to a function, so that there is debug information about it:
compilers write none about a function that is neither defined nor called."""


def _of_pointer(unit: Unit, entry: Entry, name: str) -> p.Prototype | None:
    """Of the function that a variable points to. References may lead round in a circle."""
    for _ in range(MAX_TYPES):
        if entry.tag == _SUBROUTINE:
            return _prototype(unit, entry, name)
        reference = entry.values.get(_TYPE)
        if reference is None:
            return None
        entry = unit.entry(int(reference))
    return None


def _prototype(unit: Unit, entry: Entry, name: str) -> p.Prototype | None:
    """Spelled out as far as it is of reasonable size; None if it is not."""
    for depth in (1, 0):
        try:
            return _readable(_spell_prototype(unit, entry, name, depth))
        except (TooLarge, ModuleError):
            continue
        except RecursionError:
            break
    return None


def _readable(prototype: p.Prototype | None) -> p.Prototype | None:
    """Raises ModuleError for one that a module file cannot have: it would save, and not load."""
    return prototype and p.prototype_from_json(p.prototype_to_json(prototype))


def _spell_prototype(unit: Unit, entry: Entry, name: str, depth: int) -> p.Prototype | None:
    """`depth`: how many pointers to structs deep fields are spelled out."""
    types = Types(unit)
    parameters = []
    variadic = False
    has_prototype = unit.is_cxx or _PROTOTYPED in entry.values
    for child in unit.children(entry):
        if child.tag == _PARAMETER:
            ctype = types.of(child, depth)
            parameters.append(p.Parameter(child.name, ctype if has_prototype else _promoted(ctype)))
        elif child.tag == _ELLIPSIS:
            variadic = True
    is_definition = not {_LOW_PC, _INLINE}.isdisjoint(entry.values)
    if not parameters and not has_prototype and not is_definition:
        return None  # a declaration `int f();` says nothing about its parameters; a definition does
    result = types.of(entry, depth)
    convention = _convention(int(entry.values.get(_CONVENTION, 0)), is_definition)
    return p.Prototype(name, result, tuple(parameters), variadic, convention)


def _promoted(ctype: p.CType) -> p.CType:
    """What callers of a definition without a prototype pass. Integers are converted back from it: those that
    fit the parameter are the same then, and others are refused."""
    return p.Float(64) if ctype == p.Float(32) else ctype


def _convention(code: int, is_definition: bool) -> str:
    if code in (_NORMAL_FOR_CALLERS if is_definition else _NORMAL):
        return ""
    return _CONVENTIONS.get(code, f"number {code:#x}")
