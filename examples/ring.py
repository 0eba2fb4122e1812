"""python examples/ring.py: a ring of messages in shared memory, beside a pipe, a copy, and a page that
changes hands.

Small messages are faster copied: handing memory over takes microseconds, whatever its size up to some pages.
docs/shared-heap.md says from which size handing over wins.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tmebox

SIZE, COUNT = 4096, 64
module = tmebox.compile(Path(__file__).with_name("ring.c"))


def each_us(what: Callable[[], object], times: int) -> float:
    """Of the fastest of five rounds."""
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        what()
        rounds.append(time.perf_counter() - start)
    return min(rounds) / times * 1e6


with (
    tmebox.SharedHeap("8MiB") as heap,
    tmebox.Sandbox(module, heap=heap, timeout=5.0) as sender,
    tmebox.Sandbox(module, heap=heap, timeout=5.0) as receiver,
):
    ring = heap.array(sender.ring_bytes())
    heap.share(ring, {sender: "rw", receiver: "rw"})
    message = sender.array(SIZE)
    message[:] = 1

    def through_ring() -> None:
        assert sender.send(ring, message, SIZE, COUNT) == COUNT
        assert receiver.receive(ring, SIZE) == SIZE * COUNT

    reading, writing = os.pipe()
    data, other = message.tobytes(), np.empty(SIZE, np.uint8)

    def through_pipe() -> None:
        for _ in range(COUNT):
            os.write(writing, data)
            os.read(reading, SIZE)

    def copied() -> None:
        for _ in range(COUNT):
            other[:] = message

    page = heap.array(SIZE, owner=sender)

    def handed_over() -> None:
        for _ in range(COUNT // 2):
            heap.transfer(page, to=receiver)
            heap.transfer(page, to=sender)

    for name, what in (
        ("ring", through_ring),
        ("pipe", through_pipe),
        ("copy", copied),
        ("page", handed_over),
    ):
        print(f"{name}: {each_us(what, COUNT):.2f} us for {SIZE} bytes")
    os.close(reading)
    os.close(writing)
