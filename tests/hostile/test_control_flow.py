"""Calls, jumps and longjmps to where they may not go; with the base in r15, returns and stack pointers, too.

With the base in gs a return address is out of reach, and so is rsp: `test_control_stack` shows that code
which would change either is refused, `test_stack_smashing` that overwriting the stack changes no return."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import tmebox
from tests.hostile.scene import address_of_secret, attack, control_field, hostile
from tmebox import Sandbox, abi
from tmebox.abi import Base

Place = int | Callable[[Sandbox], int]
OTHER = (
    "int four(void) { return 4321; }\nint many(int x) { for (int i = 0; i < 9; i++) x *= x + i; return x; }"
)


def entry(sandbox: Sandbox) -> int:
    return int(sandbox.where_is_secret())


def middle(sandbox: Sandbox) -> int:
    """Inside the immediate of an instruction: the bytes there are `nop; nop; nop; nop; nop; syscall; ret`."""
    return int(sandbox.where_is_payload()) + 4


def data(sandbox: Sandbox) -> int:
    return int(sandbox.where_is_data())


def return_site(sandbox: Sandbox) -> int:
    return int(sandbox.a_return_site())


def libc_function(_: Sandbox) -> int:
    return ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value or 0


def python_object(_: Sandbox) -> int:
    return id(OTHER)


NOWHERE: dict[str, Place] = {
    "the-middle-of-an-instruction": middle,
    "the-second-byte-of-a-function": lambda sandbox: entry(sandbox) + 1,
    "data": data,
    "the-heap": lambda sandbox: control_field(sandbox, abi.CONTROL_HEAP_END) - 64,
    "the-stack": abi.STACK_TOP - 256,
    "the-control-page": abi.CONTROL_PAGE,
    "null": 0,
    "minus-one": (1 << 64) - 1,
    "the-last-offset": abi.WINDOW_SIZE - 1,
    "the-host-call-gate": abi.GATE_HOSTCALL,
    "the-middle-of-a-gate": abi.GATE_EXIT + 2,
    "the-gates'-return-sequence": abi.GATE_BASE + 0x80,
    "the-gates'-pointers": abi.GATE_BASE + 0xC0,
    "the-target-map": abi.TARGET_MAP,
    "code-where-nothing-is-loaded": abi.CODE_BASE,
    "a-function-of-libc": libc_function,
    "a-python-object": python_object,
    "the-host's-secret": lambda _: address_of_secret(),
    "behind-the-text": lambda sandbox: sandbox.module.address + len(sandbox.module.file.text),
}
NOT_FUNCTIONS: dict[str, Place] = {
    **NOWHERE,
    "a-return-site": return_site,
    "the-exit-gate": abi.GATE_EXIT,
}
NOT_RETURN_SITES: dict[str, Place] = {**NOWHERE, "a-function": entry}
NOT_LABELS: dict[str, Place] = {**NOT_FUNCTIONS, "a-function": entry}


@dataclass(frozen=True)
class Way:
    """`function(place, *more)` goes to `place`."""

    function: str
    forbidden: dict[str, Place]
    more: tuple[int, ...] = ()


FORGED = Way("jump_with_forged_buffer", {k: v for k, v in NOT_RETURN_SITES.items() if k != "null"}, (0,))
WAYS: dict[Base, list[Way]] = {
    "gs": [
        Way("call", NOT_FUNCTIONS),
        Way("tail_call", NOT_FUNCTIONS),
        Way("go", NOT_LABELS, (2,)),
        FORGED,
    ],
    "r15": [
        Way("call", NOT_FUNCTIONS),
        Way("tail_call", NOT_FUNCTIONS),
        Way("return_to", NOT_RETURN_SITES),
        Way("push_and_return", NOT_RETURN_SITES),
        Way("go", NOT_FUNCTIONS, (2,)),  # gcc does not tell its tail calls
        Way("pop_and_jump", NOWHERE),
        FORGED,
    ],
}
JUMPS = [(base, way, name) for base in WAYS for way in WAYS[base] for name in way.forbidden]


def resolve(place: Place, sandbox: Sandbox) -> int:
    return place(sandbox) if callable(place) else place


@pytest.mark.parametrize(
    ("base", "way", "name"), JUMPS, ids=[f"{base}-{way.function}-{name}" for base, way, name in JUMPS]
)
def test_control_cannot_go_where_no_mark_is(base: Base, way: Way, name: str) -> None:
    def act(sandbox: Sandbox) -> Any:
        return sandbox.call_raw(way.function, resolve(way.forbidden[name], sandbox), *way.more)

    ending = attack(hostile("control", base), act)
    assert (ending.exception, ending.kind) == ("ControlFlowViolation", "control-flow-violation"), ending
    assert ending.function is not None


def test_a_function_pointer_works_whatever_its_upper_half() -> None:
    ending = attack(hostile("control"), lambda sandbox: sandbox.call("call", entry(sandbox) + (77 << 32)))
    assert ending.value == 1234


def test_returning_early_through_the_exit_gate_is_just_a_return() -> None:
    def act(sandbox: Sandbox) -> int:
        sandbox.call_raw("return_to", abi.GATE_EXIT)
        return int(sandbox.visited())

    assert attack(hostile("control", "r15"), act).value == 0


def test_labels_and_jump_tables_work() -> None:
    def act(sandbox: Sandbox) -> list[int]:
        return [
            sandbox.go(0, 0),
            sandbox.go(0, 1),
            *(sandbox.choose(x) for x in (-1, 0, 2, 4, 5, 6, 1 << 30)),
        ]

    assert attack(hostile("control"), act).value == [1, 2, -1, 7, -9, 64, 0, -1, -1]


@pytest.mark.parametrize("base", abi.BASES)
def test_longjmp_works_with_its_own_buffer(base: Base) -> None:
    ending = attack(hostile("control", base), lambda sandbox: sandbox.jump_with_forged_buffer(0, 0))
    assert ending.value == 7


def test_returning_to_a_wrong_return_site_stays_in_verified_code() -> None:
    """What follows runs on a stack whose frames do not fit: it ends in a trap, inside the window."""
    ending = attack(
        hostile("control", "r15"), lambda sandbox: sandbox.call_raw("return_to", return_site(sandbox))
    )
    assert ending.exception in ("ControlFlowViolation", "MemoryFault", "StackOverflow")


def test_a_call_through_memory_checks_what_it_loaded() -> None:
    ending = attack(
        hostile("control"), lambda sandbox: sandbox.call_raw("call_through_memory", data(sandbox))
    )
    assert ending.exception == "ControlFlowViolation"


def test_a_call_through_unmapped_memory_is_a_memory_fault() -> None:
    ending = attack(hostile("control"), lambda sandbox: sandbox.call_raw("call_through_memory", 0x6000_0000))
    assert (ending.exception, ending.offset, ending.access) == ("MemoryFault", 0x6000_0000, "read")


def test_another_modules_function_runs_in_the_callers_window_only() -> None:
    """One code region serves all sandboxes: a forged pointer reaches verified code of others, no data."""
    other = tmebox.compile(source_text=OTHER)
    target = other.address_of("four")
    assert attack(hostile("control"), lambda sandbox: sandbox.call("call", target)).value == 4321
    ending = attack(hostile("control"), lambda sandbox: sandbox.call("call", target + 1))
    assert ending.exception == "ControlFlowViolation"


def test_a_module_that_is_gone_cannot_be_called() -> None:
    def act(sandbox: Sandbox) -> Any:
        gone = tmebox.compile(source_text=OTHER)
        target = gone.address_of("four")
        assert sandbox.call("call", target) == 4321
        del gone
        return sandbox.call("call", target)

    assert attack(hostile("control"), act).exception == "ControlFlowViolation"


NOWHERE_OFFSET = 0x2000_0000
"""Below the limit of stack pointers, and where no sandbox here has memory."""
PIVOTS = [
    ("move_stack", NOWHERE_OFFSET, NOWHERE_OFFSET - 8),
    ("move_stack", (1 << 64) - 1, abi.RSP_MASK - 8),
    ("move_stack", abi.GATE_EXIT, (abi.GATE_EXIT & abi.RSP_MASK) - 8),
    ("move_stack", abi.ARENA_START + NOWHERE_OFFSET, abi.GUARD + NOWHERE_OFFSET - 8),
    ("move_stack", abi.SHARED_START + NOWHERE_OFFSET, abi.GUARD + NOWHERE_OFFSET - 8),
    ("forge_frame", NOWHERE_OFFSET, NOWHERE_OFFSET),
    ("forge_frame", (0x7F12 << 32) + NOWHERE_OFFSET, NOWHERE_OFFSET),
    ("borrow_stack", NOWHERE_OFFSET, NOWHERE_OFFSET - 8),
]


@pytest.mark.parametrize(("function", "place", "offset"), PIVOTS)
def test_a_stack_pointer_into_nothing_faults_there(function: str, place: int, offset: int) -> None:
    ending = attack(hostile("control", "r15"), lambda sandbox: sandbox.call_raw(function, place))
    assert (ending.exception, ending.offset) == ("MemoryFault", offset), ending


ABOVE = [
    ("move_stack", NOWHERE_OFFSET, -8),
    ("move_stack", (0x7F12 << 32) + NOWHERE_OFFSET, -8),
    ("move_stack", abi.SHARED_START + NOWHERE_OFFSET, abi.GUARD - 8),
    ("forge_frame", NOWHERE_OFFSET, 0),
    ("borrow_stack", NOWHERE_OFFSET, -8),
]


@pytest.mark.parametrize(("function", "place", "difference"), ABOVE)
def test_a_stack_pointer_stays_above_the_arena_with_its_stack(
    function: str, place: int, difference: int
) -> None:
    ending = attack(
        hostile("control", "r15"), lambda sandbox: sandbox.call_raw(function, place), stack="1GiB"
    )
    expected = abi.UPPER_RSP_START + NOWHERE_OFFSET + difference
    assert (ending.exception, ending.offset) == ("StackOverflow", expected), ending  # all below it is


@pytest.mark.parametrize("stack", ["8MiB", "900MiB", "1GiB", "2046MiB"])
@pytest.mark.parametrize("function", ["move_stack", "forge_frame", "borrow_stack"])
def test_no_stack_is_in_an_array_that_host_threads_write(function: str, stack: str) -> None:
    """Between the check of a return address and the return."""

    def act(sandbox: Sandbox) -> Any:
        array = sandbox.array(16 * abi.MIB, "u1")
        array[:] = 0xA5
        with contextlib.suppress(tmebox.Trap):
            sandbox.call_raw(function, array.ctypes.data - sandbox.base + 8 * abi.MIB)
        return bool((array == 0xA5).all())

    assert attack(hostile("control", "r15"), act, stack=stack).value is True


@pytest.mark.parametrize("place", [0, 8, 1 << 30, 1 << 31, 1 << 32, abi.GUARD, (1 << 31) + 16], ids=hex)
def test_a_stack_pointer_at_the_windows_start_faults_in_the_guard(place: int) -> None:
    ending = attack(hostile("control", "r15"), lambda sandbox: sandbox.call_raw("move_stack", place))
    assert ending.exception in ("StackOverflow", "MemoryFault")
    assert ending.access == "write"


def test_a_host_address_in_the_stack_pointer_is_cut_to_an_offset() -> None:
    ending = attack(
        hostile("control", "r15"), lambda sandbox: sandbox.call_raw("move_stack", address_of_secret())
    )
    assert (ending.exception, ending.offset) == (
        "MemoryFault",
        (address_of_secret() & abi.RSP_MASK) - 8,
    )


def test_a_stack_in_own_data_is_allowed_and_its_returns_are_checked() -> None:
    assert attack(hostile("control", "r15"), lambda s: s.call_raw("borrow_stack", data(s) + 64)).value == 77
    ending = attack(
        hostile("control", "r15"), lambda sandbox: sandbox.call_raw("move_stack", data(sandbox) + 32)
    )
    assert ending.exception == "ControlFlowViolation"


FORGED_STACKS = [NOWHERE_OFFSET, 0x7FFF_FFF0, 0xFFFF_FFF0]


@pytest.mark.parametrize("stack", FORGED_STACKS, ids=hex)
def test_a_jump_buffer_with_a_forged_stack_stays_in_the_window(stack: int) -> None:
    ending = attack(hostile("control", "r15"), lambda sandbox: sandbox.jump_with_forged_buffer(0, stack))
    assert ending.offset is not None
    if stack > abi.RSP_MASK:  # no offset of the private part, and found before it is cut to one
        assert (ending.exception, ending.offset) == ("StackOverflow", abi.STACK_EXHAUSTED)
    else:
        assert ending.exception == "MemoryFault"
        assert abs(ending.offset - stack) <= abi.STACK_REACH


@pytest.mark.parametrize("stack", [8, abi.STACK_LOWEST, abi.STACK_TOP - 64, *FORGED_STACKS], ids=hex)
def test_a_jump_buffer_leads_to_frames_only(stack: int) -> None:
    ending = attack(hostile("control"), lambda sandbox: sandbox.jump_with_forged_buffer(0, stack))
    assert ending.exception == "ControlFlowViolation"
    assert "to a frame that has returned, or never was" in ending.message
