"""Regular expressions that are compiled once for an installation, as Python's modules are, and constructors.

A build starts a compiler for each file. `re` compiles its hundred patterns in 20 ms, a fifth of all that such
a start takes. What it makes of them is kept in a file beside this module's bytecode, for the same Python.
Who can write there can write bytecode, too. Without that file, patterns are compiled as ever. The file has
the constructors of records as well, for which it is another 5 ms.
"""

from __future__ import annotations

import marshal
import os
import re
import sys
from contextlib import suppress
from typing import Any

from tmebox import records

_Made = tuple[int, list[int], int, dict[str, int], tuple[str | None, ...]]
"""Flags, instructions, count of groups, their names and numbers, names by number."""
_ENGINE: Any = sys.modules["_sre"]
_COMPILER: Any = sys.modules.get("re._compiler") or sys.modules.get("sre_compile")
_STAMP = (sys.hexversion, _ENGINE.MAGIC, _ENGINE.CODESIZE)
_MOST = 1000
"""Patterns in the file: those of versions before are forgotten some time."""

_made: dict[tuple[str, int], re.Pattern[str]] = {}
_new: dict[tuple[str, int], _Made] = {}


def regex(text: str, flags: int = 0) -> re.Pattern[str]:
    """As `re.compile`."""
    wanted = (text, int(flags))
    found = _made.get(wanted)
    if found is None:
        found = _made[wanted] = _compiled(wanted)
    return found


def keep() -> None:
    """Write what was compiled here. Where that is not possible, or not wanted, nothing is lost but time."""
    path = _path()
    constructors = records.new_constructors
    if not (_new or constructors) or path is None or sys.dont_write_bytecode:
        return
    table = {**_kept, **_new} if len(_kept) < _MOST else _new
    codes = {**records.kept_constructors, **constructors} if table is not _new else constructors
    partial = f"{path}.{os.getpid()}"
    with suppress(OSError):
        with open(partial, "wb") as file:
            file.write(marshal.dumps((_STAMP, table, codes)))
        os.replace(partial, path)


def _compiled(wanted: tuple[str, int]) -> re.Pattern[str]:
    made = _kept.get(wanted)
    try:
        if made is None:
            made = _new[wanted] = _instructions(*wanted)
        pattern: re.Pattern[str] = _ENGINE.compile(wanted[0], *made)
    except (AttributeError, TypeError, ValueError, RuntimeError):  # another Python, with other parts
        return re.compile(*wanted)
    return pattern


def _instructions(text: str, flags: int) -> _Made:
    """What the library's compiler hands to its engine."""
    parser = _COMPILER._parser if hasattr(_COMPILER, "_parser") else _COMPILER.sre_parse
    parsed = parser.parse(text, flags)
    state = parsed.state
    names: list[str | None] = [None] * state.groups
    for name, number in state.groupdict.items():
        names[number] = name
    code = [int(word) for word in _COMPILER._code(parsed, flags)]
    return flags | state.flags, code, state.groups - 1, dict(state.groupdict), tuple(names)


def _path() -> str | None:
    bytecode = getattr(__spec__, "cached", None)
    return f"{bytecode.removesuffix('.pyc')}.regex" if bytecode else None


def _read() -> dict[tuple[str, int], _Made]:
    """The patterns; the constructors are handed over."""
    path = _path()
    try:
        if path is not None:
            with open(path, "rb") as file:
                stamp, table, codes = marshal.loads(file.read())
            if stamp == _STAMP and isinstance(table, dict) and isinstance(codes, dict):
                records.kept_constructors.update(codes)
                return table
    except (OSError, ValueError, EOFError, TypeError):
        pass
    return {}


_kept = _read()
