"""Runs inside the virtual machine, after the shared heap's tests: what only a machine with a device can show.

Keys that run out, direct I/O, and machine checks, which the machine's monitor injects while a sandbox, or the
host for it, reads a line.
"""

import ctypes
import errno
import mmap
import os
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TMEBOX_SIMULATED_KEYS"] = "1"

import tmebox
from tmebox import _native, abi

MONITOR = "/dev/ttyS2"
COPY = bytes.fromhex("4889d1f3a431c031d2c3")
"""tmebox_window_copy, by which the host reads memory that may stop it."""
STOP_AFTER_S = 60


def check(name: str, test: Callable[[], None]) -> None:
    try:
        test()
    except Exception as error:
        print(f"# {type(error).__name__}: {error}")
        print(f"not ok device {name}", flush=True)
    else:
        print(f"ok device {name}", flush=True)


module = tmebox.Module.load("/extra/files/spin.tbx")


def keys_run_out() -> None:
    with tmebox.SharedHeap("1MiB", backend="tmemk") as heap:
        made: list[tmebox.Sandbox] = []
        try:
            while len(made) < 100:
                made.append(tmebox.Sandbox(module, heap=heap))
        except tmebox.LimitError as error:
            assert "keys of the processor" in str(error), error
        assert len(made) == 63, len(made)
        block = heap.allocate(64, owner=made[5])
        made[5].close()
        assert block.owner is None
        with tmebox.Sandbox(module, heap=heap) as another:
            assert heap.array(10, owner=another)[0] == 0
        for sandbox in made:
            sandbox.close()


def mixed_and_shared_pages_are_in_views() -> None:
    """No instruction needed a form, so none was executed on the side."""
    with (
        tmebox.SharedHeap("1MiB", backend="tmemk", placement="dense") as heap,
        tmebox.Sandbox(module, heap=heap) as a,
        tmebox.Sandbox(module, heap=heap) as b,
    ):
        before = _native.side_counts()
        mine, theirs = heap.allocate(64, owner=a), heap.allocate(64, owner=b)
        assert mine.offset // 4096 == theirs.offset // 4096
        mine.write(b"\1\0\0\0" * 16)
        theirs.write(b"\2\0\0\0" * 16)
        assert (a.peek7(mine), b.peek7(theirs)) == (1, 2)
        heap.transfer(mine, to=b)
        assert (b.peek7(mine), b.peek7(theirs), mine.read(0, 1)) == (1, 2, b"\1")
        heap.transfer(theirs, to=a)
        assert (b.peek7(mine), a.peek7(theirs), theirs.read(0, 1)) == (1, 2, b"\2")
        shared = heap.allocate(64, shareable=True)
        shared.write(b"\3\0\0\0" * 16)
        heap.share(shared, {a: "rw", b: "r"})
        assert (a.peek7(shared), b.peek7(shared)) == (3, 3)
        assert _native.side_counts() == before


def direct_io_is_efault() -> None:
    """Pages of a device's mapping cannot be pinned. Ordinary reads and writes copy, and work."""
    with tmebox.SharedHeap("1MiB", backend="tmemk") as heap, tmebox.Sandbox(module, heap=heap) as sandbox:
        array: Any = heap.array(4096, "u1", owner=sandbox)
        array[:] = 7
        disk = os.open("/dev/vda", os.O_RDONLY | os.O_DIRECT)
        buffer = mmap.mmap(-1, 4096)
        assert os.preadv(disk, [buffer], 0) == 4096
        try:
            os.preadv(disk, [array], 0)
        except OSError as error:
            assert error.errno == errno.EFAULT, error
        else:
            raise AssertionError("O_DIRECT has read into a page of the heap")
        os.close(disk)
        file = os.open("/tmp/plain", os.O_RDWR | os.O_CREAT)
        assert os.pwritev(file, [array], 0) == 4096
        array[:] = 0
        assert os.preadv(file, [array], 0) == 4096
        assert (array == 7).all()
        os.close(file)


def inject(address: int, low: int, high: int) -> None:
    """Have the monitor raise a machine check about the page at `address` while this process runs in
    [low, high)."""
    probe = ctypes.c_uint64(0x7072_6F62_0000_0000 ^ os.getpid())
    line = os.open(MONITOR, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    os.write(
        line, f"check {address:x} {low:x} {high:x} {ctypes.addressof(probe):x} {probe.value:x}\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\n"):
        answer += os.read(line, 1)
    os.close(line)
    assert answer == b"done\n", answer


def hit(run: Callable[[], object], address: int, low: int, high: int) -> tmebox.IntegrityViolation:
    """What ended the run, on another thread of the only processor."""
    ended: list[BaseException] = []

    def body() -> None:
        try:
            run()
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    inject(address, low, high)
    thread.join(STOP_AFTER_S)
    assert not thread.is_alive(), "it still runs"
    assert len(ended) == 1 and isinstance(ended[0], tmebox.IntegrityViolation), ended
    return ended[0]


def a_sandbox_is_stopped_by_its_memory(placement: str) -> None:
    with tmebox.SharedHeap("1MiB", backend="tmemk") as heap:
        a, b = tmebox.Sandbox(module, heap=heap, timeout=STOP_AFTER_S), tmebox.Sandbox(module, heap=heap)
        block = heap.allocate(64 if placement == "mixed" else 4096, owner=a, placement="dense")
        beside = heap.allocate(128, owner=b, placement="dense")
        beside.write(b"beside  " * 16)
        stopped = hit(lambda: a.spin(block.offset), a.base + block.offset, abi.CODE_BASE, abi.CODE_END)
        assert stopped.offset == block.offset, stopped
        assert (stopped.access, stopped.key_id, stopped.owner_key_id) == ("read", a.key_id, a.key_id), stopped
        assert "no longer holds" in str(stopped), stopped
        assert stopped.backtrace[0].function == "spin", stopped.backtrace
        # The host goes on, and so do the others.
        assert b.peek(beside.offset) == int.from_bytes(b"beside  ", "little")
        a.close()
        block.write(b"again")
        assert block.read(0, 5) == b"again"
        b.close()


def the_host_is_stopped_by_a_sandboxs_memory() -> None:
    with tmebox.SharedHeap("1MiB", backend="tmemk") as heap, tmebox.Sandbox(module, heap=heap) as a:
        block = heap.allocate(4032, owner=a)
        block.write(b"x")
        a.peek(block.offset)
        copy = address_of_copy()

        def read() -> None:
            end = time.monotonic() + STOP_AFTER_S
            while time.monotonic() < end:
                block.read()

        stopped = hit(read, a.base + block.offset, copy, copy + len(COPY))
        assert (stopped.access, stopped.key_id, stopped.owner_key_id) == ("read", 0, a.key_id), stopped
        assert block.read(0, 1) == b"x"
        assert a.peek(block.offset) == ord("x")


def address_of_copy() -> int:
    file = Path(_native.__file__)
    offset = file.read_bytes().index(COPY)
    for line in Path("/proc/self/maps").read_text().splitlines():
        words = line.split()
        if words[-1] == str(file) and "x" in words[1]:
            start, end = (int(word, 16) for word in words[0].split("-"))
            inside = offset - int(words[2], 16)
            if 0 <= inside < end - start:
                return start + inside
    raise AssertionError("the core's text is not mapped")


check("keys run out", keys_run_out)
check("mixed and shared pages are in views", mixed_and_shared_pages_are_in_views)
check("direct I/O is EFAULT", direct_io_is_efault)
if Path("/sys/devices/system/machinecheck/machinecheck0").exists():
    # The monitor tells one processor only, and the kernel would wait for the others.
    Path("/sys/devices/system/cpu/cpu1/online").write_text("0")
    for kind in ("alone", "mixed"):
        check(
            f"a machine check in a page {kind} is an IntegrityViolation",
            lambda kind=kind: a_sandbox_is_stopped_by_its_memory(kind),  # type: ignore[misc]
        )
    check("a machine check in the host's copy is one, too", the_host_is_stopped_by_a_sandboxs_memory)
else:
    print("skip device machine checks, which this kernel has no handler for", flush=True)
