"""The native C++ library: the same sources as the sandboxed one's, for the same C library, not instrumented.

Only what a sandbox replaces is the compiler package's own: how registers are saved and restored by the
unwinder, what a thread has of exceptions, and how std::terminate ends. `native/process.c` has what they ask
of a process.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tmebox import abi
from tmebox.toolchain.compile import clang, cplusplus
from tmebox.toolchain.libc import cxx_sources
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.libc import cache_directory
from tmebox.toolchain.libc.sources import Source
from tmebox_bench import native, native_compilers
from tmebox_bench.native_compilers import MODES

Progress = Callable[[str, int, int], None]
PROCESS = Path(__file__).parent / "native" / "process.c"
_OF_SANDBOXES = frozenset({"-D_LIBUNWIND_IS_BAREMETAL", "-include", "stack_words.h"})


def libraries(mode: str, progress: Progress | None = None) -> Path:
    """Directory of the native libc++.a, built at first use. mode: of MODES. Raises CompileError, OSError."""
    directory = cache_directory() / f"native-libcxx-{_key(mode)}"
    if not directory.is_dir():
        with directory.with_suffix(".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not directory.is_dir():
                _build(directory, mode, progress)
    return directory


def sources() -> list[Source]:
    found = [source for source in cxx_sources.sources() if not source.name.startswith("cxx/")]
    library = clang.toolchain_dir() / "lib"
    like = {source.name.partition("/")[0]: source for source in found}
    for stem in ("abort_message", "cxa_exception_storage"):
        path = library / "libcxxabi" / "src" / f"{stem}.cpp"
        found.append(replace(like["libcxxabi"], name=f"libcxxabi/{stem}", path=path))
    for stem in ("UnwindRegistersSave", "UnwindRegistersRestore"):
        path = library / "libunwind" / "src" / f"{stem}.S"
        found.append(Source(f"libunwind/{stem}", path, ("-target", clang.TARGET)))
    found.append(Source("bench/process", PROCESS, ("-target", clang.TARGET, "-O2")))
    return found


def _key(mode: str) -> str:
    digest = hashlib.sha256(f"{mode}\0{MODES[mode]}\0{libc_sources.compiler_version()}\0".encode())
    files = [
        Path(__file__),
        PROCESS,
        Path(abi.__file__),
        Path(cxx_sources.__file__),
        Path(cplusplus.__file__),
    ]
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def _build(directory: Path, mode: str, progress: Progress | None) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
    try:
        objects = native_compilers.compile_all(
            lambda source, output: _compile(source, output, mode),
            sources(),
            scratch,
            f"native libc++, {mode}",
            progress,
        )
        libc_sources.archive(scratch / "libc++.a", objects)
        for path in objects:
            path.unlink()
        native.publish(scratch, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _compile(source: Source, output: Path, mode: str) -> None:
    flags = [flag for flag in source.flags or () if flag not in _OF_SANDBOXES]
    flags = [*native_compilers.without_sandbox(flags), *MODES[mode]]
    headers = libc_sources.include_dirs()
    if source.path.suffix == ".cpp":
        headers = (*cplusplus.include_dirs(), *headers)
    search = [f"-I{path}" for path in source.search] + [f"-isystem{path}" for path in headers]
    native_compilers.run("clang", [*flags, "-nostdinc", *search, "-c", str(source.path), "-o", str(output)])
