"""No system call makes the host keep more, however often a guest makes it: a sandbox's memory has a limit,
and what is kept for it on the host has to have one, too."""

from __future__ import annotations

import errno
import fcntl
import gc
import inspect
import os
import random
import socket
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.runtime.system.guest_side import BASE, NUMBERS, Guest, succeed
from tmebox.runtime.system import Abort, Directory, Exit, System
from tmebox.runtime.system.file_calls import FLOCK, LOCKS_MAX
from tmebox.runtime.system.network import Endpoint, endpoint
from tmebox.runtime.system.socket_options import SETTABLE
from tmebox.runtime.system.table import TABLE, Call
from tmebox.runtime.system.trace import CallCounts

BEFORE, TIMES = 300, 600
GROWTH_MAX = 4096
"""Bytes: what Python itself keeps for later. 8 bytes a call would be more."""
GOOD_MAX = 100
NONBLOCK = os.O_NONBLOCK
PLACE, TEXT, NAMES = BASE + 0x8000, BASE + 0x9000, BASE + 0xA000


class Grown:
    """A guest that has one of everything, none of which waits."""

    def __init__(self, place: Path) -> None:
        (place / "file").write_bytes(bytes(100))
        self.server = socket.create_server(("127.0.0.1", 0))
        port = self.server.getsockname()[1]
        self.system = System(
            stdin=b"",
            directories=[Directory(place, "/d")],
            listen=[Endpoint("127.0.0.1", 0), endpoint(f"unix:{place}/own:/own")],
            connect=[Endpoint("127.0.0.1", port)],
            max_open_files=40,
            calls=CallCounts(),
        )
        guest = self.guest = Guest(self.system)
        one = (1).to_bytes(4, "little")
        guest.memory.write(PLACE, one + bytes(252))
        guest.memory.write(TEXT, b"/d/file\0/d/new\0/d\0/none\0")
        self.paths = [TEXT, TEXT + 8, TEXT + 15, TEXT + 18]
        inet = struct.pack("<H", 2) + struct.pack(">H", port) + socket.inet_aton("127.0.0.1") + bytes(8)
        own = self.system.network.bound[0][0].port
        listened = struct.pack("<H", 2) + struct.pack(">H", own) + socket.inet_aton("127.0.0.1") + bytes(8)
        guest.memory.write(NAMES, inet + listened + b"\1\0/own\0")
        self.names = [NAMES, NAMES + 16, NAMES + 32]
        guest.open("/d/file", os.O_RDWR)
        guest.open("/d", os.O_DIRECTORY)
        guest.open("/etc/hosts")
        for family in (2, 1):
            for _ in range(2):
                guest("socket", family, 1 | NONBLOCK, 0)
        bound = succeed(guest("socket", 2, 1 | NONBLOCK, 0))
        succeed(guest("bind", bound, listened, 16))
        succeed(guest("listen", bound, 5))
        guest("socketpair", 1, 1 | NONBLOCK, 0, PLACE + 512)
        guest("socketpair", 1, 2 | NONBLOCK, 0, PLACE + 512)
        guest("pipe2", PLACE + 512, NONBLOCK)
        guest("epoll_create1", 0)
        guest("timerfd_create", 1, NONBLOCK)
        guest("eventfd2", 1, NONBLOCK)
        self.open = len(list(self.system.descriptors))
        self.count = 0
        self.good: list[tuple[int, tuple[int, ...]]] = []
        """Some calls that succeeded."""

    def value(self, name: str) -> int:
        """Of an argument of this name: one with which most calls succeed, or a new one each time."""
        self.count += 1
        pick = random.choice
        match name.strip("_"):
            case "descriptor" | "source" | "directory" | "old_dir" | "new_dir":
                return pick(range(self.open))
            case "path" | "old" | "new" if name != "old" or random.random() < 0.9:
                return pick(self.paths)
            case "target":
                return pick([*self.paths, *range(self.open)])
            case "name":
                return pick(self.names)
            case "flags":
                return pick([NONBLOCK, NONBLOCK | os.O_CREAT | os.O_RDWR, 0, socket.MSG_DONTWAIT])
            case "kind":
                return pick([1, 2]) | NONBLOCK
            case "family":
                return pick([1, 2, 10])
            case "option" | "level":
                return pick([pair[name == "option"] for pair in SETTABLE])
            case "command":
                return pick([fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_SETLK, fcntl.F_GETLK, fcntl.F_DUPFD])
            case "argument" | "position" | "line" | "mode" | "offset":
                return pick([PLACE, 0, NONBLOCK | 1, self.count])
            case "operation":
                return pick([1, 2, 3]) | fcntl.LOCK_NB
            case "request":
                return pick([PLACE + 64, 0x5421, 0x541B])
            case "size_bytes":
                return pick([4, 4, 4, 16, self.count])
            case "timeout_ms" | "protocol":
                return 0
            case "resource" | "how" | "whence" | "clock_id" | "backlog" | "most" | "count":
                return pick([0, 1, 2, 7])
            case "result" | "data" | "buffer" | "new" | "old" | "event" | "message" | "rows" | "expression":
                return PLACE + 512
            case "timeout":
                return PLACE + 64  # no time
            case _:
                return pick([PLACE, PLACE + 64, 0, self.count])

    def call(self, number: int, call: Call | None) -> None:
        names = list(inspect.signature(call.handler).parameters)[2:] if call else []
        chosen = [self.value(name) for name in names]
        whole = number, (*chosen, *[0] * (6 - len(chosen)))
        if self.good and random.random() < 0.7:
            whole = random.choice(self.good)
        with suppress(Exit, Abort):
            if self.system.handle(self.guest.memory, *whole) >= 0 and len(self.good) < GOOD_MAX:
                self.good.append(whole)

    def close(self) -> None:
        self.system.close()
        self.server.close()


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Grown]:
    random.seed(0)
    made = Grown(tmp_path)
    yield made
    made.close()


def growth(repeat: Callable[[], None]) -> int:
    """Bytes that Python has allocated in the later of many repetitions, and still has."""
    for _ in range(BEFORE):
        repeat()
    gc.freeze()  # so that collecting what comes now takes no time
    tracemalloc.start()
    try:
        for _ in range(TIMES):
            repeat()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


@pytest.mark.parametrize("number", TABLE, ids=lambda number: TABLE[number].name)
def test_a_call_that_is_repeated_leaves_nothing(grown: Grown, number: int) -> None:
    assert growth(lambda: grown.call(number, TABLE[number])) < GROWTH_MAX


def test_calls_of_all_kinds_leave_nothing(grown: Grown) -> None:
    rows = list(TABLE.items())

    def repeat() -> None:
        for number, call in random.sample(rows, 8):
            grown.call(number, call)

    assert growth(repeat) < 4 * GROWTH_MAX


def test_calls_that_there_are_not_leave_nothing(grown: Grown) -> None:
    numbers = iter(range(1 << 40, 1 << 41))
    assert growth(lambda: grown.call(next(numbers), None)) < GROWTH_MAX


def test_record_locks_have_a_limit(grown: Grown) -> None:
    """Each is memory of the kernel's, and the time of every later one."""
    guest = grown.guest
    own = succeed(guest.open("/d/file", os.O_RDWR))

    def lock(kind: int, start: int, size_bytes: int = 1) -> int:
        return guest("fcntl", own, fcntl.F_SETLK, FLOCK.pack(kind, 0, start, size_bytes, 0))

    for start in range(LOCKS_MAX):
        assert lock(fcntl.F_WRLCK, 2 * start) == 0
    assert lock(fcntl.F_WRLCK, 2 * LOCKS_MAX) == -errno.ENOLCK
    for start in range(LOCKS_MAX):
        assert lock(fcntl.F_UNLCK, 2 * start) == 0
    assert lock(fcntl.F_WRLCK, 0, 0) == 0  # all of it, of which pieces are given back
    answers = [lock(fcntl.F_UNLCK, 2 * start + 1) for start in range(3 * LOCKS_MAX)]
    assert answers[LOCKS_MAX] == 0 and answers[-1] == -errno.ENOLCK


def test_a_new_socket_keeps_each_option_once(grown: Grown) -> None:
    one = (1).to_bytes(4, "little")
    own = succeed(grown.guest("socket", 2, 1, 0))

    def repeat() -> None:
        assert grown.guest("setsockopt", own, socket.IPPROTO_TCP, socket.TCP_KEEPCNT, one, 4) == 0

    assert growth(repeat) < GROWTH_MAX
    assert NUMBERS["setsockopt"] and grown.guest("setsockopt", own, 1, 99, one, 4) == -errno.ENOPROTOOPT
