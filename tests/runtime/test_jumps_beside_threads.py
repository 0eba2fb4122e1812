"""longjmp while other threads have the GIL, under which texts come and go."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np

import tmebox
from tmebox import _native

JUMPS = """
    #include <setjmp.h>
    static jmp_buf home;
    __attribute__((noinline)) static void leave(int frames)
    {
        volatile char frame[40];
        frame[0] = 1;
        if (frames == 0) longjmp(home, 1);
        leave(frames - 1);
        frame[1] = frame[0];
    }
    long jump_until(volatile long *stop, volatile long *count)
    {
        setjmp(home);
        if (++*count % 64 && *stop) return *count;
        leave((int)(*count % 64));
        return -1;
    }
"""


def test_jumps_are_answered_in_the_core_while_texts_come_and_go() -> None:
    """No call of the host is made."""
    text = tmebox.compile(source_text="void nothing(void) {}").to_bytes()
    with tmebox.Sandbox(tmebox.compile(source_text=JUMPS)) as box:
        stop, count = box.array(1, dtype=np.int64), box.array(1, dtype=np.int64)
        results: list[int] = []
        caller = threading.Thread(target=lambda: results.append(box.jump_until(stop, count)))
        caller.start()

        def go_on() -> None:
            begun = int(count[0])
            end = time.monotonic() + 30
            while count[0] < begun + 10_000:
                assert caller.is_alive() and time.monotonic() < end
                time.sleep(0.001)

        try:
            go_on()
            before = _native.restless()
            go_on()
            after = _native.restless()
            for _ in range(20):
                with tmebox.Sandbox(tmebox.Module.from_bytes(text)) as other:
                    other.nothing()
                gc.collect()
            go_on()
        finally:
            stop[0] = 1
            caller.join(30)
    assert before == after
    assert len(before) == 1
    assert len(results) == 1 and results[0] > 30_000
