"""What all system calls share: how they reach guest memory, and how they end."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGABRT
from typing import Any, Protocol, runtime_checkable

U64 = (1 << 64) - 1
TRANSFER_MAX = 16 << 20
"""Bytes that one read or write moves at most; callers of read() and write() handle short counts."""
PATH_MAX = 4096


class GuestMemory(Protocol):
    """A sandbox's memory. Every method raises IndexError unless the whole range is memory of the sandbox
    that the sandbox itself could read or, for `write`, write; sizes are capped by the caller."""

    def read(self, offset: int, size_bytes: int, /) -> bytes: ...
    def write(self, offset: int, data: Any, /) -> None: ...
    def string(self, offset: int, limit: int, /) -> bytes:
        """The NUL-terminated string at `offset`, without the NUL, if it ends within `limit` bytes."""


@runtime_checkable
class Discards(Protocol):
    """Guest memory that can be made zero and given back to the system, page by page."""

    def discard(self, offset: int, size_bytes: int, /) -> None:
        """Page-aligned. Raises IndexError unless the sandbox could write all of it itself."""


@runtime_checkable
class Resident(Protocol):
    """Guest memory that can tell how much of it is there."""

    def resident_bytes(self) -> int: ...


class Exit(Exception):
    """The program called exit(); `code` is what a shell would see, 0…255."""

    def __init__(self, code: int) -> None:
        self.code = code & 0xFF
        super().__init__(f"exit({self.code})")


EXIT, TKILL, EXIT_GROUP = 60, 200, 231
ENDING = frozenset((EXIT, TKILL, EXIT_GROUP))
"""A program ends by these, whatever else does not work."""


@dataclass(frozen=True)
class Assertion:
    """One that failed, in the guest's words: printable, and of moderate length."""

    expression: str
    file: str
    function: str
    line: int


class Abort(Exception):
    """The program ended itself by a signal: SIGABRT for abort() and failed assertions. words: its reason."""

    def __init__(self, signal: int, assertion: Assertion | None = None, words: str | None = None) -> None:
        self.signal = signal
        self.assertion = assertion
        super().__init__(self._reason(words))

    def _reason(self, words: str | None) -> str:
        if self.signal != SIGABRT:
            return f"the program raised signal {self.signal}"
        if self.assertion is not None:
            return f"assertion failed: {self.assertion.expression}"
        return "the program called abort()" if words is None else f"the program aborted: {words}"


def failure(number: int) -> OSError:
    """What a system call raises to return -errno."""
    return OSError(number, os.strerror(number))


def error_result(error: OSError) -> int:
    """The -errno of a system call that failed so: a negative number, whatever the exception says. Errors of
    Python's own have none, or one that is not the kernel's, as a name that cannot be resolved."""
    number = error.errno
    return -number if isinstance(number, int) and number in errno.errorcode else -errno.EIO


Handler = Callable[..., int]
"""`handler(system, memory, *arguments)` → the call's result. Raises OSError for -errno."""


def transfer_size(size_bytes: int) -> int:
    """A guest's size_t as a size to move now."""
    return min(size_bytes & U64, TRANSFER_MAX)


def read_path(memory: GuestMemory, offset: int) -> bytes:
    path = memory.string(offset & U64, PATH_MAX)
    if not path:
        raise failure(errno.ENOENT)
    return path
