"""C and C++ to assembly text with clang, for the rewriter. Assembly sources come through here too."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tmebox.abi import form
from tmebox.errors import CompileError, Diagnostic
from tmebox.records import dataclass, replace
from tmebox.toolchain import diagnostics
from tmebox.toolchain.compile import (
    clang,
    containment,
    cplusplus,
    gcc,
    instantiations,
    tail_calls,
    variable_arguments,
)
from tmebox.toolchain.compile.flags import SANDBOXED, vet, vet_define
from tmebox.toolchain.confine import Reach
from tmebox.toolchain.options import CompileOptions
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import alignment, frames
from tmebox.toolchain.rewrite.asm import AsmSyntaxError, normalized
from tmebox.toolchain.rewrite.replacement import Refusal
from tmebox.toolchain.scratch import scratch_directory

CODE_FLAGS = (
    *SANDBOXED,
    "-falign-functions=32",  # where tiny functions happen to lie changes them by a tenth: decision 16
    "-falign-loops=32",  # and where loops lie by as much: instrumented ones are longer, and cross more lines
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",  # with -g this leaves .debug_frame
    "-mno-gather",
    "-mno-scatter",
    "-gdwarf-5",
    "-Qunused-arguments",  # options of C++ are given to C, too
    "-fno-crash-diagnostics",  # they would leave files behind
    "-fno-color-diagnostics",
)
"""Debug information is always made: prototypes and line tables come from it."""
WITHOUT_LOCATIONS = (
    "-gno-column-info",
    "-mllvm",
    "-livedebugvalues-input-bb-limit=0",
    "-mllvm",
    "-livedebugvalues-input-dbg-value-limit=0",
)
"""Where variables are at each instruction is a third of the assembly, and only debuggers ask for it. These
values make functions of any size too large for clang to find out. Its code is the same."""

LANGUAGES = {
    **dict.fromkeys((".c", ".i"), "c"),
    ".s": "assembler",
    **dict.fromkeys((".S", ".sx"), "assembler-with-cpp"),
    **dict.fromkeys((*cplusplus.SUFFIXES, *cplusplus.PREPROCESSED_SUFFIXES), cplusplus.LANGUAGE),
}
"""Clang's names of what can be compiled, by suffix."""
ASSEMBLY_MAX_BYTES = 256 << 20
_FILE_FLAGS = ("-include", "-imacros")

EXPORT_NAME = '-Dexport_name(name)=section(".text.tmebox_export." name), used'
"""Clang knows `__attribute__((export_name("x")))` only for WebAssembly; here it names a section, which the
linker step understands. Defined only for sources that use it, so that the name stays free for others."""
_EXPORT_NAME_WARNING = regex(r"['‘](__)?export_name(__)?['’].*ignored")


_NOWHERE = regex(r"^note: could not determine the original source location for .*\n?", re.MULTILINE)
"""Goes with remarks about functions that stand nowhere, such as a coroutine's parts."""


@dataclass(frozen=True)
class Compiled:
    """What clang wrote (assembly, or preprocessed source), its warnings, and every file it read, the source
    first. `messages` is what it said, as it said it."""

    text: str
    warnings: tuple[Diagnostic, ...]
    dependencies: tuple[str, ...]
    messages: str = ""


class SourceError(CompileError):
    """Errors in the source. `messages` is what the compiler printed about them."""

    def __init__(self, message: str, found: tuple[Diagnostic, ...], messages: str) -> None:
        self.messages = messages
        super().__init__(message, found)


def system_include_dirs(options: CompileOptions, language: str) -> tuple[Path, ...]:
    """Our own headers, the sandboxed libraries' and the compiler's, in search order."""
    libc = clang.libc_include_dirs() if options.use_libc else ()
    own = gcc.gcc().include_dir if options.base == "r15" else clang.compiler_include_dir()
    libcxx = cplusplus.include_dirs() if options.use_libc and language == cplusplus.LANGUAGE else ()
    return (clang.own_include_dir(), *libcxx, *libc, own)


def compile_to_assembly(
    source: Path, options: CompileOptions, *, cwd: Path | None = None, language: str | None = None
) -> Compiled:
    """Compile C or C++, or preprocess assembly. Raises CompileError with the compiler's diagnostics.

    The source may include from its own directory and those of `options`. `cwd` is where relative names start
    (default: the process's); `language` is clang's name for it, where the suffix does not tell.
    """
    language = language or language_of(source)
    if language == "assembler":
        containment.refuse_outside(
            [str(source)], [Path(cwd or "", source.parent), *options.readable_dirs], cwd=cwd
        )
        return Compiled(_read(Path(cwd or "", source)), (), (str(source),))
    if language == "assembler-with-cpp":
        return preprocess(source, options, cwd=cwd, language=language)
    return _compile(source, options, ["-S"], cwd, language)


def preprocess(
    source: Path,
    options: CompileOptions,
    *,
    extra: tuple[str, ...] = (),
    cwd: Path | None = None,
    language: str | None = None,
) -> Compiled:
    """Only preprocess. `extra` are flags like -P, -C, -dM. Raises CompileError."""
    return _compile(source, options, ["-E", *extra], cwd, language or language_of(source))


def language_of(source: Path) -> str:
    """Raises CompileError for a source that is neither C, C++ nor assembly."""
    if source.suffix not in LANGUAGES:
        raise CompileError(
            f"{source}: not a source that can be sandboxed (C: .c; C++: .cpp, .cc, .cxx; assembly: .s, .S)"
        )
    return LANGUAGES[source.suffix]


def _compile(
    source: Path,
    options: CompileOptions,
    mode: list[str],
    cwd: Path | None,
    language: str,
    more: tuple[str, ...] = (),
    has_comments: bool = False,
) -> Compiled:
    """more: flags of our own. has_comments: let clang write comments, of what its text does not tell."""
    system = system_include_dirs(options, language)
    search = [path.parent if flag in _FILE_FLAGS else path for flag, path in options.search]
    given = (*options.include_dirs, *search, *options.readable_dirs)
    start = os.path.abspath(cwd or "")
    permitted = [Path(start, path) for path in (source.parent, *given)] + list(system)
    if options.base == "r15" and language == cplusplus.LANGUAGE:
        raise CompileError(f"{source}: C++ needs the base in gs: leave out --base r15 (base='r15')")
    if options.base == "r15" and language == "c":
        return _compile_with_gcc(source, options, mode, cwd, permitted)
    with scratch_directory() as scratch:
        (scratch / "files.yaml").write_text(containment.overlay(permitted))
        files = ["-ivfsoverlay", str(scratch / "files.yaml")]
        words = [*files, *_options(options, language, system), *mode]
        if mode == ["-S"] and _is_unoptimized(words):
            words += ["-O1", "-include", str(clang.own_include_dir() / "tmebox_unoptimized.h")]
        if form(options.base, options.isolation) == "twin" and mode == ["-S"]:
            words += [*frames.FLAGS, *more, *(() if has_comments else (tail_calls.WITHOUT_COMMENTS,))]
        reach = Reach(reads=tuple(permitted), writes=(scratch,))
        run = _Run([*words, str(source)], options, scratch, reach, cwd)
        finished = run.go()
        opened = run.opened()
        containment.refuse_outside(opened, permitted, cwd=cwd)
        if _EXPORT_NAME_WARNING.search(finished.messages):
            run = _Run([EXPORT_NAME, *words, str(source)], options, scratch, reach, cwd)
            finished = run.go()
        layouts, messages = frames.layouts(finished.messages)
        messages = _NOWHERE.sub("", messages)[: clang.MESSAGES_MAX]
        finished = replace(finished, messages=messages)
        found = diagnostics.parse_clang(finished.messages)
        if language == cplusplus.LANGUAGE:
            found = instantiations.seen_from_sources(found, clang.system_dirs())
        if finished.status != 0:
            wrong = diagnostics.errors(found) or (
                Diagnostic(finished.messages.strip()[-2000:] or "no message"),
            )
            raise SourceError(f"{source} does not compile", wrong, finished.messages)
        text = _read(run.output)
        if mode == ["-S"]:
            with suppress(AsmSyntaxError):  # the rewriter says so
                text = normalized(text)  # what places frames takes statements apart
        if form(options.base, options.isolation) == "twin" and mode == ["-S"]:
            placed = _placed(text, layouts, source, options, more, has_comments)
            if not isinstance(placed, str):
                return _compile(source, options, mode, cwd, language, *placed)
            if alignment.is_wanted(text):
                words += variable_arguments.FLAGS
                run = _Run([*words, str(source)], options, scratch, reach, cwd)
                if run.go().status != 0:
                    raise CompileError(f"{source}: clang failed to show its calls")
                _refuse_aligned(source, _read(run.output))
            text = placed
        return Compiled(text, found, opened, finished.messages)


def _unwinds(flags: Sequence[str]) -> bool:
    """Whether exceptions pass through C: the last flag decides."""
    said = [flag for flag in flags if flag in ("-fexceptions", "-fno-exceptions")]
    return said[-1:] == ["-fexceptions"]


def _placed(
    text: str,
    layouts: dict[str, frames.Layout],
    source: Path,
    options: CompileOptions,
    more: tuple[str, ...],
    has_comments: bool,
) -> str | tuple[tuple[str, ...], bool]:
    """For a stack and its twin; or with which flags, and whether with comments, it has to be compiled again.
    Raises CompileError."""
    known = text if has_comments else tail_calls.marked(text)
    if known is None:
        return more, True
    try:
        placed = frames.with_twin(known, layouts, elsewhere=bool(more))
        return frames.with_debug_frames(placed, unwinds=_unwinds(options.flags))
    except Refusal as refusal:
        if more:
            raise CompileError(f"{source}: {refusal}") from None
        return clang.without_variable_sizes(), has_comments


def _refuse_aligned(source: Path, ir: str) -> None:
    if found := variable_arguments.too_aligned(ir):
        raise CompileError(
            f"{source}: {found[0]}: an argument that needs an alignment of {found[1]} bytes, to a function "
            "with variable arguments: pass its address"
        )


def _compile_with_gcc(
    source: Path, options: CompileOptions, mode: list[str], cwd: Path | None, permitted: list[Path]
) -> Compiled:
    """As `_compile`, in two runs: see `gcc`."""
    flags = [*gcc.code_flags(), *gcc.DEBUG_FLAGS, *([] if options.debug else gcc.WITHOUT_LOCATIONS)]
    flags += gcc.known_flags(vet([options.optimize, *options.flags]))
    search = ["-nostdinc", gcc.MACRO, *_search(options, system_include_dirs(options, "c"))]
    if mode != ["-S"]:
        search += mode[1:]
    with scratch_directory() as scratch:
        messages = ""
        for extra in ([], [EXPORT_NAME]):
            reach = Reach(reads=tuple(permitted), writes=(scratch,))
            run = _GccRun([*extra, *flags, *search, str(source)], options, scratch, reach, cwd)
            finished = run.go()
            opened = run.opened()
            containment.refuse_outside(opened, permitted, cwd=cwd, has_overlay=False)
            output, messages = run.output, finished.messages
            if finished.status == 0 and mode == ["-S"]:
                output = scratch / "assembly"
                finished = gcc.compile_preprocessed(run.output, output, flags, options.limits, cwd=cwd)
                messages += finished.messages
            if not _EXPORT_NAME_WARNING.search(messages):
                break
        found = diagnostics.parse_clang(messages)
        if finished.status != 0:
            wrong = diagnostics.errors(found) or (Diagnostic(messages.strip()[-2000:] or "no message"),)
            raise SourceError(f"{source} does not compile", wrong, messages)
        return Compiled(_read(output), found, opened, messages)


def _options(options: CompileOptions, language: str, system: tuple[Path, ...]) -> list[str]:
    words = ["-target", clang.TARGET, *CODE_FLAGS, "-x", language, "-nostdinc"]
    if language == cplusplus.LANGUAGE:
        words += ["-nostdinc++", *cplusplus.LIBRARY_MACROS, *cplusplus.FLAGS]
    words += vet([options.optimize, *options.flags])
    if options.base == "r15":
        words.append(gcc.MACRO)
    if form(options.base, options.isolation) == "twin":
        words.append(frames.MACRO)
    if not options.debug:
        words += WITHOUT_LOCATIONS
    return words + _search(options, system)


def _search(options: CompileOptions, system: tuple[Path, ...]) -> list[str]:
    """Macros, and where headers are."""
    words = [vet_define(define) for define in options.defines]
    for directory in options.include_dirs:
        words += ["-I", str(directory)]
    for flag, path in options.search:
        words += [flag, str(path)]
    for directory in system:
        words += ["-isystem", str(directory)]
    return words


def _is_unoptimized(words: list[str]) -> bool:
    """Whether the last -O is -O0, as it is for a compiler."""
    return [flag for flag in words if flag.startswith("-O")][-1] == "-O0"


_MISSING = r"'[^']+' file not found.*|[^:]+: No such file or directory"
"""What clang and gcc say of a header that is not there."""


class _Run:
    """One run of clang with its output and dependency files in `scratch`."""

    def __init__(
        self, words: list[str], options: CompileOptions, scratch: Path, reach: Reach, cwd: Path | None
    ) -> None:
        self.output = scratch / "output"
        self._listing = scratch / "dependencies"
        self._words = words
        self._options = options
        self._reach = reach
        self._cwd = cwd
        self._messages = ""

    def go(self) -> clang.Finished:
        extra = ["-MD", "-MF", str(self._listing), "-MT", "output", "-o", str(self.output)]
        words = [*extra, *self._words]
        limits, most = self._options.limits, frames.REMARKS_MAX
        finished = clang.run("clang", words, self._reach, limits, cwd=self._cwd, messages_max=most)
        return self._noted(finished)

    def _noted(self, finished: clang.Finished) -> clang.Finished:
        self._messages = finished.messages
        return finished

    def opened(self) -> tuple[str, ...]:
        """Every file that was read. A missing header leaves no listing: then ask again, tolerating it."""
        if not self._listing.exists():
            self._ask_again()
            if not self._listing.exists():
                raise self._incomplete()
        return containment.dependencies(self._listing.read_text(errors="surrogateescape"))

    def _incomplete(self) -> CompileError:
        """Headers are missing without which the source has more errors. Nothing else may be told: it is not
        known which files were read."""
        found = diagnostics.errors(diagnostics.parse_clang(self._messages))
        missing = tuple(
            replace(item, excerpt="") for item in found if re.fullmatch(_MISSING, item.message) is not None
        )
        if missing:
            return CompileError(f"{self._words[-1]} does not compile: a header is missing", missing)
        links = containment.denied(found, self._reach.reads, cwd=self._cwd)
        if links:
            return containment.outside(self._words[-1], links)
        # An option that clang does not take, say. What has no place in a file comes from none.
        other = tuple(replace(item, excerpt="", notes=()) for item in found if item.file is None)
        return CompileError(f"{self._words[-1]} does not compile: the compiler did not read all of it", other)

    def _ask_again(self) -> clang.Finished:
        extra = ["-M", "-MG", "-MT", "output", "-w", "-o", str(self._listing)]
        words = [*self._words, *extra]
        return clang.run("clang", words, self._reach, self._options.limits, cwd=self._cwd)


class _GccRun(_Run):
    """One run of gcc's preprocessor."""

    def go(self) -> clang.Finished:
        listing = ["-MD", str(self._listing), "-MT", "output", "-o", str(self.output)]
        words = ["-E", *self._words, *listing]
        return self._noted(gcc.run(words, self._reach, self._options.limits, cwd=self._cwd))

    def _ask_again(self) -> clang.Finished:
        extra = ["-E", "-M", "-MG", "-MT", "output", "-w", "-o", str(self._listing)]
        return gcc.run([*extra, *self._words], self._reach, self._options.limits, cwd=self._cwd)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > ASSEMBLY_MAX_BYTES:
            raise CompileError(f"{path}: more than {ASSEMBLY_MAX_BYTES >> 20} MiB of text")
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise CompileError(f"{path}: {error.strerror}") from None
