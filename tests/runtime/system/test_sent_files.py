"""Files that a guest sends by the core, to peers that are gone: no SIGPIPE, and the host keeps its mask."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tests.runtime.system.test_datapath import SENDFILE, asked

__all__ = ["asked"]

SENDING = """
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
long look(void);
/* To a peer that is there, to one that is not, and again while the host looks. */
long send_all(long *results)
{
	int whole[2], broken[2], file = open("/d/from", O_RDONLY), type = SOCK_STREAM | SOCK_NONBLOCK;
	if (file < 0 || socketpair(AF_UNIX, type, 0, whole) || socketpair(AF_UNIX, type, 0, broken)) return -1;
	close(broken[1]);
	for (int i = 0; i < 4; i++) {
		off_t at = 0;
		long sent = sendfile(i % 2 ? broken[0] : whole[0], file, &at, 8192);
		results[i] = sent < 0 ? -errno : sent;
		if (i) results[3 + i] = look();
	}
	return 0;
}
long send_for(long count)
{
	int ends[2], file = open("/d/from", O_RDONLY);
	if (file < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) return -1;
	for (off_t at = 0; count--; at = 0) sendfile(ends[0], file, &at, 8192);
	return close(ends[0]) | close(ends[1]) | close(file);
}
"""


def test_handlers_of_python_find_the_hosts_mask_while_files_are_sent(tmp_path: Path) -> None:
    """They interrupt the guest, which goes on with the mask that was there before it sent anything."""
    (tmp_path / "from").write_bytes(bytes(8192))
    module = tmebox.compile(source_text=SENDING, flags=("-w",))

    def play() -> tuple[set[bool], bool]:
        found = set()

        def look(*unused: object) -> None:
            found.add(signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, []))

        signal.signal(signal.SIGALRM, look)
        dirs = [f"{tmp_path}:/d"]
        with tmebox.Sandbox(module, dirs=dirs, imports={"look": lambda: 0}, timeout=60) as box:
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
            for _ in range(30):
                assert box.send_for(20_000) == 0
                found.add(signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, []))
            signal.setitimer(signal.ITIMER_REAL, 0)
        return found, bool(signal.sigpending())

    assert run_forked(play).result() == ({False}, False)


@pytest.mark.parametrize("blocked", [False, True], ids=["as-usual", "blocked-by-the-host"])
@pytest.mark.parametrize("handling", ["ignored", "default"])
def test_sending_a_file_to_nobody_neither_ends_the_host_nor_changes_its_mask(
    handling: str, blocked: bool, asked: list[int], tmp_path: Path
) -> None:
    """The host of a shell's pipeline has SIGPIPE's default. While it runs itself its mask is its own."""
    (tmp_path / "from").write_bytes(bytes(8192))
    module = tmebox.compile(source_text=SENDING, flags=("-w",))
    pipe = {signal.SIGPIPE}

    def look() -> int:
        return (signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, [])) + 2 * bool(
            signal.sigpending()
        )

    def play() -> tuple[list[int], int, bool]:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL if handling == "default" else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK if blocked else signal.SIG_UNBLOCK, pipe)
        results, dirs = np.zeros(7, "i8"), [f"{tmp_path}:/d"]
        with tmebox.Sandbox(module, dirs=dirs, imports={"look": look}, timeout=60) as box:
            assert box.send_all(results) == 0
        return results.tolist(), look(), SENDFILE in asked

    found, left, came_to_python = run_forked(play).result()
    assert found == [8192, -errno.EPIPE, 8192, -errno.EPIPE, *[int(blocked)] * 3]
    assert left == int(blocked)
    assert not came_to_python


SERVER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
/* To whoever connects, until they go. How often something was sent. */
long serve(long rounds)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/s" };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), file = open("/d/from", O_RDONLY);
	long count = 0, sent;
	if (file < 0 || bind(listener, (void *)&name, sizeof name) || listen(listener, 50)) return -errno;
	while (rounds--) {
		int peer = accept4(listener, 0, 0, SOCK_NONBLOCK);
		if (peer < 0) return -errno;
		for (off_t at = 0;; at = 0) {
			sent = sendfile(peer, file, &at, 1 << 20);
			if (sent > 0) count++, syscall(SYS_umask, 022); /* the host runs in between */
			else if (errno != EAGAIN) break;
		}
		close(peer);
	}
	return count;
}
"""
ROUNDS = 200


def leave_early(path: str) -> None:
    """Peers that read a little and go, often while something is sent to them."""
    for number in range(ROUNDS):
        with socket.socket(socket.AF_UNIX) as peer, suppress(OSError):
            while peer.connect_ex(path):  # nobody listens yet
                time.sleep(0.01)
            for _ in range(1 + number % 20):
                peer.recv((4096, 65536, 1 << 17)[number % 3])
    os._exit(0)


@pytest.mark.parametrize("blocked", [False, True], ids=["as-usual", "blocked-by-the-host"])
def test_a_peer_that_goes_while_a_file_is_sent_does_not_end_the_host(blocked: bool, tmp_path: Path) -> None:
    """The kernel says how much was sent, and raises the signal nevertheless."""
    (tmp_path / "from").write_bytes(bytes(1 << 20))
    module = tmebox.compile(source_text=SERVER, flags=("-w",))
    where = f"{tmp_path}/s"

    def play() -> tuple[int, set[signal.Signals], bool]:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK if blocked else signal.SIG_UNBLOCK, {signal.SIGPIPE})
        with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d"], listen=[f"unix:{where}:/s"], timeout=60) as box:
            if os.fork() == 0:
                leave_early(where)
            count = box.serve(ROUNDS)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return count, signal.sigpending(), signal.SIGPIPE in mask

    count, pending, is_blocked = run_forked(play).result()
    assert count > ROUNDS
    assert pending == set() and is_blocked == blocked


def test_what_others_send_the_host_meanwhile_is_not_taken_from_it(tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(bytes(8192))
    module = tmebox.compile(source_text=SENDING, flags=("-w",))

    def play() -> int:
        came: list[int] = []
        signal.signal(signal.SIGPIPE, lambda number, _: came.append(number))
        with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d"], imports={"look": lambda: 0}, timeout=60) as box:
            box.send_for(1)
            host = os.getpid()
            if os.fork() == 0:
                time.sleep(0.1)
                os.kill(host, signal.SIGPIPE)
                os._exit(0)
            end_s = time.monotonic() + 0.5
            while time.monotonic() < end_s:
                box.send_for(20_000)
        return len(came)

    assert run_forked(play).result() == 1
