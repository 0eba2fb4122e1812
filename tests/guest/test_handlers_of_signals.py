"""Handlers of signals for programs that compute, and ask the host for nothing."""

from __future__ import annotations

import signal

import pytest

import tmebox
from tests.forked import run_forked
from tests.guest.test_guest_programs import run_text

START = """
    #include <pthread.h>
    #include <setjmp.h>
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>
    static void every(long first_us, long next_us)
    {
        struct itimerval timer = { { 0, next_us }, { 0, first_us } };
        setitimer(ITIMER_REAL, &timer, NULL);
    }
    static volatile int alarms;
"""


def test_a_loop_that_waits_for_an_alarm_ends() -> None:
    text = """
        static void count(int number) { alarms += number == SIGALRM; }
        int main(void)
        {
            signal(SIGALRM, count);
            alarm(1);
            while (!alarms) {}
            return 7;
        }
        """
    assert run_text(START + text).exit_code == 7


def test_a_timer_that_goes_on_comes_again_and_again() -> None:
    text = """
        static void count(int number) { alarms++; }
        int main(void)
        {
            signal(SIGALRM, count);
            every(1000, 1000);
            while (alarms < 20) {}
            every(0, 0);
            int before = alarms;
            for (volatile long i = 0; i < 100000000; i++) {}
            return alarms == before ? 7 : 1;
        }
        """
    assert run_text(START + text).exit_code == 7


def test_a_handler_is_in_the_thread_that_it_interrupts() -> None:
    """Its thread-local variables, its arrays of variable size, its mask; and registers are as they were."""
    text = """
        static _Thread_local int mine = 1;
        static volatile int good;
        static pthread_t self;
        static unsigned sum_of(int count)
        {
            unsigned char bytes[count];
            memset(bytes, count, count);
            unsigned sum = 0;
            for (int i = 0; i < count; i++) sum += bytes[i];
            return sum;
        }
        static void handle(int number)
        {
            sigset_t mask;
            sigprocmask(SIG_BLOCK, NULL, &mask);
            good += mine == 5 && self == pthread_self() && sigismember(&mask, SIGALRM);
            good += sum_of(100 + alarms) == (100 + alarms) * (100u + alarms);
            alarms++;
        }
        int main(void)
        {
            mine = 5;
            self = pthread_self();
            signal(SIGALRM, handle);
            every(1000, 1000);
            long rounds = 0, bad = 0;
            for (; alarms < 30; rounds++) {
                unsigned size = 1 + rounds % 250;
                bad += sum_of(size) != size * size;
            }
            sigset_t mask;
            sigprocmask(SIG_BLOCK, NULL, &mask);
            return bad || good != 2 * alarms || sigismember(&mask, SIGALRM);
        }
        """
    assert run_text(START + text).exit_code == 0


def test_a_handler_may_use_what_it_interrupts() -> None:
    """The allocator and stdio, in the middle of which it may come: they finish first."""
    text = """
        static char *kept[64];
        static void handle(int number)
        {
            for (int i = 0; i < 64; i += 3) {
                free(kept[i]);
                kept[i] = malloc(1 + (alarms * 131 + i * 977) % 5000);
                kept[i][0] = i;
            }
            alarms++;
        }
        int main(void)
        {
            for (int i = 0; i < 64; i += 3) kept[i] = NULL;
            signal(SIGALRM, handle);
            every(1000, 1000);
            long bad = 0;
            for (long round = 0; alarms < 40; round++) {
                char *block = malloc(1 + round * 7919 % 9000);
                block[0] = 42;
                bad += block[0] != 42;
                free(block);
            }
            sigset_t set;
            sigfillset(&set);
            sigprocmask(SIG_BLOCK, &set, NULL);
            for (int i = 0; i < 64; i += 3) bad += kept[i][0] != i;
            return bad != 0;
        }
        """
    assert run_text(START + text).exit_code == 0


def test_a_blocked_signal_waits_until_it_is_not() -> None:
    text = """
        static void handle(int number) { alarms++; }
        int main(void)
        {
            sigset_t set;
            sigemptyset(&set);
            sigaddset(&set, SIGALRM);
            signal(SIGALRM, handle);
            sigprocmask(SIG_BLOCK, &set, NULL);
            every(1000, 0);
            for (volatile long i = 0; i < 100000000; i++) {}
            if (alarms) return 1;
            sigprocmask(SIG_UNBLOCK, &set, NULL);
            return alarms == 1 ? 7 : 2;
        }
        """
    assert run_text(START + text).exit_code == 7


def test_what_nobody_handles_ends_the_program_and_what_is_ignored_does_not() -> None:
    text = """
        int main(int count, char **words)
        {
            if (count > 1) signal(SIGALRM, SIG_IGN);
            every(20000, 0);
            for (volatile long i = 0; i < 300000000; i++) {}
            return 7;
        }
        """
    with tmebox.Sandbox(tmebox.compile(source_text=START + text), timeout=20.0) as sandbox:
        assert sandbox.run(["program", "ignored"]).exit_code == 7
    ended = pytest.raises(tmebox.Aborted, match=f"signal {signal.SIGALRM:d}$")
    with tmebox.Sandbox(tmebox.compile(source_text=START + text), timeout=20.0) as sandbox, ended:
        sandbox.run(["program"])


def test_a_handler_may_end_the_program_or_wait_or_be_endless() -> None:
    text = """
        static void handle(int number)
        {
            if (alarms == 0) usleep(30000);
            if (alarms == 1) exit(9);
            if (alarms == 2) for (;;) {}
            alarms = -1;
        }
        int main(int count, char **words)
        {
            alarms = atoi(words[1]);
            signal(SIGALRM, handle);
            every(1000, 0);
            while (alarms != -1) {}
            puts("done");
            return 7;
        }
        """
    module = tmebox.compile(source_text=START + text)
    for what, exit_code in (("0", 7), ("1", 9)):
        with tmebox.Sandbox(module, timeout=20.0) as sandbox:
            assert sandbox.run(["program", what]).exit_code == exit_code
    with tmebox.Sandbox(module, timeout=0.3) as sandbox, pytest.raises(tmebox.Timeout):
        sandbox.run(["program", "2"])


def test_other_threads_run_while_a_handler_waits_for_them() -> None:
    text = """
        static volatile int wanted, given;
        static void handle(int number)
        {
            wanted = 1;
            while (!given) {}
            alarms++;
        }
        static void *serve(void *argument)
        {
            while (!wanted) {}
            given = 1;
            return argument;
        }
        int main(void)
        {
            pthread_t thread;
            signal(SIGALRM, handle);
            sigset_t set, before;
            sigfillset(&set);
            sigprocmask(SIG_BLOCK, &set, &before); /* the other one's */
            pthread_create(&thread, NULL, serve, NULL);
            sigprocmask(SIG_SETMASK, &before, NULL);
            every(1000, 0);
            while (!alarms) {}
            pthread_join(thread, NULL);
            return 7;
        }
        """
    assert run_text(START + text).exit_code == 7


def test_a_handler_jumps_out_of_a_call_but_not_out_of_computing() -> None:
    """What it interrupts is between any two instructions, and nobody knows how far its stack is used."""
    text = """
        static sigjmp_buf place;
        static void handle(int number) { siglongjmp(place, 1); }
        int main(int count, char **words)
        {
            signal(SIGALRM, handle);
            if (sigsetjmp(place, 1)) return 7;
            every(1000, 0);
            for (;;) if (count > 1) time(NULL), getppid();
        }
        """
    module = tmebox.compile(source_text=START + text)
    with tmebox.Sandbox(module, timeout=20.0) as sandbox:
        assert sandbox.run(["program", "calls"]).exit_code == 7
    with tmebox.Sandbox(module, timeout=20.0) as sandbox, pytest.raises(tmebox.ControlFlowViolation):
        sandbox.run(["program"])


def test_a_function_that_is_called_from_outside_gets_the_alarm_that_another_call_has_set() -> None:
    text = """
        static void handle(int number) { alarms++; }
        void set(void) { signal(SIGALRM, handle); every(1000, 0); }
        int spin(void) { while (!alarms) {} return alarms; }
        """
    with tmebox.Sandbox(tmebox.compile(source_text=START + text), timeout=20.0) as sandbox:
        sandbox.set()
        assert sandbox.spin() == 1
        sandbox.reset()
        sandbox.set()
        assert sandbox.spin() == 1


@pytest.mark.usefixtures("short_slices")
def test_hundreds_of_handlers_leave_a_computation_as_it_was() -> None:
    """A number that depends on each step, beside handlers that use every register and the vectors."""
    text = """
        #include <math.h>
        static volatile double noise;
        static void handle(int number)
        {
            double sum = alarms;
            for (int i = 1; i < 50; i++) sum += sqrt(i) * sin(i + alarms);
            noise = sum;
            alarms++;
        }
        static double steps(long count)
        {
            double value = 0.25, other = 0.5;
            unsigned long state = 88172645463325252;
            for (long i = 0; i < count; i++) {
                state ^= state << 13, state ^= state >> 7, state ^= state << 17;
                value = 3.7 * value * (1 - value) + (state & 1) * 1e-9;
                other = other * 0.5 + value;
            }
            return other + (state & 0xffff);
        }
        int main(void)
        {
            double quiet = steps(100000);
            signal(SIGALRM, handle);
            every(500, 500);
            long bad = 0;
            while (alarms < 300) bad += steps(100000) != quiet;
            return bad ? 1 : 7;
        }
        """

    def play() -> int:
        with tmebox.Sandbox(tmebox.compile(source_text=START + text), timeout=60.0) as sandbox:
            return sandbox.run(["program"]).exit_code

    assert run_forked(play, timeout_s=90).result() == 7


ENDS_IN_HANDLER = """
    static volatile int spins;
    static void *spin(void *argument) { for (spins++;;) {} return argument; }
    static void leave(int number) { alarms++; pthread_exit((void *)9); }
    static void wait_to_be_cancelled(int number) { alarms++; for (;;) sleep(1); }
    static void count(int number) { alarms++; }
    int ends(int cancelled)
    {
        pthread_t thread;
        void *result;
        int before = alarms, spun = spins;
        signal(SIGALRM, cancelled ? wait_to_be_cancelled : leave);
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGALRM);
        pthread_create(&thread, NULL, spin, NULL);
        pthread_sigmask(SIG_BLOCK, &mask, NULL);
        while (spins == spun) {}
        every(2000, 0);
        while (alarms == before) {}
        if (cancelled) pthread_cancel(thread);
        pthread_join(thread, &result);
        pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
        return result == (cancelled ? PTHREAD_CANCELED : (void *)9);
    }
    int ends_detached(void)
    {
        pthread_t thread;
        int before = alarms, spun = spins;
        signal(SIGALRM, leave);
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGALRM);
        pthread_create(&thread, NULL, spin, NULL);
        pthread_detach(thread);
        pthread_sigmask(SIG_BLOCK, &mask, NULL);
        while (spins == spun) {}
        every(2000, 0);
        while (alarms == before) {}
        usleep(1000);
        pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
        return 1;
    }
    int counts(void)
    {
        alarms = 0;
        signal(SIGALRM, count);
        every(1000, 1000);
        while (alarms < 3) {}
        every(0, 0);
        return 1;
    }
"""


@pytest.mark.parametrize("function", ["ends(0)", "ends(1)", "ends_detached()"])
def test_a_thread_that_ends_in_a_handler_takes_nothing_with_it(function: str) -> None:
    """Other threads that compute get their signals, and what the handler has interrupted is gone."""
    text = ENDS_IN_HANDLER + f"int all(void) {{ return {function} && counts(); }}"
    with tmebox.Sandbox(tmebox.compile(source_text=START + text), timeout=20.0) as sandbox:
        for _ in range(20):
            assert sandbox.all() == 1
        snapshot = sandbox.snapshot()
        assert len(snapshot.template.contents.threads) <= 3  # the keeper, and what runs handlers
    with snapshot.spawn(timeout=20.0) as sandbox:
        assert sandbox.all() == 1


def test_a_first_thread_that_ends_in_a_handler_leaves_the_others_running() -> None:
    text = """
        static void leave(int number) { pthread_exit(NULL); }
        static volatile int ready;
        static void *finish(void *argument)
        {
            sigset_t mask;
            sigemptyset(&mask);
            sigaddset(&mask, SIGALRM);
            pthread_sigmask(SIG_BLOCK, &mask, NULL);
            ready = 1;
            usleep(50000);
            exit(7);
        }
        int main(void)
        {
            pthread_t thread;
            pthread_create(&thread, NULL, finish, NULL);
            while (!ready) {}
            signal(SIGALRM, leave);
            every(2000, 0);
            for (;;) {}
        }
        """
    assert run_text(START + text).exit_code == 7
