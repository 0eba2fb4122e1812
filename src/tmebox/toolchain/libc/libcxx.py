"""The sandboxed C++ library, built and cached like libc: nothing of it is trusted, and what a program uses of
it goes through the verifier with the program.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from tmebox import abi, cache
from tmebox.toolchain.libc import cxx_sources, libc
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.kept import Kept, digest
from tmebox.toolchain.libc.libc import Progress
from tmebox.toolchain.libc.sources import Variant

ARCHIVE = "libc++.a"
BASE = "gs"
"""clang's, whose headers these are, cannot reserve the registers that the other one needs."""


def libcxx(progress: Progress | None = None, *, isolation: str = "code+data") -> Path:
    """The archive of libc++, libc++abi and libunwind; built first if it is neither shipped nor cached.

    Raises CompileError as `libc.libc` does.
    """
    directory = _found(isolation)
    if directory is None:
        directory = libc.cache_directory() / _name(isolation)
        try:
            with cache.locked(directory.with_suffix(".lock")):
                if not (directory / ARCHIVE).exists():
                    _build_into(directory, isolation, progress)
        except OSError as error:
            raise libc.unwritable(directory.parent, error) from error
    if not directory.is_relative_to(libc.SHIPPED):
        with suppress(OSError):  # somebody else's, which is as good
            os.utime(directory)
    return directory / ARCHIVE


def _found(isolation: str) -> Path | None:
    shipped = libc.SHIPPED / _name(isolation)
    if (shipped / ARCHIVE).exists():
        return shipped
    cached = libc.cache_directory() / _name(isolation)
    return cached if (cached / ARCHIVE).exists() else None


@functools.cache
def _name(isolation: str) -> str:
    asked = f"c++ {isolation} {libc_sources.compiler_version()}"
    folders = (libc_sources.GUEST, libc.TOOLCHAIN)
    return libc.remembered(asked, folders, lambda: _computed_name(isolation))


def _computed_name(isolation: str) -> str:
    """With a hash of whatever decides what the objects contain. It begins as libc's, so that what nothing
    uses any more is deleted with that."""
    files = {path.name: path for path in libc_sources.CXX.iterdir()}
    headers = {str(path.relative_to(libc_sources.GUEST)): path for path in libc_sources.GUEST.rglob("*.h")}
    parts = (isolation, abi.form(BASE, isolation), libc_sources.compiler_version(), libc.code_digest())
    return f"libc-xx-{digest(*parts, *libc.contents(files), *libc.contents(headers))[:20]}"


def _build_into(directory: Path, isolation: str, progress: Progress | None) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
    try:
        (scratch / "abi.h").write_text(abi._header())
        kept = Kept(directory.parent / "objects")
        variant = Variant(isolation, BASE, scratch, libc.code_digest())
        members = libc.compile_all(cxx_sources.sources(), variant, kept, progress)
        libc_sources.archive(scratch / ARCHIVE, members)
        result = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
        (scratch / ARCHIVE).rename(result / ARCHIVE)
        result.rename(directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
