"""Threads that are interrupted at any instruction, with a keeper of turns that is hostile.

A thread goes on where it was, once, on its own stack; who cheats loses its own state, or traps."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tests.hostile.scene import Ending, attack, hostile
from tmebox import Sandbox, _native, abi

BACK, OVER_WORKER, ENDS, ITSELF, PAINTS, JUMPS, READS, RETURNS, CALLS, STAYS, TWICE, BEGINS, FAULTS, DIGS = (
    range(14)
)
SLICE_NS = 50_000


@pytest.fixture(autouse=True)
def short_slices() -> Iterator[None]:
    before = _native.set_slice(SLICE_NS)
    yield
    _native.set_slice(before)


def attacked(act: Any, host: Any = lambda number: number, timeout: float = 2.0) -> Ending:
    return attack(hostile("slices"), act, imports={"host_call": host}, timeout=timeout)


def sandbox_of(**options: Any) -> Sandbox:
    return Sandbox(hostile("slices"), imports={"host_call": lambda number: number}, timeout=5.0, **options)


@pytest.mark.parametrize("mode", [BACK, OVER_WORKER, TWICE, READS, BEGINS, PAINTS])
def test_a_loop_is_interrupted_and_goes_on(mode: int) -> None:
    assert attacked(lambda sandbox: sandbox.spin(mode, 20)).value == 20


@pytest.mark.parametrize(
    ("mode", "ends"),
    [(ENDS, "Timeout"), (ITSELF, "IllegalInstruction"), (JUMPS, "ControlFlowViolation"),
     (RETURNS, "ControlFlowViolation"), (STAYS, "Timeout"), (FAULTS, "MemoryFault"), (DIGS, "StackOverflow")],
)  # fmt: skip
def test_a_keeper_that_does_something_else_ends_its_sandbox(mode: int, ends: str) -> None:
    assert attacked(lambda sandbox: sandbox.spin(mode, 5), timeout=0.5).exception == ends


def test_the_stack_of_an_interrupted_thread_is_not_the_keepers_to_read() -> None:
    def act(sandbox: Sandbox) -> int:
        sandbox.spin(READS, 3)
        return int(sandbox.call("readable_words"))

    assert attacked(act).value == 0


def test_a_call_within_the_keepers_cannot_end_the_one_that_was_interrupted() -> None:
    inside: list[Sandbox] = []

    def act(sandbox: Sandbox) -> Any:
        inside.append(sandbox)
        return sandbox.spin(CALLS, 2)

    ending = attacked(act, lambda _number: int(inside[0].goes_on(0)), timeout=0.5)
    assert ending.trap, ending


def test_no_number_of_slices_makes_the_host_signal_another_sandbox() -> None:
    """The wish is a sandbox's own: one without threads, on the same host thread, is not interrupted."""

    def act(sandbox: Sandbox) -> Any:
        sandbox.spin(BACK, 3)
        sandbox.leave_worker()
        with sandbox_of() as other:
            return other.alive()

    assert attacked(act).value == 42


def test_what_was_interrupted_in_one_call_goes_on_in_another_on_another_thread_of_the_host() -> None:
    def act(sandbox: Sandbox) -> Any:
        worked = [sandbox.leave_worker()]
        for _ in range(20):
            thread = threading.Thread(target=lambda: worked.append(sandbox.leave_worker()))
            thread.start()
            thread.join()
            worked.append(sandbox.leave_worker())
        return worked

    worked = attacked(act).value
    assert len(worked) == 41 and worked == sorted(worked) and len(set(worked)) > 1


def test_a_snapshot_of_a_thread_between_instructions_is_refused_and_says_what_to_do() -> None:
    with sandbox_of() as sandbox:
        sandbox.spin(BACK, 1)
        sandbox.snapshot().to_bytes()
        sandbox.leave_worker()
        with pytest.raises(tmebox.SnapshotError, match="waits for its threads"):
            sandbox.snapshot()
        assert sandbox.alive() == 42
        sandbox.reset()
        sandbox.snapshot()
        assert sandbox.spin(BACK, 3) == 3


def test_turns_end_by_time_in_sandboxes_that_begin_where_another_was() -> None:
    with sandbox_of() as sandbox:
        sandbox.spin(BACK, 1)
        snapshot = sandbox.snapshot()
    with Sandbox(snapshot, imports={"host_call": lambda number: number}, timeout=5.0) as sandbox:
        assert sandbox.spin(BACK, 10) == 10


@pytest.mark.parametrize("on_stack", [False, True])
def test_text_stays_while_an_interrupted_thread_may_jump_there(on_stack: bool) -> None:
    """A checked target is in a register, or kept below the stack pointer, between its check and the jump."""
    place = abi.CODE_BASE + 0x1234567
    with sandbox_of() as sandbox:
        assert sandbox.leave_holder(place, on_stack) == 1
        now = _native.control_clock()
        assert _native.stacks_hold(place, place + 1, now)
        assert not _native.stacks_hold(place + 1, place + 2, now)
        sandbox.reset()
        assert not _native.stacks_hold(place, place + 1, _native.control_clock())


def test_text_stays_while_an_interrupted_thread_is_in_it() -> None:
    with sandbox_of() as sandbox:
        sandbox.leave_holder(0, False)
        now = _native.control_clock()
        start = sandbox.text() & -4096
        assert any(_native.stacks_hold(place, place + 1, now) for place in range(start, start + 8192))


def test_text_stays_while_a_thread_that_was_interrupted_goes_on() -> None:
    """What it had checked before may be in a register still, which nobody else can see."""
    place = abi.CODE_BASE + 0x1234567
    held = False
    with sandbox_of() as sandbox:
        caught: list[BaseException] = []

        def run() -> None:
            try:
                sandbox.call("spin", BACK, 1 << 40, timeout=1.0)
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            held |= _native.stacks_hold(place, place + 1, _native.control_clock())
        thread.join()
        assert held and [type(error) for error in caught] == [tmebox.Timeout]
        assert not _native.stacks_hold(place, place + 1, _native.control_clock())


@pytest.mark.parametrize("faults", [True, False])
def test_a_thread_that_went_on_and_ended_its_sandbox_keeps_no_text(faults: bool) -> None:
    place = abi.CODE_BASE + 0x1234567
    with sandbox_of() as sandbox:
        with pytest.raises(tmebox.MemoryFault if faults else tmebox.Timeout):
            sandbox.call("worker_dies", faults, timeout=0.3)
        assert not _native.stacks_hold(place, place + 1, _native.control_clock())
        sandbox.reset()
        assert sandbox.spin(BACK, 3) == 3


@pytest.mark.parametrize("on_stack", [False, True])
def test_what_threads_of_a_sandbox_hold_that_has_ended_nobody_goes_back_to(on_stack: bool) -> None:
    place = abi.CODE_BASE + 0x1234567
    with sandbox_of() as sandbox:
        instance = sandbox._tenancy.instance

        def held() -> bool:
            return _native.stacks_hold(place, place + 1, _native.control_clock())

        sandbox.leave_holder(place, on_stack)
        assert held()
        instance.pause()  # as a snapshot does: it goes on afterwards
        assert held()
        instance.revive()
        assert held()
        with pytest.raises(tmebox.MemoryFault):
            sandbox.spin(FAULTS, 5)
        assert not held()
        sandbox.reset()
        assert not held() and sandbox.alive() == 42


def test_a_stack_that_ends_while_turns_do_is_an_overflow() -> None:
    for _ in range(20):
        assert attacked(lambda sandbox: sandbox.dig_and_spin()).exception == "StackOverflow"


def test_interrupted_threads_that_are_dropped_leave_nothing_behind() -> None:
    def play() -> tuple[int, int, int]:
        def counts() -> tuple[int, int]:
            with open("/proc/self/maps") as maps:
                return len(os.listdir("/proc/self/fd")), sum(1 for _ in maps)

        found = []
        with sandbox_of() as again:
            for number in range(60):
                with sandbox_of() as sandbox:
                    sandbox.leave_worker()
                    if number % 3 == 0:
                        sandbox.reset()
                again.leave_worker()
                again.reset()
                found.append(counts())
        return found[20][0] - found[-1][0], found[20][1] - found[-1][1], len(found)

    files, maps, number = run_forked(play, timeout_s=120).result()
    assert (files, number) == (0, 60) and abs(maps) <= 8


def test_handlers_of_python_run_between_slices_and_may_end_the_call() -> None:
    def play() -> tuple[int, list[int]]:
        handled: list[int] = []

        def handle(*_: object) -> None:
            handled.append(len(handled))
            if len(handled) == 5:
                raise KeyboardInterrupt

        _native.set_slice(SLICE_NS)
        signal.signal(signal.SIGALRM, handle)
        with sandbox_of() as sandbox:
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            with contextlib.suppress(KeyboardInterrupt):
                sandbox.spin(BACK, 1 << 40)
            signal.setitimer(signal.ITIMER_REAL, 0)
            sandbox.reset()
            return sandbox.spin(BACK, 3), handled

    assert run_forked(play, timeout_s=60).result() == (3, [0, 1, 2, 3, 4])


def test_an_exception_of_a_function_that_the_keeper_has_called_ends_the_sandbox() -> None:
    def play() -> tuple[int, str]:
        def fail(_number: int) -> int:
            raise ValueError("no")

        _native.set_slice(SLICE_NS)
        with Sandbox(hostile("slices"), imports={"host_call": fail}, timeout=5.0) as sandbox:
            with contextlib.suppress(ValueError):
                sandbox.spin(CALLS, 2)
            try:
                sandbox.alive()
                after = "alive"
            except tmebox.SandboxClosed:
                after = "closed"
            sandbox.reset()
            return sandbox.spin(BACK, 3), after

    assert run_forked(play, timeout_s=60).result() == (3, "closed")


def test_a_child_of_a_process_has_no_interrupted_threads() -> None:
    with sandbox_of() as sandbox:
        sandbox.leave_worker()

        def play() -> str:
            try:
                sandbox.leave_worker()
            except tmebox.SandboxClosed:
                with sandbox_of() as other:
                    return str(other.leave_worker() > 0)
            return "went on"

        assert run_forked(play, timeout_s=60).result() == "True"
        assert sandbox.leave_worker() > 0


# -- what another thread changes between a check and its use -----------------------------------
def ends_of(function: str, argument: Any, rounds: int) -> Any:
    """How calls end that another thread attacks, and whether one of them arrived where none may."""

    def act(sandbox: Sandbox) -> Any:
        _native.set_slice(SLICE_NS)
        ends: Counter[str] = Counter()
        place = sandbox._tenancy.base + sandbox.where_escaped()  # also once a trap has ended it
        for number in range(rounds):
            try:
                sandbox.call(function, argument(sandbox, number), timeout=0.2)
            except tmebox.Trap as trap:
                ends[trap.kind] += 1
            except tmebox.TmeboxError as error:
                ends[type(error).__name__] += 1
            ends["escaped"] += int.from_bytes(_native.read(place, 4), "little")
            sandbox.reset()
        return ends

    ending = attack(hostile("turns"), act, timeout=1.0, timeout_s=60)
    assert ending.exception is None, ending
    return ending.value


def test_a_pointer_that_changes_between_its_check_and_the_call_leads_nowhere_else() -> None:
    ends = ends_of("call_by_pointer", lambda sandbox, number: 0, 60)
    assert ends["escaped"] == 0 and ends["control-flow-violation"] > 20, ends
    assert ends.keys() <= {"escaped", "control-flow-violation", "timeout"}, ends


def test_no_place_near_a_function_is_reached_by_a_pointer_that_changes() -> None:
    ends = ends_of("call_by_pointer", lambda sandbox, number: sandbox.text() + 64 * number - 640, 30)
    assert ends["escaped"] == 0 and ends.keys() <= {"escaped", "control-flow-violation", "timeout"}, ends


def test_a_stack_that_another_thread_writes_leads_nowhere_else() -> None:
    """Its variables are anybody's; its return addresses, and targets between check and jump, are not."""
    ends = ends_of("work_on_stack", lambda sandbox, number: number, 60)
    assert ends["escaped"] == 0, ends
