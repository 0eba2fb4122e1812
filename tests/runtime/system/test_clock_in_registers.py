"""The core tells the time in two registers, as the host's clocks do. No other shows anything of the host."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

import tmebox
from tmebox.abi import SYS_CLOCK

GENERAL = ("rcx", "rsi", "rdi", "r8", "r9", "r10")
VECTORS = range(16)
ONES, ZEROS = b"\xff" * 16, bytes(16)
LOOK_S = f"""\
	.text
	.globl	look
	.type	look, @function
look:
	pushq	%rbx
	movq	%rdi, %rbx
{"".join(f"	pcmpeqd	%xmm{n}, %xmm{n}" + chr(10) for n in VECTORS)}
	movl	${SYS_CLOCK}, %edi
	call	__tmebox_syscall
	movq	%rax, (%rbx)
	movq	%rdx, 8(%rbx)
{"".join(f"	movq	%{name}, {16 + 8 * n}(%rbx)" + chr(10) for n, name in enumerate(GENERAL))}
{"".join(f"	movdqu	%xmm{n}, {64 + 16 * n}(%rbx)" + chr(10) for n in VECTORS)}
	popq	%rbx
	ret
	.size	look, .-look
"""
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
    room = sandbox.array(64 + 16 * len(VECTORS))
    assert sandbox.see(room, clock) == 0
    found = bytes(room)
    seconds, nanoseconds, *general = struct.unpack_from("<8q", found)
    assert general == [0] * len(GENERAL)
    return (seconds, nanoseconds), {found[64 + 16 * n : 80 + 16 * n] for n in VECTORS}


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> tmebox.Module:
    folder: Path = tmp_path_factory.mktemp("look")
    (folder / "look.s").write_text(LOOK_S)
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
