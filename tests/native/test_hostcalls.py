"""Sandboxed code calling Python, and Python calling back."""

from __future__ import annotations

import signal
import struct
from typing import Any

import pytest

from tests.native.machine import DATA, Busy, Closed, Machine, Trapped
from tmebox import _native, abi


def test_arguments_arrive_by_their_codes() -> None:
    seen: list[tuple[Any, ...]] = []
    machine = Machine(imports=[(lambda *args: seen.append(args), "bBhHiI", "v")])
    machine.call("call_0", *[0xFFFF_FFFF_FFFF_FFFE] * 6)
    assert seen == [(-2, 254, -2, 65534, -2, 0xFFFF_FFFE)]


def test_floats_pointers_and_truth_values_arrive_as_python_has_them() -> None:
    seen: list[tuple[Any, ...]] = []
    machine = Machine(imports=[(lambda *args: seen.append(args), "dp?f", "v")])
    bits = [struct.unpack("<Q", struct.pack("<d", 1.5))[0], struct.unpack("<I", struct.pack("<f", 0.25))[0]]
    machine.instance.call(machine.address("call_0"), ((5 << 32) + 7, 1), bits, b"", -1.0)
    assert seen == [(1.5, 7, True, 0.25)]


def test_arguments_beyond_the_registers_come_from_the_stack() -> None:
    machine = Machine(imports=[(lambda *args: int("".join(map(str, args))), "l" * 9, "l")])
    assert machine.call("pass_nine") == 123456789


@pytest.mark.parametrize(
    ("code", "value", "rax"),
    [
        ("b", -1, 2**64 - 1),
        ("B", 255, 255),
        ("i", -5, 2**64 - 5),
        ("L", 2**64 - 1, 2**64 - 1),
        ("?", True, 1),
        ("p", DATA, DATA),
        ("p", None, 0),
        ("v", "anything", 0),
    ],
)
def test_results_go_back_extended(code: str, value: object, rax: int) -> None:
    machine = Machine(imports=[(lambda: value, "", code)])
    assert machine.call("call_0") == rax


def test_float_results_go_back_in_a_vector_register() -> None:
    machine = Machine(imports=[(lambda x: x / 2, "d", "d"), (lambda x: x / 2, "f", "f")])
    assert machine.function("call_0", "d", "d")(5.0) == 2.5
    assert machine.function("call_1", "f", "f")(5.0) == 2.5


@pytest.mark.parametrize(
    ("code", "value"), [("b", 128), ("I", -1), ("l", "1"), ("d", "x"), ("?", 2), ("p", 1 << 32)]
)
def test_a_result_that_does_not_fit_is_an_error_in_the_caller(code: str, value: object) -> None:
    machine = Machine(imports=[(lambda: value, "", code)])
    with pytest.raises(TypeError, match="returned"):
        machine.call("call_0")
    assert machine.instance.state == _native.IDLE


def test_a_raw_handler_gets_registers_and_where_the_stack_arguments_are() -> None:
    seen: list[Any] = []

    def raw(integers: tuple[int, ...], floats: bytes, stack_offset: int) -> tuple[int, int]:
        seen.extend([integers, struct.unpack("<8Q", floats), machine.words(stack_offset, 3)])
        return 42, 0

    machine = Machine(imports=[(raw, "*", "v")])
    assert machine.call("pass_nine") == 42
    assert seen == [(1, 2, 3, 4, 5, 6), (0,) * 8, [7, 8, 9]]


def test_a_raw_result_fills_all_four_registers() -> None:
    machine = Machine(imports=[(lambda *_: (-1, 2, 3, 1 << 63), "*", "v")])
    assert machine.instance.call(machine.address("call_0"), (), (), b"", -1.0) == (2**64 - 1, 3, 2, 1 << 63)


@pytest.mark.parametrize("value", [None, (1,), (1, 2, 3), (1, "2"), [1, 2]])
def test_a_raw_result_of_another_shape_is_an_error_in_the_caller(value: object) -> None:
    machine = Machine(imports=[(lambda *_: value, "*", "v")])
    with pytest.raises(TypeError):
        machine.call("call_0")


def test_an_exception_in_a_host_function_reaches_the_caller_and_the_instance_stays_usable() -> None:
    def fail() -> None:
        raise LookupError("from the host")

    machine = Machine(imports=[(fail, "", "v")])
    for _ in range(3):
        with pytest.raises(LookupError, match="from the host"):
            machine.call("call_0")
        assert (machine.instance.state, machine.instance.depth) == (_native.IDLE, 0)
    assert machine.call("add", 3, 4) == 7


def test_calls_nest_in_the_same_instance() -> None:
    depths: list[int] = []

    def again(n: int) -> int:
        depths.append(machine.instance.depth)
        return machine.call("call_0", n - 1) + 1 if n else 0

    machine = Machine(imports=[(again, "l", "l")])
    assert machine.call("call_0", 20) == 20
    assert depths == list(range(1, 22))
    assert machine.instance.depth == 0


def test_a_nested_call_leaves_the_outer_ones_stack_alone() -> None:
    machine = Machine(imports=[(lambda: machine.call("weigh", stack=bytes(800)), "", "l")])  # type: ignore[has-type]
    assert machine.call("keep_registers") == 1


def test_calls_nest_across_instances_and_each_sees_its_own_window() -> None:
    bases: list[int] = []
    inner = Machine()
    outer = Machine(imports=[(lambda: bases.append(inner.call("window_base")), "", "v")])
    outer.call("call_0")
    assert bases == [inner.base]
    assert outer.call("window_base") == outer.base


def test_the_outer_window_is_back_after_a_nested_call_of_another_instance() -> None:
    inner = Machine()
    outer = Machine(imports=[(lambda: inner.call("window_base"), "", "l")])
    outer.call("host_call_then_dump_avx" if _native.cpu_features()["avx"] else "call_0", DATA)
    if _native.cpu_features()["avx"]:
        assert outer.words(DATA, 1) == [inner.base]


def test_an_exception_unwinds_through_nested_calls_one_by_one() -> None:
    seen: list[int] = []

    def descend(n: int) -> int:
        if n == 0:
            raise LookupError
        try:
            return machine.call("call_0", n - 1)
        finally:
            seen.append(machine.instance.depth)

    machine = Machine(imports=[(descend, "l", "l")])
    with pytest.raises(LookupError):
        machine.call("call_0", 5)
    assert seen == [5, 4, 3, 2, 1]
    assert machine.call("add", 3, 4) == 7


def test_a_host_function_can_hide_a_nested_trap_but_the_sandbox_does_not_go_on() -> None:
    went_on: list[bool] = []

    def swallow() -> None:
        with pytest.raises(Trapped):
            machine.call("undefined")
        went_on.append(True)

    machine = Machine(imports=[(swallow, "", "v")])
    with pytest.raises(Closed):
        machine.call("call_0")
    assert went_on == [True]
    assert machine.instance.state == _native.DEAD


def test_a_trap_in_another_instance_is_the_host_functions_to_handle() -> None:
    inner = Machine()

    def swallow() -> int:
        with pytest.raises(Trapped):
            inner.call("undefined")
        return 5

    outer = Machine(imports=[(swallow, "", "l")])
    assert outer.call("call_0") == 5


def test_calls_that_nest_without_any_python_function_in_between_are_bounded() -> None:
    machine = Machine()
    machine.instance.set_imports([(machine.function("call_0", "", "l"), "", "l")])
    with pytest.raises(RecursionError):
        machine.call("call_0")
    assert machine.instance.state == _native.IDLE


def test_an_import_index_that_nothing_has_is_a_trap() -> None:
    machine = Machine()
    with pytest.raises(Trapped) as caught:
        machine.call("call_unknown")
    assert (caught.value.signal, caught.value.instruction_address) == (signal.SIGILL, abi.GATE_HOSTCALL)


def test_a_host_call_returns_only_to_a_return_site() -> None:
    """Where return addresses lie in the window: with the base in r15."""
    machine = Machine(imports=[(lambda: 1, "", "l")], base_in_r15=True)
    with pytest.raises(Trapped) as caught:
        machine.call("call_without_return")
    assert abi.GATE_BASE <= caught.value.instruction_address < abi.CODE_END
    assert caught.value.signal == signal.SIGSEGV


@pytest.mark.parametrize("distance", [1 << 20, 2 << 20, 63 << 20])
def test_a_host_call_with_the_stack_pointer_in_unmapped_memory_is_a_trap(distance: int) -> None:
    machine = Machine(imports=[(lambda *_: 1, "l" * 9, "l")])
    with pytest.raises(Trapped) as caught:
        machine.call("call_from_nowhere", distance)
    assert caught.value.signal == signal.SIGSEGV


@pytest.mark.parametrize("distance", [1 << 30, (1 << 64) - (1 << 32), 1 << 32])
def test_a_host_call_with_the_stack_pointer_outside_the_private_half_is_a_trap(distance: int) -> None:
    called: list[int] = []
    machine = Machine(imports=[(lambda: called.append(1), "", "v")])
    with pytest.raises(Trapped):
        machine.call("call_from_nowhere", distance)
    assert called == []


def test_a_nested_call_on_a_stack_that_is_not_there_is_the_sandboxes_trap() -> None:
    caught: list[Trapped] = []

    def nested() -> None:
        try:
            machine.call("add", 1, 2)
        except Trapped as trap:
            caught.append(trap)
            raise

    machine = Machine(imports=[(nested, "", "v")])
    with pytest.raises(Trapped):
        machine.call("call_from_nowhere", 2 << 20)
    assert caught[0].signal == signal.SIGSEGV


def test_imports_cannot_change_under_a_running_call() -> None:
    errors: list[Exception] = []

    def change() -> None:
        try:
            machine.instance.set_imports([])
        except Busy as error:
            errors.append(error)

    machine = Machine(imports=[(change, "", "v")])
    machine.call("call_0")
    assert len(errors) == 1


@pytest.mark.parametrize(
    "rows",
    [[5], [(1, "", "v")], [(print, "x", "v")], [(print, "", "x")], [(print, "")], [(print, "l" * 65, "v")]],
)
def test_a_malformed_import_is_refused_and_the_old_ones_stay(rows: list[Any]) -> None:
    machine = Machine(imports=[(lambda: 9, "", "l")])
    with pytest.raises((TypeError, ValueError)):
        machine.instance.set_imports(rows)
    assert machine.call("call_0") == 9


def test_more_imports_than_the_abi_allows_are_refused() -> None:
    with pytest.raises(ValueError):
        Machine(imports=[(print, "", "v")] * (abi.MAX_IMPORTS + 1))
