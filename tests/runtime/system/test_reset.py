"""A system that is reset is as a new one: nothing of what the guest did to it is left."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest

from tests import descriptors
from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import Directory, System


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    (tmp_path / "file").write_bytes(b"contents")
    return Guest(System(stdin=b"input", directories=[Directory(tmp_path, "/d")]))


def test_files_that_the_guest_opened_are_closed(guest: Guest) -> None:
    before = descriptors.settled_count()
    numbers = [succeed(guest.open("/d/file")) for _ in range(5)]
    assert guest.system.has_open_files
    guest.system.reset()
    assert not guest.system.has_open_files
    assert descriptors.count() == before
    assert [guest("close", number) for number in numbers] == [-errno.EBADF] * 5


def test_streams_are_where_they_were_and_input_that_is_bytes_starts_anew(guest: Guest) -> None:
    assert guest.read(0, 3) == b"inp"
    assert guest("close", 1) == 0 and guest("dup2", 0, 2) == 2
    assert guest.system.has_open_files
    guest.system.reset()
    assert guest.read(0) == b"input"
    assert guest("close", 1) == guest("close", 2) == 0


def test_input_of_the_hosts_goes_on_where_it_was() -> None:
    guest = Guest(System(stdin=io.BytesIO(b"onetwo")))
    assert guest.read(0, 3) == b"one"
    guest.system.reset()
    assert guest.read(0, 3) == b"two"


def test_working_directory_mask_and_memory_that_ran_out_are_forgotten(guest: Guest) -> None:
    guest("chdir", "/d")
    guest("umask", 0o777)
    guest("memory_exhausted", 5)
    guest.system.reset()
    assert guest("umask", 0) == 0o022
    assert guest.open("file") == -errno.ENOENT
    assert guest.system.exhausted_bytes == 0


def test_a_descriptor_that_is_opened_and_closed_again_changes_nothing(guest: Guest) -> None:
    assert not guest.system.has_open_files
    guest("close", succeed(guest.open("/d/file")))
    assert not guest.system.has_open_files
