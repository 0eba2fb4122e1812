"""What a host function's exception leaves of a call that it ends: frames are gone, and what they would have
put back is as it was."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.hostile.scene import attack
from tmebox import abi

SOURCE = """
    #include <pthread.h>
    #include <signal.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>
    int host(int what);

    /* -- turns */
    static volatile int asked, answers;
    static void *answer(void *argument)
    {
        for (;;) {
            while (!asked) {}
            asked = 0;
            answers++;
        }
        return argument;
    }
    int start(void) { pthread_t thread; return pthread_create(&thread, NULL, answer, NULL); }
    int ask(void)
    {
        int before = answers;
        asked = 1;
        while (answers == before) {}
        return answers - before;
    }
    long say(void) { return write(1, "hello", 5); }
    int nap(void) { return nanosleep(&(struct timespec){ 5, 0 }, NULL); }
    long hear(void) { char byte; return read(0, &byte, 1); }

    /* -- arrays of variable size */
    int an_array(int size) { char bytes[size]; memset(bytes, size, size); return host(-1) + bytes[size - 1]; }
    int arrays(int count) { int good = 0; for (int i = 0; i < count; i++) good += host(1); return good; }
    static void *arrays_of(void *count) { return (void *)(long)arrays((int)(long)count); }
    static int in_a_thread(void *(*function)(void *), int number)
    {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, function, (void *)(long)number);
        pthread_join(thread, &result);
        return (int)(long)result;
    }
    int arrays_in_a_thread(int count) { return in_a_thread(arrays_of, count); }

    /* -- masks of signals */
    static volatile int alarms, told = -1;
    static void handle(int number) { alarms++; host(2); }
    static void set(void)
    {
        signal(SIGALRM, handle);
        setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 10000 } }, NULL);
    }
    int blocked(void)
    {
        sigset_t mask;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        return sigismember(&mask, SIGALRM);
    }
    int block(int yes)
    {
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGALRM);
        return sigprocmask(yes ? SIG_BLOCK : SIG_UNBLOCK, &mask, NULL);
    }
    int wait_for_alarm(void)
    {
        int before = alarms;
        set();
        for (int i = 0; i < 100 && alarms == before; i++) nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
        return alarms - before;
    }
    int suspend(void)
    {
        sigset_t none;
        sigemptyset(&none);
        set();
        sigsuspend(&none);
        return blocked();
    }

    /* -- cleanup handlers */
    static int cleaned;
    static void clean(void *argument) { cleaned++; }
    int ends_in_cleanup(void)
    {
        int result;
        pthread_cleanup_push(clean, NULL);
        result = host(-1);
        pthread_cleanup_pop(0);
        return result;
    }
    static void *exits(void *argument) { host(3); pthread_exit((void *)7); }
    int exit_after_cleanup(void) { return 10 * in_a_thread(exits, 0) + cleaned; }
"""
EXCEPTIONS = """
    #include <exception>
    extern "C" {
    int host(int what);
    struct Asks { ~Asks() noexcept(false) { host(-1); } };
    int in_handler(void) { try { throw 7; } catch (int) { return host(-1); } }
    int in_destructor(void) { try { Asks asks; throw 7; } catch (int) { return 1; } }
    int state(void) { return std::uncaught_exceptions() * 10 + (std::current_exception() != nullptr); }
    int outer(void)
    {
        try {
            try { throw 5; } catch (int) {
                host(1);
                if (state() != 1) return -1;
                throw;
            }
        } catch (int number) {
            return state() == 1 ? number : -2;
        }
    }
    }
"""


class Mine(Exception):
    """What host functions and streams raise here."""


class Stream(io.RawIOBase):
    """Raises `error`, if it is one."""

    error: Exception | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.error is not None:
            raise self.error
        return len(data)

    def readinto(self, into: Any) -> int:
        return self.write(into)


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture(scope="module")
def exceptions() -> tmebox.Module:
    return tmebox.compile(source_text=EXCEPTIONS, language="c++")


def new(module: tmebox.Module, host: Callable[[int], int] = abs, **options: Any) -> Any:
    return tmebox.Sandbox(module, imports={"host": host}, timeout=20, **options)


def refuse(number: int) -> int:
    raise Mine(number)


@pytest.mark.parametrize(
    "error", [Mine(), KeyError("other"), OSError(5, "no")], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("function", ["say", "hear"])
def test_turns_end_by_time_after_a_stream_has_raised(
    module: tmebox.Module, function: str, error: Exception
) -> None:
    stream = Stream()
    with new(module, stdin=stream, stdout=stream) as box:
        box.start()
        assert box.ask() == 1
        for _ in range(3):
            stream.error = error
            with suppress(type(error)):
                assert box.call(function) == -1
            stream.error = None
            assert box.ask() == 1
            assert box.call(function) > 0


@pytest.mark.parametrize("function", ["arrays", "arrays_in_a_thread"])
def test_arrays_of_calls_inside_others_are_given_back_on_every_thread(
    module: tmebox.Module, function: str
) -> None:
    def host(number: int) -> int:
        if number < 0:
            raise Mine
        with pytest.raises(Mine):
            box.an_array(100_000)
        return 1

    with new(module, host) as box:
        assert box.call(function, 1000) == 1000


def test_a_signal_whose_handler_was_ended_comes_again(module: tmebox.Module) -> None:
    refuses = True
    with new(module, lambda number: refuse(number) if refuses else number) as box:
        for _ in range(3):
            with pytest.raises(Mine):
                box.wait_for_alarm()
            assert box.blocked() == 0
        refuses = False
        assert box.wait_for_alarm() == 1


def test_what_the_program_blocks_itself_stays_blocked(module: tmebox.Module) -> None:
    """sigsuspend() lets it come for a moment, and the moment is over."""
    with new(module, refuse) as box:
        for expected in (1, 0, 1):
            box.block(expected)
            with pytest.raises(Mine):
                box.suspend() if expected else box.wait_for_alarm()
            assert box.blocked() == expected


def test_a_call_in_a_handler_that_is_ended_leaves_the_handlers_mask(module: tmebox.Module) -> None:
    found: list[int] = []

    def host(number: int) -> int:
        if number < 0:
            raise Mine
        box.block(0)
        found.append(box.blocked())
        box.block(1)
        with pytest.raises(Mine):
            box.an_array(100)
        found.append(box.blocked())
        return 0

    with new(module, host) as box:
        assert box.wait_for_alarm() == 1
        assert box.blocked() == 0
    assert found == [0, 1]


def test_a_thread_ends_without_the_cleanup_of_calls_that_were_ended(module: tmebox.Module) -> None:
    def host(number: int) -> int:
        if number < 0:
            raise Mine
        with pytest.raises(Mine):
            box.ends_in_cleanup()
        return 0

    with new(module, host) as box:
        assert box.exit_after_cleanup() == 70


@pytest.mark.parametrize("function", ["in_handler", "in_destructor"])
def test_no_exception_of_cxx_is_left_of_a_call_that_was_ended(
    exceptions: tmebox.Module, function: str
) -> None:
    def host(number: int) -> int:
        if number < 0:
            raise Mine
        with pytest.raises(Mine):
            box.call(function)
        return 0

    with new(exceptions, host) as box:
        for _ in range(3):
            with pytest.raises(Mine):
                box.call(function)
            assert box.state() == 0
            assert box.outer() == 5


def test_a_signal_of_pythons_that_ends_a_wait_leaves_the_turns(
    module: tmebox.Module, forked: Callable[..., ChildOutcome]
) -> None:
    def act() -> list[int]:
        signal.signal(signal.SIGALRM, lambda *_: refuse(0))
        with new(module) as box:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Mine):
                box.nap()
            return [box.start(), box.ask(), box.blocked()]

    assert forked(act).result() == [0, 1, 0]


# -- words that a hostile module names -----------------------------------------------------------------------
SHOWN = (
    'int host(int); const char text[] = "read only"; char data[8] = "a"; int ends(void) { return host(1); }'
)
PLACES = [0, 8, abi.CONTROL_PAGE, abi.CONTROL_PAGE + abi.PAGE_SIZE - 4, abi.CONTROL_PAGE - 4,
          abi.PRIVATE_END - 4, abi.CODE_BASE, abi.ARENA_END - 4, abi.SHARED_START, abi.SHARED_END - 8,
          abi.WINDOW_SIZE - 1]  # fmt: skip


def test_only_memory_that_the_sandbox_can_write_is_put_back() -> None:
    module = tmebox.compile(source_text=SHOWN)

    def act(box: Any) -> Any:
        instance, layout = box._tenancy.instance, box._tenancy.layout
        read_only = [start for start, _ in layout.read_only]
        before = [box.memory.read(start, 64) for start in (*read_only, abi.CONTROL_PAGE)]
        writable = layout.stack_low + 64
        for place in [*PLACES, *read_only, *(start - 4 for start in read_only)]:
            for row in ((0, place, 1, 0), (place, 8, 1, 0), (0, writable, 0, place)):
                instance.keep_words(b"".join(word.to_bytes(4, "little") for word in row))
                with pytest.raises(Mine):
                    box.ends()
        return before == [box.memory.read(start, 64) for start in (*read_only, abi.CONTROL_PAGE)]

    ending = attack(module, act, imports={"host": refuse}, timeout=2.0)
    assert ending.value is True, ending


@pytest.mark.parametrize("size", [1, 15, 17, 16 * 9, 16 * 1000])
def test_so_many_words_are_no_words(module: tmebox.Module, size: int) -> None:
    with new(module) as box, pytest.raises(ValueError, match="at most 8 words"):
        box._tenancy.instance.keep_words(bytes(size))
