"""Control stacks: who has one, what the next owner finds, and arrays of variable size beside them."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked

MIB = 1 << 20
SOURCE = """
    int host(int number);
    void nothing(void) {}
    __attribute__((noinline)) long depth(unsigned long times)
    {
        volatile char frame[200];
        frame[0] = 1;
        return times ? depth(times - 1) + frame[0] : 0;
    }
    __attribute__((noinline)) static int ask(int number) { return host(number) + 1; }
    int asks(int number) { return ask(number) + 1; }
"""
ARRAYS = """
    #include <pthread.h>
    #include <setjmp.h>
    int host(int number);
    __attribute__((noinline)) static int fill(volatile char *all, unsigned long size)
    {
        for (unsigned long i = 0; i < size; i += 4096) all[i] = (char)(i >> 12);
        return all[size - 1] = 7;
    }
    int ask(unsigned long size, int number)
    {
        volatile char all[size];
        return fill(all, size) + host(number) + all[size - 1];
    }
    static void *work(void *argument) { return (void *)(long)ask((unsigned long)argument, 1); }
    int in_threads(unsigned long size)
    {
        pthread_t threads[4];
        int sum = 0;
        for (int i = 0; i < 4; i++) if (pthread_create(&threads[i], 0, work, (void *)(size + i))) return -1;
        for (int i = 0; i < 4; i++) {
            void *result;
            pthread_join(threads[i], &result);
            sum += (int)(long)result;
        }
        return sum;
    }
    static jmp_buf home;
    __attribute__((noinline)) static void leave(unsigned long size)
    {
        volatile char all[size];
        fill(all, size);
        longjmp(home, 1);
    }
    int jumps(int times, unsigned long size)
    {
        volatile int left = times;
        setjmp(home);
        if (left-- > 0) leave(size);
        return left;
    }
    static __thread char *unsafe_stack; /* another variable that is stored as a pointer */
    int keeps(unsigned long size)
    {
        volatile char all[size];
        unsafe_stack = (char *)-1L;
        return fill(all, size) + (unsafe_stack == (char *)-1L);
    }
"""


def words_of(box: Any) -> int:
    """How many words of its control stack are not zero."""
    layout = box._tenancy.layout
    held = box._tenancy.instance.read_control(layout.stack_low, layout.stack_bytes)
    return int(np.count_nonzero(np.frombuffer(held[: len(held) // 8 * 8], np.uint64)))


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture(scope="module")
def arrays() -> tmebox.Module:
    return tmebox.compile(source_text=ARRAYS)


def new(module: tmebox.Module, host: Any = abs, **options: Any) -> Any:
    return tmebox.Sandbox(module, imports={"host": host}, timeout=20, **options)


@pytest.mark.parametrize("times", [10, 60, 20_000])
def test_whoever_has_a_control_stack_next_finds_zeros(module: tmebox.Module, times: int) -> None:
    for _ in range(3):
        with new(module) as first:
            first.depth(times)
            assert words_of(first) > times
        with new(module) as second:
            second.nothing()
            assert words_of(second) < 10
            second.depth(times)
            second.reset()
            second.nothing()
            assert words_of(second) < 10


def test_sandboxes_in_turn_keep_theirs_and_too_many_lose_them(module: tmebox.Module) -> None:
    def act() -> Any:
        boxes = [new(module, stack="64KiB") for _ in range(100)]
        for box in boxes[:2]:
            box.depth(50)
        kept = []
        for _ in range(3):
            for box in boxes[:2]:
                box.nothing()
                kept.append(words_of(box) > 50)
        for box in boxes:
            box.depth(50)
        for box in boxes:
            before = words_of(box)
            box.nothing()
            kept.append(words_of(box) == before if before else words_of(box) < 10)
        return set(kept)

    assert run_forked(act).result() == {True}


def test_calls_inside_each_other_have_one_each(module: tmebox.Module) -> None:
    boxes: list[Any] = []

    def host(number: int) -> int:
        return boxes[number - 1].asks(number - 1) if number else 0

    boxes += [new(module, host) for _ in range(90)]
    assert boxes[89].asks(89) == 2 * 90
    assert boxes[0].asks(0) == 2


def test_no_room_for_a_control_stack_is_a_limit_error(module: tmebox.Module) -> None:
    def act() -> Any:
        box = new(module)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 64 * MIB, resource.RLIM_INFINITY))
        try:
            box.nothing()
            refused = ""
        except tmebox.LimitError as error:
            refused = str(error)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return refused, box.depth(100)

    assert run_forked(act).result() == ("there is no room for another control stack", 100)


def test_arrays_are_given_back_where_an_exception_ends_a_call(arrays: tmebox.Module) -> None:
    def host(number: int) -> int:
        if number < 0:
            raise KeyError(number)
        if number > 1:
            with pytest.raises(KeyError):
                box.ask(3 * MIB, -1)
            return int(box.ask(3 * MIB, number - 2))
        return number

    with new(arrays, host) as box:
        for _ in range(4):
            with pytest.raises(KeyError):
                box.ask(6 * MIB, -1)
            assert box.ask(4 * MIB, 3) == 14 + 14 + 1
        with pytest.raises(tmebox.StackOverflow):
            box.ask(9 * MIB, 1)
        box.reset()
        assert box.ask(7 * MIB, 1) == 15


def test_arrays_of_threads_and_of_jumps(arrays: tmebox.Module) -> None:
    with new(arrays, stack="1MiB") as box:
        assert box.in_threads(50_000) == 4 * 15
        assert box.jumps(100, 900_000) == -1
        assert box.keeps(900_000) == 8
        snapshot = box.snapshot()
        with pytest.raises(tmebox.StackOverflow, match="the stack ran out"):
            box.in_threads(500_000)
    with snapshot.spawn(imports={"host": abs}) as box:
        assert box.ask(1_000_000, 1) == 15
        with pytest.raises(tmebox.StackOverflow):
            box.ask(1 << 32, 1)
