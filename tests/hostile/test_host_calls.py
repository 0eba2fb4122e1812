"""Calls out of the sandbox: evil arguments, evil places, exceptions, recursion, no end.

A stack pointer of the program's own choice is had with the base in r15 only."""

from __future__ import annotations

import time
from typing import Any

import pytest

import tmebox
from tests.hostile.host_side import IMPORTS
from tests.hostile.scene import attack, hostile
from tmebox import Sandbox, abi
from tmebox.abi import Base


def attacked(act: Any, base: Base = "gs", **options: Any) -> Any:
    return attack(hostile("hostcalls", base), act, imports=IMPORTS, **options)


EVIL_RANGES = [(0, 1), (8, 1 << 40), (abi.PRIVATE_END, 1), (abi.GATE_BASE, 16), (abi.WINDOW_SIZE - 1, 2),
               (abi.GUARD, 16), (abi.STACK_TOP - 16, 1 << 63), (abi.STACK_TOP, (1 << 64) - 1)]  # fmt: skip


@pytest.mark.parametrize(("offset", "count"), EVIL_RANGES)
@pytest.mark.parametrize("function", ["sum", "poke"])
def test_a_bad_pointer_given_to_the_host_is_an_exception_not_an_access(
    function: str, offset: int, count: int
) -> None:
    if function == "poke" and offset == abi.STACK_TOP - 16:
        offset = abi.STACK_TOP - 1  # runs into the control page, which is read-only
    ending = attacked(lambda sandbox: sandbox.call(function, offset, count))
    assert ending.exception == "BadPointer", ending


def test_writing_read_only_memory_through_the_host_is_refused() -> None:
    ending = attacked(lambda sandbox: sandbox.poke(abi.CONTROL_PAGE, 8))
    assert ending.exception == "BadPointer"


@pytest.mark.parametrize("offset", [8, abi.GATE_BASE, abi.WINDOW_SIZE - 1])
def test_a_string_from_nowhere_is_an_exception(offset: int) -> None:
    assert attacked(lambda sandbox: sandbox.text(offset)).exception == "BadPointer"


def test_a_string_without_end_is_an_exception() -> None:
    def act(sandbox: Sandbox) -> Any:
        size_bytes = 4 << 20
        array = sandbox.array(size_bytes)
        array[:] = ord("x")
        return sandbox.text(array.__array_interface__["data"][0] - sandbox.base)

    assert attacked(act).exception == "BadPointer"


@pytest.mark.parametrize(
    "index", [6, 7, 100, 4095, 4096, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, (5 << 32) + 4097]
)
def test_an_import_number_that_does_not_exist_is_a_trap(index: int) -> None:
    ending = attacked(lambda sandbox: sandbox.call_raw("call_import_number", index))
    assert ending.trap, ending


def test_calling_the_host_with_the_stack_in_nothing_is_a_trap() -> None:
    for place in (0, 8, 0x6000_0000, 0x7FFF_FFF8, address_like_a_window()):
        ending = attacked(
            lambda sandbox, place=place: sandbox.call_raw("call_host_from_stack_at", place), "r15"
        )
        assert ending.trap, ending


def address_like_a_window() -> int:
    return (0x7F00 << 32) + 0x6000_0000


def test_calling_the_host_with_the_stack_in_own_data_works() -> None:
    assert (
        attacked(
            lambda sandbox: sandbox.call_raw("call_host_from_heap_at", sandbox.where_is_room_end() - 4096),
            "r15",
        ).value
        == 7
    )


def test_a_host_call_returns_only_to_return_sites() -> None:
    for place in (0, abi.GATE_HOSTCALL, abi.STACK_TOP - 64, 0xFFFF_FFFF):
        ending = attacked(lambda sandbox, place=place: sandbox.call_raw("return_from_host_to", place), "r15")
        assert ending.exception == "ControlFlowViolation", ending
    ending = attacked(
        lambda sandbox: sandbox.call_raw("return_from_host_to", sandbox.module.address_of("alive")), "r15"
    )
    assert ending.exception == "ControlFlowViolation", ending


EXCEPTIONS = ["Problem", "KeyboardInterrupt", "SystemExit", "MemoryError", "StopIteration", "GeneratorExit"]


@pytest.mark.parametrize("what", range(len(EXCEPTIONS)), ids=EXCEPTIONS)
def test_an_exception_in_a_host_function_passes_through_and_the_sandbox_goes_on(what: int) -> None:
    def act(sandbox: Sandbox) -> Any:
        for _ in range(3):
            with pytest.raises(BaseException) as caught:
                sandbox.fail(what)
            assert type(caught.value).__name__ == EXCEPTIONS[what]
            assert sandbox.add(2, 3) == 5
        return "fine"

    assert attacked(act).value == "fine"


def test_endless_recursion_between_host_and_sandbox_ends_in_an_exception() -> None:
    def act(sandbox: Sandbox) -> Any:
        with pytest.raises((RecursionError, tmebox.Trap, tmebox.LimitError)):
            sandbox.recurse(0)
        return True

    assert attacked(act).value is True


def test_recursion_of_different_sandboxes_ends_in_an_exception() -> None:
    def act(sandbox: Sandbox) -> Any:
        module = sandbox.module

        def deeper(depth: int) -> int:
            with Sandbox(module, imports={**IMPORTS, "host_recurse": deeper}) as inner:
                return int(inner.recurse(depth + 1))

        with (
            Sandbox(module, imports={**IMPORTS, "host_recurse": deeper}) as outer,
            pytest.raises((RecursionError, tmebox.LimitError)),
        ):
            outer.recurse(0)
        return sandbox.alive()

    assert attacked(act).value == 42


@pytest.mark.parametrize("function", ["spin", "spin_in_a_callee", "call_forever"])
def test_a_call_without_end_times_out(function: str) -> None:
    ending = attacked(lambda sandbox: sandbox.call(function), timeout=0.05)
    assert (ending.exception, ending.kind) == ("Timeout", "timeout"), ending


def test_a_timeout_per_call_overrides_the_sandboxs() -> None:
    ending = attacked(lambda sandbox: sandbox.call("spin", timeout=0.05), timeout=100.0)
    assert ending.exception == "Timeout"


def test_a_host_function_that_sleeps_past_the_limit_is_a_timeout_when_it_returns() -> None:
    def sleepy(a: int, b: int) -> int:
        time.sleep(0.2)
        return a + b

    ending = attack(
        hostile("hostcalls"), lambda s: s.add(1, 2), imports={**IMPORTS, "host_add": sleepy}, timeout=0.05
    )
    assert ending.exception == "Timeout"


def test_a_trap_in_a_nested_call_ends_the_whole_sandbox() -> None:
    def swallow(sandbox: Sandbox, what: int) -> int:
        try:
            sandbox.call_raw("call_import_number", 99)
        except tmebox.Trap:
            return 5
        return 0

    def act(sandbox: Sandbox) -> Any:
        with Sandbox(sandbox.module, imports={**IMPORTS, "host_raise": swallow}) as other:
            with pytest.raises(tmebox.SandboxClosed):
                other.fail(0)
            with pytest.raises(tmebox.SandboxClosed):
                other.alive()
        return "over"

    assert attacked(act).value == "over"


def test_closing_a_sandbox_from_its_own_host_function_is_refused() -> None:
    def close(sandbox: Sandbox, what: int) -> int:
        with pytest.raises(tmebox.SandboxBusy):
            sandbox.close()
        return 11

    def act(sandbox: Sandbox) -> Any:
        with Sandbox(sandbox.module, imports={**IMPORTS, "host_raise": close}) as other:
            return other.fail(0), other.alive()

    assert attacked(act).value == (11, 42)


def test_a_host_function_with_a_wrong_result_raises_type_error() -> None:
    for wrong in ("text", None, 1.5, object(), 1 << 64):
        ending = attack(
            hostile("hostcalls"),
            lambda s: s.add(1, 2),
            imports={**IMPORTS, "host_add": lambda a, b, w=wrong: w},
        )
        assert ending.exception in ("TypeError", "OverflowError"), (wrong, ending)
