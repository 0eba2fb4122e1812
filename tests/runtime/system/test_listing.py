"""Directories are listed in pieces: whatever their size, the host keeps little, and a call is short."""

from __future__ import annotations

import errno
import os
import struct
import tracemalloc
from pathlib import Path

import pytest

import tmebox
from tests.runtime.system.guest_side import BASE, Guest, succeed
from tmebox.runtime.system import Directory, System, directories, listing

KEPT_BYTES = 64 << 10
"""What one open directory may keep on the host."""
WALK = r"""
#include <dirent.h>
#include <string.h>
static DIR *directory;
static long places[5000];
long begin(const char *path) { directory = opendir(path); return directory != 0; }
/* How many names with an x there are from here on. */
long rest(void) {
	struct dirent *entry;
	long count = 0;
	while ((entry = readdir(directory))) if (strchr(entry->d_name, 'x')) places[count++] = telldir(directory);
	return count;
}
long rest_from(long index) { seekdir(directory, places[index]); return rest(); }
long again(void) { rewinddir(directory); return rest(); }
"""


@pytest.fixture(params=["small", "large"])
def is_small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A listing that is kept and sorted, or one in pieces."""
    if request.param == "large":
        monkeypatch.setattr(listing, "PIECE_BYTES", 512)
    return bool(request.param == "small")


def fill(directory: Path, count: int, name: str = "x{:03}") -> list[str]:
    names = [name.format(number) for number in range(count)]
    for one in names:
        (directory / one).touch()
    return names


def make_guest(directory: Path, names: str = "") -> Guest:
    return Guest(System(directories=[Directory(directory, "/d", names=names)]))


def rows(guest: Guest, descriptor: int, room_bytes: int = 512) -> list[tuple[str, int, int]]:
    """(name, position behind it, inode) of each entry that one call gives."""
    buffer = guest.room(room_bytes)
    while (size := guest("getdents64", descriptor, buffer, room_bytes)) == -errno.EINTR:
        pass
    data, found = guest.memory.read(buffer, succeed(size)), []
    while data:
        inode, after, length = struct.unpack_from("<QqH", data)
        found.append((data[19:length].split(b"\0")[0].decode(), after, inode))
        data = data[length:]
    guest._free = buffer
    return found


def all_rows(guest: Guest, descriptor: int) -> list[tuple[str, int, int]]:
    found = []
    while piece := rows(guest, descriptor):
        found += piece
    return found


def test_each_entry_comes_once(tmp_path: Path, is_small: bool) -> None:
    names = [".", "..", *fill(tmp_path, 100)]
    guest = make_guest(tmp_path)
    descriptor = succeed(guest.open("/d"))
    found = all_rows(guest, descriptor)
    assert sorted(name for name, _, _ in found) == names
    assert {name: inode for name, _, inode in found if name.startswith("x")} == {
        name: (tmp_path / name).stat().st_ino for name in names[2:]
    }
    assert rows(guest, descriptor) == []
    if is_small:
        assert [name for name, _, _ in found] == names
    assert guest("getdents64", succeed(guest.open("/d")), guest.room(512), 20) == -errno.EINVAL


def test_a_position_leads_back_to_what_came_behind_it(tmp_path: Path, is_small: bool) -> None:
    fill(tmp_path, 100)
    guest = make_guest(tmp_path)
    descriptor = succeed(guest.open("/d"))
    found = all_rows(guest, descriptor)
    for index in (0, 1, 50, 99, 101):
        assert guest("lseek", descriptor, found[index][1], os.SEEK_SET) == found[index][1]
        assert all_rows(guest, descriptor) == found[index + 1 :]
    other = succeed(guest.open("/d"))
    assert guest("lseek", other, found[50][1], os.SEEK_SET) == found[50][1]
    assert all_rows(guest, other) == found[51:]
    assert guest("lseek", other, -1, os.SEEK_SET) == guest("lseek", other, 0, 3) == -errno.EINVAL


def test_rewinding_lists_afresh(tmp_path: Path, is_small: bool) -> None:
    names = fill(tmp_path, 100)
    guest = make_guest(tmp_path)
    descriptor = succeed(guest.open("/d"))
    rows(guest, descriptor)
    (tmp_path / "x000").unlink()
    (tmp_path / "y").touch()
    assert guest("lseek", descriptor, 0, os.SEEK_SET) == 0
    assert sorted(name for name, _, _ in all_rows(guest, descriptor)) == [".", "..", *names[1:], "y"]


def test_few_names_among_many(tmp_path: Path, is_small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some pieces in which there is nothing to show, the guest has to ask again."""
    monkeypatch.setattr(listing, "PIECES_AT_ONCE", 2)
    fill(tmp_path, 100, "other{:03}")
    names = fill(tmp_path, 3 if is_small else 30)
    guest = make_guest(tmp_path, names="x")
    descriptor = succeed(guest.open("/d"))
    assert [*sorted(name for name, _, _ in all_rows(guest, descriptor))] == [".", "..", *names]
    if not is_small:
        nothing = make_guest(tmp_path, names="none")
        assert nothing("getdents64", succeed(nothing.open("/d")), BASE, 512) == -errno.EINTR
        assert [name for name, _, _ in all_rows(nothing, succeed(nothing.open("/d")))] == [".", ".."]


def test_one_call_looks_at_no_more_files_than_it_tells_of(
    tmp_path: Path, is_small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 200)
    guest = make_guest(tmp_path)
    descriptor = succeed(guest.open("/d"))
    looked_at: list[bytes] = []
    real = directories.HostDirectory._shown

    def counting(self: directories.HostDirectory, row: listing.Row) -> listing.Row:
        looked_at.append(row.name)
        return real(self, row)

    monkeypatch.setattr(directories.HostDirectory, "_shown", counting)
    told = rows(guest, descriptor)
    assert 1 < len(told) == len(looked_at) < 30


def test_many_open_directories_take_little_of_the_hosts_memory(tmp_path: Path) -> None:
    for count, name in ((900, "s{:03}"), (1200, "a-rather-long-name-" * 8 + "{:05}")):
        directory = tmp_path / str(count)
        directory.mkdir()
        fill(directory, count, name)
        guest = make_guest(directory)
        for _ in range(3):  # what is made once
            rows(guest, succeed(guest.open("/d")))
        tracemalloc.start()
        descriptors = [succeed(guest.open("/d")) for _ in range(20)]
        for descriptor in descriptors:
            assert rows(guest, descriptor)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown < len(descriptors) * KEPT_BYTES
        guest.system.close()


def test_a_program_walks_through_directories_of_any_size(tmp_path: Path) -> None:
    module = tmebox.compile(source_text=WALK)
    for count in (0, 5, 1200):
        directory = tmp_path / str(count)
        directory.mkdir()
        fill(directory, count, "x-with-a-longer-name-{:05}")
        with tmebox.Sandbox(module, dirs=[f"{directory}:/d:ro"]) as box:
            assert box.begin("/d") and box.rest() == count
            assert box.again() == count
            for index in (0, count // 2, count - 1) if count else ():
                assert box.rest_from(index) == count - 1 - index
                assert box.again() == count
