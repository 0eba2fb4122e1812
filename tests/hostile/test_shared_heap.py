"""Attacks on the shared heap: its owners' bytes are never disclosed or changed, and the host is never
stopped."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import WAYS
from tests.heap.test_guest import GUEST_C
from tests.memory.test_closed_descriptors import userfaultfds
from tmebox import abi

PAGE, LINE = abi.PAGE_SIZE, abi.SHARED_LINE
Forked = Callable[..., ChildOutcome]

ATTACK_C = (
    GUEST_C
    + r"""
#include <string.h>
typedef long long wide __attribute__((vector_size(32), aligned(1)));

void copy_on(char *to, const char *from, unsigned long size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}
void store_on(char *to, unsigned long size, int value)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
}
void store_words(char *to, unsigned long size, long value)
{
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(size) : "a"(value) : "memory");
}
void wide_store(char *to) { *(volatile wide *)to = (wide){-1, -1, -1, -1}; }
long wide_load(const char *from) { wide v = *(const volatile wide *)from; return v[0] ^ v[3]; }
long add_to(volatile long *p) { return __atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST); }
int swap(volatile long *p, long a, long b) { return __sync_bool_compare_and_swap(p, a, b); }
void poke(volatile char *p, int v) { *p = (char)v; }
long flood(unsigned long at, int key, unsigned long times)
{
    long given = 0;
    for (unsigned long i = 0; i < times; i++) {
        void *p = tmebox_shared_alloc(64);
        if (p && tmebox_shared_transfer(p, key) == 0)
            given++;
        else if (p)
            tmebox_shared_free(p);
    }
    return given;
}
long guess(unsigned long start, unsigned long end)
{
    long found = 0;
    for (unsigned long at = start; at < end; at += 64)
        found += tmebox_shared_size((void *)at) != 0 || tmebox_shared_free((void *)at) == 0;
    return found;
}
void touch_often(volatile char *p, unsigned long times)
{
    for (unsigned long i = 0; i < times; i++)
        *p = (char)i;
}
void touch_for_ever(volatile char *p) { for (;;) *p = 1; }
"""
)


@pytest.fixture(scope="module")
def attacker() -> tmebox.Module:
    return tmebox.compile(source_text=ATTACK_C, flags=("-mavx2",))


class Scene:
    """In a mixed page, in this order: a line of the attacker, two of the victim's, one of the attacker."""

    def __init__(self, module: tmebox.Module, way: dict[str, Any], **options: Any) -> None:
        self.heap = tmebox.SharedHeap("8MiB", placement="dense", **way)
        self.attacker = tmebox.Sandbox(module, heap=self.heap, **{"timeout": 20, **options})
        self.victim = tmebox.Sandbox(module, heap=self.heap, timeout=20)
        self.mine = self.heap.allocate(64, owner=self.attacker)
        self.theirs = self.heap.allocate(128, owner=self.victim)
        self.last = self.heap.allocate(64, owner=self.attacker)
        self.theirs.write(b"secret!!" * 16)
        self.mine.write(bytes(64))

    def holds(self) -> bool:
        return self.theirs.read() == b"secret!!" * 16 and self.victim.peek8(self.theirs) != 0


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def scene(request: pytest.FixtureRequest, attacker: tmebox.Module) -> Scene:
    return Scene(attacker, request.param)


WIDE: dict[str, tuple[Callable[[Scene], Any], int]] = {
    "a word across": (lambda s: s.attacker.poke8(s.mine.offset + 60, -1 & (1 << 64) - 1), 64),
    "a word's read across": (lambda s: s.attacker.peek8(s.mine.offset + 57), 64),
    "a vector across": (lambda s: s.attacker.wide_store(s.mine.offset + 40), 64),
    "a vector's read across": (lambda s: s.attacker.wide_load(s.mine.offset + 63), 64),
    "an atomic across": (lambda s: s.attacker.add_to(s.mine.offset + 61), 64),
    "an exchange": (lambda s: s.attacker.swap(s.theirs.offset, 0, 1), 64),
    "from behind": (lambda s: s.attacker.poke8(s.last.offset - 1, 0), 191),
    "a wide read from behind": (lambda s: s.attacker.wide_load(s.last.offset - 31), 161),
    "the line itself": (lambda s: s.attacker.poke(s.theirs, 1), 64),
    "nobody's line": (lambda s: s.attacker.poke(s.last.offset + 64, 1), 256),
}


@pytest.mark.parametrize("name", WIDE)
def test_an_access_is_done_entirely_or_not_at_all(scene: Scene, name: str) -> None:
    attack, first_foreign = WIDE[name]
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        attack(scene)
    assert caught.value.offset == scene.mine.offset + first_foreign
    assert scene.mine.read() == bytes(64)
    assert scene.last.read() == bytes(64)
    assert scene.holds()


@pytest.mark.parametrize(
    ("name", "size", "written"),
    [("store_on", 200, 64), ("store_on", 65, 64), ("store_words", 16, 64), ("copy_on", 200, 64)],
)
def test_a_string_instruction_stops_at_the_line(scene: Scene, name: str, size: int, written: int) -> None:
    a = scene.attacker
    more = (0x0101010101010101,) if name != "copy_on" else ()
    private = a.array(256)
    private[:] = 1
    arguments = (scene.mine, private, size) if name == "copy_on" else (scene.mine, size, *more)
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        if name == "store_on":
            a.store_on(scene.mine, size, 1)
        else:
            getattr(a, name)(*arguments)
    assert caught.value.offset == scene.mine.offset + written
    assert scene.mine.read() == bytes([1]) * written
    assert scene.holds()


def test_a_string_instruction_reads_nothing_foreign(scene: Scene) -> None:
    a = scene.attacker
    private = a.array(256)
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        a.copy_on(private, scene.mine, 200)
    assert caught.value.access == "read"
    assert not private.any()
    assert scene.holds()


def test_a_string_instruction_that_starts_in_the_middle_of_an_element_stops_before_it(scene: Scene) -> None:
    with pytest.raises(tmebox.IntegrityViolation) as caught:
        scene.attacker.store_words(scene.mine.offset + 4, 16, -1)
    assert caught.value.offset == scene.mine.offset + 64
    assert scene.mine.read() == bytes(4) + b"\xff" * 56 + bytes(4)
    assert scene.holds()


def test_use_after_transfer_and_after_free_stop(scene: Scene) -> None:
    a, heap = scene.attacker, scene.heap
    heap.allow(a, to=scene.victim)
    for end in (lambda at: a.give(at, scene.victim.key_id), a.release):
        at = a.alloc(64)
        a.poke8(at, 1)
        assert end(at) == 0
        for name, arguments in (("poke8", (at, 2)), ("peek8", (at,))):
            with pytest.raises(tmebox.IntegrityViolation):
                a.call(name, *arguments)
            a.reset()
    assert scene.holds()


def test_guessed_offsets_are_nobodys(scene: Scene) -> None:
    a = scene.attacker
    scene.heap.free(scene.mine)
    scene.heap.free(scene.last)
    start = scene.theirs.offset // PAGE * PAGE
    assert a.guess(start, start + 64 * PAGE) == 0
    assert a.guess(64, 1 << 16) == 0
    assert a.guess(abi.SHARED_END - 4096, abi.WINDOW_SIZE + 4096) == 0
    assert scene.holds()


def test_a_peers_quota_is_not_flooded(attacker: tmebox.Module) -> None:
    scene = Scene(attacker, {})
    a, b = scene.attacker, scene.victim
    assert a.flood(0, b.key_id, 1000) == 0  # not allowed at all
    with tmebox.Sandbox(attacker, heap=scene.heap, heap_limit=64 * 100) as c:
        scene.heap.allow(a, to=c)
        assert a.flood(0, c.key_id, 1000) == 100
        assert c.alloc(1) == 0
        assert c.error() == errno.EDQUOT
    assert scene.holds()


def test_many_accesses_on_the_side_end_with_the_time_limit(scene: Scene) -> None:
    a = scene.attacker
    a.touch_often(scene.mine, 100_000 if scene.heap.backend == "mmu" else 10_000)
    start = time.monotonic()
    with pytest.raises(tmebox.Timeout):
        a.call("touch_for_ever", scene.mine, timeout=0.3)
    assert time.monotonic() - start < 10
    assert scene.holds()


def test_a_signal_of_python_is_seen_in_the_middle_of_it(scene: Scene) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(tmebox.Timeout):
            scene.attacker.call("touch_for_ever", scene.mine, timeout=0.5)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == [1]


LOCKED = """
import ctypes, sys
import pytest, tmebox
from tests.hostile.test_shared_heap import ATTACK_C, PAGE, Scene
module = tmebox.compile(source_text=ATTACK_C, flags=("-mavx2",))
libc = ctypes.CDLL(None, use_errno=True)
if libc.mlockall(1 | 2) != 0:
    sys.exit("not permitted")
scene = Scene(module, {})
array = scene.heap.array(4 * PAGE, owner=scene.victim)
words = array.view("u8")
scene.victim.poke8(words, 1)
with pytest.raises(tmebox.IntegrityViolation):
    scene.attacker.peek8(words)
scene.attacker.reset()
libc.mlockall(1)
scene.heap.transfer(array, to=scene.attacker)
assert scene.attacker.peek8(words) == 1
with pytest.raises(tmebox.IntegrityViolation):
    scene.victim.poke8(words, 2)
scene.victim.reset()
assert scene.holds()
"""


def test_a_host_that_locks_all_its_memory_gives_nothing_away() -> None:
    """In a process of its own: a forked child would lock what it has in the place of its parent's windows."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LOCKED], cwd=root, capture_output=True, text=True, check=False
    )
    if "not permitted" in done.stderr:
        pytest.skip("the process may not lock its memory: `ulimit -l`")
    assert done.returncode == 0, done.stderr


def test_closed_descriptors_change_nothing(attacker: tmebox.Module, forked: Forked) -> None:
    def child() -> bool:
        scene = Scene(attacker, {})
        before = scene.heap.array(PAGE, owner=scene.victim)
        for number in userfaultfds():
            os.close(number)
        after = scene.heap.array(PAGE, owner=scene.victim)
        for array in (before, after):
            scene.victim.poke8(array.view("u8"), 1)
            with pytest.raises(tmebox.IntegrityViolation):
                scene.attacker.peek8(array.view("u8"))
            scene.attacker.reset()
        scene.heap.transfer(before, to=scene.attacker)
        return scene.attacker.peek8(before.view("u8")) == 1 and scene.holds()

    assert forked(child).result()


def test_a_handler_that_was_replaced_is_put_back_or_the_process_ends(
    attacker: tmebox.Module, forked: Forked
) -> None:
    def child() -> bool:
        scene = Scene(attacker, {})
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        other = Scene(attacker, {})  # new sandboxes put ours back
        with pytest.raises(tmebox.IntegrityViolation):
            other.attacker.peek8(other.theirs)
        return scene.theirs.read() == b"secret!!" * 16

    assert forked(child).result()


def test_a_fork_leaves_the_parents_heap_alone(attacker: tmebox.Module, forked: Forked) -> None:
    scene = Scene(attacker, {})

    def child() -> str:
        with pytest.raises(tmebox.SandboxClosed):
            scene.attacker.poke(scene.theirs, 1)
        with pytest.raises(tmebox.SandboxClosed):
            scene.theirs.write(b"x")
        return "nothing"

    assert forked(child).result() == "nothing"
    assert scene.holds()


def test_divisions_by_zero_on_the_side_are_the_sandboxs(attacker: tmebox.Module) -> None:
    divide = tmebox.compile(source_text="long divide(long a, volatile long *b) { return a / *b; }")
    with (
        tmebox.SharedHeap("1MiB", placement="dense") as heap,
        tmebox.Sandbox(divide, heap=heap) as a,
        tmebox.Sandbox(divide, heap=heap) as b,
    ):
        block, other = heap.allocate(64, owner=a), heap.allocate(64, owner=b)
        block.write((3).to_bytes(8, "little"))
        assert a.divide(12, block) == 4
        block.write(bytes(8))
        with pytest.raises(tmebox.ArithmeticTrap):
            a.divide(12, block)
        assert other.read() == bytes(64)
