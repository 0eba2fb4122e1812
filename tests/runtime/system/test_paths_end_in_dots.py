"""Paths that end in dots or slashes, and what directories tell of what is in them: as the kernel has it."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import Directory, System

ENDS = ("", "/", "/.", "/./", "//.//")
DOUBLE = ("/..", "/../", "/sub/..")
NAMES = ("there", "there/sub", "missing", "file", "link")
CREATE = os.O_CREAT | os.O_WRONLY

NATIVE: dict[str, Callable[[str, str], object]] = {
    "mkdir": lambda path, beside: os.mkdir(path, 0o700),
    "rmdir": lambda path, beside: os.rmdir(path),
    "unlink": lambda path, beside: os.unlink(path),
    "open": lambda path, beside: os.close(os.open(path, CREATE, 0o600)),
    "rename": lambda path, beside: os.rename(path, f"{beside}/other"),
    "symlink": lambda path, beside: os.symlink("file", path),
}


def sandboxed(guest: Guest, call: str, path: str) -> int:
    match call:
        case "mkdir":
            return guest("mkdir", path, 0o700)
        case "open":
            return guest("open", path, CREATE, 0o600)
        case "rename":
            return guest("rename", path, "/d/other")
        case "symlink":
            return guest("symlink", "file", path)
    return guest(call, path)


def furnish(folder: Path) -> Path:
    (folder / "there" / "sub").mkdir(parents=True)
    (folder / "file").write_bytes(b"")
    (folder / "link").symlink_to("there")
    return folder


@pytest.mark.parametrize("call", NATIVE)
def test_making_and_removing_by_a_path_that_ends_in_dots_fails_as_in_the_kernel(
    call: str, tmp_path: Path
) -> None:
    """`a/..` is nothing to a guest, whatever `a` is: so dots twice only follow what is there."""
    differ = []
    for name in NAMES:
        for end in (*ENDS, *(DOUBLE if name == "there" else ())):
            here = tmp_path / f"{name}{end}".replace("/", "_")
            native, boxed = furnish(here / "native"), furnish(here / "boxed")
            try:
                NATIVE[call](f"{native}/{name}{end}", str(native))
                wanted = 0
            except OSError as error:
                wanted = -(error.errno or 0)
            system = System(directories=[Directory(boxed, "/d")])
            result = min(sandboxed(Guest(system), call, f"/d/{name}{end}"), 0)
            system.close()
            there = [sorted(str(path.relative_to(top)) for path in top.rglob("*")) for top in (native, boxed)]
            if result != wanted or there[0] != there[1]:
                differ.append(
                    (f"{name}{end}", errno.errorcode.get(-wanted), errno.errorcode.get(-result), there)
                )
    assert differ == []


def entries(guest: Guest, path: str) -> dict[str, int]:
    """Inode numbers by name, as readdir() gives them."""
    descriptor = succeed(guest.open(path, os.O_RDONLY | os.O_DIRECTORY))
    buffer = guest.room(8192)
    size = succeed(guest("getdents64", descriptor, buffer, 8192))
    data, found = guest.memory.read(buffer, size), {}
    while data:
        inode, _, length = struct.unpack_from("<QqH", data)
        found[data[19:length].split(b"\0")[0].decode()] = inode
        data = data[length:]
    assert guest("close", descriptor) == 0
    return found


def test_directories_list_the_numbers_that_lstat_tells(tmp_path: Path) -> None:
    furnish(tmp_path / "one")
    furnish(tmp_path / "two")
    grants = [Directory(tmp_path / "one", "/a/b"), Directory(tmp_path / "two", "/a/b/there/sub")]
    with_root = [Directory(tmp_path / "one", "/"), Directory(tmp_path / "two", "/there")]
    for directories in (grants, with_root, [Directory(tmp_path / "one", "/x/y/z")]):
        guest = Guest(System(directories=directories))
        left = ["/"]
        numbers: dict[tuple[int, int], str] = {}
        while left:
            path = left.pop()
            for name, inode in entries(guest, path).items():
                below = f"{path.rstrip('/')}/{name}"
                status = guest.stat(below, "lstat")
                assert inode == status["ino"] != 0, below
                if name not in (".", "..") and status["mode"] & 0o170000 == 0o040000:
                    assert numbers.setdefault((status["dev"], inode), below) == below
                    left.append(below)
        assert len(numbers) >= 2
        guest.system.close()
