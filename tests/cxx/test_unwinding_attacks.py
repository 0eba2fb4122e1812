"""Exceptions as an attack: the unwinder used by hand, hostile tables, and unwinding where it should not be.

Whatever a sandbox does with its own unwinder, it gets a result or a trap, and the host stays what it was.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.forked import ChildOutcome

PROGRAM = Path(__file__).parent / "programs" / "attacks.cpp"
Forked = Callable[..., ChildOutcome]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(PROGRAM, flags=("-w",))


def discard(_data: bytes) -> None:
    """Where a program's messages go."""


def sandbox_of(module: tmebox.Module, host: Callable[[int], int] = abs, **options: object) -> tmebox.Sandbox:
    return tmebox.Sandbox(module, imports={"host": host}, stderr=discard, **options)  # type: ignore[arg-type]


def outcome(call: Callable[..., object], *arguments: object) -> str:
    try:
        return f"returned {call(*arguments)}"
    except tmebox.Trap as trap:
        return type(trap).__name__
    except tmebox.SandboxClosed:
        return "SandboxClosed"


# -- through the host and back -----------------------------------------------------------------------------
def test_exceptions_are_caught_on_either_side_of_the_host(module: tmebox.Module) -> None:
    """Guest and host call each other twelve deep; the innermost throws, and only its own level catches."""
    own = sandbox_of(module, lambda n: int(own.nested(n)))
    assert own.nested(12) == 112
    assert own.left_alive() == 0


def test_exceptions_in_flight_survive_calls_through_the_host(module: tmebox.Module) -> None:
    """Each level has its own exception in flight, calls the host, which calls the guest, and rethrows."""
    own = sandbox_of(module, lambda n: int(own.in_flight(n)))
    assert [own.in_flight(n) for n in (0, 1, 7)] == [1000, 1001, 1007]
    assert own.left_alive() == 0


def test_the_outer_call_throws_after_a_callback(module: tmebox.Module) -> None:
    own = sandbox_of(module, lambda n: int(own.throws_after(n - 1)) if n else 0)
    assert own.throws_after(3) == 6
    assert own.left_alive() == 0


def test_the_outer_call_throws_after_a_callback_by_pointer(module: tmebox.Module) -> None:
    own = sandbox_of(module)
    assert own.by_pointer(lambda n: n * 2, 1) == 0
    assert own.by_pointer(lambda n: n * 2, 3) == 3
    assert own.by_pointer(lambda n: int(own.by_pointer(lambda m: m * 2, n)), 9) == 9
    assert own.left_alive() == 0


def test_what_the_inner_call_throws_ends_the_outer_one_too(module: tmebox.Module) -> None:
    """Also if the host function swallows it: a sandbox that has trapped is not entered again."""

    def host(n: int) -> int:
        with pytest.raises(tmebox.Aborted, match="uncaught exception of type int"):
            own.thrown_within(n)
        return 7

    own = sandbox_of(module, host)
    assert outcome(own.throws_after, 1) in ("Aborted", "SandboxClosed")
    assert outcome(own.left_alive) == "SandboxClosed"


# -- jumps over frames -------------------------------------------------------------------------------------
def test_longjmp_over_frames_leaves_exceptions_usable(module: tmebox.Module) -> None:
    own = sandbox_of(module)
    assert [own.jumps_over(n) for n in (0, 1, 500)] == [7, 7, 7]
    assert own.jumps_out_of_handlers(3000) == 5
    assert outcome(own.jumps_out_of_destructors).startswith("returned")
    assert own.jumps_over(3) == 7


# -- little room -------------------------------------------------------------------------------------------
def test_a_throw_near_the_stacks_end_is_caught_or_a_trap(module: tmebox.Module, forked: Forked) -> None:
    """Every distance from the stack's end at which the unwinder's own frames, or none, fit."""

    def act() -> dict[str, int]:
        found: dict[str, int] = {}
        low, high = 1, 4096  # the frames that fit are found by halving
        while high - low > 1:
            middle = (low + high) // 2
            fits = outcome(sandbox_of(module, stack=256 << 10).throws_below, middle) == "returned 3"
            low, high = (middle, high) if fits else (low, middle)
        for depth in range(max(1, low - 12), low + 40):
            own = sandbox_of(module, stack=256 << 10, timeout=5)
            result = outcome(own.throws_below, depth)
            found[result] = found.get(result, 0) + 1
        return found

    found = forked(act, timeout_s=120).result()
    assert set(found) <= {"returned 3", "StackOverflow"}
    assert found["returned 3"] >= 10 and found["StackOverflow"] >= 10


def test_a_throw_without_memory_uses_what_is_kept_for_it(module: tmebox.Module, forked: Forked) -> None:
    def act() -> str:
        return outcome(sandbox_of(module, memory=8 << 20, timeout=20).throws_without_memory, 200)

    assert forked(act, timeout_s=60).result() == "returned 201"


def test_exceptions_that_are_kept_fill_a_sandbox_only(module: tmebox.Module, forked: Forked) -> None:
    def act() -> list[str]:
        return [
            outcome(sandbox_of(module, memory=8 << 20, timeout=20).keeps_exceptions, n)
            for n in (1000, 1_000_000)
        ]

    few, many = forked(act, timeout_s=60).result()
    assert few == "returned 100"
    assert many in ("returned -1", "Aborted", "OutOfMemory")


# -- statics -----------------------------------------------------------------------------------------------
def test_a_static_whose_constructor_throws_is_tried_again(module: tmebox.Module) -> None:
    assert sandbox_of(module).third_time() == 123


def test_a_static_that_needs_itself_is_a_trap(module: tmebox.Module, forked: Forked) -> None:
    def act() -> str:
        return outcome(sandbox_of(module, timeout=5).recursive, 0)

    assert forked(act).result() in ("Aborted", "StackOverflow", "Deadlock")


# -- time --------------------------------------------------------------------------------------------------
def test_a_time_limit_ends_unwinding_wherever_it_is(module: tmebox.Module, forked: Forked) -> None:
    """Limits from one tick on, while a thousand frames are unwound again and again, in many sandboxes."""

    def act() -> dict[str, int]:
        found: dict[str, int] = {}
        for number in range(60):
            own = sandbox_of(module, timeout=0.004 + number * 0.0007)
            for result in (outcome(own.unwinds_for_long, 1000, 1 << 30), outcome(own.left_alive)):
                found[result] = found.get(result, 0) + 1
        assert sandbox_of(module).unwinds_for_long(100, 10) == 30
        return found

    assert forked(act, timeout_s=60).result() == {"Timeout": 60, "SandboxClosed": 60}


# -- the unwinder by hand ----------------------------------------------------------------------------------
PLACES = [0, 1, 0x1000, 0x7FFF_0000, (1 << 32) - 1, 1 << 40, (1 << 64) - 1]


def test_unwinding_by_force_goes_nowhere_else(module: tmebox.Module, forked: Forked) -> None:
    """A stop function that moves the context, installs it early, lies, throws, and sets every register."""
    inside = sandbox_of(module)
    places = [*PLACES, inside.here(), inside.here() + 3]

    def act() -> dict[str, int]:
        found: dict[str, int] = {}
        for how in range(10):
            for place in places:
                own = sandbox_of(module, timeout=2)
                result = outcome(own.force, how, place)
                found[result] = found.get(result, 0) + 1
        return found

    found = forked(act, timeout_s=200).result()
    assert sum(found.values()) == 10 * len(places)
    assert set(found) & {"ControlFlowViolation", "MemoryFault", "Aborted"}


def test_forged_exceptions_are_the_sandboxes_own_trouble(module: tmebox.Module, forked: Forked) -> None:
    def act() -> dict[str, int]:
        found: dict[str, int] = {}
        for kind in range(8):
            for value in (*PLACES, 0x41, 16, 64 << 20, 960 << 20):
                own = sandbox_of(module, timeout=2)
                result = outcome(own.raises, kind, value)
                found[result] = found.get(result, 0) + 1
        return found

    found = forked(act, timeout_s=200).result()
    assert sum(found.values()) == 8 * 11
    assert len(found) > 2


def test_a_backtrace_from_within_is_bounded_by_the_stack(module: tmebox.Module) -> None:
    assert sandbox_of(module).backtrace(5) >= 6


# -- hostile tables ----------------------------------------------------------------------------------------
CFA_EXPRESSION, EXPRESSION, DEFINE_CFA, SAME_VALUE, REMEMBER = 0x0F, 0x10, 0x0C, 0x08, 0x0A
SKIP, LITERAL_0, DEREFERENCE, DROP, DIVIDE = 0x2F, 0x30, 0x06, 0x13, 0x1B
BACK_TO_ITSELF = (-3 & 0xFFFF).to_bytes(2, "little")
HONEST_RULES = bytes([DEFINE_CFA, 7, 16])
HOSTILE_RULES = {
    "an expression that never ends": bytes([CFA_EXPRESSION, 3, SKIP]) + BACK_TO_ITSELF,
    "an expression that drops what is not there": bytes([CFA_EXPRESSION, 2, DROP, DROP]),
    "an expression that fills its stack": bytes([CFA_EXPRESSION, 0xC8, 0x01, *[LITERAL_0] * 200]),
    "an expression that divides by zero": bytes([CFA_EXPRESSION, 3, LITERAL_0 + 1, LITERAL_0, DIVIDE]),
    "an expression that reads the null page": bytes([CFA_EXPRESSION, 2, LITERAL_0, DEREFERENCE]),
    "a stack at zero": bytes([CFA_EXPRESSION, 1, LITERAL_0]),
    "a stack that stays": bytes([DEFINE_CFA, 7, 0]),
    "a stack far above": bytes([DEFINE_CFA, 7, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]),
    "a register that does not exist": bytes([DEFINE_CFA, 0x7F, 8]),
    "a return address at zero": bytes([EXPRESSION, 16, 1, LITERAL_0]),
    "a return address that is the same": bytes([SAME_VALUE, 16]),
    "states that nobody restores": bytes([REMEMBER] * 500),
    "an instruction that does not exist": bytes([0x3E, 0x3E]),
    "an expression longer than the table": bytes([CFA_EXPRESSION, 0xFF, 0xFF, 0x7F]),
}


def test_tables_made_as_a_program_runs_are_used(module: tmebox.Module) -> None:
    rules = np.frombuffer(HONEST_RULES, dtype=np.uint8).copy()
    assert sandbox_of(module).with_frames(rules, len(rules), 0) == 4


@pytest.mark.parametrize("what", HOSTILE_RULES)
def test_hostile_rules_of_a_frame_end_in_a_trap(module: tmebox.Module, what: str, forked: Forked) -> None:
    rules = np.frombuffer(HOSTILE_RULES[what], dtype=np.uint8).copy()

    def act() -> str:
        return outcome(sandbox_of(module, timeout=1).with_frames, rules, len(rules), 0)

    assert forked(act).result() in {
        "returned 4", "Timeout", "Aborted", "MemoryFault", "ControlFlowViolation", "ArithmeticTrap",
        "DivisionByZero", "StackOverflow", "IllegalInstruction",
    }  # fmt: skip


@pytest.mark.parametrize("place", [1, 0x1000, 0x4000_0003, 0x7FFF_0000, (1 << 31) - 1])
def test_a_personality_is_called_only_if_it_is_a_function(
    module: tmebox.Module, place: int, forked: Forked
) -> None:
    rules = np.zeros(4, dtype=np.uint8)

    def act() -> str:
        return outcome(sandbox_of(module, timeout=2).with_frames, rules, 4, place)

    assert forked(act).result() == "ControlFlowViolation"


def test_a_personality_of_the_programs_own_reaches_labels_only(module: tmebox.Module, forked: Forked) -> None:
    """It says where the exception goes on, and with which stack."""
    rules = np.frombuffer(HONEST_RULES, dtype=np.uint8).copy()
    inside = sandbox_of(module)
    slide = inside.here() - next(s.address for s in module.file.symbols if s.name == "here")
    labels = [int(label) + slide for label in module.file.labels]
    places = [*PLACES, inside.here(), inside.here() + 3]

    def act() -> tuple[set[str], int]:
        refused = set()
        for place in places:
            refused.add(outcome(sandbox_of(module).goes_to, rules, len(rules), place, 0))
        ended = 0
        for label in labels[:: len(labels) // 40]:
            for stack in (8, 1 << 20, 1 << 30, (1 << 32) - 8, 1 << 47):
                outcome(sandbox_of(module, timeout=1).goes_to, rules, len(rules), label, stack)
                ended += 1
        return refused, ended

    refused, ended = forked(act, timeout_s=250).result()
    assert refused == {"ControlFlowViolation"}
    assert ended >= 200


def test_rules_of_random_bytes_end_in_a_trap_or_a_result(module: tmebox.Module, forked: Forked) -> None:
    chance = random.Random(31)

    def act() -> dict[str, int]:
        found: dict[str, int] = {}
        for _ in range(300):
            rules = np.frombuffer(chance.randbytes(chance.randrange(1, 60)), dtype=np.uint8).copy()
            own = sandbox_of(module, timeout=1)
            result = outcome(own.with_frames, rules, len(rules), 0)
            found[result] = found.get(result, 0) + 1
        return found

    found = forked(act, timeout_s=200).result()
    assert sum(found.values()) == 300
    assert len(found) > 1
