"""The whole pipeline: sources → assembly → instrumented assembly → objects → module file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tmebox.errors import CompileError, Diagnostic
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain import steps
from tmebox.toolchain.libc.libc import libc
from tmebox.toolchain.libc.libcxx import libcxx
from tmebox.toolchain.libc.need import needs_libc, needs_libcxx
from tmebox.toolchain.link.inputs import archive_members, extract, require_archive, require_object
from tmebox.toolchain.link.link import link, require_marked
from tmebox.toolchain.link.undefined import refuse_undefined
from tmebox.toolchain.objects import compile_object
from tmebox.toolchain.options import DEFAULT_OPTIONS, CompileOptions, Progress, SourceText
from tmebox.toolchain.scratch import scratch_directory
from tmebox.toolchain.witnesses import with_prototypes

GIVEN = (".o", ".a")
"""What ends the names of objects, and of archives of them, all of which are linked."""

__all__ = [
    "GIVEN",
    "CompileOptions",
    "Progress",
    "SourceText",
    "build",
    "compile_object",
    "compile_objects",
    "link_objects",
    "link_program",
]


def build(
    sources: Sequence[Path | SourceText],
    options: CompileOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress | None = None,
    warn: Callable[[Diagnostic], None] | None = None,
    own: Mapping[Path, CompileOptions] | None = None,
) -> ModuleFile:
    """Sources to a module.

    progress(stage, done, total) and warn(diagnostic) are called from this thread. own: how single sources are
    compiled, where that is otherwise. Raises CompileError.
    """
    with scratch_directory() as scratch:
        objects = compile_objects(sources, scratch, options, progress=progress, warn=warn, own=own)
        return link_objects(objects, sources, options, progress=progress)


def compile_objects(
    sources: Sequence[Path | SourceText],
    directory: Path,
    options: CompileOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress | None = None,
    warn: Callable[[Diagnostic], None] | None = None,
    read: Callable[[Sequence[str]], None] | None = None,
    own: Mapping[Path, CompileOptions] | None = None,
) -> list[Path]:
    """The objects in `directory`: of each source one, and those that are given, alone or in archives.

    read: is told of the files that each was made of, the source first. The others are as `build` has them.
    Raises CompileError."""
    if not sources:
        raise CompileError("nothing to compile")
    from concurrent.futures import ThreadPoolExecutor  # not for who only links

    objects: list[Path] = []
    stop = threading.Event()
    # Threads: clang's part of the work is in child processes.
    with ThreadPoolExecutor(min(len(sources), len(os.sched_getaffinity(0)))) as pool:
        jobs = []
        for index, source in enumerate(sources):
            output = directory / f"{index}-{_stem(source)}.o"
            if isinstance(source, Path) and source.suffix in GIVEN:
                objects += [source] if source.suffix == ".o" else _extracted(source, output, options)
                if read is not None:
                    read([str(source)])
                continue
            objects.append(output)
            its_own = own.get(source, options) if own and isinstance(source, Path) else options
            jobs.append(pool.submit(compile_object, source, output, its_own, stop=stop))
        try:
            for done, job in enumerate(jobs):
                if progress is not None:
                    progress("compile", done, len(jobs))
                compiled = job.result()
                if read is not None:
                    read(compiled.dependencies)
                for warning in compiled.warnings:
                    if warn is not None:
                        warn(warning)
        except BaseException:  # one source is wrong, or Ctrl-C: nobody waits for the others
            stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    return objects


def _extracted(archive: Path, output: Path, options: CompileOptions) -> list[Path]:
    """Messages name the archive, and not where its objects are for a moment."""
    require_archive(archive)
    for name, contents in archive_members(archive):
        require_marked(contents, name, options)
    return extract(archive, output.with_suffix(""))


def link_objects(
    objects: Sequence[Path],
    sources: Sequence[Path | SourceText],
    options: CompileOptions = DEFAULT_OPTIONS,
    *,
    progress: Progress | None = None,
) -> ModuleFile:
    """What `compile_objects` made of the sources, as a module. Raises CompileError."""
    with steps.limited(options.timeout_s):
        module = link_program(objects, (), options, progress=progress)
    module = with_prototypes(module, sources, options, _build_one)
    refuse_undefined(module, objects, (), options)
    return module


def _build_one(source: SourceText, options: CompileOptions) -> ModuleFile:
    with scratch_directory() as scratch:
        output = scratch / f"{_stem(source)}.o"
        compile_object(source, output, options)
        return link_program([output], (), options)


def _stem(source: Path | SourceText) -> str:
    """What the linker's messages will call it."""
    return Path(source.name).stem[:64]


def link_program(
    objects: Sequence[Path],
    archives: Sequence[Path],
    options: CompileOptions = DEFAULT_OPTIONS,
    *,
    use_start_files: bool = True,
    roots: Sequence[str] = (),
    link_map: Path | None = None,
    progress: Progress | None = None,
) -> ModuleFile:
    """`link` with the sandboxed libc, and C++'s library, unless `options` leave them out or nothing refers to
    them; built first if need be.

    use_start_files: make a command of what has `main`. roots: symbols to link, whoever refers to them.
    link_map: a file to describe the link in.
    """
    for path in objects:
        require_object(path)
    if not options.use_libc or not (archives or needs_libc(objects, options.exports or ())):
        return link(objects, archives, options, roots=roots, link_map=link_map)

    def building(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: None if progress is None else progress(stage, done, total)

    library = libc(building("libc"), isolation=options.isolation, base=options.base)
    implicit = [library.archive]
    if needs_libcxx(objects, archives):
        implicit.insert(0, libcxx(building("libc++"), isolation=options.isolation))
    if progress is not None:
        progress("link", 0, 1)
    return link(
        objects,
        archives,
        options,
        start_object=library.start_object if use_start_files else None,
        implicit_archives=implicit,
        unwinds=len(implicit) > 1,
        roots=roots,
        link_map=link_map,
    )
