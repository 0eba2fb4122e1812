"""What configure scripts ask of files, by running programs: the answers are those of a kernel."""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import Directory, System

AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x1000
OWNER, KEEP = 1000, -1


def fails(result: int, error: int) -> None:
    assert result == -error


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    return tmp_path


@pytest.fixture
def guest(tree: Path) -> Guest:
    return Guest(System(directories=[Directory(tree, "/")]))


@pytest.mark.parametrize("call", ["symlink", "link"])
def test_a_link_has_no_name_that_says_directory(guest: Guest, tree: Path, call: str) -> None:
    fails(guest(call, "file", "/new/"), errno.ENOENT)
    fails(guest(call, "file", "/folder/"), errno.EEXIST)
    assert not (tree / "new").exists()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/new/.", errno.ENOENT),
        ("/new/./", errno.ENOENT),
        ("/folder/.", errno.EEXIST),
        ("/folder/..", errno.EEXIST),
        ("/.", errno.EEXIST),
        ("/folder/", errno.EEXIST),
    ],
)
def test_no_directory_is_made_by_the_name_of_another(guest: Guest, tree: Path, path: str, error: int) -> None:
    fails(guest("mkdir", path, 0o700), error)
    assert not (tree / "new").exists()
    succeed(guest("mkdir", "/new/", 0o700))


@pytest.mark.parametrize("source", ["file", "link", "nothing"])
@pytest.mark.parametrize("target", ["new/", "folder/"])
def test_only_a_directory_moves_to_a_name_that_says_so(
    guest: Guest, tree: Path, source: str, target: str
) -> None:
    with pytest.raises(OSError) as natively:
        os.rename(tree / source, f"{tree}/{target}")
    fails(guest("rename", f"/{source}", f"/{target}"), natively.value.errno or 0)
    assert not (tree / "new").exists() and (tree / "file").exists()
    succeed(guest("rename", "/folder", "/new/"))


def test_a_link_has_no_permissions_of_its_own(guest: Guest, tree: Path) -> None:
    succeed(guest("fchmodat2", AT_FDCWD, "/file", 0o600, AT_SYMLINK_NOFOLLOW))
    assert stat.S_IMODE((tree / "file").stat().st_mode) == 0o600
    fails(guest("fchmodat2", AT_FDCWD, "/link", 0o644, AT_SYMLINK_NOFOLLOW), errno.EOPNOTSUPP)
    fails(guest("fchmodat2", AT_FDCWD, "/link", 0o644, AT_EMPTY_PATH), errno.EINVAL)
    assert stat.S_IMODE((tree / "file").stat().st_mode) == 0o600
    succeed(guest("fchmodat2", AT_FDCWD, "/link", 0o640, 0))
    assert stat.S_IMODE((tree / "file").stat().st_mode) == 0o640


def test_a_file_keeps_its_owner_and_says_that_it_was_changed(guest: Guest, tree: Path) -> None:
    before = (tree / "file").stat()
    time.sleep(0.02)
    for owner, group in ((KEEP, KEEP), (OWNER, OWNER), (OWNER, KEEP)):
        succeed(guest("chown", "/link", owner, group))
        succeed(guest("lchown", "/link", owner, group))
        succeed(guest("fchownat", AT_FDCWD, "/file", owner, group, 0))
        succeed(guest("fchownat", succeed(guest.open("/file", os.O_RDWR)), "", owner, group, AT_EMPTY_PATH))
    after = (tree / "file").stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ctime_ns > before.st_ctime_ns


@pytest.mark.parametrize("wanted", [(0, KEEP), (KEEP, 0), (OWNER + 1, OWNER), (0, 0)])
def test_nobody_else_becomes_an_owner(guest: Guest, tree: Path, wanted: tuple[int, int]) -> None:
    before = (tree / "file").stat()
    fails(guest("chown", "/file", *wanted), errno.EPERM)
    fails(guest("lchown", "/link", *wanted), errno.EPERM)
    fails(guest("fchown", succeed(guest.open("/file", os.O_RDWR)), *wanted), errno.EPERM)
    fails(guest("chown", "/none", *wanted), errno.ENOENT)
    assert (tree / "file").stat().st_ctime_ns == before.st_ctime_ns


OPEN: dict[str, Callable[[int], object]] = {
    "read": lambda number: os.read(number, 1),
    "pread64": lambda number: os.pread(number, 1, 0),
    "write": lambda number: os.write(number, b"y"),
    "pwrite64": lambda number: os.pwrite(number, b"y", 0),
    "ftruncate": lambda number: os.ftruncate(number, 1),
    "fchmod": lambda number: os.fchmod(number, 0o711),
    "fchown": lambda number: os.fchown(number, -1, -1),
    "utimensat": os.utime,
    "fsync": os.fsync,
}
ARGUMENTS: dict[str, tuple[int | bytes, ...]] = {
    "read": (bytes(1), 1), "pread64": (bytes(1), 1, 0), "write": (b"y", 1), "pwrite64": (b"y", 1, 0),
    "ftruncate": (1,), "fchmod": (0o711,), "fchown": (-1, -1), "utimensat": (0, 0, 0), "fsync": (),
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("path", ["file", "folder"])
def test_what_is_open_for_reading_only_answers_as_natively(
    guest: Guest, tree: Path, name: str, path: str
) -> None:
    native = os.open(tree / path, os.O_RDONLY)
    try:
        OPEN[name](native)
        wanted = 0
    except OSError as error:
        wanted = -(error.errno or 0)
    finally:
        os.close(native)
    if name == "fchmod":
        (tree / path).chmod(0o700)
    assert min(guest(name, succeed(guest.open(f"/{path}")), *ARGUMENTS[name]), 0) == wanted
    assert (stat.S_IMODE((tree / path).stat().st_mode) == 0o711) == (name == "fchmod")
    assert (tree / "file").read_bytes() == b"x"


def test_the_own_entry_of_a_directory_is_its_inode(guest: Guest) -> None:
    buffer = guest.place(bytes(1024))
    succeed(guest("getdents64", succeed(guest.open("/folder")), buffer, 1024))
    (number,) = struct.unpack("<Q", guest.memory.read(buffer, 8))
    status = guest.place(bytes(144))
    succeed(guest("stat", "/folder", status))
    assert struct.unpack("<QQ", guest.memory.read(status, 16))[1] == number


def test_there_are_no_groups_beside_the_own_one(guest: Guest) -> None:
    assert guest("getgroups", 0, 0) == guest("getgroups", 10, 0) == 0
    fails(guest("getgroups", -1, 0), errno.EINVAL)
