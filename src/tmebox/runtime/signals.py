"""Signals that a thread needs while it runs a sandbox, or looks into one, and that the host must not block.

A fault whose signal is blocked ends the process, whatever its handler; a time limit whose signal is blocked
never fires. The core unblocks them when a thread first calls a sandbox, and looks again about once in a
millisecond, since looking takes a system call. What Python code blocks is known at once: here.
"""

from __future__ import annotations

import _signal
from collections.abc import Iterable
from functools import wraps
from typing import Any

from tmebox import _native

_block = _signal.pthread_sigmask


@wraps(_block)
def _block_others(how: int, mask: Iterable[int], /) -> Any:
    if how == _signal.SIG_UNBLOCK:
        return _block(how, mask)
    needed = _native.needed_signals()
    return _block(how, [number for number in mask if number not in needed])


def keep_open() -> None:
    """From now on `signal.pthread_sigmask` leaves the signals out that sandboxes need. Idempotent."""
    _signal.pthread_sigmask = _block_others
