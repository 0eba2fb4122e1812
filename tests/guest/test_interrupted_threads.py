"""Threads whose turns end by time, wherever they are."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import tmebox
from tests.forked import run_forked
from tests.guest.test_guest_programs import run_text
from tests.guest.test_threads import SPINS
from tmebox import _native

SOURCES = Path(__file__).with_name("interrupted")


@cache
def compiled(name: str, flags: tuple[str, ...] = ()) -> tmebox.Module:
    return tmebox.compile(SOURCES / f"{name}.c", flags=["-Wno-atomic-alignment", *flags])


def test_a_loop_that_waits_for_another_thread_ends() -> None:
    assert run_text(SPINS).exit_code == 7


def test_a_loop_on_another_thread_of_the_hosts_ends_though_a_signal_waits_for_the_main_one() -> None:
    """Which is told only when it next goes on with a call."""
    results: list[int | BaseException] = []

    def work() -> None:
        try:
            results.append(run_text(SPINS).exit_code)
        except BaseException as error:
            results.append(error)

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        _native.install_handlers()  # the core has seen the one of Python
        signal.raise_signal(signal.SIGUSR1)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert results == [7]


def test_threads_that_only_compute_share_the_time_and_a_timed_wait_ends() -> None:
    text = """
        #include <pthread.h>
        #include <stdio.h>
        #include <time.h>
        static volatile long counts[2];
        static volatile int over;
        static void *work(void *count) { while (!over) ++*(volatile long *)count; return NULL; }
        int main(void)
        {
            pthread_t threads[2];
            for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, work, (void *)&counts[i]);
            for (int i = 0; i < 20; i++) nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
            over = 1;
            for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
            printf("%ld %ld", counts[0], counts[1]);
        }
        """
    first, second = map(int, run_text(text).stdout.split())
    assert min(first, second) * 3 > max(first, second)


def test_who_was_interrupted_while_alone_is_interrupted_again() -> None:
    """The last slice of two threads can end where one of them has ended: nothing may be left of it."""
    text = """
        #include <pthread.h>
        static volatile int flag;
        static void *set(void *argument) { flag++; return argument; }
        static void compute(void) { for (volatile long i = 0; i < 60000000; i++) {} }
        int main(void)
        {
            pthread_t thread;
            for (int turn = 1; turn < 4; turn++) {
                pthread_create(&thread, NULL, set, NULL);
                while (flag < turn) {}
                pthread_join(thread, NULL);
                compute();
            }
            return 7;
        }
        """
    assert run_text(text).exit_code == 7


@pytest.mark.parametrize(
    "wait", ["while (!flag) {}", "while (pthread_mutex_trylock(&lock)) {}"], ids=["flag", "lock"]
)
def test_a_thread_that_sleeps_ends_the_turn_of_one_that_never_waits(wait: str) -> None:
    """Nobody else could run: until its time has come."""
    source = """
        #include <pthread.h>
        #include <unistd.h>
        static volatile int flag;
        static pthread_mutex_t lock;
        static void *go(void *argument) { WAIT return argument; }
        int awaited(void) {
            pthread_t thread;
            pthread_mutexattr_t recursive;
            pthread_mutexattr_init(&recursive);
            pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
            pthread_mutex_init(&lock, &recursive);
            pthread_mutex_lock(&lock);
            if (pthread_create(&thread, 0, go, 0)) return 1;
            usleep(20000);
            flag = 1;
            return pthread_mutex_unlock(&lock) || pthread_join(thread, 0);
        }
    """
    with tmebox.Sandbox(tmebox.compile(source_text=source.replace("WAIT", wait)), timeout=20.0) as sandbox:
        assert sandbox.awaited() == 0


def test_readers_beside_a_writer_end_when_the_writer_says_so() -> None:
    """The shape of LevelDB's SkipTest: readers that take no lock, in a loop until a flag is set."""
    text = """
        #include <pthread.h>
        #include <stdatomic.h>
        #include <stdlib.h>
        struct node { long key; struct node *_Atomic next; };
        static struct node head;
        static atomic_int quit, state, bad;
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
        static void change(int to)
        {
            pthread_mutex_lock(&mutex);
            state = to;
            pthread_cond_signal(&changed);
            pthread_mutex_unlock(&mutex);
        }
        static void wait_for(int wanted)
        {
            pthread_mutex_lock(&mutex);
            while (state != wanted) pthread_cond_wait(&changed, &mutex);
            pthread_mutex_unlock(&mutex);
        }
        static void *read(void *argument)
        {
            change(1);
            while (!atomic_load_explicit(&quit, memory_order_acquire)) {
                long last = 0;
                for (struct node *node = head.next; node; node = node->next) {
                    if (node->key <= last) bad++;
                    last = node->key;
                }
            }
            change(2);
            return argument;
        }
        int main(void)
        {
            pthread_t thread;
            for (int run = 0; run < 10; run++) {
                quit = 0;
                pthread_create(&thread, NULL, read, NULL);
                wait_for(1);
                for (int i = 0; i < 100; i++) {
                    long key = (i * 7919 + run) % 100003 + 1;
                    struct node *new = malloc(sizeof *new), *at = &head;
                    while (at->next && at->next->key < key) at = at->next;
                    new->key = key;
                    new->next = at->next;
                    if (!new->next || new->next->key != key) at->next = new;
                }
                atomic_store_explicit(&quit, 1, memory_order_release);
                wait_for(2);
                pthread_join(thread, NULL);
            }
            return bad;
        }
        """
    assert run_text(text).exit_code == 0


@pytest.mark.parametrize("flags", [(), ("-mavx",)], ids=["sse", "avx"])
@pytest.mark.usefixtures("short_slices")
def test_every_register_survives_thousands_of_interruptions(flags: tuple[str, ...]) -> None:
    def play() -> tuple[int, int]:
        with tmebox.Sandbox(compiled("registers", flags), timeout=60.0) as sandbox:
            return sandbox.survive(2000), sandbox.rounds_made()

    if flags and not _native.cpu_features()["avx"]:
        pytest.skip("no AVX here")
    compiled("registers", flags)
    wrong, rounds = run_forked(play, timeout_s=90).result()
    assert wrong == 0 and rounds >= 2000


@pytest.mark.parametrize("slice_ns", [20_000, 200_000])
@pytest.mark.parametrize("flags", [(), ("-O3", "-march=x86-64-v3")], ids=["plain", "v3"])
def test_what_is_verified_only_together_survives(
    short_slices: Callable[[int], int], slice_ns: int, flags: tuple[str, ...]
) -> None:
    if flags and not _native.cpu_features()["avx2"]:
        pytest.skip("no AVX2 here")
    short_slices(slice_ns)
    with tmebox.Sandbox(compiled("sequences", flags), timeout=60.0) as sandbox:
        assert sandbox.agree(1000) == 0


@pytest.mark.usefixtures("short_slices")
def test_what_threads_share_of_the_c_library_stays_whole() -> None:
    with tmebox.Sandbox(compiled("library"), timeout=60.0) as sandbox:
        for _ in range(3):
            assert sandbox.share(500) == 0
