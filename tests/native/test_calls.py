"""Arguments in, results out: registers, stack, every code, and what the fast path leaves to Python."""

from __future__ import annotations

import gc
import math
import struct
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.native.machine import DATA, Busy, Closed, Machine, Refused, refused, text
from tmebox import _native, abi

RANGES = {
    "b": (-(1 << 7), (1 << 7) - 1),
    "B": (0, (1 << 8) - 1),
    "h": (-(1 << 15), (1 << 15) - 1),
    "H": (0, (1 << 16) - 1),
    "i": (-(1 << 31), (1 << 31) - 1),
    "I": (0, (1 << 32) - 1),
    "l": (-(1 << 63), (1 << 63) - 1),
    "L": (0, (1 << 64) - 1),
    "p": (0, (1 << 32) - 1),
}


def test_a_call_returns_what_the_function_computed(machine: Machine) -> None:
    assert machine.function("add", "ll", "l")(3, 4) == 7


@pytest.mark.parametrize("code", RANGES)
def test_every_integer_code_carries_its_whole_range(machine: Machine, code: str) -> None:
    same = machine.function("first", code, code)
    low, high = RANGES[code]
    near = {sign * ((1 << bits) + beside) for bits in range(65) for beside in (-1, 0, 1) for sign in (-1, 1)}
    values = sorted(value for value in near | {low, high} if low <= value <= high)
    assert [same(value) for value in values] == values


@pytest.mark.parametrize("code", RANGES)
def test_an_integer_outside_its_code_is_left_to_the_slow_path(machine: Machine, code: str) -> None:
    same = machine.function("first", code, code)
    low, high = RANGES[code]
    for value in (low - 1, high + 1, 1 << 70, -(1 << 70)):
        with pytest.raises(Refused):
            same(value)


@pytest.mark.parametrize("code", RANGES)
def test_a_result_is_cut_to_its_code(machine: Machine, code: str) -> None:
    low, high = RANGES[code]
    bits = (high - low).bit_length()
    result = machine.function("first", "L", code)(0xA5A5_A5A5_A5A5_A5A5)
    assert result % (1 << bits) == 0xA5A5_A5A5_A5A5_A5A5 % (1 << bits)
    assert low <= result <= high


def test_small_integers_arrive_extended_to_64_bits(machine: Machine) -> None:
    assert machine.function("first", "b", "L")(-1) == (1 << 64) - 1
    assert machine.function("first", "B", "L")(255) == 255
    assert machine.function("first", "h", "l")(-300) == -300


def test_truth_values_travel_as_zero_and_one(machine: Machine) -> None:
    assert machine.function("first", "?", "L")(True) == 1
    assert machine.function("first", "?", "L")(False) == 0
    assert machine.function("first", "L", "?")(2) is True
    assert machine.function("first", "L", "?")(256) is False
    with pytest.raises(Refused):
        machine.function("first", "?", "?")(1)


def test_floats_and_doubles_are_added_in_their_own_precision(machine: Machine) -> None:
    assert machine.function("add_double", "dd", "d")(0.1, 0.2) == 0.1 + 0.2
    assert machine.function("add_float", "ff", "f")(0.1, 0.2) == float(np.float32(0.1) + np.float32(0.2))
    assert machine.function("add_double", "dd", "d")(1, 2) == 3.0
    assert math.isnan(machine.function("add_double", "dd", "d")(math.inf, -math.inf))
    with pytest.raises(Refused):
        machine.function("add_double", "dd", "d")(1 << 2000, 0.0)
    with pytest.raises(Refused):
        machine.function("add_double", "dd", "d")("1", 0.0)


def test_void_results_are_none(machine: Machine) -> None:
    assert machine.function("add", "ll", "v")(3, 4) is None


def test_the_seventh_integer_and_those_after_it_go_on_the_stack(machine: Machine) -> None:
    assert machine.function("weigh", "l" * 10, "l")(*range(1, 11)) == sum(i * i for i in range(1, 11))


def test_the_ninth_double_and_those_after_it_go_on_the_stack(machine: Machine) -> None:
    assert machine.function("tenth_double", "d" * 10, "d")(*(i / 8 for i in range(10))) == 9 / 8


def test_integers_and_doubles_count_separately(machine: Machine) -> None:
    mixed = machine.function("weigh", "ld" * 10, "l")
    arguments = [value for i in range(1, 11) for value in (i, float(i))]
    # On the stack: 7, 8, 9, 9.0, 10, 10.0. The function takes the fourth word for its tenth argument.
    expected = sum(i * i for i in range(1, 10)) + 10 * struct.unpack("<q", struct.pack("<d", 9.0))[0]
    assert (mixed(*arguments) - expected) % (1 << 64) == 0


@pytest.mark.parametrize("words", [0, 1, 2, 3, 1000])
def test_the_stack_is_aligned_as_the_abi_wants_at_every_number_of_arguments(
    machine: Machine, words: int
) -> None:
    assert machine.call("stack_alignment", stack=bytes(8 * words)) == 8


def test_a_raw_call_gives_all_four_result_registers(machine: Machine) -> None:
    address = machine.address("pair")
    assert machine.instance.call(address, (5, 6), (7, 8), b"", -1.0) == (5, 6, 7, 8)


def test_al_tells_a_variadic_function_how_many_vector_registers_are_used(machine: Machine) -> None:
    address = machine.address("vector_count")
    assert machine.instance.call(address, (), (1, 2, 3), b"", -1.0)[0] == 3
    assert machine.function("vector_count", "ldd", "l")(1, 2.0, 3.0) == 2


@pytest.mark.parametrize(
    ("integers", "vectors", "stack"),
    [((0,) * 7, (), b""), ((), (0,) * 9, b""), ((), (), bytes(7)), ((), (), bytes(1 << 20))],
)
def test_a_raw_call_refuses_more_than_fits(
    machine: Machine, integers: tuple[int, ...], vectors: tuple[int, ...], stack: bytes
) -> None:
    with pytest.raises(ValueError):
        machine.instance.call(machine.address("add"), integers, vectors, stack, -1.0)


@pytest.mark.parametrize("address", [0, abi.CODE_BASE - 1, abi.GATE_BASE, abi.GATE_EXIT, 1 << 63])
def test_only_addresses_of_sandboxed_code_can_be_called(machine: Machine, address: int) -> None:
    with pytest.raises(ValueError):
        machine.instance.call(address, (), (), b"", -1.0)
    with pytest.raises(ValueError):
        _native.Export(address, "f", "", "v", print, {})


@pytest.mark.parametrize(
    ("arguments", "result"), [("x", "v"), ("v", "v"), ("l", ""), ("l", "ll"), ("l" * 65, "v")]
)
def test_unknown_codes_are_refused(machine: Machine, arguments: str, result: str) -> None:
    with pytest.raises(ValueError):
        machine.function("add", arguments, result)


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2, 3), (1, None), (1, "2"), (1, 2.0)])
def test_what_does_not_convert_goes_to_the_slow_path_unchanged(
    machine: Machine, arguments: tuple[object, ...]
) -> None:
    slow = machine.function("add", "ll", "l", slow=lambda *args, **kwargs: (args, kwargs))
    assert slow(*arguments) == (arguments, {})
    assert slow(*arguments, key=1) == (arguments, {"key": 1})


def test_pointers_are_offsets_or_none(machine: Machine) -> None:
    same = machine.function("first", "p", "p")
    assert same(DATA) == DATA
    assert same(None) == 0
    with pytest.raises(Refused):
        same(True)


def test_a_buffer_inside_the_window_is_passed_without_a_copy(machine: Machine) -> None:
    region = _native.Region(machine.base + DATA, 64, machine.window, True)
    array = np.frombuffer(memoryview(region), dtype=np.uint32)
    array[:] = 7
    assert machine.function("first", "p", "p")(array[4:]) == DATA + 16
    machine.function("store", "pI", "v")(array[1:], 99)
    assert array.tolist()[:3] == [7, 99, 7]


def test_a_buffer_elsewhere_or_strided_or_read_only_is_left_to_the_slow_path(machine: Machine) -> None:
    inside = np.frombuffer(_native.Region(machine.base + DATA, 64, machine.window, True), dtype=np.uint8)  # type: ignore[call-overload]
    other = Machine()
    foreign = np.frombuffer(_native.Region(other.base + DATA, 64, other.window, True), dtype=np.uint8)  # type: ignore[call-overload]
    read_only = inside.view()
    read_only.flags.writeable = False
    same = machine.function("first", "p", "p")
    for buffer in (bytearray(8), foreign, inside[::2], read_only, "text"):
        with pytest.raises(Refused):
            same(buffer)
    assert machine.function("first", "P", "p")(read_only) == DATA


def test_a_buffer_stays_exported_while_the_call_runs_and_no_longer(machine: Machine) -> None:
    region = _native.Region(machine.base + DATA, 64, machine.window, True)
    seen = []
    machine.instance.set_imports([(lambda: seen.append(region.exports), "", "v")])
    machine.function("call_0", "p")(region)
    assert seen == [1]
    assert region.exports == 0


def test_a_function_has_a_name_and_takes_attributes(machine: Machine) -> None:
    shared = {"__doc__": "Adds.", "__signature__": "(a, b)"}
    export = _native.Export(machine.address("add"), "add", "ll", "l", refused, shared)
    function = export.bind(machine.instance, None, None)
    function.extra = 5
    assert (function.__name__, function.__doc__, function.__signature__) == ("add", "Adds.", "(a, b)")
    assert function.extra == 5
    assert "add" in repr(function)
    with pytest.raises(AttributeError):
        export.bind(machine.instance, None, None).extra  # noqa: B018


def test_a_killed_instance_refuses_calls(machine: Machine) -> None:
    add = machine.function("add", "ll", "l")
    machine.instance.kill()
    assert machine.instance.state == _native.DEAD
    with pytest.raises(Closed):
        add(3, 4)
    with pytest.raises(Closed):
        machine.call("add", 3, 4)


def test_a_killed_instance_is_not_written(machine: Machine) -> None:
    """Its window may be another's by now."""
    machine.instance.write(DATA, b"before")
    machine.instance.kill()
    attempts: list[Callable[[], object]] = [
        lambda: machine.instance.write(DATA, b"after!"),
        lambda: machine.instance.discard(DATA, abi.PAGE_SIZE),
        lambda: machine.instance.write_shared(abi.SHARED_START, b"after!"),
        lambda: machine.instance.read_shared(abi.SHARED_START, 6),
        machine.instance.end_shared_blocks,
    ]
    for attempt in attempts:
        with pytest.raises(Closed):
            attempt()
    assert machine.read(DATA, 6) == b"before"


@pytest.mark.parametrize("offset", [-1, abi.WINDOW_SIZE - 1, abi.WINDOW_SIZE + 5, (1 << 64) + DATA, 2.5])
def test_an_instance_is_written_in_its_window_only(machine: Machine, offset: Any) -> None:
    with pytest.raises((ValueError, OverflowError, TypeError)):
        machine.instance.write(offset, b"12")
    with pytest.raises((ValueError, OverflowError, TypeError)):
        _native.Pointer(machine.instance, offset * 2, None)
    assert machine.read(DATA, 2) == bytes(2)


def test_an_instance_that_was_never_initialised_refuses_calls() -> None:
    empty = _native.Instance.__new__(_native.Instance)
    with pytest.raises(RuntimeError):
        empty.call(text().addresses["add"], (), (), b"", -1.0)


def test_an_instance_that_was_never_initialised_has_no_memory() -> None:
    """Offsets in its window would be addresses of the host's."""
    address = _native.reserve(0x1000_0000, abi.PAGE_SIZE)  # below the code region
    _native.map_zero(address, abi.PAGE_SIZE, _native.PROT_READ | _native.PROT_WRITE)
    _native.write(address, b"of host")
    empty = _native.Instance.__new__(_native.Instance)
    with pytest.raises(RuntimeError):
        empty.write(address, b"written")
    with pytest.raises(RuntimeError):
        empty.discard(address, abi.PAGE_SIZE)
    with pytest.raises(Closed):
        empty.revive()
    with pytest.raises(Closed):
        empty.reset(0)
    assert _native.read(address, 7) == b"of host"
    assert empty.state == _native.DEAD
    _native.map_zero(address, abi.PAGE_SIZE, _native.PROT_NONE)


@pytest.mark.parametrize(
    ("base", "low", "top"),
    [
        (0, 0, 16),
        (abi.PAGE_SIZE, abi.PAGE_SIZE, 2 * abi.PAGE_SIZE),
        (abi.WINDOW_SIZE, 0, abi.WINDOW_SIZE + 16),
        (abi.WINDOW_SIZE, abi.WINDOW_SIZE, abi.WINDOW_SIZE + 24),
        (abi.WINDOW_SIZE, abi.WINDOW_SIZE, abi.WINDOW_SIZE + abi.SHARED_START),
    ],
)
def test_an_impossible_window_or_stack_is_refused(base: int, low: int, top: int) -> None:
    with pytest.raises(ValueError):
        _native.Instance(base, low, top, print)  # type: ignore[arg-type]


def test_cycles_through_functions_and_instances_are_collected() -> None:
    def make() -> weakref.ref[Machine]:
        machine = Machine()
        function = machine.function("add", "ll", "l", slow=lambda: machine)
        function.itself = function
        machine.instance.set_imports([(lambda: function, "", "v")])
        return weakref.ref(machine)

    alive = make()
    gc.collect()
    assert alive() is None


def test_no_call_leaves_references_behind(machine: Machine) -> None:
    add = machine.function("add", "ll", "l")
    value = 1 << 40
    before = sys.getrefcount(value)
    for _ in range(1000):
        add(value, value)
    assert sys.getrefcount(value) == before


def test_busy_is_what_configure_says(machine: Machine) -> None:
    seen: list[type[BaseException]] = []

    def kill() -> None:
        try:
            machine.instance.kill()
        except Busy as error:
            seen.append(type(error))

    machine.instance.set_imports([(kill, "", "v")])
    machine.call("call_0")
    assert seen == [Busy]
    assert machine.instance.state == _native.IDLE
