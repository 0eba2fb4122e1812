"""Files that programs expect in /etc: the guest's own come first, then ours, never the host's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.runtime.system.guest_side import Guest
from tmebox.runtime.system import Directory, System
from tmebox.runtime.system.etc import FILES, OURS


def text(guest: Guest, path: str) -> bytes:
    number = guest.open(path)
    assert number >= 0, errno.errorcode[-number]
    return bytes(guest.read(number, 4096))


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_guest_without_files_has_made_up_ones(path: bytes) -> None:
    name = os.fsdecode(path)
    guest = Guest(System())
    assert text(guest, name) == FILES[path]
    assert guest.open(name, os.O_WRONLY) < 0


def test_they_say_that_they_are_not_the_hosts() -> None:
    assert FILES[b"/etc/passwd"].startswith(OURS) and b":" not in OURS


def test_a_granted_etc_comes_first_even_where_it_lacks_them(tmp_path: Path) -> None:
    guest = Guest(System(directories=[Directory(tmp_path, "/etc")]))
    assert guest.open("/etc/passwd") == -errno.ENOENT
    (tmp_path / "passwd").write_text("own:x:7:7::/:\n")
    assert text(guest, "/etc/passwd") == b"own:x:7:7::/:\n"


def test_in_a_granted_root_the_guests_own_come_first(tmp_path: Path) -> None:
    guest = Guest(System(directories=[Directory(tmp_path, "/")]))
    assert text(guest, "/etc/passwd") == FILES[b"/etc/passwd"]
    (tmp_path / "etc").mkdir()
    number = guest.open("/etc/passwd", os.O_WRONLY | os.O_CREAT)
    guest.write(number, b"own:x:7:7::/:\n")
    assert text(guest, "/etc/passwd") == b"own:x:7:7::/:\n"
