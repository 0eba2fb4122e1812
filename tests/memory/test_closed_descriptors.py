"""A host that closes descriptors that are not its own, and opens files that get their numbers."""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
import threading
from collections.abc import Callable

import pytest

import tmebox
from tests.forked import ChildOutcome, run_forked
from tests.memory.module import module, sandbox
from tests.memory.refused_ioctls import refuse
from tmebox import abi
from tmebox.memory.windows import WINDOWS

Forked = Callable[..., ChildOutcome]
PAGE = abi.PAGE_SIZE
LIBC = ctypes.CDLL(None, use_errno=True)
SYS_USERFAULTFD, UFFDIO_API = 323, 0xC018AA3F
needs_userfault = pytest.mark.skipif(
    WINDOWS.substrate.name != "userfault", reason="the substrate here has no descriptor"
)


def userfaultfds() -> list[int]:
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    return [number for number in numbers if "userfaultfd" in _link(number)]


def _link(number: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def other_userfaultfd() -> int:
    """As a library of the host may have one. Ready, with nothing registered."""
    number = LIBC.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | 1)
    api = (ctypes.c_uint64 * 3)(0xAA, 0, 0)
    assert number >= 0 and LIBC.ioctl(number, UFFDIO_API, api) == 0
    return number


def occupy_with(make: Callable[[], int]) -> Callable[[list[int]], None]:
    def occupy(numbers: list[int]) -> None:
        made = make()
        for number in numbers:
            os.dup2(made, number)

    return occupy


THEN: dict[str, Callable[[list[int]], None]] = {
    "nothing": lambda numbers: None,
    "a file": occupy_with(lambda: os.open("/dev/null", os.O_RDWR)),
    "a socket": occupy_with(lambda: socket.socket().detach()),
    "a directory": occupy_with(lambda: os.open("/", os.O_RDONLY)),
    "another userfaultfd": occupy_with(other_userfaultfd),
}


def use_everything(before: tmebox.Sandbox) -> int:
    """Touches, resets, writes, views, arrays and new sandboxes, in an old window and in new ones; more than a
    piece has, so that another one is registered."""
    room = before.where_room()
    before.fill(room + 20 * abi.MIB, 700 * abi.KIB, 3)
    assert before.look(room + 20 * abi.MIB, 700 * abi.KIB) == 3 * 700 * abi.KIB
    before.memory.write(room + 40 * abi.MIB, b"x" * 3 * PAGE)
    assert before.memory.read(room + 50 * abi.MIB, 4 * PAGE) == bytes(4 * PAGE)
    assert sum(before.memory.view(room + 55 * abi.MIB, PAGE)) == 0
    before.array(300_000)[:] = 1
    assert before.dig(40, 5) >= 0
    before.reset()
    assert before.look(room, 64 * abi.MIB) == 0
    with pytest.raises(tmebox.MemoryFault):
        before.fill(before.where_constant(), 1, 1)
    before.reset()
    boxes = [sandbox() for _ in range(40)]
    for box in boxes:
        box.fill(box.where_room() + 9 * abi.MIB, 1, 1)
    return sum(box.add(1, 2) for box in (before, *boxes))


@needs_userfault
@pytest.mark.parametrize("then", THEN)
def test_closed_and_taken_numbers_hinder_nobody(forked: Forked, then: str) -> None:
    module()

    def child() -> int:
        box = sandbox()
        box.fill(box.where_room(), 5, 5)
        ours = userfaultfds()
        for number in ours:
            os.close(number)
        THEN[then](ours)
        return use_everything(box)

    assert forked(child).result() == 41 * 3


@needs_userfault
def test_closing_while_threads_touch_memory(forked: Forked) -> None:
    module()

    def child() -> int:
        begun, done = threading.Barrier(4), []

        def work() -> None:
            with sandbox() as box:
                start = box.where_room()
                begun.wait()
                for page in range(0, 12_000, 3):
                    box.fill(start + page * PAGE, 1, 1)
                done.append(box.look(start, 12_000 * PAGE))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        begun.wait()
        for number in userfaultfds():
            THEN["a file"]([number])
        for thread in threads:
            thread.join()
        return sum(done)

    assert forked(child).result() == 3 * 4000


@needs_userfault
def test_a_child_closes_our_number_and_no_other(forked: Forked) -> None:
    def child() -> list[bool]:
        sandbox().close()
        numbers = userfaultfds()
        kept, path = tempfile.mkstemp()
        os.write(kept, b"mine")
        os.unlink(path)
        gone = run_forked(lambda: [_link(number) for number in numbers]).result()
        for number in numbers:
            os.dup2(kept, number)

        def grandchild() -> bool:
            alive = all(os.pread(number, 4, 0) == b"mine" for number in numbers)
            return alive and use_everything(sandbox()) == 123

        return [not any(gone), bool(numbers), run_forked(grandchild).result()]

    assert forked(child).result() == [True, True, True]


@needs_userfault
def test_the_number_is_out_of_the_way_of_ranges_that_are_closed(forked: Forked) -> None:
    def child() -> bool:
        sandbox().close()
        return all(number > 100 for number in userfaultfds())

    assert forked(child).result()


@needs_userfault
def test_descriptors_do_not_add_up(forked: Forked) -> None:
    def child() -> tuple[int, int]:
        use_everything(sandbox())
        for number in userfaultfds():
            os.close(number)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            use_everything(sandbox())
        return before, len(os.listdir("/proc/self/fd"))

    before, after = forked(child).result()
    assert before == after


# -- pages that cannot be had ---------------------------------------------------------------------------
UFFDIO_COPY, UFFDIO_ZEROPAGE = 0xC028AA03, 0xC020AA04


@needs_userfault
def test_what_cannot_be_installed_is_an_error_and_no_death(forked: Forked) -> None:
    """The kernel refuses every page, for want of memory: nobody's contents are mixed up after that."""
    module()

    def child() -> list[str]:
        box, other = sandbox(), sandbox()
        room = box.where_room()
        box.fill(room, 3 * PAGE, 9)
        array = box.array(100)
        array[:] = 4
        failed = []

        def attempt(name: str, action: Callable[[], object]) -> None:
            try:
                action()
            except (tmebox.LimitError, tmebox.SandboxClosed, tmebox.Trap):
                failed.append(name)

        refuse([UFFDIO_COPY, UFFDIO_ZEROPAGE])
        attempt("read", lambda: box.memory.read(room + 10 * abi.MIB, PAGE))
        attempt("write", lambda: box.memory.write(room + 11 * abi.MIB, b"abc"))
        attempt("view", lambda: box.memory.view(room + 12 * abi.MIB, PAGE))
        attempt("array", lambda: box.array(10 * abi.MIB))
        attempt("touch", lambda: other.fill(room + 13 * abi.MIB, 1, 1))
        attempt("new", lambda: tmebox.Sandbox(module(), memory="200MiB"))
        assert box.look(room, PAGE) == 9 * PAGE and array.sum() == 400
        for _ in range(3):  # also a page that is thought to be there may be the one that is missing
            attempt("reset", box.reset)
            attempt("call", lambda: box.dig(20, 1))
        del array
        attempt("close", other.close)
        attempt("close", box.close)
        for _ in range(20):  # in windows of those, and in fresh ones
            attempt("another", lambda: sandbox().close())
        return failed

    failed = forked(child).result()
    assert {"read", "write", "view", "array", "touch", "new"} <= set(failed)
