"""What to compile and how: the values that travel through the toolchain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tmebox.records import dataclass
from tmebox.toolchain.compile.clang import GIB, Limits

Progress = Callable[[str, int, int], None]
"""Called as progress(stage, done, total) during long work."""


Undefined = Literal["declared", "linker", "none"]


@dataclass(frozen=True)
class SourceText:
    """C source that is not a file. `name` is what messages and line tables call it."""

    text: str
    name: str = "source.c"


@dataclass(frozen=True)
class CompileOptions:
    """How to build a module.

    optimize: -O0 … -O3, -Os, -Oz, -Og or -Ofast.
    include_dirs: searched for headers, and readable for the source in any other way a compiler reads files.
    search: more of the kind as flag and path: -isystem, -iquote, -idirafter; -include, -imacros.
    readable_dirs: readable too, but not searched.
    defines: "NAME" or "NAME=value".
    flags: further compiler flags, vetted by `flags.vet`.
    has_fatal_warnings: what is warned of in assembly is an error.
    debug: keep DWARF for debuggers in the module.
    isolation: "code+data" or "data" (the compiler is trusted with control flow).
    base: where the window's base is kept: "gs", or "r15" (needs gcc on this machine).
    exports: names of callable functions; None means those the source marks, else all non-static ones.
    imports: names of functions that the host provides, whatever `undefined` says.
    undefined: which functions that nobody defines the host provides: those that are "declared" with a
    prototype; as a "linker" has it, none of a program's, and in a library those that are called; or "none".
    name: what diagnostics about the whole module call it.
    timeout_s: for each run of the compiler, for all that is done in Python to a source, and to the module.
    memory_bytes: for each run of the compiler.
    use_libc: link the sandboxed C library and see its headers.
    placement: another number, another order of the functions in the text; 0: as they come. What a benchmark
        measures hangs on where its code lies.
    """

    optimize: str = "-O2"
    include_dirs: tuple[Path, ...] = ()
    search: tuple[tuple[str, Path], ...] = ()
    readable_dirs: tuple[Path, ...] = ()
    defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    has_fatal_warnings: bool = False
    debug: bool = False
    isolation: str = "code+data"
    base: str = "gs"
    exports: tuple[str, ...] | None = None
    imports: tuple[str, ...] = ()
    undefined: Undefined = "declared"
    name: str = "module"
    timeout_s: float = 120.0
    memory_bytes: int = 4 * GIB
    use_libc: bool = True
    placement: int = 0

    @property
    def limits(self) -> Limits:
        return Limits(self.timeout_s, self.memory_bytes)


DEFAULT_OPTIONS = CompileOptions()
