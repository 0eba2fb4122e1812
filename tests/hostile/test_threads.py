"""Threads in turn are guest code, so a hostile guest is its own scheduler, and may break its threads."""

from __future__ import annotations

import random
from typing import Any

import pytest

import tmebox
from tests.hostile.scene import Ending, attack, hostile
from tmebox import Sandbox, abi
from tmebox.abi import Base

CONFINED = {None, "ControlFlowViolation", "MemoryFault", "StackOverflow", "Timeout", "Deadlock", "Aborted",
            "IllegalInstruction", "OutOfMemory", "BadPointer", "ArithmeticTrap"}  # fmt: skip


def attacked(act: Any, host: Any = lambda number: number, base: Base = "gs") -> Ending:
    ending = attack(hostile("threads", base), act, imports={"host_call": host}, timeout=0.5)
    assert ending.exception in CONFINED, ending
    return ending


RSPS = [0, 8, abi.GUARD - 8, abi.GUARD, abi.STACK_TOP - 8, abi.CONTROL_PAGE, abi.IMAGE_START,
        abi.PRIVATE_END - 64, abi.PRIVATE_END, (1 << 30) - 8, 1 << 30, abi.ARENA_START, abi.SHARED_START,
        (1 << 32) - 8, 1 << 32, 1 << 46,
        (1 << 63) - 1, (1 << 64) - 8]  # fmt: skip


@pytest.mark.parametrize("function", ["go_on_at", "begin_at"])
@pytest.mark.parametrize("rsp", RSPS)
def test_a_forged_stack_pointer_stays_in_the_private_half(function: str, rsp: int) -> None:
    ending = attacked(lambda sandbox: sandbox.call(function, rsp), base="r15")
    assert ending.trap, ending


NUMBERS = [0, 1, 2, 1023, abi.MOST_FIBERS, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 46, (1 << 64) - 1]


@pytest.mark.parametrize("function", ["go_on_at", "end_for"])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_forged_number_of_a_thread_leads_nowhere(function: str, number: int) -> None:
    assert attacked(lambda sandbox: sandbox.call(function, number)).trap


TARGETS = [
    0,
    8,
    abi.GATE_HOSTCALL,
    abi.GATE_EXIT + 3,
    abi.TARGET_MAP,
    abi.IMAGE_START,
    abi.CODE_BASE,
    1 << 32,
    1 << 46,
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_forged_context_goes_on_nowhere_but_at_return_sites(target: int) -> None:
    ending = attacked(lambda sandbox: sandbox.go_on_to(target), base="r15")
    assert ending.exception == "ControlFlowViolation", ending


def test_no_byte_of_the_text_that_is_no_return_site_is_where_a_forged_context_goes_on() -> None:
    """Into the middle of functions, instructions and sequences: the target map decides."""

    def act(sandbox: Sandbox) -> Any:
        start = sandbox.text()
        endings = []
        for offset in range(40):
            try:
                endings.append(sandbox.go_on_to(start + offset))
            except tmebox.ControlFlowViolation:
                endings.append("stopped")
            except tmebox.Trap as trap:
                endings.append(trap.kind)
            sandbox.reset()
        return endings

    ending = attacked(act, base="r15")
    assert "stopped" in ending.value


CONTROL_WORDS = [0, 0x1F80, 0xFFFF_FFFF, 0x37F_0000_0000, 0xFFFF_0000_1F80, (1 << 64) - 1, 0xFFBF_0000_0000]


@pytest.mark.parametrize("words", CONTROL_WORDS)
def test_forged_control_words_stay_in_the_sandbox(words: int) -> None:
    assert attacked(lambda sandbox: sandbox.control_words(words), base="r15").trap


@pytest.mark.parametrize("base", abi.BASES)
@pytest.mark.parametrize("target", [8, abi.GATE_EXIT, abi.GATE_HOSTCALL, abi.TEXT_NOMINAL, abi.IMAGE_START])
def test_a_frame_that_another_thread_overwrote_returns_nowhere_new(target: int, base: Base) -> None:
    ending = attacked(lambda sandbox: sandbox.smash(target), base=base)
    if base == "gs":  # no return addresses are in reach, but pointers of functions are
        assert ending.function == "_pthread_cleanup_pop", ending


@pytest.mark.parametrize("base", abi.BASES)
@pytest.mark.parametrize("seed", range(6))
def test_return_addresses_of_another_thread_in_the_wrong_order_are_confined(seed: int, base: Base) -> None:
    attacked(lambda sandbox: sandbox.shuffle(seed), base=base)


@pytest.mark.parametrize("base", abi.BASES)
def test_a_jump_into_another_threads_frame_is_confined(base: Base) -> None:
    ending = attacked(lambda sandbox: sandbox.jump_across(), base=base)
    if base == "gs":
        assert ending.exception == "ControlFlowViolation"


@pytest.mark.parametrize("target", [8, abi.GATE_EXIT, abi.TEXT_NOMINAL, (1 << 64) - 1])
def test_a_thread_returns_to_its_calls_though_all_its_memory_was_overwritten(target: int) -> None:
    """It may lose its variables; it goes on in code that it came from."""
    attacked(lambda sandbox: sandbox.paint_thread(target))


@pytest.mark.parametrize("base", abi.BASES)
def test_a_turn_in_the_middle_of_a_host_call_confuses_nobody_but_the_guest(base: Base) -> None:
    def act(sandbox: Sandbox) -> Any:
        inside.append(sandbox)
        return sandbox.call_in_thread(3)

    inside: list[Sandbox] = []

    def host(number: int) -> int:
        function = inside[0].return_first if number % 2 else inside[0].inner_leaves
        return int(function())

    attacked(act, host, base)


@pytest.mark.parametrize("base", abi.BASES)
def test_a_call_that_goes_on_below_the_innermost_is_confined(base: Base) -> None:
    inside: list[Sandbox] = []

    def act(sandbox: Sandbox) -> Any:
        inside.append(sandbox)
        return sandbox.call_and_be_called(2)

    attacked(act, lambda _number: int(inside[0].inner_leaves()), base)


@pytest.mark.parametrize("base", abi.BASES)
def test_handlers_of_signals_may_switch_and_end_threads(base: Base) -> None:
    assert attacked(lambda sandbox: sandbox.in_handlers(), base=base).value == 10


@pytest.mark.parametrize("seed", range(4))
def test_corrupt_structures_of_threads_are_confined(seed: int) -> None:
    """Random bytes in the scheduler's tables, the threads' descriptors and their stacks, between calls."""

    def act(sandbox: Sandbox) -> Any:
        generator = random.Random(seed)
        seen: dict[str, int] = {}
        for _ in range(25):
            sandbox.reset()
            sandbox.begin(4)
            places = [(sandbox.scheduler() - 256, 1024), (sandbox.descriptor() - 2048, 4096)]
            for _ in range(generator.randrange(1, 12)):
                start, size = generator.choice(places)
                offset = start + generator.randrange(size) // 8 * 8
                value = generator.choice(
                    [0, 8, 1, generator.randrange(1 << 32), generator.randrange(1 << 64)]
                )
                sandbox.memory.write(offset, value.to_bytes(8, "little"))
            try:
                sandbox.ask()
                sandbox.ask()
                name = "returned"
            except tmebox.TmeboxError as error:
                name = type(error).__name__
            seen[name] = seen.get(name, 0) + 1
        return seen

    ending = attacked(act)
    assert set(ending.value) <= {*CONFINED, "returned"}, ending
