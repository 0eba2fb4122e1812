"""Text slots come back while calls run, and not before nobody can be in the middle of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox import _native, abi
from tmebox.memory.code_region import CODE_REGION, CodeRegion, Slot

Forked = Callable[..., ChildOutcome]
SOURCE = """
int back(int n);
int serve(void) { int n = 0; while (back(n)) n++; return n; }
int spin(volatile int *go) { int n = 0; while (*go) n++; return n; }
void spin_for_ever(void) { for (volatile int i = 0;; i++) ; }
int nest(int n) { return back(n); }
int add(int a, int b) { return a + b; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> CodeRegion:
    """One with room for four slots at addresses of the real one, which keeps them meanwhile."""
    whole = CODE_REGION.allocate(4 * abi.TEXT_ALIGN)
    region = CodeRegion()
    region._extents = _native.Extents(whole.address, whole.end)
    region.keeps = whole  # type: ignore[attr-defined]
    return region


def fill(region: CodeRegion) -> list[Slot]:
    return [region.allocate(1) for _ in range(4)]


def give_back(region: CodeRegion, slots: list[Slot]) -> None:
    while slots:
        region.release(slots.pop())


@contextmanager
def on_a_thread(work: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.001)


def test_a_call_that_serves_for_ever_holds_nothing_up(module: tmebox.Module, region: CodeRegion) -> None:
    """It is in a host call again and again, if not whenever somebody looks."""
    turns, stop = [0], threading.Event()

    def back(n: int) -> int:
        turns[0] = n
        return not stop.is_set()

    box = tmebox.Sandbox(module, imports={"back": back})
    with on_a_thread(box.serve):
        try:
            until(lambda: turns[0])
            for _ in range(50):
                give_back(region, fill(region))
                now = turns[0]
                until(lambda now=now: turns[0] > now + 1)  # type: ignore[misc]
        finally:
            stop.set()  # else the thread is waited for without end
    assert region.free_bytes() in (0, 4 * abi.TEXT_ALIGN)
    region.tidy()
    assert region.free_bytes() == 4 * abi.TEXT_ALIGN


def test_slots_wait_for_a_call_that_was_in_code_when_they_went(
    module: tmebox.Module, region: CodeRegion
) -> None:
    box = tmebox.Sandbox(module, imports={"back": int})
    go = box.array(1, "int32")
    go[0] = 1
    with on_a_thread(lambda: box.spin(go)):
        until(_native.restless)
        give_back(region, fill(region))
        for _ in range(5):
            region.tidy()
            assert region.free_bytes() == 0
            with pytest.raises(tmebox.LimitError, match="4 released ones wait"):
                region.allocate(1)
        go[0] = 0
    assert len(fill(region)) == 4


def test_later_calls_do_not_hold_up_what_went_before(module: tmebox.Module, region: CodeRegion) -> None:
    """The same thread is in code again, and another one too, in calls that began later."""
    boxes = [tmebox.Sandbox(module, imports={"back": int}) for _ in range(3)]
    flags = [box.array(1, "int32") for box in boxes]
    for flag in flags:
        flag[0] = 1
    calls = iter(range(3))

    def work() -> None:
        for number in (0, 1):
            next(calls)
            boxes[number].spin(flags[number])

    with on_a_thread(work):
        until(_native.restless)
        give_back(region, fill(region))
        assert region.free_bytes() == 0
        before = _native.restless()
        with on_a_thread(lambda: boxes[2].spin(flags[2])):
            until(lambda: len(_native.restless()) == 2)
            region.tidy()
            assert region.free_bytes() == 0  # the first one is there yet
            flags[0][0] = 0
            until(lambda: len(_native.restless()) == 2 and not set(before) & set(_native.restless()))
            region.tidy()
            assert region.free_bytes() == 4 * abi.TEXT_ALIGN
            flags[1][0] = flags[2][0] = 0


def test_slots_wait_for_a_call_that_is_interrupted_in_code(module: tmebox.Module, forked: Forked) -> None:
    """It goes on where it was, whatever the handler calls meanwhile."""

    def child() -> list[bool]:
        waits: list[bool] = []
        inner = tmebox.Sandbox(module, imports={"back": lambda n: len(_native.restless())})

        def handler(*_: object) -> None:
            slot = CODE_REGION.allocate(1)
            CODE_REGION.release(slot)
            inner.nest(1)  # a host call of another one, on top
            CODE_REGION.tidy()
            waits.append(len(CODE_REGION._waiting) > 0 and inner.nest(1) == 1)
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with tmebox.Sandbox(module, imports={"back": int}) as box, pytest.raises(KeyboardInterrupt):
            box.spin_for_ever()
        CODE_REGION.tidy()
        return [*waits, len(CODE_REGION._waiting) == 0]

    assert forked(child).result() == [True, True]


def test_loads_during_a_call_take_no_more_room(module: tmebox.Module) -> None:
    data = tmebox.compile(source_text="int one(void) { return 1; }").to_bytes()
    stop = threading.Event()
    box = tmebox.Sandbox(module, imports={"back": lambda n: not stop.wait(0.001)})
    free = []
    with on_a_thread(box.serve):
        for _ in range(60):
            loaded = tmebox.Module.from_bytes(data)
            assert tmebox.Sandbox(loaded).one() == 1
            del loaded
            free.append(CODE_REGION.free_bytes())
        stop.set()
    assert free[-1] >= free[0] - 8 * abi.TEXT_ALIGN


# -- reserved at the import -----------------------------------------------------------------------------
RESERVED = """
import ctypes, mmap, sys
sys.path.insert(0, sys.argv[1])
import tmebox
from tmebox import abi
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
NOREPLACE = 0x100000
for address in range(abi.CODE_BASE, abi.TARGET_MAP_END, 64 << 20):
    got = libc.mmap(address, mmap.PAGESIZE, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NOREPLACE, -1, 0)
    assert got != address, hex(address)
assert not [name for name in sys.modules if name.startswith(("tmebox.runtime", "numpy"))]
module = tmebox.compile(source_text="int one(void) { return 1; }")
print(tmebox.Sandbox(module).one())
"""
TAKEN = """
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mmap(int(sys.argv[1]), mmap.PAGESIZE, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100000, -1, 0)
import tmebox
from tmebox.memory.code_region import CODE_REGION
try:
    print(CODE_REGION.free_bytes())
except tmebox.LimitError as error:
    print("LimitError", error)
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_tmebox_reserves_the_addresses() -> None:
    assert run(RESERVED, ".") == "1\n"


@pytest.mark.parametrize(
    "address", [abi.GATE_BASE, abi.TARGET_MAP_END - abi.PAGE_SIZE, abi.GATE_BASE - abi.TEXT_ALIGN]
)
def test_who_is_there_before_the_import_is_told_of(address: int) -> None:
    told = run(TAKEN, str(address))
    assert told.startswith("LimitError")
    assert "when tmebox was imported" in told and "ulimit -v" in told


def test_low_addresses_that_are_taken_before_make_the_region_smaller() -> None:
    middle = (abi.CODE_BASE + abi.GATE_BASE) // 2
    assert 0 < int(run(TAKEN, str(middle))) < abi.GATE_BASE - middle
