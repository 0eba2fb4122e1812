"""Pages that come where memory was to be, and is not: the next owner of the window has not got them."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.memory.module import module, sandbox
from tests.memory.refused_ioctls import refuse
from tests.memory.test_closed_descriptors import UFFDIO_COPY, userfaultfds
from tests.memory.windows import PAGE, Forked, needs_userfault
from tmebox import _native

ROOT = Path(__file__).parents[2]
SECRET = b"secret" * 600 + bytes(496)


def on_another_thread(function: Callable[[], None]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def fail_to_grow(box: tmebox.Sandbox) -> None:
    """The system has no page for the arena at that moment."""

    def grow() -> None:
        refuse([UFFDIO_COPY], everywhere=False)
        with pytest.raises(tmebox.LimitError):
            box.array(200_000)

    on_another_thread(grow)


def arrive_late(address: int) -> None:
    """What a fault of the sandbox's does that was on its way meanwhile."""
    page = ctypes.create_string_buffer(SECRET, PAGE)
    request = struct.pack("<QQQQq", address, ctypes.addressof(page), PAGE, 0, 0)
    fcntl.ioctl(userfaultfds()[0], UFFDIO_COPY, request)


@needs_userfault
@pytest.mark.parametrize("kept", [True, False])
def test_a_page_that_arrives_after_an_arena_did_not_grow_is_nobodys(forked: Forked, kept: bool) -> None:
    module()

    def child() -> tuple[bool, bool]:
        box = sandbox()
        box.array(100)
        base, end = box.base, _native.window_arena_end(box.base)
        fail_to_grow(box)
        assert _native.window_arena_end(base) == end
        arrive_late(base + end)
        assert box.look(end, PAGE) != 0
        if not kept:
            box.fill(box.where_room(), 1 << 20, 1)
        box.close()
        other = sandbox()
        with pytest.raises(tmebox.MemoryFault):
            other.look(end, PAGE)
        return other.base == base, bool(other.array(200_000).any())

    assert forked(child).result() == (True, False)


PLAIN = """
import sys
sys.path.insert(0, sys.argv[1])
import errno
from pathlib import Path
import tmebox
from tests.memory.module import module
from tmebox import _native
from tmebox.memory.windows import WINDOWS

def writable(base):
    rows = [line.split()[:2] for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [(*(int(number, 16) for number in span.split("-")), access) for span, access in rows]
    return [span for span in spans if base <= span[0] < base + (4 << 30) and "w" in span[2]]

with tmebox.Sandbox(module(), memory="1GiB", stack="1GiB") as box:
    base = box.base
assert not writable(base)
real, made = _native.map_zero, 0
for nth in range(1, 9):
    def map_zero(address, size, protection):
        global made
        made += 1
        if made == nth:
            raise OSError(errno.ENOMEM, "no memory")
        return real(address, size, protection)
    made, _native.map_zero = 0, map_zero
    try:
        tmebox.Sandbox(module(), memory="1GiB", stack="1GiB").close()
        failed = False
    except tmebox.LimitError:
        failed = True
    _native.map_zero = real
    WINDOWS.tidy()
    assert not writable(base), (nth, writable(base))
    if not failed:
        break
print("the windows are empty", nth > 2)
"""


def test_what_was_mapped_before_a_sandbox_could_not_begin_is_taken_away() -> None:
    environment = {**os.environ, "TMEBOX_SUBSTRATE": "plain"}
    command = [sys.executable, "-c", PLAIN, str(ROOT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "the windows are empty True\n", done
