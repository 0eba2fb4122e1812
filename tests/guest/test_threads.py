"""Threads of a sandbox: they take turns on the host thread that called it."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tests.guest.test_guest_programs import run, run_text
from tmebox import abi
from tmebox.modulefile.snapshot import SnapshotFile


def test_every_check_of_the_threads_program_holds() -> None:
    completed = run("threads")
    assert (completed.exit_code, completed.stderr.decode()) == (0, "")


DEADLOCK = """
    #define _GNU_SOURCE
    #include <pthread.h>
    #include <stdio.h>
    static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
    static void *takes_second_first(void *argument)
    {
        pthread_setname_np(pthread_self(), "other");
        pthread_mutex_lock(&second);
        pthread_mutex_lock(&first);
        return argument;
    }
    int main(void)
    {
        pthread_t thread;
        pthread_mutex_lock(&first);
        pthread_create(&thread, NULL, takes_second_first, NULL);
        pthread_mutex_lock(&second);
        pthread_mutex_lock(&second);
    }
    """


def test_a_deadlock_is_a_trap_with_the_backtrace_of_every_thread() -> None:
    with pytest.raises(tmebox.Deadlock, match="all 2 threads wait for each other") as caught:
        run_text(DEADLOCK)
    threads = {thread.number: thread for thread in caught.value.threads}
    assert {number: thread.name for number, thread in threads.items()} == {1: "", 2: "other"}
    functions = {number: [frame.function for frame in thread.backtrace] for number, thread in threads.items()}
    assert "main" in functions[1] and "takes_second_first" in functions[2]
    assert not any("__tmebox_kernel" in names for names in functions.values())
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.threads == caught.value.threads and again.kind == "deadlock"


def test_a_lock_that_nobody_can_release_is_a_deadlock_of_one() -> None:
    text = """
        #include <pthread.h>
        int main(void)
        {
            pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
            pthread_mutex_lock(&mutex);
            pthread_mutex_lock(&mutex);
        }
        """
    with pytest.raises(tmebox.Deadlock, match="nobody is left to release") as caught:
        run_text(text)
    (only,) = caught.value.threads
    assert only.number == 1 and "main" in [frame.function for frame in only.backtrace]


def test_a_thread_that_runs_over_its_stack_is_a_stack_overflow_with_its_name() -> None:
    text = """
        #define _GNU_SOURCE
        #include <pthread.h>
        #include <sched.h>
        #include <unistd.h>
        static int deep(volatile int n)
        {
            volatile char room[64];
            room[n % 64] = (char)n;
            return n ? deep(n - 1) + room[0] : (sched_yield(), 0);
        }
        static void *dig(void *argument)
        {
            pthread_setname_np(pthread_self(), "digger");
            return (void *)(long)deep(100000);
        }
        int main(void)
        {
            pthread_attr_t attributes;
            pthread_t thread;
            pthread_attr_init(&attributes);
            pthread_attr_setstacksize(&attributes, 65536);
            pthread_attr_setguardsize(&attributes, 32 << 20);
            pthread_create(&thread, &attributes, dig, NULL);
            for (;;) sched_yield();
        }
        """
    with pytest.raises(tmebox.StackOverflow, match="'digger'") as caught:
        run_text(text)
    assert "deep" in [frame.function for frame in caught.value.backtrace]


def test_a_trap_in_a_thread_has_that_threads_backtrace() -> None:
    text = """
        #include <pthread.h>
        __attribute__((noinline)) static int deeper(volatile int *place) { return *place + 1; }
        static void *work(void *argument) { return (void *)(long)(deeper(argument) + 1); }
        int main(void)
        {
            pthread_t thread;
            pthread_create(&thread, NULL, work, NULL);
            pthread_join(thread, NULL);
        }
        """
    with pytest.raises(tmebox.MemoryFault, match="null pointer") as caught:
        run_text(text)
    assert [frame.function for frame in caught.value.backtrace[:2]] == ["deeper", "work"]


def test_the_process_ends_with_threads_left() -> None:
    text = """
        #include <pthread.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        static void *waits(void *argument) { pthread_mutex_lock(&mutex); return argument; }
        static void *ends(void *argument) { printf("ending"); exit(7); return argument; }
        int main(void)
        {
            pthread_t thread;
            pthread_mutex_lock(&mutex);
            pthread_create(&thread, NULL, waits, NULL);
            pthread_create(&thread, NULL, ends, NULL);
            for (;;) pause();
        }
        """
    completed = run_text(text)
    assert (completed.exit_code, completed.stdout) == (7, b"ending")


def test_main_may_end_before_its_threads() -> None:
    text = """
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *last(void *argument) { usleep(2000); puts("last"); return argument; }
        int main(void)
        {
            pthread_t thread;
            pthread_create(&thread, NULL, last, NULL);
            pthread_exit(NULL);
        }
        """
    completed = run_text(text)
    assert (completed.exit_code, completed.stdout) == (0, b"last\n")


SPINS = """
    #include <pthread.h>
    static volatile int flag;
    static void *set(void *argument) { flag = 1; return argument; }
    int main(void)
    {
        pthread_t thread;
        pthread_create(&thread, NULL, set, NULL);
        while (!flag) {}
        return pthread_join(thread, NULL) + 7;
    }
    """


def test_a_loop_without_calls_keeps_its_turn_until_the_time_limit_where_the_stack_is_in_the_window() -> None:
    """There a return address is checked and used in two moments: see test_interrupted_threads.py."""
    module = tmebox.compile(source_text=SPINS, isolation="data", trust_compiler=True)
    with (
        tmebox.Sandbox(module, timeout=0.2) as sandbox,
        pytest.raises(tmebox.Timeout) as caught,
    ):
        sandbox.run(["program"])
    assert caught.value.function == "main"


LIBRARY = """
    #include <pthread.h>
    #include <sched.h>
    #include <semaphore.h>
    #include <stdlib.h>
    #include <unistd.h>
    int host(int number);
    static pthread_t thread;
    static sem_t wanted, done;
    static __thread int of_thread = 5;
    static int total, inner_waits;

    static void *worker(void *argument)
    {
        for (;;) {
            sem_wait(&wanted);
            total += ++of_thread;
            sem_post(&done);
        }
        return argument;
    }
    int begin(void)
    {
        sem_init(&wanted, 0, 0);
        sem_init(&done, 0, 0);
        return pthread_create(&thread, NULL, worker, NULL);
    }
    int ask(void) { sem_post(&wanted); sem_wait(&done); return total; }
    int own(void) { return ++of_thread; }
    int call_host(int number) { return host(number); }

    static void *calls(void *argument) { return (void *)(long)host((int)(long)argument); }
    int call_host_in_thread(int number)
    {
        pthread_t caller;
        void *result;
        if (pthread_create(&caller, NULL, calls, (void *)(long)number)) return -1;
        return pthread_join(caller, &result) ? -2 : (int)(long)result;
    }
    int yield(int times) { while (times--) sched_yield(); return of_thread; }

    static sem_t inner, outer;
    static void *outside(void *argument) { int result = host(1); sem_post(&inner); return argument + result; }
    int cross(void)
    {
        pthread_t caller;
        sem_init(&inner, 0, 0);
        sem_init(&outer, 0, 0);
        pthread_create(&caller, NULL, outside, NULL);
        sched_yield();
        sem_post(&outer);
        sem_wait(&inner);
        return 1;
    }
    int wait_for_outer(void) { return sem_wait(&outer); }
    """


def library(host: Any = lambda number: number) -> tmebox.Sandbox:
    module = tmebox.compile(source_text=LIBRARY, imports=["host"])
    return tmebox.Sandbox(module, imports={"host": host}, timeout=10.0)


def test_threads_of_a_library_go_on_in_later_calls() -> None:
    with library() as sandbox:
        assert sandbox.begin() == 0
        assert [sandbox.ask() for _ in range(3)] == [6, 13, 21]
        assert [sandbox.own(), sandbox.own()] == [6, 7]


def test_threads_are_part_of_a_snapshot_and_gone_after_a_reset() -> None:
    with library() as sandbox:
        sandbox.begin()
        assert sandbox.ask() == 6
        snapshot = sandbox.snapshot()
        assert sandbox.ask() == 13
        with tmebox.Sandbox(snapshot, imports={"host": abs}) as other:
            assert [other.ask(), other.ask()] == [13, 21]
        sandbox.reset()
        with pytest.raises(tmebox.Deadlock):
            sandbox.ask()


def test_threads_are_part_of_a_snapshots_bytes() -> None:
    with library() as sandbox:
        sandbox.begin()
        assert sandbox.ask() == 6
        module = sandbox.module
        data = sandbox.snapshot().to_bytes()
    for compress in (False, True):
        again = tmebox.Snapshot.from_bytes(data, module)
        assert again.to_bytes() == data
        data = again.to_bytes(compress=compress)
        with tmebox.Sandbox(again, imports={"host": abs}) as other:
            assert [other.ask(), other.ask()] == [13, 21]


MANY = """
#include <pthread.h>
#include <semaphore.h>
enum { MOST = 40 };
static struct { pthread_t thread; sem_t wanted, done; int ends, answers; } all[MOST];
static void *serve(void *argument)
{
    long me = (long)argument;
    for (;;) {
        sem_wait(&all[me].wanted);
        if (all[me].ends) return argument;
        all[me].answers++;
        sem_post(&all[me].done);
    }
}
int begin(int me)
{
    all[me].ends = all[me].answers = 0;
    sem_init(&all[me].wanted, 0, 0);
    sem_init(&all[me].done, 0, 0);
    return pthread_create(&all[me].thread, NULL, serve, (void *)(long)me);
}
int end(int me)
{
    all[me].ends = 1;
    sem_post(&all[me].wanted);
    return pthread_join(all[me].thread, NULL);
}
int ask(int me) { sem_post(&all[me].wanted); sem_wait(&all[me].done); return all[me].answers; }
"""


@pytest.mark.parametrize("seed", range(4))
def test_threads_of_a_snapshot_are_who_they_were_where_others_have_ended(seed: int) -> None:
    """From snapshot to snapshot, after a reset, and while new ones begin where there is room."""
    generator, module = random.Random(seed), tmebox.compile(source_text=MANY)
    answers: dict[int, int] = {}
    sandbox = tmebox.Sandbox(module, timeout=5.0)
    for _ in range(8):
        for me in generator.sample(range(40), 15):
            if me in answers:
                assert sandbox.end(me) == 0
                del answers[me]
            else:
                assert sandbox.begin(me) == 0
                answers[me] = 0
        snapshot = sandbox.snapshot()
        if generator.random() < 0.5:
            snapshot = tmebox.Snapshot.from_bytes(snapshot.to_bytes(), module)
        sandbox.close()
        sandbox = tmebox.Sandbox(snapshot, timeout=5.0)
        for _ in range(2):
            assert [sandbox.ask(me) for me in answers] == [count + 1 for count in answers.values()]
            sandbox.reset()
    sandbox.close()


def test_forged_threads_of_a_snapshots_bytes_are_refused_or_harmless() -> None:
    """Each word of a thread's control stack, one at a time, and its ends."""

    def attack() -> set[str]:
        with library() as sandbox:
            sandbox.begin()
            sandbox.ask()
            module, snapshot = sandbox.module, sandbox.snapshot()
        file = SnapshotFile.from_bytes(snapshot.to_bytes())
        keeper, thread = file.threads
        assert keeper is not None and thread is not None
        low, top, words = thread
        text = range(module.address, module.address + module.file.code_bytes, 61)
        forged = [(low, top, words[:at] + (value).to_bytes(8, "little") + words[at + 8 :])
                  for at in range(0, len(words), 8)
                  for value in (0, 1 << 63, top, abi.GATE_EXIT, abi.GATE_HOSTCALL, *text[::200])]  # fmt: skip
        forged += [(low, top, words[:size]) for size in range(0, len(words), 8)]
        forged += [(low, top - 8, words), (low, top + 4096, words), (low, 1 << 33, words), (top, low, words)]
        ends = set()
        both = [(keeper, other) for other in forged] + [(other, thread) for other in forged]
        for threads in both:
            try:
                made = tmebox.Snapshot.from_bytes(replace(file, threads=threads).to_bytes(), module)
                with tmebox.Sandbox(made, imports={"host": abs}, timeout=0.2) as box:
                    box.ask()
                ends.add("returned")
            except tmebox.SnapshotError as error:
                ends.add("refused" if "where none can" in str(error) else str(error))
            except tmebox.Trap:
                ends.add("trapped")
        return ends

    assert run_forked(attack, timeout_s=120).result() <= {"refused", "returned", "trapped"}


def test_a_thread_calls_the_host_which_calls_the_sandbox_again() -> None:
    calls: list[int] = []

    def host(number: int) -> int:
        calls.append(number)
        return inside.call_host_in_thread(number - 1) + 1 if number else 0

    with library(host) as inside:
        assert inside.call_host_in_thread(6) == 6
        assert calls == [6, 5, 4, 3, 2, 1, 0]
        assert inside.own() == 6


def test_an_exception_of_a_host_function_in_another_thread_ends_the_sandbox() -> None:
    def host(_number: int) -> int:
        raise KeyError("mine")

    with library(host) as sandbox:
        with pytest.raises(KeyError):
            sandbox.call_host(1)
        assert sandbox.own() == 6
        with pytest.raises(KeyError):
            sandbox.call_host_in_thread(1)
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.own()
        sandbox.reset()
        assert sandbox.own() == 6


def test_a_call_that_waits_for_one_below_it_is_a_deadlock() -> None:
    """A host function that a thread calls, calls the sandbox again: the call below cannot return first."""

    def host(_number: int) -> int:
        return inside.wait_for_outer()

    with library(host) as inside, pytest.raises(tmebox.Deadlock, match="before another that waits"):
        inside.cross()


def test_a_time_limit_ends_a_call_whose_threads_all_sleep() -> None:
    text = """
        #include <pthread.h>
        #include <unistd.h>
        static void *sleeps(void *argument) { sleep(1000); return argument; }
        int main(void)
        {
            pthread_t thread;
            pthread_create(&thread, NULL, sleeps, NULL);
            pthread_join(thread, NULL);
        }
        """
    sandbox = tmebox.Sandbox(tmebox.compile(source_text=text), timeout=0.2)
    with sandbox, pytest.raises(tmebox.Timeout):
        sandbox.run(["program"])
