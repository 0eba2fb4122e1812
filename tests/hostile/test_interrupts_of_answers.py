"""A sandbox that is nearly always in calls which the core answers: what interrupts it comes then, when host
code cannot be left. Limits, Python's signals, the GIL and turns hold all the same, and no answer is lost."""

from __future__ import annotations

import faulthandler
import os
import pickle
import shutil
import signal
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest

import tmebox
from tests.campaign.stepping import Ended, Stepper, in_code_region
from tests.native.test_handlers import start_afresh
from tests.native.test_interrupts import ENOUGH_S, SHORT_S, handler, send, soon
from tests.native.test_python_lock import on_a_thread_of_c
from tmebox import _native, abi

SIZE_BYTES = 16 << 20
AT_ONCE_S = 1.0
"""An answer takes milliseconds, in which each signal comes; without care one in hundreds is noticed."""
LAST_INSTRUCTIONS = 12
"""At most: of the core's, behind its choice of the way back. What comes there is for the next answer."""
PREAD, LSEEK = 17, 8

SOURCE = rf"""
#include <fcntl.h>
#include <unistd.h>
struct answered {{ long result, other; }};
struct answered direct(long number, long a, long b, long c, long d, long e) __asm__("__tmebox_syscall");
static char buffer[{SIZE_BYTES}];
static int file;
static long read_at(char *to, long size, long offset)
{{
    return direct({abi.SYS_DIRECT + PREAD}, file, (long)to, size, offset, 0).result;
}}
int begin(void)
{{
    file = open("/data/big", O_RDONLY);
    for (long at = 0; at < {SIZE_BYTES}; at += 4096) buffer[at] = 1;
    return file;
}}
void read_for_ever(long size) {{ for (;;) read_at(buffer, size, 0); }}
void read_until(volatile long *flag) {{ while (!*flag) read_at(buffer, {SIZE_BYTES}, 0); }}
static long read_into(char *to, long times)
{{
    long wrong = 0;
    for (long i = 0; i < times; i++) {{
        long offset = i * 4096 % (1 << 20), size = (4 << 20) + i;
        wrong += read_at(to, size, offset) != size || to[0] != (char)(offset >> 12) || to[size - 1] != 0;
    }}
    return wrong;
}}
long read_all(long times) {{ return read_into(buffer, times); }}
long ask_four_times(volatile long *done, long number)
{{
    long sum = 0;
    for (long i = 1; i <= 4; i++) {{
        sum += number == {LSEEK} ? direct({abi.SYS_DIRECT + LSEEK}, file, i, SEEK_SET, 0, 0).result
                                 : read_at(buffer, i, 0);
        ++*done;
    }}
    return sum;
}}
"""

THREADS = """
#include <pthread.h>
static volatile long flag;
static void *set(void *unused) { flag = 1; return unused; }
static void *read_too(void *times) { return (void *)read_into(buffer + sizeof buffer / 2, (long)times); }
long read_until_another_thread_comes(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, set, NULL);
    read_until(&flag);
    return pthread_join(thread, NULL) + 7;
}
long read_in_two_threads(long times)
{
    pthread_t thread;
    void *wrong;
    pthread_create(&thread, NULL, read_too, (void *)times);
    long own = read_all(times);
    pthread_join(thread, &wrong);
    return own + (long)wrong;
}
"""

ALLOCATES = """
#include <tmebox.h>
void allocate_for_ever(long size) { for (;;) tmebox_shared_free(tmebox_shared_alloc(size)); }
"""

KINDS = [
    pytest.param("gs", "code+data", id="control stack"),
    pytest.param("gs", "data", id="data"),
    pytest.param(
        "r15",
        "code+data",
        id="r15",
        marks=pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
    ),
]


@cache
def module(base: abi.Base = "gs", isolation: str = "code+data") -> tmebox.Module:
    options: dict[str, Any] = {"trust_compiler": True} if isolation == "data" else {}
    return tmebox.compile(
        source_text=SOURCE + THREADS,
        base=base,
        isolation=cast(Any, isolation),
        flags=("-O1", "-w"),
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a file whose every page of the first MiB begins with its number; the rest is zeros."""
    found = tmp_path_factory.mktemp("granted")
    pages = b"".join(bytes([number % 256]).ljust(4096, b"\0") for number in range(256))
    with (found / "big").open("wb") as file:
        file.write(pages)
        file.truncate(SIZE_BYTES)
    return found


def begun(
    folder: Path, base: abi.Base = "gs", isolation: str = "code+data", **options: Any
) -> tmebox.Sandbox:
    sandbox = tmebox.Sandbox(module(base, isolation), dirs=[f"{folder}:/data:ro"], **options)
    assert sandbox.begin() >= 0
    return sandbox


@pytest.mark.parametrize(("base", "isolation"), KINDS)
def test_a_time_limit_holds(folder: Path, base: abi.Base, isolation: str) -> None:
    for _ in range(3):
        with begun(folder, base, isolation) as sandbox:
            began = time.monotonic()
            with pytest.raises(tmebox.Timeout) as caught:
                sandbox.call("read_for_ever", SIZE_BYTES, timeout=SHORT_S)
            assert SHORT_S <= time.monotonic() - began < AT_ONCE_S
            if isolation != "data" and base == "gs":
                assert "read_for_ever" in [frame.function for frame in caught.value.backtrace]


def test_a_time_limit_holds_in_calls_of_the_shared_heap() -> None:
    size = 64 << 20
    allocating = tmebox.compile(source_text=ALLOCATES)
    for _ in range(3):
        with tmebox.SharedHeap(size=2 * size) as heap, tmebox.Sandbox(allocating, heap=heap) as sandbox:
            began = time.monotonic()
            with pytest.raises(tmebox.Timeout):
                sandbox.call("allocate_for_ever", size, timeout=SHORT_S)
            assert time.monotonic() - began < AT_ONCE_S


def test_it_holds_though_somebody_takes_our_faults_meanwhile(
    folder: Path, forked: Callable[..., Any]
) -> None:
    """What came while the core was at work waits for a fault, which would then be that one's."""

    def child() -> bool:
        start_afresh()
        sandbox = begun(folder)
        soon(faulthandler.enable)
        with pytest.raises(tmebox.Timeout):
            sandbox.call("read_for_ever", SIZE_BYTES >> 10, timeout=0.2)
        return faulthandler.is_enabled()

    assert forked(child).result() is True


@pytest.mark.parametrize(("base", "isolation"), KINDS)
def test_ctrl_c_ends_it(folder: Path, base: abi.Base, isolation: str) -> None:
    for _ in range(3):
        with begun(folder, base, isolation) as sandbox:
            began = time.monotonic()
            soon(send)
            with pytest.raises(KeyboardInterrupt):
                sandbox.read_for_ever(SIZE_BYTES)
            assert time.monotonic() - began < AT_ONCE_S


def test_a_thread_of_c_gets_python(folder: Path, forked: Callable[..., Any]) -> None:
    def child() -> float:
        sandbox = begun(folder)
        flag = sandbox.array(1, "i8")
        asked: list[float] = []

        def come() -> None:
            flag[0] = 1

        kept = on_a_thread_of_c(come, SHORT_S)
        asked.append(time.monotonic() + SHORT_S)
        sandbox.call("read_until", flag, timeout=2 * ENOUGH_S)
        del kept
        return time.monotonic() - asked[0]

    assert forked(child).result() < AT_ONCE_S


def test_turns_of_threads_end(folder: Path) -> None:
    for _ in range(3):
        with begun(folder) as sandbox:
            began = time.monotonic()
            assert sandbox.call("read_until_another_thread_comes", timeout=2 * ENOUGH_S) == 7
            assert time.monotonic() - began < AT_ONCE_S


# -- nothing is lost ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("base", "isolation"), KINDS)
def test_answers_arrive_whatever_interrupts(folder: Path, base: abi.Base, isolation: str) -> None:
    seen: list[int] = []
    with begun(folder, base, isolation) as sandbox, handler(signal.SIGALRM, lambda *_: seen.append(1)):
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            assert sandbox.read_all(300) == 0
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(seen) > 20


def test_answers_arrive_though_turns_end_behind_them(folder: Path, forked: Callable[..., Any]) -> None:
    def child() -> int:
        sandbox = begun(folder, timeout=4 * ENOUGH_S)
        _native.set_slice(1000)
        return int(sandbox.read_in_two_threads(300))

    assert forked(child).result() == 0


def instructions_of_an_answer(stepper: Stepper, count: int) -> bool:
    """Lets the core go on with so many of its instructions. False: it has fewer."""
    stepper.run_to(abi.GATE_HOSTCALL)
    stepper.execute()
    for _ in range(count):
        if in_code_region(stepper.registers().rip):
            return False
        stepper.execute()
    return not in_code_region(stepper.registers().rip)


def interrupted_child(sandbox: tmebox.Sandbox, number: int, rounds: int, result_file: Path) -> None:
    done = sandbox.array(1, "i8")
    sandbox.ask_four_times(done, number)
    at: list[int] = []
    signal.signal(signal.SIGUSR1, lambda *_: at.append(int(done[0])))
    _native.install_handlers()
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    results = []
    for _ in range(rounds):
        done[0] = 0
        results.append((int(sandbox.ask_four_times(done, number)), at.pop() if at else None))
    result_file.write_bytes(pickle.dumps(results))
    os._exit(0)


@pytest.mark.parametrize("number", [PREAD, LSEEK])
@pytest.mark.parametrize(("base", "isolation"), KINDS)
def test_a_signal_at_any_instruction_of_an_answer_is_seen_behind_it(
    folder: Path, tmp_path: Path, base: abi.Base, isolation: str, number: int
) -> None:
    """Without the watchdog, whose signals are dropped here."""
    file, rounds, within = tmp_path / "result", 600, 0
    function = module(base, isolation).address_of("ask_four_times")
    stepper = Stepper(lambda: interrupted_child(begun(folder, base, isolation), number, rounds, file))
    try:
        for count in range(rounds):
            stepper.run_to(function)
            if not instructions_of_an_answer(stepper, count):
                break
            within += 1
            stepper.step(signal.SIGUSR1)
        stepper.go_to_the_end()
    except Ended as end:
        assert end.status == 0
    finally:
        stepper.kill()
    results = pickle.loads(file.read_bytes())
    assert [result for result, _ in results] == [1 + 2 + 3 + 4] * rounds
    seen = [at for _, at in results[:within]]
    assert within > LAST_INSTRUCTIONS
    assert seen == sorted(cast("list[int]", seen)) and set(seen) <= {0, 1}
    assert seen.count(1) <= LAST_INSTRUCTIONS
