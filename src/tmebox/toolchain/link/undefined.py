"""Which of the functions that nobody defines may be imports.

A build system asks whether a function exists by linking a program that calls it: so a program's imports have
to be named. A library is made for a host, which knows what it provides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tmebox.abi import SHARED_IMPORT, SYSCALL_IMPORT
from tmebox.demangle import demangled
from tmebox.errors import CompileError, Diagnostic
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.link.imports import marked_imports
from tmebox.toolchain.link.inputs import archive_members
from tmebox.toolchain.link.linked import Elf
from tmebox.toolchain.link.relocate import PLT32
from tmebox.toolchain.options import CompileOptions

_OURS = "__tmebox_"
"""What begins the names of functions that the C library has, for the rewriter to call."""


def refuse_undefined(
    module: ModuleFile, objects: Sequence[Path], archives: Sequence[Path], options: CompileOptions
) -> None:
    """Raise CompileError if `module`, linked of these, has an import that `options.undefined` does not let
    it have."""
    given = [item for item in module.imports if item.name not in (SYSCALL_IMPORT, SHARED_IMPORT)]
    unnamed = [item for item in given if item.name not in options.imports]
    if options.undefined == "declared":
        unnamed = [item for item in unnamed if item.prototype is None]
    if unnamed:
        marked = marked_imports(objects)
        unnamed = [item for item in unnamed if item.name not in marked]
    if unnamed and module.start is None and options.undefined != "none":
        called = _called(objects, archives)
        unnamed = [item for item in unnamed if item.prototype is None and item.name not in called]
    if unnamed or (unnamed := [item for item in given if item.name.startswith(_OURS)]):
        found = tuple(Diagnostic(_told(item.name)) for item in unnamed)
        way = "declare" if options.undefined == "declared" else "--import NAME or TMEBOX_IMPORT names"
        advice = f"{way} what the host provides"
        raise CompileError(f"{options.name} does not link: {len(found)} undefined ({advice})", found)


def _told(name: str) -> str:
    """A class's table and type are where its first virtual function is, which people forget to write."""
    text = f"undefined symbol: {demangled(name)}"
    if name.startswith(("_ZTV", "_ZTI")):
        text += " (define the class's first virtual function that is neither inline nor pure)"
    return text


def _called(objects: Sequence[Path], archives: Sequence[Path]) -> set[str]:
    """Names that some instruction calls: those of functions."""
    found: set[str] = set()
    for name, contents in _inputs(objects, archives):
        elf = Elf(contents, name)
        for _, rows in elf.relocations():
            found.update(
                elf.symbol_name(index) for index in set(rows["symbol"][rows["type"] == PLT32].tolist())
            )
    return found


def _inputs(objects: Sequence[Path], archives: Sequence[Path]) -> Iterable[tuple[str, bytes]]:
    for path in objects:
        yield str(path), path.read_bytes()
    for path in archives:
        yield from archive_members(path)
