"""The archive that a kernel unpacks as its first file system: the format "newc" of cpio."""

from __future__ import annotations

from collections.abc import Mapping

REGULAR = 0o100000
DIRECTORY = 0o040000
TRAILER = "TRAILER!!!"


def archive(files: Mapping[str, bytes]) -> bytes:
    """`files` by path without a leading slash. All of them can be executed; folders are made as needed."""
    entries: dict[str, tuple[int, bytes]] = {}
    for path, content in files.items():
        folders = path.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            entries.setdefault("/".join(folders[:depth]), (DIRECTORY | 0o755, b""))
        entries[path] = (REGULAR | 0o755, content)
    pieces = [
        _entry(number, path, mode, content)
        for number, (path, (mode, content)) in enumerate(entries.items(), start=1)
    ]
    return b"".join([*pieces, _entry(0, TRAILER, 0, b"")])


def _entry(number: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    # inode, mode, owner, group, links, time, size, device, its minor, node, its minor, name's size, checksum
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(content)


def _padded(piece: bytes) -> bytes:
    return piece + b"\0" * (-len(piece) % 4)
