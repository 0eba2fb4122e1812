"""Have the kernel refuse some ioctls of this process, as if out of memory. For ever: only in a child."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Collection

PR_SET_NO_NEW_PRIVS = 38
SYS_IOCTL, SYS_SECCOMP = 16, 317
SET_MODE_FILTER, ON_ALL_THREADS = 1, 1
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, SECOND_ARGUMENT = 0, 24
ALLOW, FAIL = 0x7FFF0000, 0x00050000


def refuse(codes: Collection[int], *, everywhere: bool = True) -> None:
    """From now on an ioctl with one of these codes fails with ENOMEM, on every thread, or on this one."""
    program = [
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 0, 1 + len(codes), SYS_IOCTL),
        (LOAD, 0, 0, SECOND_ARGUMENT),
        *((EQUAL, len(codes) - index, 0, code) for index, code in enumerate(codes)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, FAIL | errno.ENOMEM),
    ]
    data = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    filter_ = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(data)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    flags = ON_ALL_THREADS if everywhere else 0
    assert libc.syscall(SYS_SECCOMP, SET_MODE_FILTER, flags, filter_) == 0, ctypes.get_errno()
