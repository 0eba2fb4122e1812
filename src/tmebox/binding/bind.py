"""A header and sources to a package: compile, find what the header declares, write it down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tmebox.binding.constants import Value, constants_of
from tmebox.binding.header import Header, read_headers, scan
from tmebox.errors import CompileError
from tmebox.modulefile.file import ModuleFile
from tmebox.runtime.box import VARIABLE
from tmebox.runtime.module import INITIALIZER
from tmebox.toolchain.build import build
from tmebox.toolchain.options import CompileOptions, Progress, SourceText
from tmebox.toolchain.scratch import scratch_directory

SOURCES = frozenset({".c", ".s", ".S"})
OF_THE_C_LIBRARY = ("malloc", "free", "__errno_location")
"""What Box needs of it, under their own names."""
_NO_CONFIG = re.compile(r"'([A-Za-z0-9_]*config\.h)' file not found")
"""What `configure` would make is taken to be empty: `defines` say what it would."""
_UNDEFINED = re.compile(r"undefined (?:symbol|variable): (\w+)")
_INCLUDED = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"/]+\.c)"', re.MULTILINE)
_GLUE = """
#include <stdlib.h>
#include <errno.h>
void *(*const tmebox_kept_malloc)(size_t) __attribute__((used)) = malloc;
void (*const tmebox_kept_free)(void *) __attribute__((used)) = free;
"""


@dataclass(frozen=True)
class Bound:
    """A library as a module, with what its header says. comments: by function."""

    name: str
    file: ModuleFile
    constants: dict[str, Value]
    comments: dict[str, str]


def sources_in(paths: Sequence[Path]) -> list[Path]:
    """The sources that are named; those directly in a directory, but for what others of them include. Raises
    CompileError if there are none, OSError."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.suffix in SOURCES) if path.is_dir() else [path]
        texts = (p.read_text(errors="replace") for p in inside if path.is_dir())
        included = {name for text in texts for name in _INCLUDED.findall(text)}
        found += [p for p in inside if p.name not in included]
    if not found:
        raise CompileError(f"no C sources: {', '.join(map(str, paths)) or 'none named'}")
    return found


def bind(
    header: Path,
    sources: Sequence[Path],
    name: str,
    *,
    include_dirs: Sequence[Path] = (),
    defines: Sequence[str] = (),
    flags: Sequence[str] = (),
    optimize: str = "-O2",
    progress: Progress | None = None,
) -> Bound:
    """Raises CompileError, OSError."""
    files = sources_in(sources)
    texts = read_headers(header)
    declared = scan(texts)
    with scratch_directory() as copied:
        # A copy: beside a header of the system there are others, which are not the sandbox's.
        for relative, text in texts.items():
            (copied / relative).parent.mkdir(parents=True, exist_ok=True)
            (copied / relative).write_text(text)
        directories = [*include_dirs, *dict.fromkeys(path.parent for path in files), copied]
        include = f'#include "{header.name}"'
        options = CompileOptions(
            name=name, optimize=optimize, include_dirs=tuple(directories), defines=tuple(defines),
            flags=tuple(flags),
        )  # fmt: skip
        while True:
            glue = SourceText(f"{include}\n{_variables(declared)}", f"{name}_variables.c")
            try:
                file = _linked([*files, glue], options, declared, progress)
                break
            except CompileError as error:
                configs = {match[1] for match in _NO_CONFIG.finditer(str(error))}
                absent = set(_UNDEFINED.findall(str(error))).intersection(declared.variables)
                if not absent and (not configs or any((copied / c).exists() for c in configs)):
                    said = error.diagnostics
                    raise (
                        CompileError(f"{name}: the library does not compile", said) if said else error
                    ) from None
                for config in configs:
                    (copied / config).touch()
                declared = replace(
                    declared, variables=tuple(v for v in declared.variables if v not in absent)
                )
        constants = constants_of(declared.constants, include, directories, tuple(defines))
    return Bound(name, file, constants, declared.comments)


def _linked(
    sources: Sequence[Path | SourceText], options: CompileOptions, declared: Header, progress: Progress | None
) -> ModuleFile:
    """The module, whose exports are the header's functions that are there."""
    asked = build([*sources, SourceText(_GLUE, "tmebox_glue.c")], options, progress=progress)
    there = {export.name for export in asked.exports}
    wanted = [name for name in declared.functions if name in there]
    if not wanted:
        raise CompileError(f"{options.name}: the sources define no function that the header declares")
    exports = (*wanted, *(name for name in there if name.startswith(VARIABLE)), *OF_THE_C_LIBRARY)
    return build(
        [*sources, SourceText(_GLUE, "tmebox_glue.c")], replace(options, exports=exports), progress=progress
    )


def _variables(declared: Header) -> str:
    return "\n".join(
        f"__typeof__({name}) *{VARIABLE}{name}(void) {{ return &{name}; }}" for name in declared.variables
    )


def exports_of(bound: Bound) -> list[str]:
    """Functions of the library by name, without what is there for Box."""
    own = {INITIALIZER, *OF_THE_C_LIBRARY}
    return [e.name for e in bound.file.exports if e.name not in own and not e.name.startswith(VARIABLE)]
