"""What may be given to the linker: x86-64 ELF objects and archives of them.

A linker does more than link. It takes any text for a linker script, which can name more files; thin archives
and `.deplibs` sections do so too; and it compiles LLVM bitcode, whose inline assembly can read files. So it
gets no file that somebody else can write, and no archive, which it would take apart by rules of its own: it
gets copies of the objects that were looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.toolchain.patterns import regex

_ELF = b"\x7fELF\x02\x01\x01"
_RELOCATABLE, _X86_64 = 1, 62
_ARCHIVE = b"!<arch>\n"
_MEMBER_BYTES = 60
_INDICES = (b"/", b"//", b"/SYM64/")
_PLAIN_NAME = regex(r'[^\x00-\x20"\\\x7f]{1,4096}')


def require_plain(name: str) -> str:
    """`name`, if it can stand between quotes in assembly and in a linker script. Raises CompileError."""
    if not _PLAIN_NAME.fullmatch(name):
        raise CompileError(f"impossible symbol name {name[:80]!r}")
    return name


class Copies:
    """Objects in a new directory, for the linker. Messages and maps call them as those that were given."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._names: dict[str, str] = {}

    def add(self, contents: bytes, name: str) -> str:
        """The copy's path. Raises CompileError for what is no object."""
        _require_elf(contents[:20], name)
        copy = self._directory / f"{len(self._names)}.o"
        copy.write_bytes(contents)
        self._names[str(copy)] = name
        return str(copy)

    def named(self, text: str) -> str:
        """`text` with the names that were given."""
        found = re.compile(re.escape(f"{self._directory}/") + r"\d+\.o")
        return found.sub(lambda match: self._names.get(match[0], match[0]), text)


def archive_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(what messages call it, contents) of each object in an archive that `require_archive` has passed."""
    long_names = b""
    with path.open("rb") as file:
        for kind, start, length in _members(path, path.stat().st_size):
            if kind in _INDICES and kind != b"//":
                continue
            file.seek(start)
            contents = file.read(length)
            if kind == b"//":
                long_names = contents
                continue
            is_long = kind.startswith(b"/") and kind[1:].isdigit()
            name = long_names[int(kind[1:]) :].partition(b"\n")[0] if is_long else kind
            yield f"{path}({name.rstrip(b'/').decode('utf-8', 'replace')})", contents


def extract(path: Path, directory: Path) -> list[Path]:
    """The objects of an archive as files in a new `directory`, in order. Raises CompileError, OSError."""
    require_archive(path)
    directory.mkdir()
    objects = []
    for number, (name, contents) in enumerate(archive_members(path)):
        member = name.rpartition("(")[2].rstrip(")").removesuffix(".o")
        plain = re.sub(r"[^\w.-]", "_", member)
        objects.append(directory / f"{number}-{path.stem}-{plain}.o")
        objects[-1].write_bytes(contents)
    return objects


def require_object(path: Path) -> None:
    """Raises CompileError unless `path` is a relocatable x86-64 object, and OSError if it cannot be read."""
    with path.open("rb") as file:
        _require_elf(file.read(20), str(path))


def require_archive(path: Path) -> frozenset[str]:
    """The names that an archive defines. Raises CompileError unless all of it is objects."""
    with path.open("rb") as file:
        if file.read(len(_ARCHIVE)) != _ARCHIVE:
            raise CompileError(f"{path}: not an archive (thin archives are not supported)")
        names: frozenset[str] = frozenset()
        size_bytes = path.stat().st_size
        for kind, start, length in _members(path, size_bytes):
            file.seek(start)
            if kind == b"/":
                names = _index(file.read(length))
            elif kind not in _INDICES:
                _require_elf(file.read(20), f"{path}, a member at {start:#x}")
    return names


def _require_elf(head: bytes, name: str) -> None:
    kind, machine = int.from_bytes(head[16:18], "little"), int.from_bytes(head[18:20], "little")
    if not head.startswith(_ELF) or machine != _X86_64 or kind != _RELOCATABLE:
        raise CompileError(f"{name}: not an object file for x86-64 made by `tmebox cc -c`")


def _members(path: Path, size_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """(name field, where the contents start, their length) of each member."""
    position = len(_ARCHIVE)
    with path.open("rb") as file:
        while position < size_bytes:
            file.seek(position)
            header = file.read(_MEMBER_BYTES)
            try:
                length = int(header[48:58])
            except ValueError:
                length = -1
            start = position + _MEMBER_BYTES
            if header[58:] != b"`\n" or not 0 <= length <= size_bytes - start:
                raise CompileError(f"{path}: damaged archive")
            yield header[:16].rstrip(), start, length
            position = start + length + length % 2


def _index(data: bytes) -> frozenset[str]:
    count = int.from_bytes(data[:4], "big")
    names = data[4 + 4 * count :].split(b"\0")
    return frozenset(name.decode("utf-8", "surrogateescape") for name in names)
