"""One source to one instrumented object: compile, rewrite, assemble. No NumPy: `tmebox cc -c` is this."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tmebox.abi import BASES
from tmebox.errors import CompileError, Diagnostic
from tmebox.records import replace
from tmebox.toolchain import steps
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.compile.compile import Compiled, compile_to_assembly, language_of
from tmebox.toolchain.options import DEFAULT_OPTIONS, CompileOptions, SourceText
from tmebox.toolchain.rewrite.emit import FLAGS_OVER_JUMP, FULL_RED_ZONE
from tmebox.toolchain.rewrite.rewrite import rewrite
from tmebox.toolchain.scratch import scratch_directory
from tmebox.toolchain.unpromised import without_unpromised

NO_JUMP_TABLES = "-fno-jump-tables"
_AVOIDING = {NO_JUMP_TABLES: FLAGS_OVER_JUMP, "-mno-red-zone": FULL_RED_ZONE}
"""Options by which compilers avoid what is refused, all of it rare: clang keeps flags over a jump table for
the cases to read, and a check needs the flags; one that needs memory needs some of the red zone."""


def compile_object(
    source: Path | SourceText,
    output: Path,
    options: CompileOptions = DEFAULT_OPTIONS,
    *,
    language: str | None = None,
    stop: threading.Event | None = None,
) -> Compiled:
    """Compile C or assembly to the instrumented object file `output`. Raises CompileError, also if the steps
    in Python take longer together than the compiler may, or once somebody sets `stop`."""
    with steps.limited(options.timeout_s, stop):
        compiled, name = instrument(source, options, language=language)
    assemble(
        compiled.text,
        output,
        file=name,
        isolation=options.isolation,
        base=options.base,
        limits=options.limits,
    )
    return compiled


def instrument(
    source: Path | SourceText, options: CompileOptions, *, language: str | None = None
) -> tuple[Compiled, str]:
    """What was compiled, its `text` instrumented, and the source's name. Raises CompileError."""
    if options.base not in BASES:
        raise CompileError(f"base is one of {', '.join(BASES)}, not {options.base!r}")
    name = source.name if isinstance(source, SourceText) else str(source)
    while True:
        try:
            return _instrument_once(source, options, language, name), name
        except CompileError as error:
            said = " ".join(one.message for one in error.diagnostics)
            more = [flag for flag, why in _AVOIDING.items() if why in said and flag not in options.flags]
            if not more:
                raise
            options = replace(options, flags=(*options.flags, *more))


def _instrument_once(
    source: Path | SourceText, options: CompileOptions, language: str | None, name: str
) -> Compiled:
    if isinstance(source, SourceText):
        compiled = _compile_text(source, options)
    else:
        compiled = compile_to_assembly(source, options, language=language)
    is_by_hand = (language or language_of(Path(name))).startswith("assembler")
    return instrumented(compiled, name, options, is_by_hand=is_by_hand)


def instrumented(compiled: Compiled, name: str, options: CompileOptions, *, is_by_hand: bool) -> Compiled:
    """is_by_hand: the source is assembly. Raises CompileError."""
    text = compiled.text
    found: tuple[Diagnostic, ...] = ()
    if is_by_hand:
        refuses = options.has_fatal_warnings
        text, found = without_unpromised(text, name, options.limits, refuses=refuses)
    return replace(
        compiled,
        text=rewrite(text, file=name, isolation=options.isolation, base=options.base),
        warnings=(*compiled.warnings, *found),
        messages=compiled.messages + "".join(f"{one}\n" for one in found),
    )


def _compile_text(source: SourceText, options: CompileOptions) -> Compiled:
    """Source without a directory: it sees the given directories and the sandbox's headers, nothing else."""
    language_of(Path(source.name))
    if Path(source.name).name != source.name or "\0" in source.name:
        raise CompileError(f"{source.name!r}: source text needs a plain file name")
    options = replace(
        options,
        include_dirs=tuple(Path(os.path.abspath(path)) for path in options.include_dirs),
        readable_dirs=tuple(Path(os.path.abspath(path)) for path in options.readable_dirs),
        search=tuple((flag, Path(os.path.abspath(path))) for flag, path in options.search),
    )
    with scratch_directory() as scratch:
        directory = scratch
        (directory / source.name).write_text(source.text, encoding="utf-8", errors="surrogateescape")
        return compile_to_assembly(Path(source.name), options, cwd=directory)
