"""Values from a sandbox that lies: its bytes are read safely, whatever they are."""

from __future__ import annotations

import contextlib
import random
import struct
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tmebox.python import Python, wire
from tmebox.python.endings import ending
from tmebox.python.errors import PythonError
from tmebox.python.reading import Reader
from tmebox.python.values import Encoder, Malformed

BUDGET = 1 << 20


def no_array(*_: Any) -> Any:
    raise Malformed("there is no such array")


def read(data: bytes, budget: int = BUDGET) -> Any:
    return Reader(data, budget, no_array).value()


def encoded(value: Any) -> bytes:
    return Encoder(lambda array: None).encode(value)


VALUE = [None, True, -5, 10**40, 2.5, "text", b"bytes", [1, (2, {"k": [None]})], np.arange(6).reshape(2, 3)]


def test_what_is_encoded_is_read() -> None:
    back = read(encoded(VALUE))
    assert back[:-1] == VALUE[:-1]
    assert back[-1].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_every_way_to_cut_a_value_short_is_refused() -> None:
    data = encoded(VALUE)
    for size in range(len(data)):
        with pytest.raises(ValueError):
            read(data[:size])
    with pytest.raises(Malformed, match="more than one"):
        read(data + b"\0")


def test_flipped_bytes_give_a_value_or_are_refused() -> None:
    data, rng = encoded(VALUE), random.Random(1)
    for _ in range(20_000):
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        with contextlib.suppress(ValueError):
            read(bytes(changed))


def test_noise_gives_a_value_or_is_refused() -> None:
    rng = random.Random(2)
    for _ in range(20_000):
        noise = bytes(rng.choice((rng.randrange(16), rng.randrange(256))) for _ in range(rng.randrange(60)))
        with contextlib.suppress(ValueError):
            read(noise)


HUGE = struct.pack("<I", 0xFFFFFFFF)


@pytest.mark.parametrize(
    "data",
    [
        bytes([wire.STR]) + HUGE,
        bytes([wire.BYTES]) + HUGE,
        bytes([wire.BIG]) + HUGE,
        bytes([wire.LIST]) + HUGE,
        bytes([wire.DICT]) + HUGE,
        bytes([wire.LIST]) + struct.pack("<I", 1 << 20) + bytes(1 << 20),
        bytes([wire.LIST, 1, 0, 0, 0]) * 1000 + b"\0",
        bytes([wire.DATA, 7, 4]) + HUGE + bytes(32),
        bytes([wire.DATA, 7, 1]) + struct.pack("<Iq", 8, -1) + bytes(8),
        bytes([wire.DATA, 7, 2]) + struct.pack("<Iqq", 0, 1 << 62, 0),
        bytes([wire.DATA, 7, 2]) + struct.pack("<Iqq", 8, 1 << 33, 1 << 31) + bytes(8),
        bytes([wire.DATA, 7, 2]) + struct.pack("<Iqq", 0, 0, 1 << 30),
        bytes([wire.DATA, 99, 1]) + bytes(12),
        bytes([wire.DATA, 7, 9]) + bytes(80),
        bytes([wire.DICT, 1, 0, 0, 0, wire.LIST, 0, 0, 0, 0, wire.NONE]),
        bytes([wire.DICT, 1, 0, 0, 0, wire.TUPLE, 0, 0, 0, 0, wire.NONE]),
        bytes([wire.DICT, 1, 0, 0, 0, wire.BIG, 9, 0, 0, 0, 0]) + b"\xff" * 8 + bytes([wire.NONE]),
        bytes([wire.BIG, 0, 0, 0, 0]),
        bytes([wire.FAILED]),
        bytes([200]),
        b"",
    ],
)
def test_values_that_cannot_be_are_refused_at_once(data: bytes) -> None:
    started = time.process_time()
    with pytest.raises(ValueError):
        read(data)
    assert time.process_time() - started < 5


def test_booleans_are_booleans_whatever_their_bytes() -> None:
    data = bytes([wire.DATA, 0, 1]) + struct.pack("<Iq", 3, 3) + b"\x00\x01\x7f"
    assert read(data).tobytes() == b"\0\1\1"


@pytest.mark.parametrize(
    "said", [None, 5, (), ("a",), (1, 2, 3, 4), ("T", "m", [1, (2,), ("f", "x", 1)], 0), []]
)
@pytest.mark.parametrize("status", [wire.RAISED, wire.OPAQUE, 77, -1])
def test_endings_that_make_no_sense_are_exceptions(status: int, said: Any) -> None:
    found = ending(status, lambda: said, lambda number: None, 5)
    assert isinstance(found, PythonError)


def test_line_numbers_of_any_size_are_shown() -> None:
    frames = [("f", 10**5000, "g"), ("f", -(10**5000), "g"), ("f", 7, "g")]
    error = ending(wire.RAISED, lambda: ("T", "m", frames, 0), lambda number: None, 5)
    assert isinstance(error, PythonError)
    assert [frame.line for frame in error.frames] == [(1 << 31) - 1, 0, 7]
    assert str(error) and error.traceback and repr(error) and error._repr_html_()


def cost(item: bytes, count: int = 2000) -> tuple[float, float]:
    """What one of them makes the host's memory grow by, and what it is counted for."""
    data = bytes([wire.LIST]) + struct.pack("<I", count) + item * count
    reader = Reader(data, 1 << 40, no_array)
    tracemalloc.start()
    try:
        value = reader.value()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(value) == count
    return grown / count, ((1 << 40) - reader._left) / count


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            1 << 40,
            10**40,
            2.5,
            "",
            "xy",
            "é" * 9,
            "中" * 9,
            "\U0001f600",
            b"xy",
            bytearray(),
            bytearray(9),
        ),
        *([], (), {}, [None], (None,), [[[]]], {"ab": None}, {1.5: None, 2.5: None}),
        *(np.zeros(0), np.zeros(1), np.zeros((1, 1, 1, 1)), np.zeros((0, 3))),
    ],
    ids=repr,
)
def test_a_value_costs_about_what_it_is_counted_for(value: Any) -> None:
    grown, counted = cost(encoded(value))
    assert grown < 1.2 * counted


@pytest.mark.parametrize("text", [b"\xff" * 5000, "\U0001f600".encode() + b"\xff" * 5000, b"x" * 5000])
def test_a_text_that_is_none_costs_what_it_is_counted_for(text: bytes) -> None:
    grown, counted = cost(bytes([wire.STR]) + struct.pack("<I", len(text)) + text, 50)
    assert grown < 1.2 * counted


@pytest.mark.parametrize("place", [(0, 8), (0xFFFFFFF0, 64), (16, 16), (1 << 30, 1 << 20), (0, 0)])
def test_results_outside_of_the_sandbox_are_refused(place: tuple[int, int]) -> None:
    with Python() as python:
        python.run("1")
        struct.pack_into("<II", python.mailbox, wire.RESULT, *place)
        with pytest.raises(PythonError, match="no value"):
            python.result()


@pytest.mark.parametrize("found", [None, 5, "abc", {"a": 1}, [1, None, "x"]], ids=repr)
def test_names_of_globals_are_names_whatever_the_sandbox_says(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Python() as python:
        monkeypatch.setattr(python, "_perform", lambda operation, parts: found)
        assert python.keys() == (["x"] if isinstance(found, list) else [])
