"""Writes that wait, and others that come before they go on: each byte arrives once, the host keeps none."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

import tmebox
from tests.runtime.system.guest_side import FakeMemory, Guest
from tmebox.runtime.system import System
from tmebox.runtime.system.whole_writes import UNFINISHED_MAX, WholeWrites

SIZE = 1 << 20
HANDLER = r"""
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
static char block[1 << 20];
static void on(int number) { write(1, "!", 1); }
int main(void)
{
	struct sigaction action = { .sa_handler = on, .sa_flags = SA_RESTART };
	struct itimerval once = { { 0, 0 }, { 0, 60000 } };
	sigaction(SIGALRM, &action, 0);
	setitimer(ITIMER_REAL, &once, 0);
	memset(block, 'A', sizeof block);
	return write(1, block, sizeof block) != sizeof block;
}
"""
THREADS = r"""
#include <pthread.h>
#include <string.h>
#include <unistd.h>
static char blocks[2][1 << 20];
static void *put(void *block) { return (void *)write(1, block, sizeof *blocks); }
int main(void)
{
	pthread_t threads[2];
	void *written[2];
	for (int i = 0; i < 2; i++) {
		memset(blocks[i], "AB"[i], sizeof *blocks);
		pthread_create(&threads[i], 0, put, blocks[i]);
	}
	for (int i = 0; i < 2; i++) pthread_join(threads[i], &written[i]);
	return (long)written[0] != sizeof *blocks || (long)written[1] != sizeof *blocks;
}
"""
REFUSED = r"""
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
enum { SIZE = 1 << 20, DIRECT = 0x746d0000 };
struct answered { long result, refused; };
struct answered in_registers(long number, long a, long b, long c, long d, long e) __asm__("__tmebox_syscall");
long in_memory(long number, const long arguments[6]) __asm__("__tmebox_syscall");
static char blocks[3][SIZE];
/* The core has written a part of the first when another one comes. */
long found(long *counts)
{
	int two[2], left = 2;
	long size[2] = { SIZE, SIZE }, got;
	for (int i = 0; i < 2; i++) memset(blocks[i], "AB"[i], SIZE);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, two) || fcntl(two[1], F_SETFL, O_NONBLOCK)) return -1;
	if (!in_registers(DIRECT + SYS_write, two[0], (long)blocks[0], SIZE, 0, 0).refused) return -2;
	while (left) {
		for (int i = 1; i >= 0; i--) {
			const long arguments[6] = { two[0], (long)blocks[i], SIZE };
			long result = size[i] ? in_memory(SYS_write, arguments) : -EINTR;
			if (result == SIZE) size[i] = 0, left--;
			else if (result != -EINTR) return result;
		}
		while ((got = read(two[1], blocks[2], SIZE)) > 0)
			for (long i = 0; i < got; i++) counts[blocks[2][i] - 'A']++;
	}
	return 0;
}
"""


def counted(run: Callable[[int], object], kind: str) -> Counter[int]:
    """What arrives at a reader that takes its time."""
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (end.detach() for end in socket.socketpair())
    found: Counter[int] = Counter()

    def read_slowly() -> None:
        while piece := os.read(reading, 16384):
            found.update(piece)
            time.sleep(0.002)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    try:
        run(writing)
    finally:
        os.close(writing)
    reader.join(60)
    os.close(reading)
    return found


@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize(
    ("source", "expected"),
    [(HANDLER, {"A": SIZE, "!": 1}), (THREADS, {"A": SIZE, "B": SIZE})],
    ids=["handler", "threads"],
)
def test_others_may_write_while_a_write_waits(source: str, expected: dict[str, int], kind: str) -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=source, flags=("-w",)), memory="16MiB") as box:
        ended = []
        found = counted(lambda writing: ended.append(box.run(stdout=writing, timeout=60)), kind)
    assert ended[0].exit_code == 0
    assert found == {ord(letter): count for letter, count in expected.items()}


def test_what_the_core_has_begun_is_not_taken_for_the_beginning_of_something_else() -> None:
    counts = np.zeros(2, "i8")
    with tmebox.Sandbox(
        tmebox.compile(source_text=REFUSED, flags=("-w",)), memory="16MiB", timeout=60
    ) as box:
        assert box.found(counts) == 0
    assert counts.tolist() == [SIZE, SIZE]


class Narrow:
    """Takes a little at a time, and then nothing for a while."""

    def __init__(self) -> None:
        self.got = bytearray()
        self._writes = WholeWrites()
        self._turns = 0

    def _attempt(self, rest: memoryview) -> int | None:
        self._turns += 1
        assert self._turns < 10_000  # it would never end
        if self._turns % 2 == 0:
            return None
        self.got += rest[:3]
        return min(len(rest), 3)

    def write(self, data: bytes) -> int:
        try:
            return self._writes.go(data, 0, self._attempt, lambda _: False)
        except InterruptedError:
            return -errno.EINTR

    @property
    def waits(self) -> bool:
        return self._writes.has_unfinished


@pytest.mark.parametrize("others", [[b"B" * 10], [b"A" * 10], [b"B" * 10, b"A" * 11, b"B" * 7, b"A" * 10]])
def test_writes_that_take_turns_are_all_written_once(others: list[bytes]) -> None:
    """Equal data may go on for each other: what arrives is the same."""
    narrow, waiting = Narrow(), [b"A" * 10, *others]
    while waiting:
        waiting = [data for data in waiting if narrow.write(data) == -errno.EINTR]
    whole = b"A" * 10 + b"".join(others)
    assert Counter(narrow.got) == Counter(whole)
    assert not narrow.waits


def test_handlers_that_interrupt_each_other_write_all_once() -> None:
    narrow = Narrow()

    def write(depth: int) -> None:
        data, interrupted = bytes([depth]) * 10, depth == UNFINISHED_MAX
        while narrow.write(data) == -errno.EINTR:
            if depth in narrow.got and not interrupted:
                interrupted = True
                write(depth + 1)

    write(1)
    assert Counter(narrow.got) == dict.fromkeys(range(1, UNFINISHED_MAX + 1), 10)
    assert not narrow.waits


def test_what_is_never_asked_for_again_is_forgotten() -> None:
    narrow = Narrow()
    for number in range(200):
        assert narrow.write(bytes([number]) * 10) == -errno.EINTR
    narrow.got.clear()
    while narrow.write(bytes(10)) == -errno.EINTR:
        pass
    assert narrow.got == bytes(10)


def test_nothing_is_remembered_of_what_has_not_begun() -> None:
    narrow = Narrow()
    narrow._turns = 1
    assert narrow.write(b"data") == -errno.EINTR and not narrow.waits


@pytest.mark.parametrize("call", ["socketpair", "pipe2"])
def test_data_that_wait_are_kept_by_the_guest_alone(call: str) -> None:
    guest = Guest(System(), FakeMemory(2 << 20))
    data = guest.place(bytes(SIZE))
    pairs = []
    for _ in range(16):
        two = guest.room(8)
        arguments = (1, 1, 0, two) if call == "socketpair" else (two, 0)
        assert guest(call, *arguments) == 0
        pairs.append(int.from_bytes(guest.memory.read(two + 4, 4), "little"))
    tracemalloc.start()
    try:
        for writing in pairs:
            assert guest("write", writing, data, SIZE) == -errno.EINTR
        assert tracemalloc.get_traced_memory()[0] < SIZE
    finally:
        tracemalloc.stop()
    guest.system.close()
