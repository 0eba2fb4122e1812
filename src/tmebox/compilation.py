"""`tmebox.compile`: from C source to a loaded module, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from tmebox import abi
from tmebox.errors import IN_TEXTS, CompileError, CompileWarning, Diagnostic
from tmebox.listing import encoded, texts
from tmebox.modulefile.file import ModuleFile
from tmebox.progress import shown, to
from tmebox.runtime.given import checked_timeout
from tmebox.runtime.module import Module
from tmebox.runtime.option_types import Language, Optimization, SourcePath
from tmebox.shown import printable
from tmebox.toolchain.build import build
from tmebox.toolchain.cc.compile_commands import DATABASE, read_commands
from tmebox.toolchain.cc.tree import sources_directly_in
from tmebox.toolchain.options import DEFAULT_OPTIONS, CompileOptions, SourceText
from tmebox.toolchain.unpack import unpacked
from tmebox.warned import warn_caller

OPTIMIZATIONS: tuple[str, ...] = get_args(Optimization)
LANGUAGES: tuple[str, ...] = get_args(Language)
TEXT_NAMES = {"c": "source.c", "c++": "source.cpp"}
"""What messages call source text."""
LONGEST_WARNING = 4000


def compile(
    source: SourcePath | Sequence[SourcePath] | None = None,
    *,
    source_text: str | None = None,
    language: Language | None = None,
    include_dirs: Sequence[SourcePath] = (),
    defines: Mapping[str, str | int | None] | Sequence[str] = (),
    optimize: Optimization = "-O2",
    flags: Sequence[str] = (),
    exports: Sequence[str] | None = None,
    imports: Sequence[str] = (),
    isolation: abi.Isolation = "code+data",
    base: abi.Base = "gs",
    trust_compiler: bool = False,
    timeout: float = 120.0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Module:
    """Compile C or C++ (one file, several, or `source_text`), instrument, link, verify and load it. A
    source that is named compile_commands.json, or otherwise ends in .json, stands for those that it lists,
    each compiled with its own options; a directory, for the sources directly in it. Objects and archives of
    them that `tmebox cc` made are linked. Paths may go through a .tar, .tar.gz, .tar.bz2, .tar.xz or .zip of
    sources: "lz4.tar.gz/lib/lz4.c", or "lz4.tar.gz/lib" for a directory in it.

    language: of `source_text`, "c" or "c++"; default "c". A file's suffix tells its own.
    include_dirs, defines ("NAME", "NAME=1" or a mapping), optimize ("-O0" … "-O3", "-Os"), flags (further
    compiler options that cannot read files): as a C compiler has them. exports: names of callable functions;
    default every non-static function of the sources. imports: names of functions that the host
    provides; those that a source declares with a prototype need not be named.
    isolation: "code+data", or "data", which leaves control flow to a compiler that `trust_compiler=True` says
    is trusted. base: "gs", or "r15" (needs gcc). timeout: seconds that the compiler may take, and
    as many each the steps in Python that make a source's code and the module fit for a sandbox, less those in
    which they wait for a processor.
    progress(stage, done, total) is called during long work. Without it, work of more than a second shows a
    bar on a terminal or in a notebook, and otherwise writes to the log `tmebox`, level INFO.

    What the compiler warns of becomes a CompileWarning; flags=("-w",) silences it.

    Raises CompileError with the compiler's messages, VerificationError, ModuleError, LimitError; TypeError
    and ValueError for arguments that cannot be. Needs the compiler extra: `pip install 'tmebox[cc]'`.
    """
    sources: list[Path | SourceText] = []
    if source_text is not None:
        if not isinstance(source_text, str):
            raise TypeError(f"source_text is {type(source_text).__name__}, where str is expected")
        encoded(source_text, "source_text", "surrogateescape")
        sources.append(SourceText(source_text, TEXT_NAMES[_one_of("language", language or "c", LANGUAGES)]))
    elif language is not None:
        raise TypeError("language= goes with source_text=: what a file is written in, its suffix tells")
    if source is not None:
        sources += _paths((source,) if isinstance(source, (str, os.PathLike)) else source, "source")
    if not sources:
        raise TypeError("compile() needs a source file or source_text=")
    if isinstance(defines, Mapping):
        defines = [name if value is None else f"{name}={value}" for name, value in defines.items()]
    options = CompileOptions(
        optimize=_one_of("optimize", optimize, OPTIMIZATIONS),
        include_dirs=_paths(include_dirs, "include_dirs"),
        defines=texts(defines, "defines"),
        flags=texts(flags, "flags"),
        exports=None if exports is None else texts(exports, "exports"),
        imports=texts(imports, "imports"),
        isolation=_one_of("isolation", isolation, abi.ISOLATIONS),
        base=_one_of("base", base, abi.BASES),
        timeout_s=checked_timeout(timeout) or DEFAULT_OPTIONS.timeout_s,
    )
    found: list[Diagnostic] = []
    with shown("compile") if progress is None else to(progress) as report:
        try:
            file = _built(sources, options, report, found.append)
        except CompileError:
            with suppress(CompileWarning):  # where filters make errors of warnings: the worse one is told
                _warn(found)
            raise
        _warn(found)
        return Module(file, trust_compiler=trust_compiler)


def _built(
    given: Sequence[Path | SourceText],
    options: CompileOptions,
    report: Callable[[str, int, int], None] | None,
    warn: Callable[[Diagnostic], None],
) -> ModuleFile:
    """With the sources that directories, databases and archives stand for. Raises CompileError."""
    paths = [path for path in given if isinstance(path, Path)]
    with unpacked([*paths, *options.include_dirs]) as places:
        trusted = tuple(places[len(paths) :])
        sources: list[Path | SourceText] = [text for text in given if isinstance(text, SourceText)]
        own: dict[Path, CompileOptions] = {}
        options = replace(options, include_dirs=trusted)
        for named, path in zip(paths, places, strict=False):
            if not path.exists():  # else the compiler says that it has no input
                if "\n" in str(named):
                    raise CompileError("a name of a file has lines: text goes as compile(source_text=…)")
                raise CompileError(
                    f"there is no source file {path}", (Diagnostic("no such file", str(path)),)
                )
            if path.suffix == DATABASE:
                commands = read_commands(path, trusted)
                own.update({source: command.added_to(options) for source, command in commands.items()})
                sources += commands
            elif path.is_dir():
                directly = sources_directly_in(path)
                if not directly:
                    raise CompileError(f"{named}: no sources are directly in there{_elsewhere(path)}")
                sources += directly
            else:
                sources.append(path)
        return build(sources, options, progress=report, warn=warn, own=own)


def _elsewhere(top: Path) -> str:
    """Where beneath a directory sources are, for messages."""
    inner = (path for path in sorted(top.rglob("*")) if path.is_dir() and sources_directly_in(path))
    names = [str(path.relative_to(top)) for path in islice(inner, 8)]
    return f"; there are some in {', '.join(names)}" if names else ""


def _warn(found: Iterable[Diagnostic]) -> None:
    """Pass on what the compiler said, once, to the caller of `compile`. Sources are untrusted, and excerpts
    go to terminals."""
    for diagnostic in dict.fromkeys(found):
        text = "\n".join(filter(None, (str(diagnostic), diagnostic.excerpt)))[:LONGEST_WARNING]
        warn_caller(CompileWarning(printable(text, keep=IN_TEXTS), diagnostic))


def _one_of(name: str, given: Any, known: Sequence[str]) -> str:
    """Raises ValueError."""
    if isinstance(given, str) and given in known:
        return given
    raise ValueError(f"{name}={given!r} is none of {', '.join(map(repr, known))}")


def _paths(given: Any, name: str) -> tuple[Path, ...]:
    return tuple(Path(item) for item in texts(given, name))
