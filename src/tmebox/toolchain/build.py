"""The whole pipeline: sources → assembly → instrumented assembly → objects → module file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.modulefile import ModuleFile
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.compile import Compiled, compile_to_assembly
from tmebox.toolchain.link import link
from tmebox.toolchain.options import CompileOptions, Progress, SourceText
from tmebox.toolchain.rewrite import rewrite

__all__ = ["CompileOptions", "Progress", "SourceText", "build", "compile_object"]


def compile_object(
    source: Path | SourceText,
    output: Path,
    options: CompileOptions = CompileOptions(),
    *,
    language: str | None = None,
) -> Compiled:
    """Compile C or assembly to an instrumented object file. Raises CompileError."""
    if isinstance(source, SourceText):
        compiled = _compile_text(source, options)
        name = source.name
    else:
        compiled = compile_to_assembly(source, options, language=language)
        name = str(source)
    instrumented = rewrite(compiled.assembly, file=name, isolation=options.isolation)
    assemble(instrumented, output, file=name, limits=options.limits)
    return compiled


def _compile_text(source: SourceText, options: CompileOptions) -> Compiled:
    """Source without a directory: it sees the given directories and the sandbox's headers, nothing else."""
    if Path(source.name).name != source.name:
        raise CompileError(f"{source.name!r}: source text needs a plain file name")
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        directory = Path(scratch)
        (directory / source.name).write_text(source.text, encoding="utf-8", errors="surrogateescape")
        return compile_to_assembly(Path(source.name), options, cwd=directory)


def build(
    sources: Sequence[Path | SourceText],
    options: CompileOptions = CompileOptions(),
    *,
    progress: Progress | None = None,
) -> ModuleFile:
    """Sources to a module. Warnings go to stderr... through `warnings`. Raises CompileError."""
    if not sources:
        raise CompileError("no sources")
    objects: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        for index, source in enumerate(sources):
            if progress is not None:
                progress("compile", index, len(sources))
            objects.append(Path(scratch) / f"{index}.o")
            compile_object(source, objects[-1], options)
        if progress is not None:
            progress("link", len(sources), len(sources))
        if not options.use_libc:
            return link(objects, (), options)
        from tmebox.toolchain.libc import libc  # noqa: PLC0415 (it is built on first use)

        library = libc(isolation=options.isolation)
        return link(
            objects, (), options, start_object=library.start_object, implicit_archives=[library.archive]
        )
