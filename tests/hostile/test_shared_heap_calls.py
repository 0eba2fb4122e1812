"""Every system call with every pointer into lines that are another's, or lie half in one's own: nothing of
them is written, read out, or named, on any path, in Python or in the core."""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import WAYS
from tmebox import abi
from tmebox.runtime.system.table import ROWS

PAGE, LINE = abi.PAGE_SIZE, abi.SHARED_LINE
SECRET = b"/d/secret-path-\0\0" * 4  # 64 bytes and some, a path to whoever reads it as one
ENDS = {"exit", "exit_group", "close", "dup2", "dup3", "pause", "accept", "accept4"}
"""What would end the sandbox, take its descriptors away, or wait for ever."""

ASK_C = r"""
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static char data[8192];
long ask(long number, long a, long b, long c, long d, long e)
{
    long result = syscall(number, a, b, c, d, e);
    return result < 0 ? -errno : result;
}
long place(void) { return (long)data; }
long open_file(const char *path) { int fd = open(path, O_RDWR | O_CREAT, 0600); return fd < 0 ? -errno : fd; }
"""


class Scene:
    """In one page, by lines: the attacker's, two of the victim's, the attacker's. A page of the victim's."""

    def __init__(self, module: tmebox.Module, way: dict[str, Any], folder: Path) -> None:
        self.written: list[bytes] = []
        self.heap = tmebox.SharedHeap("1MiB", placement="dense", **way)
        self.attacker = tmebox.Sandbox(
            module, heap=self.heap, timeout=20, dirs=[(folder, "/d")], stdout=self.written.append
        )
        self.victim = tmebox.Sandbox(module, heap=self.heap)
        heap, a, b = self.heap, self.attacker, self.victim
        self.mine, self.theirs = heap.allocate(64, owner=a), heap.allocate(128, owner=b)
        self.last, self.page = heap.allocate(64, owner=a), heap.array(PAGE, owner=b)
        self.theirs.write(SECRET[:64] * 2)
        self.page[:] = self.theirs.read(0, 64)[0]
        self.hosts = heap.allocate(64)

    def foreign(self) -> list[int]:
        start = self.theirs.offset
        page = self.heap.offset_of(self.page)
        end = abi.SHARED_START + self.heap.size_bytes
        return [
            start,
            start - 8,
            start + 120,
            page,
            page - 8,
            self.hosts.offset,
            end - 8,
            end,
            abi.SHARED_START - 8,
        ]

    def holds(self) -> bool:
        page = self.theirs.read(0, 1)[0]
        return (
            self.theirs.read() == SECRET[:64] * 2
            and bool((self.page == page).all())
            and not any(self.hosts.read())
        )


def _data(path: Path) -> bytes:
    """Of a file that has been made long: without what was never written."""
    found, at = [], 0
    with path.open("rb") as file, contextlib.suppress(OSError):  # no data from there on
        while True:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            found.append(os.pread(file.fileno(), PAGE, at))
            at += PAGE
    return b"".join(found)


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_no_call_reaches_foreign_lines(
    way: dict[str, Any], tmp_path: Path, forked: Callable[..., ChildOutcome]
) -> None:
    module = tmebox.compile(source_text=ASK_C, flags=("-w",))

    def child() -> int:
        (tmp_path / "f").write_bytes(b"file " * 100)
        scene = Scene(module, way, tmp_path)
        a = scene.attacker
        own, file = a.place(), a.open_file(b"/d/f")
        a.memory.write(own, b"/d/f\0")
        assert a.ask(1, file, scene.mine.offset, 8, 0, 0) == 8  # its own it may
        count = 0
        for (number, name, _, arguments), at in itertools.product(ROWS, scene.foreign()):
            if name in ENDS:
                continue
            for position in range(arguments):
                given = [file, own, 16, own, 16]
                if name in PATHS_FIRST:
                    given = [own, own, 0, own, 0]
                given[position % 5] = at
                result = a.ask(number, *given)
                count += 1
                assert scene.holds(), (name, position, hex(at), result)
            # The same by vectors and messages in own memory that name foreign lines.
            if name in ("readv", "writev", "preadv", "pwritev", "sendmsg", "recvmsg"):
                a.memory.write(own + 4096, struct.pack("<4Q", own, 8, at, 16))
                message = struct.pack("<QIxxxxQQQQixxxx", 0, 0, own + 4096, 2, 0, 0, 0)
                a.memory.write(own + 6144, message)
                a.ask(number, file, own + (4096 if "v" in name else 6144), 2 if "v" in name else 0, 0, 0)
                assert scene.holds(), (name, hex(at))
        leaked = b"".join(_data(path) for path in tmp_path.rglob("*") if path.is_file())
        names = " ".join(str(path) for path in tmp_path.rglob("*"))
        seen = leaked + b"".join(scene.written) + a.memory.read(own, 8192)
        assert b"secret" not in seen and "secret" not in names
        return count

    assert forked(child, timeout_s=120.0).result() > 1000
    assert not os.path.exists(tmp_path / "secret-path-")


PATHS_FIRST = {
    "open", "stat", "lstat", "access", "truncate", "chdir", "rename", "mkdir", "rmdir", "creat", "link",
    "unlink", "symlink", "readlink", "chmod", "statfs",
}  # fmt: skip
