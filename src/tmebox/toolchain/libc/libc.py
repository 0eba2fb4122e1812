"""The sandboxed libc: musl's sources and ours (`guest/`), through our own pipeline.

Wheels bring it (`shipped/`, by the same key); what they do not bring is built at first use and cached.
Nothing of it is trusted, wherever it comes from: it goes through the verifier with the program it is linked
into. The key only says whether it fits. The linker reads it as it is, and not a checked copy as of archives
that a user gives: it lies in tmebox itself, or in the cache, which is the user's own (`tmebox.cache`).
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tmebox import abi, cache
from tmebox.errors import CompileError
from tmebox.records import dataclass
from tmebox.toolchain.compile import gcc
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.kept import KEPT_S, Kept, digest
from tmebox.toolchain.libc.sources import Source, Variant

Progress = Callable[[int, int], None]
"""Called with (objects done, objects in all), from the thread that called `libc`."""

ARCHIVE, START_OBJECT = "libc.a", "crt1.o"
KEYS = "keys"
"""Folder of the cache: what code was hashed to."""
_SOURCES = (".py", ".c", ".h", ".s", ".S", ".cpp")
TOOLCHAIN = Path(__file__).parents[1]
SHIPPED = TOOLCHAIN / "shipped"


@dataclass(frozen=True)
class Libc:
    """`archive` has everything but `start_object`, which a program with `main` links first. `include_dirs`
    are in search order and are all a sandboxed compilation needs besides its own."""

    archive: Path
    start_object: Path
    include_dirs: tuple[Path, ...]


def libc(progress: Progress | None = None, *, isolation: str = "code+data", base: str = "gs") -> Libc:
    """The libc for this version of all that shapes it; built first if it is neither shipped nor cached.

    Two processes that need it at once build it once. Raises CompileError if the toolchain is missing or
    fails, or if the cache directory lacks it and cannot be written.
    """
    directory = found(isolation=isolation, base=base)
    if directory is None:
        directory = _cached(isolation, base)
        try:
            with cache.locked(directory.with_suffix(".lock")):
                if not (directory / ARCHIVE).exists():
                    _build_into(directory, isolation, base, progress)
                    _forget_unused(directory.parent)
        except OSError as error:
            raise unwritable(directory.parent, error) from error
    if not directory.is_relative_to(SHIPPED):
        with suppress(OSError):  # somebody else's, which is as good
            os.utime(directory)
    return Libc(directory / ARCHIVE, directory / START_OBJECT, libc_sources.include_dirs(base))


def found(*, isolation: str = "code+data", base: str = "gs") -> Path | None:
    """Where the library is that fits: shipped or cached; None if `libc` would build it."""
    shipped = SHIPPED / f"libc-{_key(isolation, base)}"
    if (shipped / ARCHIVE).exists():
        return shipped
    cached = _cached(isolation, base)
    return cached if (cached / ARCHIVE).exists() else None


def _cached(isolation: str, base: str) -> Path:
    return cache_directory() / f"libc-{_key(isolation, base)}"


def cache_directory() -> Path:
    """Raises CompileError where there is none that can be believed."""
    try:
        return cache.cache_directory()
    except cache.NoCacheError as error:
        raise CompileError(str(error)) from error


def unwritable(directory: Path, error: OSError) -> CompileError:
    return CompileError(str(cache.cannot_be_written(directory, error)))


_NOT_SHAPING_CODE = frozenset(
    {
        "build.py",
        "diagnostics.py",
        "objects.py",
        "options.py",
        "processes.py",
        "scratch.py",
        "unpromised.py",
        "witnesses.py",
        "compile/compile.py",
        "compile/containment.py",
        "compile/flags.py",
        "compile/instantiations.py",
        "compile/option_table.py",
        "compile/variable_arguments.py",
        "libc/need.py",
        "libc/ship.py",
    }
)
_NOT_SHAPING_FOLDERS = ("cc/", "link/")
"""What of the toolchain a program's sources and objects go through, and libc's do not."""


@functools.cache
def _key(isolation: str, base: str = "gs") -> str:
    """Hash of whatever decides what the objects contain."""
    version = gcc.gcc().version if base == "r15" else ""
    asked = f"{isolation} {base} {version} {libc_sources.compiler_version()}"
    return remembered(asked, (libc_sources.GUEST, TOOLCHAIN), lambda: _computed_key(isolation, base))


def _computed_key(isolation: str, base: str) -> str:
    versions = f"{libc_sources.compiler_version()} {gcc.gcc().version if base == 'r15' else ''}"
    guest = libc_sources.GUEST
    files = {
        str(path.relative_to(guest)): path
        for path in guest.rglob("*.[chsS]")
        if path.parent != libc_sources.CXX
    }
    return digest(isolation, abi.form(base, isolation), versions, code_digest(), *contents(files))[:20]


def code_digest() -> str:
    """Hash of the code that compiles, instruments and assembles."""
    files = {path.relative_to(TOOLCHAIN).as_posix(): path for path in TOOLCHAIN.rglob("*.py")}
    shaping = {
        name: path
        for name, path in files.items()
        if name not in _NOT_SHAPING_CODE and not name.startswith(_NOT_SHAPING_FOLDERS)
    }
    return digest(*contents({**shaping, "abi.py": Path(abi.__file__)}))


def remembered(asked: str, folders: tuple[Path, ...], compute: Callable[[], str]) -> str:
    """What `compute` returns, which depends on `asked` and on the code in `folders` and in `abi`: read and
    hashed again only after some file there has another time or size. A link would take a tenth longer, as
    it does where there is no cache."""
    try:
        kept = Kept(cache.cache_directory() / KEYS)
    except cache.NoCacheError:
        return compute()
    seen = [str(Path(abi.__file__).stat().st_mtime_ns)]
    for folder in folders:
        seen += [f"\0{folder}", *sorted(_stamps(os.fspath(folder)))]
    stamp = digest(asked, *seen)
    found = kept.get(stamp)
    if found is None:
        found = compute().encode()
        kept.put(stamp, found)
    return found.decode()


def _stamps(folder: str) -> Iterator[str]:
    """Of each source below: where it is, when it changed, its size."""
    for entry in os.scandir(folder):
        if entry.is_dir():
            if entry.name not in ("__pycache__", SHIPPED.name):
                yield from _stamps(entry.path)
        elif entry.name.endswith(_SOURCES):
            status = entry.stat()
            yield f"{entry.path} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_size}"


def contents(files: Mapping[str, Path]) -> Iterator[str | bytes]:
    """Names and contents, in the order of the names."""
    for name, path in sorted(files.items()):
        yield name
        yield path.read_bytes()


def _build_into(directory: Path, isolation: str, base: str, progress: Progress | None) -> None:
    """Build in a temporary directory beside `directory`, then rename: nobody ever sees half a libc."""
    scratch = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
    try:
        (scratch / "abi.h").write_text(abi._header())
        kept = Kept(directory.parent / "objects")
        variant = Variant(isolation, base, scratch, code_digest())
        members = compile_all(libc_sources.sources(), variant, kept, progress)
        libc_sources.archive(scratch / ARCHIVE, members)
        libc_sources.compile_source(libc_sources.START, scratch / START_OBJECT, variant, kept)
        kept.forget_unused()
        Kept(directory.parent / KEYS).forget_unused()
        result = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
        for name in (ARCHIVE, START_OBJECT):
            (scratch / name).rename(result / name)
        result.rename(directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _forget_unused(cache: Path) -> None:
    """Delete libraries that nothing has used for KEPT_S seconds: each version of tmebox leaves some."""
    oldest = time.time() - KEPT_S
    for path in cache.glob("libc-*"):
        try:
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # someone else was faster


def compile_all(sources: list[Source], variant: Variant, kept: Kept, progress: Progress | None) -> list[Path]:
    """Compile on every core: the work is in child processes, so threads do. Raises the first error."""
    from concurrent.futures import ThreadPoolExecutor  # most links find the library built

    objects = [variant.generated / f"{source.name.replace('/', '-')}.o" for source in sources]
    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(libc_sources.compile_source, source, output, variant, kept)
            for source, output in zip(sources, objects, strict=True)
        ]
        try:
            for done, job in enumerate(jobs, 1):
                job.result()
                if progress is not None:
                    progress(done, len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)
    return objects
