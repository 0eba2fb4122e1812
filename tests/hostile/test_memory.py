"""Reads and writes outside: every one traps with its offset, or lands in the attacker's own memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hostile.scene import (
    LOW_OFFSET_OF_SECRET,
    SOURCES,
    address_of_secret,
    attack,
    control_field,
    host_memory,
    hostile,
)
from tmebox import Sandbox, abi

GIB2 = 2 * abi.GIB
LAST = abi.WINDOW_SIZE - 1
STACK_START = abi.STACK_TOP - 64 - 8
"""rsp at the entry of the outermost call: the core keeps a line at the top free."""
Place = int | Callable[[Sandbox], int]


@dataclass(frozen=True)
class Fault:
    """`function(*arguments)` must trap, accessing `offset`."""

    name: str
    function: str
    arguments: tuple[Place, ...]
    offset: Place
    access: str = "read"


def code(sandbox: Sandbox) -> int:
    return int(sandbox.where_is_code())


def array(sandbox: Sandbox) -> int:
    return int(sandbox.where_is_array())


def memory_end(sandbox: Sandbox) -> int:
    """First offset behind the memory that the sandbox has."""
    return control_field(sandbox, abi.CONTROL_HEAP_END)


def stack_end(sandbox: Sandbox) -> int:
    return control_field(sandbox, abi.CONTROL_STACK_LOW)


def secret(_: Sandbox) -> int:
    return address_of_secret()


def to_offset(place: int) -> Callable[[Sandbox], int]:
    """An index that takes `array` to the offset `place`."""
    return lambda sandbox: place - array(sandbox)


EDGES = (
    *(0, 1, abi.GUARD - 1, abi.GUARD, abi.PRIVATE_END - 1, abi.PRIVATE_END, abi.GIB, abi.ARENA_START - 1),
    *(abi.ARENA_FIRST_END, abi.ARENA_END - 1, abi.ARENA_END, GIB2 - 1, GIB2, abi.SHARED_START - 1),
    *(abi.SHARED_START, abi.SHARED_END - 1, abi.SHARED_END, LAST - 7, LAST),
)

FAULTS = [
    Fault("host-pointer", "read8", (secret,), LOW_OFFSET_OF_SECRET),
    Fault("host-pointer-write", "write64", (secret, 1), LOW_OFFSET_OF_SECRET, "write"),
    Fault("host-pointer-vector", "read_vector", (secret,), LOW_OFFSET_OF_SECRET),
    Fault("host-pointer-exchange", "exchange", (secret,), LOW_OFFSET_OF_SECRET, "write"),
    Fault("host-pointer-atomic-increment", "increment_atomically", (secret,), LOW_OFFSET_OF_SECRET, "write"),
    Fault("host-pointer-cmpxchg16b", "exchange_pair", (secret,), LOW_OFFSET_OF_SECRET, "write"),
    Fault("host-pointer-memcpy", "copy", (array, secret, 64), LOW_OFFSET_OF_SECRET),
    Fault("host-pointer-strlen", "length", (secret,), LOW_OFFSET_OF_SECRET),
    Fault("host-pointer-memset", "fill", (secret, 64), LOW_OFFSET_OF_SECRET, "write"),
    Fault("host-pointer-rep-stos", "rep_store", (secret, 64), LOW_OFFSET_OF_SECRET, "write"),
    Fault("host-pointer-rep-movs", "rep_copy", (array, secret, 64), LOW_OFFSET_OF_SECRET),
    Fault("own-text", "read8", (code,), code),
    Fault("own-text-write", "write8", (code, 0xC3), code, "write"),
    Fault("gate-page", "read64", (abi.GATE_HOSTCALL,), abi.GATE_HOSTCALL),
    Fault("gate-page-write", "write64", (abi.GATE_EXIT, 0), abi.GATE_EXIT, "write"),
    Fault("target-map", "read8", (lambda s: code(s) + abi.TARGET_MAP,), lambda s: code(s) + abi.TARGET_MAP),
    Fault(
        "target-map-write",
        "write8",
        (lambda s: code(s) + abi.TARGET_MAP, 7),
        lambda s: code(s) + abi.TARGET_MAP,
        "write",
    ),
    Fault("control-page-write", "write64", (abi.CONTROL_WINDOW_BASE, 0), abi.CONTROL_WINDOW_BASE, "write"),
    Fault(
        "constant-write",
        "write8",
        (lambda s: s.where_is_constant(), 0),
        lambda s: s.where_is_constant(),
        "write",
    ),
    Fault("below-the-stack", "read8", (lambda s: stack_end(s) - 1,), lambda s: stack_end(s) - 1),
    Fault("behind-the-heap", "write8", (memory_end, 1), memory_end, "write"),
    Fault("across-the-heap's-end", "read64", (lambda s: memory_end(s) - 4,), memory_end),
    Fault(
        "vector-across-the-heap's-end", "write_vector", (lambda s: memory_end(s) - 8,), memory_end, "write"
    ),
    Fault("vector-at-the-last-byte", "read_vector", (LAST,), LAST),
    Fault("index-below-zero", "read_indexed", (0, -1), LAST),
    Fault("index-from-array-below-zero", "read_of_array", (to_offset(-1),), LAST),
    Fault("index-from-array-to-null", "write_of_array", (to_offset(0),), 0, "write"),
    Fault("index-of-2^63", "read_indexed", (16, -(1 << 63)), 16),
    Fault("scaled-index-wraps", "read_scaled", (8, 1 << 61), 8),
    Fault("largest-displacement", "read_displaced", (0x7FFFFFFF,), 0xFFFFFEFF),
    Fault("displacement-wraps", "read_displaced", (0x8000_0108,), 8),
    Fault("memset-of-4-GiB", "fill", (array, 1 << 32), memory_end, "write"),
    Fault("memset-of-everything", "fill", (array, (1 << 64) - 1), memory_end, "write"),
    Fault("memcpy-far-too-long", "copy", (array, lambda s: array(s) + 64, 1 << 40), memory_end),
    Fault("rep-stos-for-ever", "rep_store", (array, (1 << 64) - 1), memory_end, "write"),
    Fault("rep-stosq-for-ever", "rep_store_words", (array, 1 << 61), memory_end, "write"),
    Fault("rep-movs-for-ever", "rep_copy", (array, lambda s: array(s) + 1, 1 << 50), memory_end),
    Fault("rep-stos-at-the-window's-end", "rep_store", (LAST, 1 << 40), LAST, "write"),
    Fault("rep-movs-to-the-window's-end", "rep_copy", (LAST - 15, array, 4096), LAST - 15, "write"),
    Fault(
        "memmove-backwards-from-the-guard",
        "move",
        (lambda s: array(s) + 8, lambda s: memory_end(s) - 8, 64),
        memory_end,
    ),
    *[Fault(f"read-at-{edge:#x}", "read8", (edge,), edge) for edge in EDGES],
    *[Fault(f"write-at-{edge:#x}", "write8", (edge, 255), edge, "write") for edge in EDGES],
    *[
        Fault(f"read-at-{edge:#x}-of-another-window", "read8", (edge + (5 << 32),), edge)
        for edge in EDGES[:1]
    ],
]


def resolve(place: Place, sandbox: Sandbox) -> int:
    return place(sandbox) if callable(place) else place


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.name)
def test_an_access_outside_faults_at_its_offset(row: Fault) -> None:
    def act(sandbox: Sandbox) -> Any:
        return sandbox.call_raw(row.function, *(resolve(argument, sandbox) for argument in row.arguments))

    ending = attack(hostile("memory"), act, note=lambda sandbox: resolve(row.offset, sandbox))
    assert (ending.exception, ending.access, ending.offset) == ("MemoryFault", row.access, ending.note), (
        ending
    )
    assert ending.function is not None


@dataclass(frozen=True)
class Harmless:
    """An address that wraps around into the attacker's own memory: `function(*arguments)` is `value`."""

    name: str
    function: str
    arguments: tuple[Place, ...]
    value: int


HARMLESS = [
    Harmless("index-of-2^32", "read_indexed", (array, (1 << 32) + 3), 4),
    Harmless("index-of-minus-2^32", "read_indexed", (array, -(1 << 32) + 3), 4),
    Harmless("index-of-2^63-from-array", "read_of_array", (-(1 << 63),), 1),
    Harmless("scaled-index-of-2^61", "read_scaled", (array, 1 << 61), 0x0807060504030201),
    Harmless("stack-index-of-2^32", "read_indexed_by_the_stack", (1 << 32,), 0),  # no return address is there
    Harmless("stack-pointer-is-an-offset", "stack_pointer_as_number", (), STACK_START),
]


@pytest.mark.parametrize("row", HARMLESS, ids=lambda row: row.name)
def test_an_address_that_wraps_reaches_only_own_memory(row: Harmless) -> None:
    def act(sandbox: Sandbox) -> Any:
        return sandbox.call_raw(row.function, *(resolve(argument, sandbox) for argument in row.arguments))

    assert attack(hostile("memory"), act).value == row.value


def test_a_host_pointer_that_ends_like_an_own_one_reads_and_writes_the_own_one() -> None:
    def act(sandbox: Sandbox) -> tuple[int, int, bytes]:
        host = host_memory(sandbox.where_is_mine(), b"host")
        found = sandbox.read8(ctypes.addressof(host))
        sandbox.write8(ctypes.addressof(host), ord("!"))
        return found, sandbox.read8(sandbox.where_is_mine()), bytes(host)

    assert attack(hostile("memory"), act).value == (ord("M"), ord("!"), b"host")


def test_the_address_of_a_python_object_is_of_no_use() -> None:
    secret_object = b"an object of the host"

    def act(sandbox: Sandbox) -> Any:
        return sandbox.read64(id(secret_object) + 32)

    ending = attack(hostile("memory"), act, note=lambda _: (id(secret_object) + 32) % abi.WINDOW_SIZE)
    assert ending.value != int.from_bytes(secret_object[:8], "little")
    if ending.exception:
        assert (ending.exception, ending.offset) == ("MemoryFault", ending.note)


@pytest.mark.parametrize("function", ["read_far_above_the_stack", "read_far_below_the_stack"])
def test_a_displacement_from_the_stack_pointer_stays_in_the_window(function: str) -> None:
    ending = attack(hostile("memory"), lambda sandbox: sandbox.call_raw(function))
    assert ending.exception == "MemoryFault"
    assert ending.offset is not None
    assert abs(ending.offset - (GIB2 + abi.STACK_TOP)) < abi.PAGE_SIZE


def test_a_misaligned_vector_access_traps_without_naming_a_place() -> None:
    ending = attack(
        hostile("memory"), lambda sandbox: sandbox.read_aligned_vector(sandbox.where_is_array() + 1)
    )
    assert (ending.exception, ending.offset, ending.function) == ("MemoryFault", None, "read_aligned_vector")


def test_a_misaligned_cmpxchg16b_traps() -> None:
    ending = attack(hostile("memory"), lambda sandbox: sandbox.exchange_pair(sandbox.where_is_array() + 8))
    assert (ending.exception, ending.function) == ("MemoryFault", "exchange_pair")


def test_a_trap_names_function_and_source_line() -> None:
    ending = attack(hostile("memory"), lambda sandbox: sandbox.write8(0, 1))
    source = (SOURCES / "memory.c").read_text().splitlines()
    assert ending.function == "write8"
    assert ending.line is not None
    assert "void write8" in source[ending.line - 1]
