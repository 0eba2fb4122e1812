"""C to assembly text with clang, for the rewriter. Assembly sources come through here too, to be preprocessed."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tmebox.errors import CompileError, Diagnostic
from tmebox.toolchain import clang, containment, diagnostics
from tmebox.toolchain.flags import vet, vet_define
from tmebox.toolchain.options import CompileOptions

TARGET = "x86_64-linux-musl"

CODE_FLAGS = (
    "-fno-pic",
    "-mcmodel=small",
    "-fomit-frame-pointer",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-addrsig",
    "-ftls-model=local-exec",
    "-fno-integrated-as",  # inline assembly must arrive as text: clang would expand .incbin in it
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",  # with -g this leaves .debug_frame
    "-ffunction-sections",
    "-fdata-sections",
    "-mno-gather",
    "-mno-scatter",
    "-gdwarf-5",
    "-fno-crash-diagnostics",  # they would leave files behind
    "-fno-color-diagnostics",
)
"""docs/design.md, section 4. Debug information is always made: prototypes and line tables come from it."""

C_SUFFIXES = (".c", ".i")
ASSEMBLY_SUFFIXES = (".s", ".S", ".sx")
ASSEMBLY_MAX_BYTES = 256 << 20

EXPORT_NAME = '-Dexport_name(name)=section(".text.tmebox_export." name), used'
"""Clang knows `__attribute__((export_name("x")))` only for WebAssembly; here it names a section, which the
linker step understands. Defined only for sources that use it, so that the name stays free for others."""
_EXPORT_NAME_WARNING = re.compile(
    r"unknown attribute '(__)?export_name(__)?' ignored|'export_name' attribute"
)


@dataclass(frozen=True)
class Compiled:
    """Assembly text as clang wrote it, its warnings, and every file it read (the source first)."""

    assembly: str
    warnings: tuple[Diagnostic, ...]
    dependencies: tuple[str, ...]
    messages: str = ""


def system_include_dirs(options: CompileOptions) -> tuple[Path, ...]:
    """Our own headers, the sandboxed libc's and the compiler's, in search order."""
    own = clang.own_include_dir()
    if not options.use_libc:
        return (own, clang.compiler_include_dir())
    from tmebox.toolchain.libc_sources import include_dirs  # noqa: PLC0415 (headers need no built library)

    return (own, *include_dirs())


def compile_to_assembly(
    source: Path,
    options: CompileOptions,
    *,
    cwd: Path | None = None,
    readable: tuple[Path, ...] | None = None,
    language: str | None = None,
) -> Compiled:
    """Compile C, or preprocess assembly. Raises CompileError with the compiler's diagnostics.

    `readable` replaces the source's own directory among those it may read from; `cwd` is where relative
    names start; `language` is clang's name for it, where the suffix does not tell.
    """
    if language is None:
        language = _language(source)
    if language == "assembler":
        return Compiled(_read_assembly(Path(cwd or "", source)), (), (str(source),))
    system = system_include_dirs(options)
    own_dirs = (Path(cwd or "", source).parent,) if readable is None else readable
    permitted = (*own_dirs, *options.include_dirs, *options.readable_dirs, *system)
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        arguments = [*_arguments(options, language, system, Path(scratch), permitted), str(source)]
        run = _Run(arguments, options, Path(scratch), cwd)
        finished = run.go()
        opened = run.opened()
        containment.refuse_outside(opened, permitted, cwd=cwd, source=str(source))
        found = diagnostics.parse_clang(finished.messages)
        if finished.status == 0 and any(_EXPORT_NAME_WARNING.search(item.message) for item in found):
            run = _Run([EXPORT_NAME, *arguments], options, Path(scratch), cwd)
            finished = run.go()
            found = diagnostics.parse_clang(finished.messages)
        if finished.status != 0:
            wrong = diagnostics.errors(found) or (
                Diagnostic(finished.messages.strip()[-2000:] or "no message"),
            )
            raise CompileError(f"{source} does not compile", wrong)
        assembly = _read_assembly(run.output)
    return Compiled(assembly, found, opened, finished.messages)


def _language(source: Path) -> str:
    if source.suffix in C_SUFFIXES:
        return "c"
    if source.suffix in ASSEMBLY_SUFFIXES:
        return "assembler" if source.suffix == ".s" else "assembler-with-cpp"
    raise CompileError(f"{source}: not a source that can be sandboxed (C: .c; assembly: .s, .S)")


def _arguments(
    options: CompileOptions,
    language: str,
    system: tuple[Path, ...],
    scratch: Path,
    permitted: tuple[Path, ...],
) -> list[str]:
    vfs = scratch / "files.yaml"
    vfs.write_text(containment.overlay(permitted))
    arguments = ["-target", TARGET, *CODE_FLAGS, "-x", language, "-nostdinc", "-ivfsoverlay", str(vfs)]
    arguments += vet([options.optimize, *options.flags])
    if "-O0" in arguments and language == "c":
        arguments += ["-O1", "-include", str(clang.own_include_dir() / "tmebox_unoptimized.h")]
    arguments += [vet_define(define) for define in options.defines]
    for directory in options.include_dirs:
        arguments += ["-I", str(directory)]
    for directory in system:
        arguments += ["-isystem", str(directory)]
    arguments.append("-E" if language == "assembler-with-cpp" else "-S")
    return arguments


class _Run:
    """One run of clang with its output and dependency files in `scratch`."""

    def __init__(
        self, arguments: list[str], options: CompileOptions, scratch: Path, cwd: Path | None
    ) -> None:
        self.output = scratch / "out.s"
        self._listing = scratch / "out.d"
        self._arguments = arguments
        self._options = options
        self._cwd = cwd

    def go(self) -> clang.Finished:
        extra = ["-MD", "-MF", str(self._listing), "-MT", "out", "-o", str(self.output)]
        return clang.run("clang", [*self._arguments, *extra], self._options.limits, cwd=self._cwd)

    def opened(self) -> tuple[str, ...]:
        """Every file that was read. A missing header leaves no listing: then ask again, tolerating it."""
        if not self._listing.exists():
            extra = ["-M", "-MG", "-MT", "out", "-w", "-o", str(self._listing)]
            clang.run("clang", [*self._arguments, *extra], self._options.limits, cwd=self._cwd)
        if not self._listing.exists():
            raise CompileError(f"{self._arguments[-1]} cannot be read, or what it includes cannot be listed")
        return containment.dependencies(self._listing.read_text(errors="surrogateescape"))


def _read_assembly(path: Path) -> str:
    try:
        if os.stat(path).st_size > ASSEMBLY_MAX_BYTES:
            raise CompileError(f"{path}: more than {ASSEMBLY_MAX_BYTES >> 20} MiB of assembly")
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise CompileError(f"{path}: {error.strerror}") from None
