"""The compilers of native builds: as sandboxed code is compiled, without what only a sandbox needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.toolchain.compile import clang, cplusplus, gcc
from tmebox.toolchain.compile.clang import TARGET
from tmebox.toolchain.compile.compile import CODE_FLAGS
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.sources import Source

MODES = {"non-PIE": ("-fno-pic", "-fno-pie"), "PIE": ("-fPIE",)}
"""Kinds of static executable, and how their code is compiled."""
LIMITS = clang.Limits(timeout_s=300)

SANDBOX_FLAGS = frozenset(
    {
        "-falign-functions=32",
        "-fno-pic",
        "-mcmodel=small",
        "-fno-integrated-as",
        "-mno-gather",
        "-mno-scatter",
        "-gdwarf-5",
    }
)
"""Flags of a sandboxed compilation that a native one does without: they are the price of the sandbox."""
GCC_SANDBOX_FLAGS = frozenset({"-ffixed-r15", "-ffixed-r14", "-fno-ipa-ra", "-fno-pic", "-mcmodel=small"})


@dataclass(frozen=True)
class Compiler:
    """compile(source, output, arguments) makes an object of a C source, or raises CompileError.

    code_flags, libc_flags: of programs and of the C library, without those of MODES. base: whose headers fit.
    """

    compile: Callable[[Path, Path, Sequence[str]], None]
    code_flags: tuple[str, ...]
    libc_flags: tuple[str, ...]
    base: str


def compile_all(
    compile: Callable[[Source, Path], None],
    sources: Sequence[Source],
    directory: Path,
    what: str,
    progress: Callable[[str, int, int], None] | None,
) -> list[Path]:
    """The objects, in `directory`, compiled on all processors. compile(source, output) may raise: what it
    raises first ends the rest."""
    outputs = [directory / f"{source.name.replace('/', '-')}.o" for source in sources]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = [pool.submit(compile, *pair) for pair in zip(sources, outputs, strict=True)]
        try:
            for done, job in enumerate(jobs, 1):
                job.result()
                if progress is not None:
                    progress(what, done, len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)
    return outputs


def _with_clang(source: Path, output: Path, arguments: Sequence[str]) -> None:
    run("clang", [*arguments, "-nostdinc", "-c", str(source), "-o", str(output)])


def _with_gcc(source: Path, output: Path, arguments: Sequence[str]) -> None:
    """gcc makes assembly of C, like for a sandbox, and clang assembles it; assembly sources are clang's."""
    if source.suffix != ".c":
        search = [word for word in arguments if word.startswith(("-I", "-isystem", "-D"))]
        _with_clang(source, output, ["-target", TARGET, *search])
        return
    assembly = output.with_suffix(".s")
    finished = gcc.run([*arguments, "-nostdinc", "-o", str(assembly), str(source)], ANYWHERE, LIMITS)
    _require(finished)
    run("clang", ["-target", TARGET, "-c", str(assembly), "-o", str(output)])
    assembly.unlink()


def without_sandbox(flags: Sequence[str]) -> tuple[str, ...]:
    return _without(flags, SANDBOX_FLAGS)


def _without(flags: Sequence[str], unwanted: frozenset[str]) -> tuple[str, ...]:
    return tuple(flag for flag in flags if flag not in unwanted)


def code_flags_of_cxx(compiler: str) -> tuple[str, ...]:
    """What sources in C++ get besides `code_flags`. Raises CompileError."""
    if compiler != "clang":
        raise CompileError("the library's headers are clang's")
    directories = [f"-isystem{path}" for path in cplusplus.include_dirs()]
    return ("-nostdinc++", *cplusplus.LIBRARY_MACROS, *cplusplus.FLAGS, *directories)


COMPILERS = {
    "clang": Compiler(
        _with_clang,
        ("-target", TARGET, *_without(CODE_FLAGS, SANDBOX_FLAGS)),
        _without(libc_sources.FLAGS, SANDBOX_FLAGS),
        "gs",
    ),
    "gcc": Compiler(
        _with_gcc,
        _without(gcc.CODE_FLAGS, GCC_SANDBOX_FLAGS),
        (
            "-D_XOPEN_SOURCE=700",
            *libc_sources.GCC_FLAGS,
            *_without(gcc.CODE_FLAGS, GCC_SANDBOX_FLAGS),
        ),
        "r15",
    ),
}


def run(tool: str, arguments: Sequence[str]) -> None:
    """One run of a tool of clang's. Raises CompileError."""
    _require(clang.run(tool, list(arguments), ANYWHERE, LIMITS))


def _require(finished: clang.Finished) -> None:
    if finished.status:
        raise CompileError(f"the native build fails: {finished.messages.strip()[:2000]}")
