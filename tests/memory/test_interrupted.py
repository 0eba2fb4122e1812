"""Signal handlers and finalizers may come in at any bytecode, do anything, and raise: nobody waits for
itself, nothing belongs to two, nothing is lost."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.memory.interrupting import enter_everywhere, opcodes_are_told, raise_everywhere
from tmebox import _native
from tmebox.memory.code_region import CODE_REGION
from tmebox.memory.windows import WINDOWS
from tmebox.verify import reading

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not opcodes_are_told(), reason="this Python tells trace functions of no opcodes"),
]

Forked = Callable[..., ChildOutcome]
SOURCE = """
static int calls;
void inc(unsigned char *p, int n) { calls++; for (int i = 0; i < n; i++) p[i]++; }
int length(const char *text) { calls++; int n = 0; while (text[n]) n++; return n; }
int how_often(void) { return calls; }
"""
REFUSED = (tmebox.SandboxBusy, tmebox.SandboxClosed)


class World:
    """One of everything, and what can be done with it. Each operation checks what it got."""

    def __init__(self, module: tmebox.Module) -> None:
        self.module = module
        self.data = module.to_bytes()
        self.box = tmebox.Sandbox(module, memory="2MiB")
        self.snapshot = self.box.snapshot()
        self.pool = tmebox.SandboxPool(module, size=3, threads=1, memory="2MiB")
        self.operations: dict[str, Callable[[], None]] = {
            "pass a buffer": self.pass_buffer,
            "pass a text": self.pass_text,
            "array": self.array,
            "begin and end": self.begin_and_end,
            "drop": self.drop,
            "reset": self.reset,
            "snapshot and spawn": self.snapshot_and_spawn,
            "load and unload": self.load,
            "lease": self.lease,
            "submit": self.submit,
            "view that outlives": self.view_that_outlives,
            "learn forms": self.learn,
            "look": self.look,
        }

    def pass_buffer(self) -> None:
        buffer = bytearray(b"\x05" * 300)
        self.box.inc(buffer, 300)
        assert buffer == b"\x06" * 300

    def pass_text(self) -> None:
        with tmebox.Sandbox(self.module, memory="2MiB") as box:
            assert [box.length("four"), box.length("sixsix")] == [4, 6]

    def array(self) -> None:
        array = self.box.array(70_000)  # more than there is at first
        array[:] = 1
        self.box.inc(array, 70_000)
        assert array.min() == array.max() == 2

    def begin_and_end(self) -> None:
        with tmebox.Sandbox(self.module, memory="2MiB") as box:
            assert box.how_often() == 0
            box.inc(bytearray(3), 3)

    def drop(self) -> None:
        box = tmebox.Sandbox(self.module, memory="2MiB")
        assert box.how_often() == 0
        box.inc(bytearray(3), 3)

    def reset(self) -> None:
        self.box.reset()

    def snapshot_and_spawn(self) -> None:
        with self.snapshot.spawn() as box:
            assert box.how_often() == 0

    def load(self) -> None:
        module = tmebox.Module.from_bytes(self.data)
        with tmebox.Sandbox(module, memory="2MiB") as box:
            assert box.length("12345") == 5

    def lease(self) -> None:
        with self.pool.lease(timeout=20) as box:
            assert box.how_often() == 0

    def submit(self) -> None:
        assert self.pool.submit("length", "123").result(timeout=20) == 3

    def view_that_outlives(self) -> None:
        box = tmebox.Sandbox(self.module, memory="2MiB")
        view = box.memory.view(box._tenancy.layout.heap_start, 100)
        box.close()
        assert not any(view)

    def learn(self) -> None:
        memory = reading._Memory(reading._memory_of(next(iter(reading._MEMORIES))).table)
        for encoding in (b"\x90", b"\xc3", b"\x48\x89\xc8", b"\x01\xd8"):
            number = memory[encoding]
            assert memory.forms[number] == memory.forms[memory[encoding]]

    def look(self) -> None:
        tmebox.stats()
        gc.collect()

    def check(self) -> None:
        for operation in self.operations.values():
            operation()

    def close(self) -> None:
        self.box.close()
        self.pool.close()


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def settled() -> tuple[int, int, int]:
    """What is in use once everything that can end has ended."""
    for _ in range(3):
        gc.collect()
    CODE_REGION.tidy()
    WINDOWS.tidy()
    return WINDOWS.live, CODE_REGION.free_bytes(), threading.active_count()


OPERATIONS = (
    "pass a buffer", "pass a text", "array", "begin and end", "drop", "reset", "snapshot and spawn",
    "load and unload", "lease", "submit", "view that outlives", "learn forms", "look",
)  # fmt: skip
STEP = {
    "load and unload": 1201,
    "learn forms": 601,
    "lease": 23,
    "submit": 9,
    "pass a buffer": 11,
    "reset": 11,
    "look": 5,
}
"""Every so many opcodes of an operation one is tried; the first differs from test to test."""
MOST_STEPS = 71


@pytest.mark.parametrize("outer", OPERATIONS)
def test_each_operation_can_be_entered_from_within_each(
    module: tmebox.Module, forked: Forked, outer: str
) -> None:
    def child() -> int:
        world = World(module)
        assert set(world.operations) == set(OPERATIONS)
        world.check()
        tried = 0
        for index, (name, inner) in enumerate(world.operations.items()):

            def handler(inner: Callable[[], None] = inner) -> None:
                # A sandbox that is being changed, or is in a call, says so.
                with contextlib.suppress(*REFUSED):
                    inner()

            def action(refused: tuple[type[Exception], ...] = REFUSED if name == "reset" else ()) -> None:
                with contextlib.suppress(*refused):
                    world.operations[outer]()

            tried += enter_everywhere(action, handler, STEP.get(outer, MOST_STEPS), 17 * index)
        world.check()
        return tried

    assert forked(child, timeout_s=120).result() >= len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_exception_at_any_bytecode_loses_nothing(
    module: tmebox.Module, forked: Forked, operation: str
) -> None:
    def child() -> tuple[Any, Any, int]:
        world = World(module)
        world.check()
        before = settled()
        # Exceptions of finalizers are only told; pytest would keep what they come from alive.
        sys.unraisablehook = lambda unraisable: None
        tried = raise_everywhere(world.operations[operation], max(1, STEP.get(operation, MOST_STEPS) // 40))
        world.box.reset()  # whatever state it was left in
        world.check()
        assert world.pool._permits.held == 0
        return before, settled(), tried

    before, after, tried = forked(child, timeout_s=120).result()
    windows, free_text, threads = (now - then for now, then in zip(after, before, strict=True))
    assert tried > 5
    assert (windows, free_text) == (0, 0)
    assert 0 <= threads <= tried


def test_a_real_signal_handler_may_use_the_same_sandbox(module: tmebox.Module, forked: Forked) -> None:
    """The deadlock as it was found: an argument's memory is wanted while another's is being taken."""

    def child() -> int:
        box, served = tmebox.Sandbox(module), 0

        def handler(*_: object) -> None:
            nonlocal served
            with contextlib.suppress(tmebox.SandboxBusy):
                box.inc(bytearray(100), 100)
                served += 1

        start = time.perf_counter()
        for _ in range(1_000):
            box.inc(bytearray(200), 200)
        pause_s = 30 * (time.perf_counter() - start) / 1_000  # else handlers interrupt handlers, without end
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, pause_s, pause_s)
        for _ in range(20_000):
            box.inc(bytearray(200), 200)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return served

    assert forked(child).result() > 0


def test_nothing_of_the_core_waits_for_python(module: tmebox.Module, forked: Forked) -> None:
    """No lock is left where signal handlers and finalizers come, but the one that refuses its own thread."""

    def child() -> list[str]:
        world = World(module)
        world.check()
        locks = (type(threading.Lock()), type(threading.RLock()))
        return [
            f"{type(owner).__module__}.{type(owner).__name__}.{name}"
            for owner in gc.get_objects()
            if type(owner).__module__.startswith("tmebox.") and not isinstance(owner, type)
            for name in [*getattr(owner, "__dict__", ()), *getattr(type(owner), "__slots__", ())]
            if isinstance(getattr(owner, name, None), locks)
        ]

    assert set(forked(child).result()) <= {"tmebox.runtime.tenancy.Tenancy._changing"}


# -- custody ------------------------------------------------------------------------------------------
def test_a_dropped_claim_puts_the_thing_back() -> None:
    shelf: _native.Shelf[str] = _native.Shelf()
    shelf.put("a")
    claim = shelf.take()
    assert claim is not None and claim.thing == "a" and len(shelf) == 0 and shelf.owed == 1
    assert shelf.take() is None
    del claim
    assert (shelf.peek(), shelf.owed) == ("a", 0)


def test_a_claim_goes_where_it_was_said_and_is_given_once() -> None:
    one: _native.Shelf[str] = _native.Shelf()
    other: _native.Shelf[str] = _native.Shelf()
    sum_: _native.Shelf[str] = _native.Shelf()
    heavy: _native.Shelf[str] = _native.Shelf(sum=sum_)
    one.put("a")
    claim = one.take(other)
    del claim
    assert (len(one), len(other)) == (0, 1)
    claim = other.take()
    assert claim is not None
    claim.give(heavy, 5)
    assert (heavy.weight, sum_.weight, other.owed) == (5, 5, 0)
    with pytest.raises(ValueError, match="settled"):
        claim.settle()
    with pytest.raises(ValueError, match="settled"):
        claim.give(one)
    with pytest.raises(ValueError, match="settled"):
        assert claim.thing
    del claim
    assert len(heavy) == 1
    assert heavy.remove(heavy.peek() or "") and not heavy.remove("never there")
    assert (heavy.weight, sum_.weight) == (0, 0)


def test_what_lies_on_a_shelf_at_the_end_goes_to_the_heir() -> None:
    heir: _native.Shelf[int] = _native.Shelf()
    shelf = _native.Shelf(heir=heir)
    for number in range(100):
        shelf.put(number)
    assert heir.owed == 100
    del shelf
    assert (len(heir), heir.owed, heir.peek()) == (100, 0, 0)


def test_shelves_serve_the_newest_or_the_oldest() -> None:
    shelf: _native.Shelf[int] = _native.Shelf()
    for number in range(1000):
        shelf.put(number)
        if number % 3 == 0 and (claim := shelf.take(oldest=True)) is not None:
            claim.settle()
    oldest = shelf.take(oldest=True)
    newest = shelf.take()
    assert oldest is not None and newest is not None
    assert (oldest.thing, newest.thing, len(shelf)) == (334, 999, 664)
