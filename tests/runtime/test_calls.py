"""Calling exports: every type, its limits, and what is said when an argument is wrong."""

import inspect
import math
from typing import Any

import pytest

import tmebox


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_integers_of_every_width_go_both_ways_at_their_limits(calls: tmebox.Sandbox, bits: Any) -> None:
    for value in (-(1 << bits - 1), -1, 0, 1, (1 << bits - 1) - 1):
        assert getattr(calls, f"echo_i{bits}")(value) == value
    for value in (0, 1, (1 << bits) - 1):
        assert getattr(calls, f"echo_u{bits}")(value) == value


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_integers_out_of_range_are_refused_by_name(calls: tmebox.Sandbox, bits: Any) -> None:
    with pytest.raises(OverflowError, match="argument 1"):
        getattr(calls, f"echo_i{bits}")(1 << bits - 1)
    with pytest.raises(OverflowError, match="argument 1"):
        getattr(calls, f"echo_u{bits}")(-1)


def test_floats_bools_enums_and_void(calls: tmebox.Sandbox) -> None:
    assert calls.half(3.0) == 1.5
    assert calls.twice(0.1) == 0.2
    assert calls.twice(3) == 6.0
    assert math.isnan(calls.twice(math.nan))
    assert calls.negate(True) is False
    assert calls.negate(False) is True
    assert calls.paint(0) == 5
    assert calls.nothing() is None


def test_more_arguments_than_registers(calls: tmebox.Sandbox) -> None:
    assert calls.sum8(1, 2, 3, 4, 5, 6, 7, 8) == 204
    values = [1, 2.5, 3, 0.5, 5, 6.25, 7, 8, 9, 10, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]
    assert calls.mix(*values) == sum(values)


def test_structs_by_value(calls: tmebox.Sandbox) -> None:
    assert calls.flip((1, -2)) == (-2, 1)
    assert calls.flip({"x": 3, "y": 4}).x == 4
    assert calls.grow((1.5, 40)) == (2.5, 42)
    assert calls.swap((1.0, 2.0)) == (2.0, 1.0)
    assert calls.big_twice(((1, 2, 3, 4, 5),)).v == (2, 4, 6, 8, 10)
    assert calls.tag(((7, 8), 9)) == ((-7, 8), 10)


def test_structs_by_pointer(calls: tmebox.Sandbox) -> None:
    point = {"x": 1, "y": 2}
    calls.move_point(point, 10)
    assert point == {"x": 11, "y": 2}
    assert calls.point_sum((20, 22)) == 42


def test_wrong_struct_values_say_what_is_wrong(calls: tmebox.Sandbox) -> None:
    with pytest.raises(TypeError, match="no field 'z'"):
        calls.flip({"x": 1, "z": 2})
    with pytest.raises(TypeError, match="2 fields"):
        calls.flip((1, 2, 3))
    with pytest.raises(OverflowError):
        calls.flip((1 << 31, 0))


def test_strings_in_and_out(calls: tmebox.Sandbox) -> None:
    assert calls.length("grün") == 5
    assert calls.length(b"bytes") == 5
    assert calls.name(1) == "sandboxed é"
    assert calls.name(0) == ""
    assert calls.name(-1) is None


def test_wrong_counts_and_types_raise_type_errors(calls: tmebox.Sandbox) -> None:
    with pytest.raises(TypeError, match=r"add\(\) takes 2 arguments \(a, b\), 1 given"):
        calls.add(1)
    with pytest.raises(TypeError, match="3 given"):
        calls.add(1, 2, 3)
    with pytest.raises(TypeError, match="expected an integer, got str"):
        calls.add("1", 2)
    with pytest.raises(TypeError, match="expected an integer, got float"):
        calls.add(1.0, 2)
    with pytest.raises(TypeError, match="expected a float"):
        calls.twice("1.0")


def test_keyword_arguments_are_the_parameters_of_the_source(calls: tmebox.Sandbox) -> None:
    assert calls.add(b=3, a=4) == 7
    assert calls.add(3, b=4) == 7
    with pytest.raises(TypeError, match="unexpected"):
        calls.add(1, 2, c=3)


def test_signatures_are_visible_to_inspect_and_help(calls: tmebox.Sandbox) -> None:
    assert str(inspect.signature(calls.add)) == "(a: int, b: int) -> int"
    assert "int add(int a, int b)" in inspect.getdoc(calls.add)  # type: ignore[operator]
    assert "add" in dir(calls)


def test_an_unknown_export_names_those_there_are(calls: tmebox.Sandbox) -> None:
    with pytest.raises(AttributeError, match=r"exports no function 'subtract'.*add"):
        calls.subtract(1, 2)


def test_call_by_name_and_raw(calls: tmebox.Sandbox) -> None:
    assert calls.call("add", 3, 4) == 7
    assert calls.call("add", 3, b=4) == 7
    assert calls.call("add", 3, 4, timeout=1.0) == 7
    assert calls.call_raw("add", 3, 4) == 7


def test_globals_live_as_long_as_the_sandbox_and_are_its_own(
    calls: tmebox.Sandbox, calls_module: tmebox.Module
) -> None:
    import tmebox

    assert [calls.count() for _ in range(3)] == [1, 2, 3]
    with tmebox.Sandbox(calls_module) as other:
        assert other.count() == 1
    assert calls.count() == 4


def test_pointers_are_offsets_and_nothing_else(calls: tmebox.Sandbox) -> None:
    assert calls.same(0x12345) == 0x12345
    assert calls.same(None) == 0
    assert calls.same(-1) == 2**32 - 1  # a void *: C libraries give it a meaning
    for bad in (-2, 1 << 32, -(1 << 63)):
        with pytest.raises(OverflowError, match="not an offset"):
            calls.same(bad)
