"""Running out of stack in every way there is, including those that jump over a guard.

Assembly that moves rsp on and on runs with the base in r15; with the base in gs it is refused, as
`test_control_stack` shows."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.hostile.scene import attack, hostile
from tmebox import abi
from tmebox.abi import Base


@dataclass(frozen=True)
class Overflow:
    """`function(*arguments)` leaves the stack: `exceptions` says in which ways it may be told."""

    name: str
    function: str
    arguments: tuple[int, ...] = ()
    exceptions: tuple[str, ...] = ("StackOverflow",)


ANY_FAULT = ("StackOverflow", "MemoryFault")
OVERFLOWS = [
    Overflow("recursion", "recurse", (0,)),
    Overflow("recursion-in-qsort's-comparison", "recurse_in_qsort"),
    Overflow("recursion-with-frames-of-1-MiB", "frame_of_1_mebibyte", (100,), ANY_FAULT),
    Overflow("alloca-again-and-again", "allocate_repeatedly", (4096,)),
    Overflow("alloca-of-64-KiB-again-and-again", "allocate_repeatedly", (65536,)),
    Overflow("alloca-of-a-bit-more-than-the-stack", "allocate", (9 << 20,), ANY_FAULT),
    Overflow("alloca-past-the-window's-start", "allocate", (100 << 20,), ANY_FAULT),
    Overflow("alloca-of-700-MiB", "allocate", (700 << 20,), ANY_FAULT),
    Overflow("a-frame-larger-than-all-below-the-stack", "frame_of_80_mebibytes", (), ANY_FAULT),
    Overflow("an-array-of-700-MiB", "variable_array", (175 << 20,), ANY_FAULT),
    Overflow("a-frame-of-1-GiB", "frame_of_1_gibibyte"),
]
MOVING = [
    Overflow("pushing-for-ever", "push_forever"),
    Overflow("popping-for-ever", "pop_forever", (), ANY_FAULT),
    Overflow("moving-rsp-down-for-ever", "slide_down", (), ANY_FAULT),
    Overflow("moving-rsp-up-for-ever", "slide_up", (), ANY_FAULT),
    Overflow("moving-rsp-up-behind-x87-stores", "slide_up_storing", (), ANY_FAULT),
    Overflow("moving-rsp-down-behind-x87-stores", "slide_down_storing", (), ANY_FAULT),
]


def leaves(row: Overflow, base: Base) -> None:
    ending = attack(hostile("stack", base), lambda sandbox: sandbox.call(row.function, *row.arguments))
    assert ending.exception in row.exceptions, ending
    assert ending.trap


@pytest.mark.parametrize("row", OVERFLOWS, ids=lambda row: row.name)
@pytest.mark.parametrize("base", abi.BASES)
def test_leaving_the_stack_traps(row: Overflow, base: Base) -> None:
    leaves(row, base)


@pytest.mark.parametrize("row", MOVING, ids=lambda row: row.name)
def test_moving_rsp_out_of_the_stack_traps(row: Overflow) -> None:
    leaves(row, "r15")


@pytest.mark.parametrize(
    ("function", "size"),
    [
        ("allocate", 1 << 40),
        ("allocate", 1 << 32),
        ("allocate", 1 << 30),
        ("allocate_top", 1 << 62),
        ("variable_array", 1 << 28),
        ("variable_array", 1 << 30),
    ],
)
def test_an_impossible_alloca_overflows_the_stack(function: str, size: int) -> None:
    ending = attack(hostile("stack"), lambda sandbox: sandbox.call(function, size))
    assert ending.exception == "StackOverflow", ending


@pytest.mark.parametrize(("function", "size"), [("allocate", (1 << 64) - 16), ("variable_array", -5)])
def test_an_alloca_of_less_than_nothing_stays_in_the_window(function: str, size: int) -> None:
    """The program's own arithmetic wraps, as it does natively."""
    ending = attack(hostile("stack"), lambda sandbox: sandbox.call(function, size))
    assert ending.exception is None or ending.trap, ending


@pytest.mark.parametrize("function", ["frame_of_80_mebibytes_untouched", "frame_of_1_gibibyte"])
def test_a_frame_cannot_skip_the_guard(function: str) -> None:
    ending = attack(hostile("stack"), lambda sandbox: sandbox.call(function))
    assert ending.exception == "StackOverflow", ending


def test_a_backtrace_of_deep_recursion_is_bounded_and_right() -> None:
    def act(sandbox: object) -> object:
        try:
            return sandbox.recurse(0)  # type: ignore[attr-defined]
        except Exception as error:
            return [str(frame.function) for frame in error.backtrace]  # type: ignore[attr-defined]

    names = attack(hostile("stack"), act).value
    assert 10 < len(names) < 1000
    assert set(names) == {"recurse"}


def test_a_larger_stack_lets_recursion_go_deeper() -> None:
    program = hostile("stack")
    assert attack(program, lambda s: s.frame_of_1_mebibyte(30), stack="8MiB").exception in ANY_FAULT
    assert attack(program, lambda s: s.frame_of_1_mebibyte(30), stack="48MiB").exception is None


def test_the_smallest_stack_overflows_cleanly() -> None:
    ending = attack(hostile("stack"), lambda sandbox: sandbox.recurse(0), stack=16 * abi.KIB)
    assert ending.exception == "StackOverflow"
