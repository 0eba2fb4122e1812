"""C that makes system calls by their numbers, and addresses at which they must not write."""

from __future__ import annotations

from tmebox import abi

READ, WRITE, CLOSE, PREAD, PWRITE, READV, WRITEV, SENDTO, RECVFROM = 0, 1, 3, 17, 18, 19, 20, 44, 45

ASK = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

const char constant[4096] = "constant";

long ask(long number, long a, long b, long c, long d, long e)
{
	long result = syscall(number, a, b, c, d, e);
	return result < 0 ? -errno : result;
}
long constant_place(void) { return (long)constant; }
"""


def unwritable(constant: int) -> list[int]:
    """Offsets at which 16 bytes are not all the sandbox's to write. constant: where `constant` is."""
    return [
        abi.CONTROL_PAGE, abi.CONTROL_PAGE - 8, constant, constant + 4088, 0, 8, 4096,
        abi.PRIVATE_END - 4, abi.PRIVATE_END, abi.ARENA_END - 4, abi.ARENA_END, 1 << 32, (1 << 32) - 4,
        1 << 47, -4, -1, abi.CODE_BASE, abi.TARGET_MAP,
    ]  # fmt: skip
