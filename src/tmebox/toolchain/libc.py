"""The sandboxed libc: musl's sources and ours (`guest/`), through our own pipeline, built once and cached.

Nothing built here is trusted: it goes through the verifier with the program it is linked into.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tmebox import abi
from tmebox.errors import CompileError
from tmebox.toolchain import gcc, libc_sources
from tmebox.toolchain.libc_sources import Source

Progress = Callable[[int, int], None]
"""Called with (objects done, objects in all), from the thread that called `libc`."""


KEPT_S = 30 * 24 * 3600


@dataclass(frozen=True)
class Libc:
    """`archive` has everything but `start_object`, which a program with `main` links first. `include_dirs`
    are in search order and are all a sandboxed compilation needs besides its own."""

    archive: Path
    start_object: Path
    include_dirs: tuple[Path, ...]


def libc(progress: Progress | None = None, *, isolation: str = "code+data", base: str = "gs") -> Libc:
    """The libc for this version of everything that shapes it; built first if it is not in the cache.

    Two processes that need it at once build it once. Raises CompileError if the toolchain is missing or
    fails, or if the cache directory lacks it and cannot be written.
    """
    directory = cache_directory() / f"libc-{_key(isolation, base)}"
    if not (directory / "libc.a").exists():
        try:
            with _locked(directory.with_suffix(".lock")):
                if not (directory / "libc.a").exists():
                    _build_into(directory, isolation, base, progress)
                    _forget_unused(directory.parent)
        except OSError as error:
            raise _unwritable(directory.parent, error) from error
    with suppress(OSError):  # somebody else's, which is as good
        os.utime(directory)
    return Libc(directory / "libc.a", directory / "crt1.o", libc_sources.include_dirs(base))


def is_built(*, isolation: str = "code+data", base: str = "gs") -> bool:
    """Whether `libc` would find it in the cache."""
    return (cache_directory() / f"libc-{_key(isolation, base)}" / "libc.a").exists()


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/tmebox` or `~/.cache/tmebox`, created for its owner alone. Raises CompileError."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "tmebox"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from error
    return directory


def _unwritable(directory: Path, error: OSError) -> CompileError:
    return CompileError(
        f"the compiler's cache {directory} cannot be written ({error.strerror or error}): set "
        "XDG_CACHE_HOME to a directory that can"
    )


_NOT_SHAPING_CODE = frozenset(
    {
        *("arguments", "build", "compile", "containment", "debug_entries", "diagnostics", "driver", "dwarf"),
        *(
            "exports",
            "flags",
            "imports",
            "inputs",
            "leb128",
            "lines",
            "link",
            "linked",
            "makedeps",
            "objects",
            "options",
            "processes",
            "relocate",
            "script",
        ),
    }
)
"""Modules of the toolchain that a program's sources and objects go through, and libc's do not."""


@cache
def _key(isolation: str, base: str = "gs") -> str:
    """Hash of whatever decides what the objects contain."""
    versions = f"{libc_sources.compiler_version()} {gcc.gcc().version if base == 'r15' else ''}"
    digest = hashlib.sha256(f"{isolation}\0{base}\0{versions}\0".encode())
    toolchain = Path(__file__).parent
    shaping = [path for path in toolchain.glob("*.py") if path.stem not in _NOT_SHAPING_CODE]
    files = {f"toolchain/{path.name}": path for path in [*shaping, Path(abi.__file__)]}
    guest = libc_sources.GUEST
    files |= {f"guest/{path.relative_to(guest)}": path for path in guest.rglob("*.[chsS]")}
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system releases it if this process dies."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_into(directory: Path, isolation: str, base: str, progress: Progress | None) -> None:
    """Build in a temporary directory beside `directory`, then rename: nobody ever sees half a libc."""
    scratch = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
    try:
        (scratch / "abi.h").write_text(abi._header())
        sources = libc_sources.sources()
        members = _compile_all(sources, scratch, isolation, base, progress)
        libc_sources.archive(scratch / "libc.a", members)
        libc_sources.compile_source(libc_sources.START, scratch / "crt1.o", scratch, isolation, base)
        result = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
        for name in ("libc.a", "crt1.o"):
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


def _compile_all(
    sources: list[Source], scratch: Path, isolation: str, base: str, progress: Progress | None
) -> list[Path]:
    """Compile on every core: the work is in child processes, so threads do. Raises the first error."""
    objects = [scratch / f"{source.name.replace('/', '-')}.o" for source in sources]
    workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(libc_sources.compile_source, source, output, scratch, isolation, base)
            for source, output in zip(sources, objects, strict=True)
        ]
        try:
            for done, job in enumerate(jobs, 1):
                job.result()
                if progress is not None:
                    progress(done, len(jobs))
        except CompileError:
            pool.shutdown(cancel_futures=True)
            raise
    return objects
