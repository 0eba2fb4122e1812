"""Structs by value, `Box.new` and handles while garbage is collected, and signals and threads come in."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked

SOURCE = r"""
struct pair { long a; double b; };
struct wide { long v[6]; struct pair p; };
typedef int (*visit)(void *user, int n);
struct pair swap(struct pair p) { p.a++; return p; }
struct wide widen(struct wide w, long by) { for (int i = 0; i < 6; i++) w.v[i] += by; return w; }
struct wide each(visit f, void *user, int n, struct wide w)
{ for (int i = 0; i < n; i++) w.v[0] += f(user, i); return w; }
long take(const struct wide *w) { return w->v[5]; }
struct wide spin(struct wide w) { for (volatile int i = 0;; i++) w.v[0]++; return w; }
void *back(void *user) { return user; }
"""
SECONDS = 1.0


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


class Loop:
    """Garbage that uses the sandbox when it is collected."""

    def __init__(self, box: Any) -> None:
        self.box, self.own = box, self

    def __del__(self) -> None:
        try:
            self.box.swap((1, 2.0))
            self.box.new("struct pair", a=1)
        except tmebox.TmeboxError:
            pass


def work(box: Any, seed: int, until: float) -> int:
    chance, kept, done = random.Random(seed), [], 0
    while time.monotonic() < until:
        done += 1
        number = chance.randrange(1 << 30)
        wide = {"v": (number,) * 6, "p": (number, 0.5)}
        try:
            match chance.randrange(8):
                case 0:
                    assert box.swap((number, 0.5)) == (number + 1, 0.5)
                case 1:
                    assert box.widen(wide, 1).v == (number + 1,) * 6
                case 2:
                    kept.append(box.new("struct wide", wide))
                    assert box.take(kept[-1]) == number
                case 3:
                    with box.handle(kept) as handle:
                        assert box.back(handle) is kept
                case 4:
                    count = chance.randrange(3)
                    found = box.each(lambda user, i: box.swap((i, 0.0)).a, None, count, wide)
                    assert found.v == (number + count * (count + 1) // 2, *(number,) * 5)
                case 5:
                    Loop(box)
                case 6:
                    kept.clear()
                case 7:
                    assert all(pointer.v[5] >= 0 for pointer in kept[:3])
        except tmebox.SandboxBusy:
            time.sleep(0)
    return done


def test_nothing_is_mixed_up_while_garbage_is_collected(module: tmebox.Module) -> None:
    def attack() -> int:
        gc.set_threshold(7, 3, 3)
        with tmebox.Box(module, memory="4MiB") as box:
            return work(box, 1, time.monotonic() + SECONDS)

    assert run_forked(attack).result() > 100


def test_threads_on_one_sandbox_are_refused_or_served(module: tmebox.Module) -> None:
    def attack() -> bool:
        gc.set_threshold(50, 5, 5)
        wrong: list[BaseException] = []
        with tmebox.Box(module, memory="4MiB") as box:

            def one(seed: int) -> None:
                try:
                    work(box, seed, time.monotonic() + SECONDS)
                except BaseException as error:
                    wrong.append(error)

            threads = [threading.Thread(target=one, args=(seed,)) for seed in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if wrong:
            raise wrong[0]
        return True

    assert run_forked(attack).result()


def test_signals_come_in_between(module: tmebox.Module) -> None:
    def attack() -> bool:
        with tmebox.Box(module, memory="4MiB") as box:

            def handler(*_: Any) -> None:
                try:
                    assert box.swap((4, 0.0)).a == 5
                    assert box.new("struct pair", a=6).a == 6
                except tmebox.SandboxBusy:
                    pass

            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            work(box, 3, time.monotonic() + SECONDS)
            signal.setitimer(signal.ITIMER_REAL, 0)
        return True

    assert run_forked(attack).result()


def test_time_limits_and_ctrl_c_end_calls_that_return_structs(module: tmebox.Module) -> None:
    def attack() -> list[str]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ended = []
        wide = {"v": (1,) * 6}
        with tmebox.Box(module, timeout=0.2) as box:
            for _ in range(2):
                try:
                    box.spin(wide)
                except tmebox.Timeout:
                    ended.append("late")
                box.reset()
            assert box.widen(wide, 1).v == (2,) * 6
        with tmebox.Box(module, timeout=20) as box:
            box.widen(wide, 1)
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                box.spin(wide)
            except KeyboardInterrupt:
                ended.append("interrupted")
            box.reset()
            assert box.widen(wide, 1).v == (2,) * 6
        return ended

    assert run_forked(attack).result() == ["late", "late", "interrupted"]


def test_a_sandbox_is_closed_in_the_middle_of_everything(module: tmebox.Module) -> None:
    def attack() -> int:
        gc.set_threshold(7, 3, 3)
        for seed in range(20):
            box: Any = tmebox.Box(module, memory="4MiB")
            kept = [box.new("struct pair", a=i) for i in range(10)]
            record, callback = box.swap((1, 2.0)), box.callback(lambda user, n: n, "visit")
            Loop(box)
            box.close()
            calls: list[Callable[[], Any]] = [
                partial(box.swap, record),
                partial(box.new, "struct pair"),
                partial(getattr, kept[0], "a"),
                kept[0].read,
                partial(box.each, callback, None, 1, {}),
            ]
            for call in calls:
                try:
                    call()
                except tmebox.SandboxClosed:
                    continue
                return -seed - 1
        return 1

    assert run_forked(attack).result() == 1
