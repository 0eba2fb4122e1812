"""Columns: what goes into a sandbox without copies, and what of a hostile one's columns the host believes."""

from __future__ import annotations

import ctypes
import gc
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox.runtime import arrow, columns

SOURCE = Path(__file__).with_name("columns.c")


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(SOURCE)


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[tmebox.Sandbox]:
    with tmebox.Sandbox(module, timeout=60) as box:
        yield box


@pytest.fixture(scope="module")
def pa() -> Any:
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed: its arrays are not tried")


def total(box: tmebox.Sandbox, column: Any) -> float:
    return float(box.total(column.values, column.validity, len(column)))


def test_a_column_of_numpys_is_copied_once_and_then_never(box: tmebox.Sandbox) -> None:
    with box.column(np.arange(1000.0)) as column:
        assert total(box, column) == 499500
        column.values[0] = 1
        assert total(box, column) == 499501
        again = box.column(column.values)
        assert again.values is column.values
        assert column.to_numpy() is column.values


def test_what_lies_in_the_sandbox_or_its_heap_stays_there(module: tmebox.Module) -> None:
    with tmebox.SharedHeap("1MiB") as heap, tmebox.Sandbox(module, heap=heap) as box:
        for array in (box.array(50, np.float64), heap.array(50, np.float64, owner=box)):
            array[:] = 3
            assert total(box, box.column(array)) == 150
            assert box.column(array).values is array


def test_slices_with_gaps_are_copied(box: tmebox.Sandbox) -> None:
    array = box.array(100, np.float64)
    array[:] = np.arange(100)
    assert total(box, box.column(array[::10])) == 450
    assert total(box, box.column(array[50:60])) == 545
    assert total(box, box.column(array[::-1])) == 4950
    assert total(box, box.column(np.zeros(0))) == 0


def test_results_come_back_without_copies(box: tmebox.Sandbox) -> None:
    result = box.empty_column(100, np.float64, nullable=True)
    assert len(result) == 100 and result.validity is not None and bytes(result.validity)[:12] == b"\xff" * 12
    seen = result.to_numpy()
    box.twice(np.arange(100.0), result.values, 100)
    assert seen[99] == 198 and box.empty_column(0, np.int8).to_numpy().size == 0


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 2)), np.zeros(3, complex), np.array(["a"]), [object()], "text"]
)
def test_what_is_no_column_is_refused(box: tmebox.Sandbox, wrong: Any) -> None:
    with pytest.raises(TypeError, match="one dimension and items that are numbers"):
        box.column(wrong)


def test_a_closed_column_says_so_and_its_memory_is_used_again(box: tmebox.Sandbox) -> None:
    column = box.column(np.zeros(1000))
    place = column.values.ctypes.data
    column.close()
    column.close()
    with pytest.raises(ValueError, match="was closed"):
        column.values  # noqa: B018
    gc.collect()
    assert box.column(np.zeros(1000)).values.ctypes.data == place
    assert "closed" in repr(column)
    with pytest.raises(TypeError):
        pickle.dumps(box.column(np.zeros(1)))


def test_a_column_outlives_its_sandbox_as_zeros(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as box:
        column = box.column(np.ones(10))
    assert not column.to_numpy().any()
    with pytest.raises(tmebox.SandboxClosed):
        box.column(np.ones(10))


# -- Arrow -------------------------------------------------------------------------------------------------


def test_arrow_numbers_with_and_without_nulls(box: tmebox.Sandbox, pa: Any) -> None:
    random = np.random.default_rng(3)
    for count in (0, 1, 7, 8, 9, 1000):
        array = pa.array(random.random(count), mask=random.random(count) < 0.3)
        for part in (array, array.slice(1), array.slice(3, 5), array.slice(8), array.drop_null()):
            column = box.column(part)
            assert total(box, column) == pytest.approx(sum(v for v in part.to_pylist() if v is not None))
            assert column.to_arrow().equals(part)


TYPES = """
int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 date32 date64 time32[ms] time64[us]
timestamp[us,UTC] timestamp[s] duration[ns] bool string binary large_string large_binary
"""


@pytest.mark.parametrize("name", TYPES.split())
def test_every_type_comes_back_as_it_went(box: tmebox.Sandbox, pa: Any, name: str) -> None:
    kind = pa.timestamp("us", tz="UTC") if "UTC" in name else pa.type_for_alias(name)
    plain = [0, 1, None, 3, 4, 5, 6, 7, 8, None, 10, 11]
    if "string" in name or "binary" in name:
        array = pa.array([None if v is None else "ä" * v for v in plain]).cast(kind)
    elif name in ("bool", "float16"):
        make = np.float16 if name == "float16" else bool
        array = pa.array([None if v is None else make(v) for v in plain], kind)
    else:
        width = pa.int32() if name in ("date32", "time32[ms]") else pa.int64()
        array = pa.array([None if v is None else v * (86_400_000 if name == "date64" else 1) for v in plain])
        array = (
            array.cast(width).cast(kind)
            if not name.startswith(("int", "uint", "float"))
            else array.cast(kind)
        )
    for part in (array, array.slice(1), array.slice(5, 6), array.slice(12)):
        back = box.column(part).to_arrow()
        back.validate(full=True)
        assert back.type == kind and back.equals(part)


def test_texts_and_booleans_as_sandboxed_code_sees_them(box: tmebox.Sandbox, pa: Any) -> None:
    texts = pa.array(["banana", None, "", "ananas"])
    for part, expected in ((texts, 6), (texts.slice(2), 3)):
        column = box.column(part)
        assert box.letters(column.values, column.offsets, len(column), ord("a")) == expected
    bits = box.column(pa.array([True, False, True] * 9).slice(4, 20))
    assert box.bits(bits.values, len(bits)) == 13


def test_numbers_come_back_to_arrow_without_copies(box: tmebox.Sandbox, pa: Any) -> None:
    result = box.empty_column(100, np.float64)
    arrow = result.to_arrow()
    assert arrow.buffers()[1].address == result.values.ctypes.data
    box.twice(np.arange(100.0), result.values, 100)
    assert arrow[99].as_py() == 198


def test_nested_arrays_are_refused(box: tmebox.Sandbox, pa: Any) -> None:
    for array in (
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array(["a", "a"]).dictionary_encode(),
        pa.nulls(3),
    ):
        with pytest.raises(TypeError, match="an Arrow array of format"):
            box.column(array)


# -- what sandboxed code says ------------------------------------------------------------------------------


def test_columns_that_sandboxed_code_made(box: tmebox.Sandbox, pa: Any) -> None:
    numbers = box.column_at(box.numbers_at(), 4, np.float64, validity=box.there_at())
    assert numbers.to_arrow().to_pylist() == [1, 2, None, 4]
    assert not numbers.values.flags.writeable
    texts = box.column_at(box.text_at(), 3, "utf8", offsets=box.offsets_at())
    assert texts.to_arrow().to_pylist() == ["hello", "big", "world"]


def test_hostile_places_and_lengths_are_exceptions(module: tmebox.Module) -> None:
    def attack() -> int:
        refused = 0
        with tmebox.Sandbox(module) as box:
            place, begins = box.numbers_at(), box.offsets_at()
            far = (
                0,
                1,
                -8,
                place + 1,
                1 << 30,
                1 << 31,
                (1 << 32) - 8,
                1 << 32,
                1 << 63,
                -(1 << 63),
                1 << 70,
            )
            for offset in far:
                for count in (1, 4, 1 << 20, (1 << 32) - 1):
                    for more in ({}, {"validity": offset}, {"validity": place}):
                        with pytest.raises((IndexError, OverflowError)):
                            box.column_at(offset, count, np.float64, **more)
                        refused += 1
                with pytest.raises((IndexError, ValueError, OverflowError)):
                    box.column_at(place, 3, "utf8", offsets=offset)
            for count in (-1, 1 << 29, 1 << 32, 1 << 62, 1 << 64):
                with pytest.raises((IndexError, OverflowError)):
                    box.column_at(place, count, np.float64)
                with pytest.raises((IndexError, ValueError, OverflowError)):
                    box.column_at(box.text_at(), count, "utf8", offsets=begins)
            for kind in ("utf16", "object", np.complex128, bool):
                with pytest.raises(TypeError):
                    box.column_at(place, 1, kind)
        return refused

    assert run_forked(attack).result() == 132


@pytest.mark.parametrize("kind", ["utf8", "binary"])
def test_offsets_that_change_later_stop_what_would_follow_them(module: tmebox.Module, kind: str) -> None:
    """A column was good when it was made; what Arrow then relies on is checked, and its own."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: its arrays are not tried")

    def attack() -> str:
        with tmebox.Sandbox(module) as box:
            column = box.column_at(box.text_at(), 3, kind, offsets=box.offsets_at())
            good = column.to_arrow()
            for index, offset in ((0, -5), (3, (1 << 31) - 1), (3, 14), (2, 1), (1, -(1 << 31))):
                box.move_text(index, offset)
                with pytest.raises(ValueError, match="do not ascend"):
                    column.to_arrow()
                box.reset()
            box.move_text(1, -1)
            box.write_there(0)
            good.validate(full=True)
            return str(good[1].as_py())

    assert "big" in run_forked(attack).result()


def test_texts_that_are_none_any_more_are_refused(box: tmebox.Sandbox, pa: Any) -> None:
    column = box.column_at(box.text_at(), 3, "utf8", offsets=box.offsets_at())
    good = column.to_arrow()
    box.write_text(2, 0xFF)
    with pytest.raises(ValueError):
        column.to_arrow()
    good.validate(full=True)
    assert good[0].as_py() == "hello"


def test_bitmaps_that_change_later_are_not_what_arrow_has(box: tmebox.Sandbox, pa: Any) -> None:
    """It counts their bits once, and takes as much room as that."""
    arrow = box.column_at(box.numbers_at(), 4, np.float64, validity=box.there_at()).to_arrow()
    assert arrow.null_count == 1
    box.write_there(0)
    assert arrow.drop_null().to_pylist() == [1, 2, 4]


class TextsOf:
    """As a library's array of texts over buffers that it was given."""

    def __init__(self, offsets: Any, texts: Any) -> None:
        self.kept = offsets, texts
        self.buffers = (ctypes.c_void_p * 3)(None, offsets.ctypes.data, texts.ctypes.data)
        self.schema, self.array = arrow._Schema(), arrow._Array()
        self.schema.format = b"U"
        self.array.length, self.array.n_buffers = len(offsets) - 1, 3
        self.array.buffers = ctypes.cast(self.buffers, ctypes.POINTER(ctypes.c_void_p))

    def __arrow_c_array__(self) -> tuple[Any, Any]:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return (
            new(ctypes.addressof(self.schema), b"arrow_schema", None),
            new(ctypes.addressof(self.array), b"arrow_array", None),
        )


@pytest.mark.parametrize("where", ["window", "another window", "heap", "another heap", "a closed sandbox"])
def test_offsets_of_texts_that_sandboxed_code_may_write_are_not_believed(where: str) -> None:
    """They would be an address of the host's, and how much of it is copied into the sandbox."""
    module = tmebox.compile(source_text="int f(void) { return 1; }")
    heap = tmebox.SharedHeap("1MiB") if "heap" in where else None
    with tmebox.Sandbox(module, heap=heap) as first, tmebox.Sandbox(module) as second:
        made = first.array(3, np.int64) if heap is None else heap.array(3, np.int64, owner=first)
        sandbox = first if where in ("window", "heap") else second
        if where == "a closed sandbox":
            first.close()
        offsets, texts = made, np.frombuffer(b"onetwo", np.uint8)
        offsets[:] = 0, 3, 6
        with pytest.raises(TypeError, match="a copy of them"):
            sandbox.column(TextsOf(offsets, texts))
        column = sandbox.column(TextsOf(offsets.copy(), texts))
        assert column._parts is not None and bytes(column._parts[0]) == b"onetwo"


def test_offsets_are_judged_while_other_threads_make_heaps() -> None:
    ends = threading.Event()

    def make() -> None:
        while not ends.is_set():
            made = [tmebox.SharedHeap("64KiB") for _ in range(8)]
            del made

    kept = [tmebox.SharedHeap("64KiB") for _ in range(20)]
    before = sys.getswitchinterval()
    thread = threading.Thread(target=make)
    try:
        sys.setswitchinterval(1e-6)
        thread.start()
        for _ in range(3000):
            assert not columns._is_shared(0x1234)
            assert columns._is_shared(kept[0].host_address)
    finally:
        ends.set()
        thread.join()
        sys.setswitchinterval(before)
