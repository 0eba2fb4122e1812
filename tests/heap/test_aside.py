"""Instructions that touch pages of several owners: executed on the side, as they would be natively."""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import WAYS
from tmebox import _native, abi
from tmebox.runtime import side

SOURCE = Path(__file__).with_name("aside.c")
LINE = abi.SHARED_LINE
SIZE = 512
FORMS = 16384
"""How many the core keeps at most."""
ENOUGH_S = 20.0


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE.read_text())


class Mixed:
    """Two sandboxes whose blocks lie side by side in the same pages."""

    def __init__(self, module: tmebox.Module, **way: Any) -> None:
        self.heap = tmebox.SharedHeap("8MiB", placement="dense", **way)
        self.one, self.two = (tmebox.Sandbox(module, heap=self.heap) for _ in range(2))
        self.before = self.heap.allocate(LINE, owner=self.two)
        self.block = self.heap.allocate(SIZE, owner=self.one)
        self.after = self.heap.allocate(LINE, owner=self.two)
        self.before.write(b"\xbb" * LINE)
        self.after.write(b"\xaa" * LINE)

    def foreign(self) -> bytes:
        return bytes(self.before.read()) + bytes(self.after.read())

    def close(self) -> None:
        for sandbox in (self.one, self.two):
            sandbox.close()
        self.heap.close()


UNCHANGED = b"\xbb" * LINE + b"\xaa" * LINE


@pytest.fixture
def mixed(module: tmebox.Module) -> Iterator[Mixed]:
    made = Mixed(module)
    yield made
    made.close()


def refused(function: Callable[..., Any], *arguments: Any) -> tmebox.IntegrityViolation:
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        function(*arguments)
    return caught.value


# -- what native code would do ----------------------------------------------------------------------------
FUNCTIONS = ["mixture", "extended_of", "strings", "pushes"]
FUNCTIONS += ["vectors"] if _native.cpu_features()["avx2"] else []


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a_function_computes_the_same_in_mixed_pages(
    module: tmebox.Module, name: str, way: dict[str, Any]
) -> None:
    chooser = random.Random(name)
    mixed = Mixed(module, **way)
    with tmebox.Sandbox(module) as plain:
        array = plain.array(SIZE, "u1")
        for _ in range(5):
            start = chooser.randbytes(SIZE)
            mixed.block.write(start)
            array[:] = list(start)
            assert getattr(mixed.one, name)(mixed.block) == getattr(plain, name)(array)
            assert bytes(mixed.block.read()) == array.tobytes()
        del array
    assert mixed.foreign() == UNCHANGED
    mixed.close()


# -- all or nothing ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("overlap", [1, 8, 15])
def test_a_vector_store_into_a_foreign_line_stores_nothing(mixed: Mixed, overlap: int) -> None:
    error = refused(mixed.one.store_vector, mixed.block.offset + SIZE - 16 + overlap)
    assert (error.offset, error.access) == (mixed.after.offset, "write")
    assert mixed.foreign() == UNCHANGED
    assert bytes(mixed.block.read()) == bytes(SIZE)


def test_an_atomic_across_a_foreign_line_changes_nothing(mixed: Mixed) -> None:
    error = refused(mixed.one.exchange, mixed.block.offset - 4, 77)
    assert error.offset == mixed.block.offset - 4
    assert mixed.foreign() == UNCHANGED
    assert bytes(mixed.block.read()) == bytes(SIZE)


def test_a_repeated_store_stops_where_the_foreign_line_begins(mixed: Mixed) -> None:
    error = refused(mixed.one.fill_words, mixed.block.offset + SIZE - 60, 1000)
    assert error.offset == mixed.after.offset
    assert bytes(mixed.block.read())[-60:] == b"\x11" * 56 + bytes(4)  # whole elements
    assert mixed.foreign() == UNCHANGED


def test_a_repeated_move_stops_where_its_source_is_foreign(mixed: Mixed) -> None:
    mixed.block.write(bytes(range(1, 17)), SIZE - 16)
    error = refused(mixed.one.move_words, mixed.block, mixed.block.offset + SIZE - 16, 100)
    assert (error.offset, error.access) == (mixed.after.offset, "read")
    assert bytes(mixed.block.read())[:32] == bytes(range(1, 17)) + bytes(16)


def test_a_move_into_memory_that_the_sandbox_has_not_is_its_own_fault(mixed: Mixed) -> None:
    with pytest.raises(tmebox.MemoryFault) as caught:
        mixed.one.move_words(abi.GUARD - 4096, mixed.block, 4)
    assert not isinstance(caught.value, tmebox.IntegrityViolation)
    assert mixed.foreign() == UNCHANGED


def test_an_array_of_private_pages_that_were_never_touched_can_be_moved_to(mixed: Mixed) -> None:
    array = mixed.one.array(1 << 16, "u8")
    mixed.block.write(b"\x07" * SIZE)
    mixed.one.move_words(array, mixed.block, SIZE // 8)
    assert array[: SIZE // 8].tobytes() == b"\x07" * SIZE
    mixed.one.move_words(mixed.block, array[SIZE // 8 :], SIZE // 8)
    assert bytes(mixed.block.read()) == bytes(SIZE)


# -- faults of the instruction itself ---------------------------------------------------------------------
def test_a_division_by_zero_on_the_side_is_the_sandboxs_trap(mixed: Mixed) -> None:
    mixed.block.write((7).to_bytes(4, "little"))
    assert mixed.one.divide(mixed.block, 100) == 16
    mixed.block.write(bytes(4))
    for _ in range(100):
        with tmebox.Sandbox(mixed.one.module, heap=mixed.heap) as other:
            mixed.heap.transfer(mixed.block, to=other)
            with pytest.raises(tmebox.ArithmeticTrap) as caught:
                other.divide(mixed.block, 100)
            assert caught.value.function == "divide"
            mixed.heap.transfer(mixed.block, to=mixed.one)
    assert bytes(mixed.block.read()) == bytes(SIZE)


def test_an_unmasked_float_exception_on_the_side_is_the_sandboxs_trap(mixed: Mixed) -> None:
    with pytest.raises(tmebox.ArithmeticTrap) as caught:
        mixed.one.divide_double(mixed.block, 1.0)
    assert caught.value.function == "divide_double"
    assert float("1e308") * 10 == float("inf")


# -- limits, signals, threads -----------------------------------------------------------------------------
def test_a_hundred_thousand_accesses_end_at_the_time_limit(mixed: Mixed) -> None:
    began = time.monotonic()
    with pytest.raises(tmebox.Timeout):
        mixed.one.call("for_ever", mixed.block, timeout=0.3)
    assert time.monotonic() - began < ENOUGH_S
    assert int.from_bytes(mixed.block.read(0, 8), "little") > 1000
    assert mixed.two.count_up(mixed.before, 100000) == int.from_bytes(mixed.before.read(0, 8), "little")


def test_ctrl_c_ends_what_is_done_on_the_side(
    module: tmebox.Module, forked: Callable[..., ChildOutcome]
) -> None:
    def interrupted() -> str:
        mixed = Mixed(module)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            mixed.one.for_ever(mixed.block)
        except KeyboardInterrupt:
            return "interrupted"
        return "ended"

    assert forked(interrupted).result() == "interrupted"


@contextmanager
def storm(number: int, target: int) -> Iterator[None]:
    """The signal comes to the thread all the time."""
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            signal.pthread_kill(target, number)
            time.sleep(0)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTRAP], ids=["blocked in ours", "not blocked"])
def test_signal_handlers_of_the_host_come_in_between(
    module: tmebox.Module, number: int, forked: Callable[..., ChildOutcome]
) -> None:
    """faulthandler's is in C, and uses thread-local storage and the stack. SIGTRAP comes even in a stub."""

    def run() -> int:
        with open(os.devnull, "w") as nowhere:
            faulthandler.register(number, file=nowhere, all_threads=False)
            mixed = Mixed(module)
            with storm(number, threading.get_ident()):
                return int(mixed.one.count_up(mixed.block, 30_000))

    assert forked(run, timeout_s=60).result() == 30_000


def test_python_handlers_run_in_between(module: tmebox.Module, forked: Callable[..., ChildOutcome]) -> None:
    def run() -> tuple[int, bool]:
        mixed, seen = Mixed(module), []

        def look(*_: object) -> None:
            seen.append(mixed.two.peek(mixed.after))
            signal.setitimer(signal.ITIMER_REAL, 0.002)

        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        total = mixed.one.count_up(mixed.block, 100_000)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return int(total), len(seen) > 3 and set(seen) == {int.from_bytes(b"\xaa" * 8, "little")}

    assert forked(run, timeout_s=60).result() == (100_000, True)


def test_threads_count_side_by_side_in_one_page(module: tmebox.Module) -> None:
    with tmebox.SharedHeap("1MiB", placement="dense") as heap:
        sandboxes = [tmebox.Sandbox(module, heap=heap) for _ in range(4)]
        blocks = [heap.allocate(8, owner=sandbox) for sandbox in sandboxes]
        totals: list[int] = []

        def count(sandbox: tmebox.Sandbox, block: tmebox.Block) -> None:
            totals.append(sandbox.count_up(block, 20_000))

        threads = [threading.Thread(target=count, args=pair) for pair in zip(sandboxes, blocks, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert totals == [20_000] * 4
        assert heap.stats().mixed_pages == 1
        for sandbox in sandboxes:
            sandbox.close()


# -- the forms --------------------------------------------------------------------------------------------
DIFFERENT = 2000


@pytest.fixture(scope="module")
def different() -> tmebox.Module:
    """`touch(p)`: so many different loads of p, which points before a block."""
    loads = "".join(f"movl {place}(%%rdi), %%eax\\n" for place in range(DIFFERENT))
    text = f'void touch(unsigned char *p) {{ __asm__ volatile("{loads}" : : "D"(p) : "eax"); }}'
    return tmebox.compile(source_text=text)


def publish_others(count: int) -> None:
    """As hostile code makes the core do it, but faster."""
    form = side.describe(bytes.fromhex("65 67 8b 88 00 00 00 00"))
    for number in range(count):
        place = number.to_bytes(4, "little")
        _native.side_publish(form._replace(encoding=form.encoding[:4] + place, displacement=number))


def test_more_forms_than_are_kept_are_served_all_the_same(
    module: tmebox.Module, different: tmebox.Module, forked: Callable[..., ChildOutcome]
) -> None:
    """Other threads' forms come and go all the while, but never from under them."""

    def run() -> tuple[int, int, int]:
        mixed, totals = Mixed(module), []
        stop = threading.Event()

        def count(sandbox: tmebox.Sandbox, block: tmebox.Block) -> None:
            total = 0
            while not stop.is_set():
                total += 1000
                assert sandbox.count_up(block, 1000) == total
            totals.append(total)

        mixed.before.write(bytes(LINE))
        pairs = ((mixed.one, mixed.block), (mixed.two, mixed.before))
        threads = [threading.Thread(target=count, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        publish_others(2 * FORMS)
        with tmebox.Sandbox(different, heap=mixed.heap) as hostile:
            hostile.touch(mixed.heap.allocate(4000, owner=hostile))
        publish_others(2 * FORMS)
        stop.set()
        for thread in threads:
            thread.join()
        assert len(totals) == 2
        assert min(totals) > 0
        return _native.side_counts()

    kept, published, evicted = forked(run, timeout_s=300).result()
    assert FORMS / 2 < kept <= FORMS
    assert published > 3 * FORMS
    assert evicted == published - kept > 0


def test_making_forms_ends_at_the_time_limit(
    module: tmebox.Module, different: tmebox.Module, forked: Callable[..., ChildOutcome]
) -> None:
    def run() -> float:
        mixed = Mixed(module, views=False)  # the block has a page of its own
        with tmebox.Sandbox(different, heap=mixed.heap, timeout=0.02) as hostile:
            block = mixed.heap.allocate(4000, owner=hostile)
            began = time.monotonic()
            with pytest.raises(tmebox.Timeout):
                hostile.touch(block)
            return time.monotonic() - began

    assert forked(run).result() < ENOUGH_S


def test_a_maker_that_fails_ends_the_call(module: tmebox.Module, forked: Callable[..., ChildOutcome]) -> None:
    def run() -> bool:
        def failing(_: bytes) -> Any:
            raise LookupError("no form")

        mixed = Mixed(module)
        _native.set_side_maker(failing)
        with pytest.raises(LookupError):
            mixed.one.count_up(mixed.block, 3)
        with pytest.raises(tmebox.SandboxClosed):
            mixed.one.count_up(mixed.block, 3)
        _native.set_side_maker(side.describe)
        return bool(mixed.two.count_up(mixed.before, 3))

    assert forked(run).result()


def test_impossible_forms_are_refused() -> None:
    good = side.describe(bytes.fromhex("65 67 8b 08"))
    for changes in (
        {"kind": 8},
        {"base_register": 17},
        {"index_register": 16},
        {"size": 0},
        {"size": 65},
        {"pointer": 16},
        {"for_rsp": 16},
        {"stub": b""},
        {"stub": bytes(16)},
        {"encoding": b""},
        {"encoding": bytes(16)},
        {"kind": side.MASKED},
        {"kind": side.MOVE_STRING, "size": 3},
    ):
        with pytest.raises(ValueError, match=r"impossible|length"):
            _native.side_publish(good._replace(**changes))
    with pytest.raises(TypeError):
        _native.side_publish(good[:5])
    with pytest.raises(TypeError):
        _native.side_publish(list(good))  # type: ignore[arg-type]


def test_a_child_makes_its_own_forms_and_its_parent_keeps_its(
    module: tmebox.Module, forked: Callable[..., ChildOutcome]
) -> None:
    """Stubs are in memory that a child could share with its parent: what it made would be executed there."""
    mixed = Mixed(module)
    assert mixed.one.count_up(mixed.block, 10) == 10
    before = _native.side_counts()

    def run() -> tuple[Any, ...]:
        at_first = _native.side_counts()
        own = Mixed(module)
        for name in FUNCTIONS:
            getattr(own.two, name)(own.heap.allocate(SIZE, owner=own.two))
        return at_first, own.one.count_up(own.block, 10), own.foreign() == UNCHANGED

    assert before[0] > 0
    assert forked(run).result() == ((0, 0, 0), 10, True)
    assert _native.side_counts() == before
    assert mixed.one.count_up(mixed.block, 10) == 20
    mixed.close()


def test_closed_descriptors_change_nothing(
    module: tmebox.Module, forked: Callable[..., ChildOutcome]
) -> None:
    def run() -> list[int]:
        mixed = Mixed(module)
        found = [mixed.one.count_up(mixed.block, 10)]
        for path in list(Path("/proc/self/fd").iterdir()):
            with suppress(OSError):
                if os.readlink(path).startswith(("/memfd", "anon_inode:[userfaultfd]")):
                    os.close(int(path.name))
        found.append(mixed.one.count_up(mixed.block, 10))
        found.append(mixed.two.divide(mixed.before, 1))
        return found

    assert forked(run).result()[:2] == [10, 20]


def test_stubs_are_never_writable_and_executable_at_once(mixed: Mixed) -> None:
    mixed.one.count_up(mixed.block, 1)
    maps = [line for line in Path("/proc/self/maps").read_text().splitlines() if "tmebox stubs" in line]
    assert sorted(line.split()[1] for line in maps) == ["r-xs", "rw-s"]
    assert all(int(line.split("-")[0], 16) > abi.TARGET_MAP_END for line in maps)


def test_thread_with_a_small_stack_can_have_forms_made(module: tmebox.Module) -> None:
    before = threading.stack_size(512 * 1024)
    try:
        mixed, found = Mixed(module), []
        thread = threading.Thread(target=lambda: found.append(mixed.one.mixture(mixed.block)))
        thread.start()
        thread.join()
        assert len(found) == 1
        mixed.close()
    finally:
        threading.stack_size(before)
