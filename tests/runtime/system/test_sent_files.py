"""Files that a guest sends by the core, to peers that are gone: no SIGPIPE, and the host keeps its mask."""

from __future__ import annotations

import errno
import signal
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
