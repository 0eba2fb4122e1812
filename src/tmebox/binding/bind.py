"""Headers and sources to a package: compile, find what the headers declare, write it down."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tmebox._version import __version__
from tmebox.abi import SHARED_IMPORT, SYSCALL_IMPORT
from tmebox.binding.constants import Value, constants_of
from tmebox.binding.header import Declared, own_lines, read_headers, scan
from tmebox.binding.sources import Sources, options_of, sources_in
from tmebox.binding.stand_ins import missing_headers, stand_in
from tmebox.binding.trees import Trees, digests, trees_of
from tmebox.binding.types import names_of_witnesses, structs_of, with_names, with_parameters, witnesses
from tmebox.errors import CompileError
from tmebox.modulefile import codec
from tmebox.modulefile.file import ModuleFile
from tmebox.modulefile.prototypes import Struct
from tmebox.runtime.box import HIDDEN, OF_THE_C_LIBRARY, VARIABLE
from tmebox.runtime.given import checked_timeout
from tmebox.runtime.module import INITIALIZER
from tmebox.toolchain.build import GIVEN, compile_objects, link_objects
from tmebox.toolchain.cc.tree import source_tree
from tmebox.toolchain.compile.clang import VERSION
from tmebox.toolchain.compile.compile import LANGUAGES, preprocess
from tmebox.toolchain.link.exports import find_exports
from tmebox.toolchain.options import DEFAULT_OPTIONS, CompileOptions, Progress, SourceText
from tmebox.toolchain.scratch import scratch_directory
from tmebox.toolchain.unpack import unpacked

_UNDEFINED = re.compile(r"undefined (?:symbol|variable): (\w+)")
_GLUE = """
#include <stdlib.h>
#include <errno.h>
void *(*const tmebox_kept_malloc)(size_t) __attribute__((used)) = malloc;
void (*const tmebox_kept_free)(void *) __attribute__((used)) = free;
"""


@dataclass(frozen=True)
class Bound:
    """A library as a module, with what its headers say. comments: by function. structs: those that the
    headers define, by each name. build: how it was made, as
    plain data: the compiler, its options, and the digest of each file that was read."""

    name: str
    file: ModuleFile
    constants: dict[str, Value]
    comments: dict[str, str]
    build: dict[str, Any]
    structs: dict[str, Struct]


def bind(
    headers: Path | Sequence[Path],
    sources: Sequence[Path],
    name: str,
    *,
    include_dirs: Sequence[Path] = (),
    defines: Sequence[str] = (),
    flags: Sequence[str] = (),
    optimize: str = "-O2",
    without: Sequence[str] = (),
    generated: Mapping[str, Path] | None = None,
    timeout: float = 600.0,
    progress: Progress | None = None,
) -> Bound:
    """headers: the public ones. sources: files, directories, compilation databases, objects and archives that
    `tmebox cc` made; all paths may go through an archive of sources. without: patterns of names that are left
    out of them. generated: headers and sources that a build would make, by name, and the
    files that stand for them. timeout: seconds that compiling one source may take. The others are as the
    compiler has them. Raises CompileError, OSError."""
    headers = [headers] if isinstance(headers, Path) else list(headers)
    with unpacked([*headers, *sources, *include_dirs]) as places:
        ends = len(headers), len(headers) + len(sources)
        return _bound(
            places[: ends[0]], places[ends[0] : ends[1]], name, places[ends[1] :], defines, flags, optimize,
            without, generated, timeout, progress,
        )  # fmt: skip


def _bound(
    headers: Sequence[Path],
    sources: Sequence[Path],
    name: str,
    include_dirs: Sequence[Path],
    defines: Sequence[str],
    flags: Sequence[str],
    optimize: str,
    without: Sequence[str],
    generated: Mapping[str, Path] | None,
    timeout: float,
    progress: Progress | None,
) -> Bound:
    given_sources = sources_in(sources, without, include_dirs)
    files = [*given_sources.certain, *given_sources.included]
    with scratch_directory() as scratch:
        copied = scratch / "headers"
        _copy(headers, generated or {}, copied)
        made = [copied / each for each in generated or {} if Path(each).suffix in LANGUAGES]
        given_sources = replace(given_sources, certain=(*given_sources.certain, *made))
        given = [Path(os.path.abspath(path)) for path in include_dirs]
        directories = [*given, *dict.fromkeys(path.parent for path in files), copied]
        trees = trees_of([*directories[:-1], *(path.parent for path in headers)], name, copied)
        options = CompileOptions(
            name=name, optimize=optimize, include_dirs=tuple(directories), defines=tuple(defines),
            flags=(*flags, *trees.flags), timeout_s=checked_timeout(timeout) or DEFAULT_OPTIONS.timeout_s,
            readable_dirs=tuple(dict.fromkeys(source_tree(path.parent) for path in files)),
        )  # fmt: skip
        library = _Library(headers, given_sources, options, scratch, options_of(sources, options), trees)
        stand_ins: list[str] = []
        while True:
            try:
                declared = library.declared()
                objects = library.compiled(progress, declared.functions)
                break
            except CompileError as error:
                fresh = _make_headers(missing_headers(str(error)), directories, copied)
                if not fresh:
                    raise _not_compiled(name, error, stand_ins) from None
                stand_ins += fresh
        file = library.linked(objects, declared, progress)
        constants = constants_of(declared.constants, library.include, directories, tuple(defines))
        build = _record(replace(options, flags=tuple(flags)), file, library.read, trees)
    return Bound(name, file, constants, declared.comments, build, structs_of(file, list(declared.types)))


def _make_headers(names: Sequence[str], directories: Sequence[Path], copied: Path) -> list[str]:
    """Stand-ins for headers that a build would make; those that were missing and are there now."""
    fresh = {each: stand_in(each, directories) for each in names if not (copied / each).exists()}
    known = {each: text for each, text in fresh.items() if text is not None}
    for each, text in known.items():
        (copied / each).parent.mkdir(parents=True, exist_ok=True)
        (copied / each).write_text(text)
    return list(known)


def _not_compiled(name: str, error: CompileError, made: Sequence[str]) -> CompileError:
    """With what helps: where a header is missing, or a stand-in may not be what the library expects."""
    if not error.diagnostics:
        return error
    remedies = [
        f"{each!r} is not there: name its directory by --include or, if the library's build makes it, give "
        f"it by --generated {each}=FILE"
        for each in dict.fromkeys(missing_headers(str(error)))
    ] or [
        f"{each!r}, which the library's build would make, has no answers of its own here: give them by "
        f"--define, or the file by --generated {each}=FILE"
        for each in made
    ]
    said = "; ".join(("the library does not compile", *remedies[:3]))
    return CompileError(f"{name}: {said}", error.diagnostics)


def _copy(headers: Sequence[Path], generated: Mapping[str, Path], directory: Path) -> None:
    """A copy of what is included: beside a header of the system there are others, which are not the
    sandbox's."""
    for relative, text in read_headers(headers).items():
        (directory / relative).parent.mkdir(parents=True, exist_ok=True)
        (directory / relative).write_text(text)
    for relative, path in generated.items():
        if os.path.isabs(relative) or ".." in Path(relative).parts:
            raise CompileError(f"{relative!r}: the name of a generated header, as sources include it")
        (directory / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, directory / relative)


class _Library:
    """A library that is being compiled. read: every file that the compiler read so far."""

    def __init__(
        self,
        headers: Sequence[Path],
        sources: Sources,
        options: CompileOptions,
        scratch: Path,
        own: Mapping[Path, CompileOptions],
        trees: Trees,
    ) -> None:
        self.include = "\n".join(f'#include "{header.name}"' for header in headers)
        self.read: list[str] = []
        self._sources = sources
        self._files = list(sources.certain)
        self._options = options
        self._scratch = scratch
        self._own = own
        self._trees = trees

    def declared(self) -> Declared:
        """What the headers declare. Raises CompileError."""
        probe = self._scratch / "declared.c"
        probe.write_text(f"{self.include}\n")
        done = preprocess(probe, replace(self._options, flags=("-w", *self._options.flags)))
        own = [path for path in done.dependencies if self._trees.name_of(path) is not None]
        texts = [Path(path).read_text(errors="replace") for path in own]
        return scan(texts, own_lines(done.text, own))

    def compiled(self, progress: Progress | None, declared: Collection[str]) -> list[Path]:
        """An object for each source, programs left out: they define `main`, and nothing that was declared.
        Raises CompileError."""
        self.read.clear()
        read_all = self.read.extend
        sources = [path for path in self._sources.certain if path.suffix not in GIVEN]
        given = [path for path in self._sources.certain if path.suffix in GIVEN]
        files = self._files = []
        objects: list[Path] = []
        if sources or not given:
            made = compile_objects(
                sources, self._scratch, self._options, progress=progress, read=read_all, own=self._own
            )
            for path, each in zip(sources, made, strict=True):
                if not _is_program(each, declared):
                    files.append(path)
                    objects.append(each)
        if given:
            extracted = self._scratch / "given"
            extracted.mkdir(exist_ok=True)
            files += given
            objects += compile_objects(given, extracted, self._options, read=read_all)
        defined = set(find_exports(objects, None).symbols)
        for number, path in enumerate(self._sources.included):
            beside = self._scratch / f"included-{number}"
            beside.mkdir(exist_ok=True)
            read: list[str] = []
            try:
                made = compile_objects([path], beside, self._options, read=read.extend, own=self._own)
            except CompileError:
                continue  # a piece of another source
            functions = set(find_exports(made, None).symbols)
            if functions and not functions & defined:  # a source that another one takes definitions from
                files.append(path)
                objects += made
                self.read += read
                defined |= functions
        return objects

    def linked(self, objects: Sequence[Path], declared: Declared, progress: Progress | None) -> ModuleFile:
        """The module, whose exports are the headers' functions that are there. Raises CompileError."""
        there = find_exports(objects, None).symbols
        wanted = [name for name in declared.functions if name in there]
        own = [name for name in there if name.startswith(HIDDEN)]
        if own:
            raise CompileError(
                f"{self._options.name}: {own[0]!r}: names that begin with {' or '.join(HIDDEN)} are those of "
                "functions that tmebox bind adds"
            )
        if not wanted:
            raise CompileError(
                f"{self._options.name}: the sources define no function that the header declares"
            )
        variables, types = list(declared.variables), list(declared.types)
        while True:
            glue = [
                SourceText(
                    f"{self.include}\n{_variables(variables)}\n{witnesses(types)}\n",
                    f"{self._options.name}_variables.c",
                ),
                SourceText(_GLUE, "tmebox_glue.c"),
            ]
            beside = self._scratch / "glue"
            beside.mkdir(exist_ok=True)
            told = (*(VARIABLE + variable for variable in variables), *names_of_witnesses(types))
            names = (*wanted, *told, *OF_THE_C_LIBRARY)
            options = replace(self._options, exports=names)
            try:
                made = compile_objects(glue, beside, replace(options, flags=("-w", *options.flags)))
                file = link_objects([*objects, *made], [*self._files, *glue], options, progress=progress)
                return with_parameters(with_names(file, types), declared.parameters)
            except CompileError as error:
                absent = set(_UNDEFINED.findall(str(error))).intersection(variables)
                if not absent:
                    raise
                variables = [variable for variable in variables if variable not in absent]


def _is_program(made: Path, declared: Collection[str]) -> bool:
    defined = find_exports([made], None).symbols
    return "main" in defined and not any(name in defined for name in declared)


def _variables(names: Sequence[str]) -> str:
    return "\n".join(f"__typeof__({name}) *{VARIABLE}{name}(void) {{ return &{name}; }}" for name in names)


def _record(options: CompileOptions, file: ModuleFile, read: Sequence[str], trees: Trees) -> dict[str, Any]:
    """How the module was made, without a path of this machine."""
    return {
        "tmebox": __version__,
        "compiler": f"clang {VERSION}",
        "options": [options.optimize, *(f"-D{define}" for define in options.defines), *options.flags],
        "isolation": options.isolation,
        "base": options.base,
        "module": codec.digest(file),
        "files": digests(read, trees),
    }


def exports_of(bound: Bound) -> list[str]:
    """Functions of the library by name, without what is there for Box."""
    own = {INITIALIZER, *OF_THE_C_LIBRARY}
    return [e.name for e in bound.file.exports if e.name not in own and not e.name.startswith(HIDDEN)]


def imports_of(bound: Bound) -> list[str]:
    """Functions that the library calls and nobody defines: a source is missing, or the host provides them."""
    return [item.name for item in bound.file.imports if item.name not in (SYSCALL_IMPORT, SHARED_IMPORT)]
