"""What verifying costs, in the worst texts that could be thought of: work and memory for each byte.

Time is not asserted. Work is counted: lines of Python that run, over all functions. A line costs some 0.1 µs
on a machine of 2024, decoding the longest of them 2 µs.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

from tests.verify.processor import encodings
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, reading, verify
from tmebox.verify import sequences as known
from tmebox.verify.bases import TABLES
from tmebox.verify.forms import classify
from tmebox.verify.verify import MOST_VIOLATIONS

pytestmark = pytest.mark.slow

MOST_LINES = 100
"""Lines of Python for each byte of text."""
MOST_BYTES = 120
"""Bytes of memory for each byte of text, at most at a time, and without what a process learns once."""
SIZE = 1 << 13
ADDRESS = abi.TEXT_NOMINAL
HLT = b"\xf4"
NUMBERS = {name: number for name, number in known._NUMBERS.items() if name != "r11"}


def number(value: int) -> bytes:
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


def filled(make: Callable[[int], bytes], size: int) -> bytes:
    """Instructions make(0), make(1), … up to about `size` bytes."""
    out = bytearray()
    turn = 0
    while len(out) < size:
        out += make(turn)
        turn += 1
    return bytes(out) + HLT


def short_encodings(size: int) -> bytes:
    """Different ones, as short as they come."""
    fields = [bytes([0xC0 | low]) for low in range(64)]
    fields += [bytes([mod | reg << 3, 0x24]) for mod in (0x04, 0x44) for reg in range(8)]
    tails = [bytes([low]) * 4 for low in (1, 16, 100)]
    found = set(encodings(fields, tails, [b"", b"\x48", b"\x45", b"\x66", b"\x0f", b"\xc5\xf8", b"\xc5\xf9"]))
    plain = []
    for encoding in sorted(found, key=lambda encoding: (len(encoding), encoding)):
        form = classify(encoding, TABLES["gs"])
        is_plain = not (
            form.refusals or form.needs_sequence or form.access or form.branches or form.adjusts or form.ends
        )
        if is_plain:
            plain.append(encoding)
    return filled(lambda turn: plain[turn % len(plain)], size)


def pairs() -> bytes:
    """An access through each pair of registers."""
    out = b""
    for base, offset in ((b, o) for b in NUMBERS.values() for o in NUMBERS.values() if b != o):
        head = bytes([0x40 | (offset >> 3) << 2 | offset >> 3]) if offset >= 8 else b""
        out += head + bytes([0x8B, 0xC0 | (offset & 7) << 3 | offset & 7]) + known.load_base(base)
        out += bytes(
            [0x48 | (offset >> 3) << 1 | base >> 3, 0x8B, 0x84, (offset & 7) << 3 | base & 7]
        ) + number(8)
    return out


CLAIMED = bytes.fromhex("74fe 74fe")
"""Two jumps to themselves; at the first, one fact about every register is claimed, at the second nothing."""


def claimed_everywhere(code: bytes) -> dict[str, Any]:
    places = np.repeat(np.arange(ADDRESS, ADDRESS + len(code) - 1, len(CLAIMED)), len(NUMBERS))
    registers = np.array(sorted(NUMBERS.values())) << 8 | 32
    return {"fact_places": places, "facts": np.tile(registers, len(places) // len(registers))}


def rip_relative(size: int) -> bytes:
    out = bytearray()
    while len(out) < size:
        out += b"\x65\x8b\x05" + number((1 << 24) + len(out) - ADDRESS - len(out) - 7)
    return bytes(out) + HLT


def adjusting(turn: int) -> bytes:
    """Down by another number each time, and up again."""
    down = 8 + turn % 500_000
    return b"\x48\x81\xec" + number(down) + b"\x50\x48\x81\xc4" + number(down + 8)


def loading(turn: int) -> bytes:
    return b"\x65\x67\x8b\x80" + number(turn * 991)


LABEL_JUMPS = b"".join(
    bytes.fromhex("89c0 80b8") + number(abi.TARGET_MAP) + bytes([mark]) + bytes.fromhex("7502 ffe0 f4")
    for mark in abi.LABEL_MARKS
)
STORES = bytes.fromhex("50 48890424 0f114424f0 ff0424 58 c3")
"""pushq %rax; movq %rax, (%rsp); movups %xmm0, -16(%rsp); incl (%rsp); popq %rax; ret"""
TEXTS: dict[str, Callable[[int], bytes]] = {
    "nothing but nops": lambda size: b"\x90" * size + HLT,
    "nothing but ends": lambda size: HLT * size,
    "jumps": lambda size: b"\xeb\x00" * (size // 2) + HLT,
    "conditional jumps": lambda size: b"\x74\x00" * (size // 2) + HLT,
    "calls": lambda size: b"\xe8\0\0\0\0" * (size // 5) + HLT,
    "jumps to labels": lambda size: LABEL_JUMPS * (size // len(LABEL_JUMPS)),
    "frames": lambda size: (b"\xe8\2\0\0\0\xeb" + bytes([len(STORES)]) + STORES) * (size // 24) + HLT,
    "different short encodings": short_encodings,
    "different constants": lambda size: filled(lambda turn: b"\x05" + number(turn * 77_777), size),
    "different displacements": lambda size: filled(loading, size),
    "different adjustments": lambda size: filled(adjusting, size),
    "one adjustment before everything": lambda size: adjusting(0)[:7] + b"\x90" * size + HLT,
    "adjustments by nothing": lambda size: filled(lambda turn: b"\x48\x83\xec\x00\x90\x90", size),
    "all sequences, different adjustments": lambda size: pairs() + filled(adjusting, size),
    "different accesses": lambda size: filled(
        lambda turn: bytes.fromhex("8bc0 65488b0c25") + number(abi.CONTROL_WINDOW_BASE)
        + b"\x48\x8b\x84\x01" + number(turn), size),
    "rip-relative operands": rip_relative,
}  # fmt: skip


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python it runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def check(code: bytes, claims: range = range(ADDRESS, ADDRESS + 1), **more: Any) -> VerifiedText:
    at_start = {"depth_places": [ADDRESS], "depths": [0]}
    return verify(code, ADDRESS, **{"functions": claims, "labels": (), **at_start, **more})


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known about any encoding, as in a new process."""
    monkeypatch.setattr(reading, "_MEMORIES", {})


@pytest.mark.parametrize("make", TEXTS.values(), ids=TEXTS)
def test_work_grows_with_the_size_of_a_text_and_no_faster(make: Callable[[int], bytes]) -> None:
    code = make(SIZE)
    lines = lines_run(lambda: check(code))
    assert lines <= MOST_LINES * len(code)
    reading._MEMORIES.clear()
    larger = make(4 * SIZE)
    assert lines_run(lambda: check(larger)) / len(larger) <= 1.25 * lines / len(code) + 1


def test_claims_and_violations_cost_as_little(monkeypatch: pytest.MonkeyPatch) -> None:
    code = HLT * SIZE
    claims = range(ADDRESS, ADDRESS + len(code))
    assert lines_run(lambda: check(code, claims)) <= MOST_LINES * len(code)
    more: dict[str, Any] = {"functions": (), "labels": claims, "depth_places": np.array(claims)}
    more["depths"] = np.arange(len(claims)) % 4096
    assert lines_run(lambda: check(code, **more)) <= MOST_LINES * len(code)

    def refused(filler: bytes) -> None:
        with pytest.raises(VerificationError):
            check(filler * (SIZE // len(filler)))

    for filler in (b"\x06", b"\x58", b"\x48\x89\xc4", b"\x0f\x05", b"\x65\xf4", b"\xeb\x01"):
        assert lines_run(lambda filler=filler: refused(filler)) <= MOST_LINES * SIZE + 500 * MOST_VIOLATIONS  # type: ignore[misc]


def test_claims_about_registers_cost_no_lines() -> None:
    """A claim of what is not so costs what any violation does."""
    few, many = CLAIMED * 200 + HLT, CLAIMED * 2000 + HLT

    def refused(code: bytes) -> None:
        with pytest.raises(VerificationError) as caught:
            check(code, **claimed_everywhere(code))
        assert len(caught.value.violations) == MOST_VIOLATIONS

    more = lines_run(lambda: refused(many)) - lines_run(lambda: refused(few))
    assert more <= MOST_LINES * (len(many) - len(few))


@pytest.mark.parametrize("make", TEXTS.values(), ids=TEXTS)
def test_memory_is_bounded_by_the_size_of_a_text(make: Callable[[int], bytes]) -> None:
    check(make(256))
    reading._MEMORIES.clear()
    code = make(16 * SIZE)
    tracemalloc.start()
    try:
        check(code)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    slots = 12 << reading._SLOT_BITS  # a process learns them once, and they are as many for each text
    assert peak <= MOST_BYTES * len(code) + slots + (1 << 16)


def test_what_is_counted_grows_when_work_does() -> None:
    few, many = lines_run(lambda: sum(n for n in range(10))), lines_run(lambda: sum(n for n in range(1000)))
    assert many > few + 900
