"""The core tells the time in two registers, as the host's clocks do. No other shows anything of the host."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import tmebox
from tests.runtime.system.looking import ONES, SIZE_BYTES, ZEROS, look, seen
from tmebox.abi import SYS_CLOCK

LOOK_C = """\
#include <time.h>
void look(unsigned char *found, long clock);
int see(unsigned char *found, long clock)
{
	struct timespec now;
	look(found, clock);
	return clock_gettime(1, &now);
}
"""


def see(sandbox: tmebox.Sandbox, clock: int) -> tuple[tuple[int, int], set[bytes]]:
    """What came back in rax and rdx, and what was in any other register."""
    room = sandbox.array(SIZE_BYTES)
    assert sandbox.see(room, clock) == 0
    return seen(bytes(room))


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> tmebox.Module:
    folder: Path = tmp_path_factory.mktemp("look")
    (folder / "look.s").write_text(look(SYS_CLOCK))
    (folder / "see.c").write_text(LOOK_C)
    return tmebox.compile([folder / "look.s", folder / "see.c"])


def test_the_time_comes_in_two_registers_and_no_other_has_anything(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        assert see(sandbox, time.CLOCK_MONOTONIC)[0] == (-1, 0)  # Python has its own answer first
        before = time.monotonic_ns()
        (seconds, nanoseconds), vectors = see(sandbox, time.CLOCK_MONOTONIC)
        assert before <= seconds * 10**9 + nanoseconds <= time.monotonic_ns()
        assert vectors <= {ONES, ZEROS}


@pytest.mark.parametrize("clock", [time.CLOCK_PROCESS_CPUTIME_ID, 8, 31, 32, 64, -1, 1 << 40, -(1 << 63)])
def test_of_clocks_that_are_not_for_guests_nothing_is_told(module: tmebox.Module, clock: int) -> None:
    with tmebox.Sandbox(module) as sandbox:
        see(sandbox, clock)
        (seconds, nanoseconds), vectors = see(sandbox, clock)
        assert (seconds, nanoseconds) == (-1, 0) and vectors <= {ONES, ZEROS}
