"""What the core moves in one call of the kernel's: pieces of each size, several at once, files, devices."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.runtime.system.asking import READ, READV, WRITE, WRITEV
from tests.runtime.system.test_datapath import asked, module
from tmebox.runtime.system import System

__all__ = ["asked", "module"]
LSEEK, DUP = 8, 32


def test_pieces_of_each_size_arrive_as_they_were_and_write_nothing_beside(
    module: tmebox.Module, asked: list[int]
) -> None:
    """Words, vectors, or the kernel's own copy: which one depends on the size alone."""
    with tmebox.Sandbox(module, memory="16MiB", timeout=60) as box:
        pair = box.make_pair()
        left, right = pair & 0xFFFFFFFF, pair >> 32
        at = box.place()
        asked.clear()
        for size in (*range(1, 70), 127, 128, 129, 1023, 1024, 1025, 1040, 4095, 4097, 20_000):
            content = random.Random(size).randbytes(size)
            source, target = at + size % 17, at + 65536 + size % 13
            box.memory.write(source, content)
            box.memory.write(target - 32, b"#" * (size + 64))
            assert box.ask(WRITE, left, source, size, 0, 0) == size
            assert box.ask(READ, right, target, size, 0, 0) == size
            assert box.memory.read(target - 32, size + 64) == b"#" * 32 + content + b"#" * 32, size
        assert asked == []


@pytest.mark.parametrize("sizes", [(3, 0, 5), (700, 1, 600), (4096, 0, 9, 70_000)])
@pytest.mark.parametrize("kind", ["pair", "file"])
def test_several_stretches_are_one_call(
    module: tmebox.Module, asked: list[int], sizes: tuple[int, ...], kind: str, tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(sum(sizes))
    with tmebox.Sandbox(module, memory="16MiB", timeout=60, dirs=[(tmp_path, "/d")]) as box:
        if kind == "pair":
            pair = box.make_pair()
            out, back = pair & 0xFFFFFFFF, pair >> 32
        else:
            out = box.open_file("/d/f", os.O_RDWR | os.O_CREAT)
            back = box.open_file("/d/f", os.O_RDONLY)
        at, rows, taken = box.place(), b"", 0
        for index, size in enumerate(sizes):
            place = at + 4096 + (index * 100_000 if size else -(1 << 62))
            rows += place.to_bytes(8, "little", signed=True) + size.to_bytes(8, "little")
            if size:
                box.memory.write(place, content[taken : taken + size])
                taken += size
        box.memory.write(at, rows)
        asked.clear()
        assert box.ask(WRITEV, out, at, len(sizes), 0, 0) == taken
        for index, size in enumerate(sizes):
            if size:
                box.memory.write(at + 4096 + index * 100_000, bytes(size))
        got = box.ask(READV, back, at, len(sizes), 0, 0)
        assert got == taken
        assert asked == []
        read = b"".join(
            box.memory.read(at + 4096 + index * 100_000, size) for index, size in enumerate(sizes) if size
        )
        assert read == content


def test_files_seek_and_devices_answer_without_python(
    module: tmebox.Module, asked: list[int], tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with tmebox.Sandbox(module, memory="16MiB", timeout=60, dirs=[(tmp_path, "/d")]) as box:
        at = box.place()
        for flags in (os.O_RDONLY, os.O_RDWR):
            file = box.open_file("/d/f", flags)
            asked.clear()
            assert box.ask(LSEEK, file, 4, os.SEEK_SET, 0, 0) == 4
            assert box.ask(READ, file, at, 2, 0, 0) == 2 and box.memory.read(at, 2) == b"45"
            assert box.ask(LSEEK, file, -1, os.SEEK_CUR, 0, 0) == 5
            assert box.ask(LSEEK, file, -1, os.SEEK_END, 0, 0) == 9
            assert box.ask(LSEEK, file, -11, os.SEEK_END, 0, 0) == -errno.EINVAL
            assert box.ask(LSEEK, file, 1 << 62, os.SEEK_CUR, 0, 0) in (-errno.EINVAL, (1 << 62) + 9)
            assert asked == []
        null, zero, full = (box.open_file(f"/dev/{name}", os.O_RDWR) for name in ("null", "zero", "full"))
        asked.clear()
        box.memory.write(at, b"####")
        assert box.ask(WRITE, null, at, 4, 0, 0) == 4 and box.ask(READ, null, at, 4, 0, 0) == 0
        assert box.ask(READ, zero, at, 3, 0, 0) == 3 and box.memory.read(at, 4) == bytes(3) + b"#"
        assert box.ask(WRITE, full, at, 4, 0, 0) == -errno.ENOSPC
        assert asked == [] or not os.path.exists("/dev/full")


def test_a_file_that_is_written_in_turn_by_two_descriptors_keeps_to_its_limit(
    module: tmebox.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is, is only remembered for as long as nobody else could have moved it."""
    defaults = System.__init__.__kwdefaults__ or {}
    monkeypatch.setattr(System.__init__, "__kwdefaults__", {**defaults, "max_file_bytes": 100})
    with tmebox.Sandbox(module, memory="16MiB", timeout=60, dirs=[(tmp_path, "/d")]) as box:
        at = box.place()
        one = box.open_file("/d/f", os.O_RDWR | os.O_CREAT)
        two = box.ask(DUP, one, 0, 0, 0, 0)
        for number in (one, two, one, one, two, two):
            assert box.ask(WRITE, number, at, 15, 0, 0) == 15
        assert box.ask(WRITE, one, at, 10, 0, 0) == 10
        for number in (one, two):
            assert box.ask(WRITE, number, at, 1, 0, 0) == -errno.EFBIG
        assert box.ask(LSEEK, two, 90, os.SEEK_SET, 0, 0) == 90
        assert box.ask(WRITE, one, at, 5, 0, 0) == 5 and box.ask(WRITE, one, at, 6, 0, 0) == 5
        assert box.ask(READ, one, at, 5, 0, 0) == 0
    assert (tmp_path / "f").stat().st_size == 100


POSITIONS = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
static char data[8192];
#define TELL(call) (errno = 0, result = (call), fprintf(stderr, "%ld ", result < 0 ? -errno : result))
int main(void)
{
	struct iovec row = { data, 8 }, rows[2] = { row, row };
	off_t at = 0;
	long result;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
	TELL(pread(0, data, 8, 0)), TELL(pread(0, data, 8000, 0)), TELL(preadv(0, rows, 2, 0));
	TELL(pwrite(1, "####", 4, 0)), TELL(pwrite(1, data, 8000, 0)), TELL(pwritev(1, rows, 2, 0));
	TELL(lseek(0, 0, SEEK_SET)), TELL(lseek(1, 0, SEEK_CUR));
	TELL(sendfile(pair[0], 0, &at, 8)), TELL(sendfile(pair[0], 0, 0, 8));
	TELL(sendfile(pair[0], 0, &at, 8000));
	result = read(0, data, sizeof data);
	return write(1, data, result) != result;
}
"""


@pytest.mark.parametrize("form", ["number", "buffered", "raw"])
def test_a_stream_that_is_a_file_of_the_hosts_has_no_positions(form: str, tmp_path: Path) -> None:
    """It begins and ends where the host left it: what lies before is not the guest's."""
    (tmp_path / "in").write_bytes(b"secret given")
    (tmp_path / "out").write_bytes(b"others, ")
    source, target = os.open(tmp_path / "in", os.O_RDONLY), os.open(tmp_path / "out", os.O_WRONLY)
    os.lseek(source, 7, os.SEEK_SET)
    os.lseek(target, 0, os.SEEK_END)
    streams: dict[str, Any] = {"stdin": source, "stdout": target}
    if form != "number":
        size = -1 if form == "buffered" else 0
        streams = {
            "stdin": os.fdopen(source, "rb", size, closefd=False),
            "stdout": os.fdopen(target, "wb", size, closefd=False),
        }
    with tmebox.Sandbox(tmebox.compile(source_text=POSITIONS, flags=("-w",))) as box:
        done = box.run(**streams, timeout=60)
    for stream in streams.values():
        if form != "number":
            stream.close()
    os.close(source)
    os.close(target)
    assert done.exit_code == 0
    assert done.stderr.split() == [b"%d" % -errno.ESPIPE] * 8 + [b"%d" % -errno.EINVAL] * 3
    assert (tmp_path / "out").read_bytes() == b"others, given"
