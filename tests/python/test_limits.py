"""Limits on memory, time, recursion and instructions; interrupts; made-up clocks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox.python import OutOfInstructions, Python, PythonError


def test_memory_is_limited_and_comes_back() -> None:
    with Python(memory="2MiB") as python:
        with pytest.raises(PythonError) as caught:
            python.run("a = []\nwhile True: a.append('x' * 1000 + str(len(a)))")
        assert caught.value.type == "MemoryError"
        python.reset()
        assert python.run("len([0] * 1000)") == 1000
        full = "def fill():\n    a = []\n    while True: a.append('x' * 1000 + str(len(a)))\n"
        with pytest.raises(PythonError):
            python.run(full + "fill()")
        assert python.run("len([0] * 1000)") == 1000  # what only the program's function had is free again


def test_garbage_is_collected_long_before_memory_ends() -> None:
    with Python(memory="64MiB") as python:
        python.run("for i in range(200000): [i, i]")
        used = python.run("import gc\ngc.mem_alloc()")
        assert used < 4 << 20


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(tmebox.LimitError, match="too little"):
        Python(memory="200KiB")


def test_time_is_limited() -> None:
    with Python(timeout=0.1) as python:
        with pytest.raises(tmebox.Timeout):
            python.run("sum(range(10 ** 12))")  # in C, where no instruction of the interpreter's looks
        assert not python.closed


def test_recursion_is_limited() -> None:
    with Python(stack="128KiB") as python:
        with pytest.raises(PythonError, match="recursion") as caught:
            python.run("def f(n): return f(n + 1)\nf(0)")
        assert caught.value.type == "RuntimeError"
        assert python.run("2 + 2") == 4
    with Python(stack="4MiB") as python:
        assert python.run("def f(n): return n and 1 + f(n - 1)\nf(2000)") == 2000


IN_C = (
    "sum(range(10**12))",
    "max(range(10**12))",
    "-1 in iter(range(10**12))",
    "min(map(abs, range(10**12)))",
    "import re\nre.match('(a|a)*b', 'a' * 60)",
)
COUNTED = "total = 0\nfor i in range(1000):\n    if i % 3: total += i\ntotal"


def test_instructions_are_counted_the_same_each_time() -> None:
    counts = set()
    for _ in range(3):
        with Python(seed=1) as python:
            python.run(COUNTED)
            counts.add(python.instructions)
            python.run("1")
            assert 0 < python.instructions < 20
    assert len(counts) == 1
    assert 8000 < counts.pop() < 20000


def test_a_count_is_a_number_that_does_not_depend_on_the_machine() -> None:
    with Python() as python:
        python.run("for i in range(10): pass")
        first = python.instructions
        python.run("for i in range(110): pass")
        assert python.instructions - first == 100 * 8  # eight instructions each time round


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except:\n        pass",
        "def f():\n    try:\n        while True: pass\n    finally:\n        f()\nf()",
        "\n".join(
            ["def f0(): pass", *(f"def f{n}(): f{n - 1}(); f{n - 1}()" for n in range(1, 40)), "f39()"]
        ),
        "def g():\n    while True: yield 1\nsum(g())",
        *IN_C,
    ],
)
def test_no_handler_of_the_programs_sees_the_end_of_its_instructions(source: str) -> None:
    with Python(instructions=100_000) as python:
        with pytest.raises(OutOfInstructions, match="100,000"):
            python.run(source)
        assert python.instructions == 100_001 or python.instructions > 100_000
        assert python.run("1 + 1") == 2


@pytest.mark.parametrize("source", IN_C)
def test_an_interrupt_stops_what_goes_on_in_c(source: str) -> None:
    with Python(timeout=20.0) as python:
        timer = threading.Timer(0.1, python.interrupt)
        timer.start()
        with pytest.raises(PythonError) as caught:
            python.run(source)
        assert caught.value.type == "KeyboardInterrupt"
        timer.join()
        assert python.run("1 + 1") == 2


def test_interrupt_raises_keyboard_interrupt_in_the_program() -> None:
    with Python() as python:
        timer = threading.Timer(0.1, python.interrupt)
        timer.start()
        with pytest.raises(PythonError) as caught:
            python.run("while True: pass")
        assert caught.value.type == "KeyboardInterrupt"
        timer = threading.Timer(0.1, python.interrupt)
        timer.start()
        assert python.run("try:\n    while True: pass\nexcept KeyboardInterrupt:\n    x = 5\nx") == 5
        timer = threading.Timer(0.1, python.interrupt)
        timer.start()
        started = time.monotonic()
        with pytest.raises(PythonError):
            python.run("import time\ntime.sleep(60)")
        assert time.monotonic() - started < 30


def test_ctrl_c_ends_a_run_and_the_interpreter_goes_on(forked: Callable[..., ChildOutcome]) -> None:
    def child() -> int:
        with Python() as python:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                python.run("x = 1\nwhile True: x += 1")
            except KeyboardInterrupt:
                return int(python.run("x > 0 and 7"))
        return 0

    assert forked(child).result() == 7


def test_another_thread_is_told_that_it_is_busy() -> None:
    seen: list[BaseException] = []
    with Python() as python:

        def other() -> None:
            time.sleep(0.1)
            try:
                python.run("1")
            except tmebox.SandboxBusy as error:
                seen.append(error)
            python.interrupt()

        thread = threading.Thread(target=other)
        thread.start()
        with pytest.raises(PythonError):
            python.run("while True: pass")
        thread.join()
    assert len(seen) == 1


def test_random_numbers_repeat_on_request() -> None:
    source = "import random\n[random.random() for _ in range(5)]"
    with (
        Python(seed=42) as one,
        Python(seed=42) as two,
        Python(seed=43) as three,
        Python() as free,
        Python() as other,
    ):
        first = one.run(source)
        assert first == two.run(source)
        assert first != three.run(source)
        assert free.run(source) != other.run(source)


def test_clocks_repeat_on_request() -> None:
    source = "import time\na = time.time()\ntime.sleep(3600)\n"
    source += "(a, time.time() - a, time.ticks_ms(), time.localtime()[:3])"
    with Python(clock=1_000_000_000.0) as one, Python(clock=1_000_000_000.0) as two:
        first = one.run(source)
        assert first == two.run(source)
        assert abs(first[0] - 1e9) < 1 and abs(first[1] - 3600) < 1 and first[3] == (2001, 9, 9)
    with Python() as real:
        assert abs(real.run("import time\ntime.time()") - time.time()) < 60


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_impossible_limits_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="instructions="):
        Python(instructions=value)  # type: ignore[arg-type]
