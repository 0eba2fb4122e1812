"""Control stacks: who has one, what the next owner finds, and arrays of variable size beside them."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox import abi

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
    __attribute__((naked)) static long push_asm(const long *from)
    {
        __asm__("subq $60000, %rsp\\n pushq (%rdi)\\n popq %rax\\n addq $60000, %rsp\\n ret");
    }
    long push(const long *from) { return push_asm(from); }
    __attribute__((naked)) static long pop_asm(long *to)
    {
        __asm__("subq $60000, %rsp\\n popq (%rdi)\\n movq (%rdi), %rax\\n addq $59992, %rsp\\n ret");
    }
    long pop(long *to) { return pop_asm(to); }
    __attribute__((naked)) static long far_asm(long at)
    {
        __asm__("subq $900000, %rsp\\n pushq %rdi\\n popq %rax\\n addq $900000, %rsp\\n ret");
    }
    long far(long at) { return far_asm(at); }
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
    __attribute__((noinline)) static long sink(long times)
    {
        volatile char frame[8];
        frame[0] = 1;
        return times ? sink(times - 1) + frame[0] : 0;
    }
    static void *sinks(void *times) { return (void *)sink((long)times); }
    int ends_a_thread(long times)
    {
        pthread_t thread;
        pthread_attr_t wanted;
        void *result;
        pthread_attr_init(&wanted);
        pthread_attr_setstacksize(&wanted, 8 << 20);
        if (pthread_create(&thread, &wanted, sinks, (void *)times)) return -1;
        pthread_join(thread, &result);
        return host((long)result == times);
    }
    static __thread char *unsafe_stack; /* another variable that is stored as a pointer */
    int keeps(unsigned long size)
    {
        volatile char all[size];
        unsafe_stack = (char *)-1L;
        return fill(all, size) + (unsafe_stack == (char *)-1L);
    }
"""

COLLECTOR = r"""
    #include <setjmp.h>
    #include <stdlib.h>
    #include <tmebox.h>
    static void *top, *arrays;
    static unsigned long wanted;
    __attribute__((noinline)) static int found_in(void **low, long count)
    {
        int found = 0;
        for (; count > 0; count--) found |= (unsigned long)*low++ == wanted;
        return found;
    }
    /* Whether some word of the stack is the one that is wanted: 1 in memory, 2 kept, 4 in an array. */
    __attribute__((noinline)) static int scan(void)
    {
        jmp_buf registers;
        setjmp(registers);
        void *kept[16], **low = (void **)&registers;
        unsigned long count = 16;
        int found = found_in(low, (void **)top - low);
        for (; low < (void **)top; low += count) {
            count = tmebox_stack_words(kept, low, (void **)top - low < 16 ? (void **)top - low : 16);
            if (count == 0) break;
            found |= 2 * found_in(kept, (long)count);
        }
        void **now = tmebox_arrays();
        return found | 4 * found_in(now, (void **)arrays - now);
    }
    /* Uses all registers, so that those of its callers are kept. */
    __attribute__((noinline)) static int busy(int n)
    {
        asm volatile("" : : : "rbx", "rbp", "r12", "r13", "r14", "r15", "memory");
        int result = n ? busy(n - 1) : scan();
        asm volatile("" : : : "rbx", "rbp", "r12", "r13", "r14", "r15", "memory");
        return result;
    }
    __attribute__((noinline)) static void begin(unsigned long value)
    {
        wanted = value * 3;
        arrays = tmebox_arrays();
    }
    int in_a_register(unsigned long value, int n)
    {
        top = __builtin_frame_address(0);
        begin(value);
        unsigned long mine = value * 3;
        asm volatile("" : "+r"(mine));
        int result = busy(n);
        asm volatile("" : : "r"(mine));
        return result;
    }
    int in_an_object(unsigned long value, int n)
    {
        top = __builtin_frame_address(0);
        begin(value);
        volatile unsigned long mine = value * 3;
        return busy(n) + (mine != value * 3);
    }
#ifdef SIZES
    int in_an_array(unsigned long value, int n)
    {
        top = __builtin_frame_address(0);
        begin(value);
        volatile unsigned long mine[n + 3];
        mine[n] = value * 3;
        return busy(n) + (mine[n] != value * 3);
    }
#endif
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


PLACES = range(16 << 32, 2048 << 32)
"""Host addresses, where nothing but control stacks is as long as there are few."""


def resident() -> int:
    """Bytes that all control stacks have of the kernel."""
    bytes_ = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if not first.endswith(":"):
            counts = int(first.partition("-")[0], 16) in PLACES
        elif first == "Rss:" and counts:
            bytes_ += int(rest.removesuffix("kB")) << 10
    return bytes_


FRAME = 32
"""Bytes of one of `depth` on a control stack."""


@pytest.mark.parametrize("stack", [64 << 10, MIB, 8 * MIB])
def test_control_stacks_hold_no_more_than_the_stacks_limit(module: tmebox.Module, stack: int) -> None:
    def act() -> Any:
        held = [resident()]  # what the parent's have
        for share in (0.1, 0.3, 0.9):
            with new(module, stack=stack) as box:
                box.depth(int(stack * share) // FRAME)
                held.append(resident())
        return held

    before, first, second, third = run_forked(act).result()
    assert 4096 <= first <= second <= third <= before + stack + 4096


def test_what_owners_do_not_use_goes_back_to_the_system(module: tmebox.Module) -> None:
    def live(times: int) -> int:
        with new(module) as box:
            box.depth(times)
        return resident() - before

    before = 0

    def act() -> Any:
        nonlocal before
        before = resident()  # what the parent's have
        held = [live(MIB // FRAME), live(7 * MIB // FRAME), live(MIB // FRAME)]
        return *held, min(live(10) for _ in range(50)), live(MIB // FRAME)

    one, seven, again, shallow, last = run_forked(act).result()
    assert seven <= 16 << 10  # all of it, since who goes so deep is rare
    assert MIB // 2 <= one <= 2 * MIB and MIB // 2 <= again <= 2 * MIB and MIB // 2 <= last <= 2 * MIB
    assert shallow <= 16 << 10


def test_many_that_are_over_hold_little_together(module: tmebox.Module) -> None:
    boxes: list[Any] = []

    def host(number: int) -> int:
        boxes[number].depth(MIB // FRAME)
        return boxes[number - 1].asks(number - 1) if number else 0

    def act() -> Any:
        before = resident()  # what the parent's have
        boxes.extend(new(module, host) for _ in range(90))
        boxes[89].asks(89)
        while_they_live = resident() - before
        for box in boxes:
            box.close()
        return while_they_live, resident() - before

    lived, over = run_forked(act).result()
    assert lived > 45 * MIB
    assert over <= 18 * MIB


def test_a_large_frame_holds_what_it_touches(module: tmebox.Module) -> None:
    def act() -> Any:
        before = resident()  # what the parent's have
        with new(module) as box:
            return box.far(77), resident() - before

    value, held = run_forked(act).result()
    assert value == 77
    assert held <= 32 << 10


def test_a_push_on_the_side_opens_more_of_the_stack(module: tmebox.Module) -> None:
    with (
        tmebox.SharedHeap("1MiB", placement="dense") as heap,
        new(module, heap=heap) as box,
        new(module, heap=heap) as other,
    ):
        foreign = heap.allocate(64, owner=other)
        block = heap.allocate(64, owner=box)
        block.write((7).to_bytes(8, "little"))
        assert box.push(block) == 7
        box.reset()
        block = heap.allocate(64, owner=box)
        block.write((7).to_bytes(8, "little"))
        assert box.pop(block) == 0  # nothing was ever there
        assert foreign.read() == bytes(64)


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


def test_a_child_forked_in_a_call_has_no_stacks_to_give_back(arrays: tmebox.Module) -> None:
    """Not even of a thread that had ended, whose pages would go."""

    def host(number: int) -> int:
        return os.fork() if number == 1 else -1

    def act() -> Any:
        with new(arrays, host) as box:
            try:
                child = box.ends_a_thread(100_000)
            except tmebox.SandboxClosed:
                os._exit(7)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert run_forked(act).result() == 7


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


@pytest.mark.parametrize("name", ["in_a_register", "in_an_object", "in_an_array"])
@pytest.mark.parametrize("isolation", abi.ISOLATIONS)
def test_a_collector_finds_what_functions_keep(name: str, isolation: abi.Isolation) -> None:
    """MicroPython's collector freed what only a kept register, or an array of variable size, referred to."""
    source = f"#define SIZES\n{COLLECTOR}" if name == "in_an_array" else COLLECTOR
    collector = tmebox.compile(source_text=source, isolation=isolation, trust_compiler=isolation == "data")
    expected = {"in_a_register": 2, "in_an_array": 4}.get(name, 1) if isolation == "code+data" else 1
    for depth in (0, 1, 5, 50):
        with tmebox.Sandbox(collector, stack="1MiB") as box:
            assert getattr(box, name)(0x123456789, depth) & expected == expected


def test_the_header_and_the_core_mean_the_same_call_about_stacks() -> None:
    header = (Path(tmebox.__file__).parent / "toolchain" / "include" / "tmebox.h").read_text()
    assert re.findall(r"tmebox_ask_for_stack_word\((0x\w+),", header) == [hex(abi.SYS_READ_STACK)]
