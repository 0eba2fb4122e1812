"""Sources in an archive, as they are distributed: `lz4-1.10.0.tar.gz/lib/lz4.c` is a file in one.

An archive is not trusted. Regular files alone come out of it, into a directory of ours, under names that stay
there, and only so many bytes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tmebox.errors import CompileError
from tmebox.toolchain import tar
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.scratch import scratch_directory

if TYPE_CHECKING:
    from zipfile import ZipFile

MOST_FILES = 100_000
MOST_BYTES = 512 << 20
"""Of all files of an archive, or of a tar file that is compressed."""
_PIECE = 1 << 20
_TAR = regex(r".*(\.tar|\.tar\.gz|\.tgz|\.tar\.bz2|\.tar\.xz|\.txz)")
_NAME = regex(r"[^\x00-\x1f\x7f\\]{1,1024}")
_DEEPEST = 64


def is_archive(path: Path) -> bool:
    """By its name, whether it is there or not."""
    return path.suffix == ".zip" or _TAR.fullmatch(path.name) is not None


@contextmanager
def unpacked(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The paths, those through an archive as paths in a directory that it is unpacked in until the block
    ends. What the archive has in one directory counts as at its top. Raises CompileError, OSError."""
    if not any(archive_of(path) for path in paths):
        yield list(paths)
        return
    with scratch_directory() as scratch:
        tops: dict[Path, Path] = {}
        found = []
        for path in paths:
            archive = archive_of(path)
            if archive is not None and archive not in tops:
                tops[archive] = _unpack(archive, scratch / str(len(tops)))
            found.append(path if archive is None else _within(tops[archive], path, archive))
        yield found


def archive_of(path: Path) -> Path | None:
    """The archive that a path is, or goes through, if it does."""
    return next((part for part in (path, *path.parents) if is_archive(part) and part.is_file()), None)


def _within(top: Path, path: Path, archive: Path) -> Path:
    rest = path.relative_to(archive)
    for found in (top / rest, top.parent / rest):  # with the name of the one directory, or without
        if found.exists() and ".." not in rest.parts:
            return found
    there = ", ".join(sorted(entry.name for entry in top.iterdir())[:12])
    raise CompileError(f"{archive} has no {rest} (at its top: {there})")


def _unpack(archive: Path, directory: Path) -> Path:
    """Where its contents are."""
    import bz2
    import gzip
    import lzma
    import zipfile
    import zlib

    tree = directory / "sources"
    tree.mkdir(parents=True)
    opened: dict[str, Any] = {
        ".gz": gzip.open,
        ".tgz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
        ".txz": lzma.open,
    }
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as zipped:
                _from_zip(zipped, _Room(tree, archive))
        else:
            bounded: Any = _Bounded(opened.get(archive.suffix, open)(archive, "rb"), archive)
            with bounded.file:
                room = _Room(tree, archive)
                for name, contents in tar.files(bounded.read):
                    room.take(name, contents)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise CompileError(f"{archive}: it cannot be unpacked: {error}") from None
    except (ValueError, RuntimeError, OverflowError) as error:  # encrypted, or with numbers that cannot be
        raise CompileError(f"{archive}: it cannot be unpacked: {error}") from None
    entries = list(tree.iterdir())
    if not entries:
        raise CompileError(f"{archive}: no files are in it")
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else tree


def _from_zip(zipped: ZipFile, room: _Room) -> None:
    for info in zipped.infolist():
        if not info.is_dir() and stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG):
            with zipped.open(info) as file:
                room.take(info.filename, file)


class _Room:
    """A directory, and how much may still come into it."""

    def __init__(self, directory: Path, archive: Path) -> None:
        self._directory = directory
        self._archive = archive
        self._files = self._bytes = 0

    def take(self, name: str, file: IO[bytes] | tar.Contents) -> None:
        """Raises CompileError."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if (
            name.startswith("/")
            or ".." in parts
            or not 0 < len(parts) <= _DEEPEST
            or not all(_NAME.fullmatch(part) and len(part.encode(errors="replace")) < 256 for part in parts)
        ):
            raise CompileError(f"{self._archive}: a file in it has an impossible name: {name[:200]!a}")
        self._files += 1
        if self._files > MOST_FILES:
            raise CompileError(f"{self._archive}: it has more than {MOST_FILES:,} files")
        target = self._directory.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as output:
            while piece := file.read(_PIECE):
                self._bytes += len(piece)
                if self._bytes > MOST_BYTES:
                    raise CompileError(f"{self._archive}: its files have more than {MOST_BYTES:,} bytes")
                output.write(piece)


class _Bounded:
    """What is read of a tar file, however little it was packed to."""

    def __init__(self, file: IO[bytes], archive: Path) -> None:
        self.file = file
        self._archive = archive
        self._left = 2 * MOST_BYTES

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, _PIECE))
        self._left -= len(data)
        if self._left < 0:
            raise CompileError(f"{self._archive}: it has more than {2 * MOST_BYTES:,} bytes")
        return data
