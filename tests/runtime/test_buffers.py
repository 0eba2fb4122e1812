"""Buffers, arrays that live inside, and views that outlive their sandbox."""

import array
import contextlib
import gc
import threading
from typing import Any

import numpy as np
import pytest

import tmebox


def test_const_buffers_are_copied_in(calls: tmebox.Sandbox) -> None:
    assert calls.total(np.arange(10, dtype=np.int32), 10) == 45
    assert calls.total(array.array("i", range(10)), 10) == 45
    assert calls.total(np.arange(10, dtype=np.int32).tobytes(), 10) == 45


def test_mutable_buffers_are_updated(calls: tmebox.Sandbox) -> None:
    values = np.ones(4)
    calls.scale(values, 4, 2.5)
    assert values.tolist() == [2.5] * 4
    raw = bytearray(4)
    calls.fill(raw, 4, 7)
    assert raw == b"\7\7\7\7"


def test_in_out_and_inout_say_what_is_copied(calls: tmebox.Sandbox) -> None:
    values = np.ones(4)
    calls.scale(tmebox.In(values), 4, 3.0)
    assert values.tolist() == [1.0] * 4
    calls.scale(tmebox.InOut(values), 4, 3.0)
    assert values.tolist() == [3.0] * 4
    calls.scale(tmebox.Out(values), 4, 3.0)
    assert values.tolist() == [0.0] * 4


COPYING = r"""
void add(double *p, int n, double by) { for (int i = 0; i < n; i++) p[i] += by; }
void both(double *p, double *q, int n) { for (int i = 0; i < n; i++) { p[i] += 1; q[i] += 10; } }
"""


@pytest.mark.parametrize("where", ["ordinary", "in the sandbox", "in its heap", "a part"])
def test_in_out_and_inout_say_so_wherever_the_buffer_is(where: str) -> None:
    module = tmebox.compile(source_text=COPYING)
    with tmebox.SharedHeap("64KiB") as heap, tmebox.Sandbox(module, heap=heap) as box:
        made = {
            "ordinary": np.zeros(4),
            "in the sandbox": box.array(4, np.float64),
            "in its heap": heap.array(4, np.float64, owner=box),
            "a part": box.array(8, np.float64)[2:6],
        }
        values = made[where]
        values[:] = 1.0
        box.add(tmebox.In(values), 4, 3.0)
        assert values.tolist() == [1.0] * 4
        box.add(tmebox.InOut(values), 4, 3.0)
        assert values.tolist() == [4.0] * 4
        box.add(tmebox.Out(values), 4, 3.0)
        assert values.tolist() == [3.0] * 4
        box.both(values, tmebox.In(values), 4)
        assert values.tolist() == [4.0] * 4
        for pair in ((tmebox.Out(values), values), (values[:2], tmebox.Out(values[1:]))):
            with pytest.raises(ValueError, match=r"Out\(\.\.\.\) is zeroed first"):
                box.both(*pair, 1)
        assert values.tolist() == [4.0] * 4


def test_an_array_inside_is_passed_without_a_copy(calls: tmebox.Sandbox) -> None:
    inside = calls.array(1000, np.float64)
    assert inside.flags.writeable
    assert not inside.any()
    inside[:] = 1.0
    calls.scale(inside, 1000, 4.0)
    assert inside.sum() == 4000.0
    part = inside[10:20]
    calls.scale(part, 10, 0.0)
    assert inside.sum() == 3960.0


def test_arrays_of_any_shape_and_type(calls: tmebox.Sandbox) -> None:
    grid = calls.array((3, 4), np.int32)
    assert grid.shape == (3, 4)
    assert grid.dtype == np.int32
    assert calls.array(0).shape == (0,)
    with pytest.raises(TypeError, match="Python objects"):
        calls.array(3, object)
    with pytest.raises(tmebox.LimitError):
        calls.array(1 << 40)


def test_memory_of_dropped_arrays_is_reused(calls: tmebox.Sandbox) -> None:
    for _ in range(200):
        calls.array(4 << 20)[0] = 1


def test_wrong_buffers_are_refused(calls: tmebox.Sandbox) -> None:
    with pytest.raises(TypeError, match="read-only"):
        frozen = np.ones(4)
        frozen.flags.writeable = False
        calls.scale(frozen, 4, 1.0)
    with pytest.raises(TypeError, match="not const"):
        calls.fill(b"1234", 4, 0)
    with pytest.raises(TypeError, match="C-contiguous"):
        calls.scale(np.ones((4, 4)).T[1:], 4, 1.0)
    with pytest.raises(TypeError, match="dtype float32"):
        calls.scale(np.ones(4, np.float32), 4, 1.0)
    with pytest.raises(TypeError, match="buffer"):
        calls.scale(object(), 4, 1.0)
    with pytest.raises(ValueError, match="not a whole number of double"):
        calls.scale(bytearray(15), 1, 1.0)
    with pytest.raises(ValueError, match="not a whole number of struct point"):
        calls.move_point(bytearray(7), 1)


def test_views_that_outlive_their_sandbox_show_zeros(calls_module: tmebox.Module) -> None:
    sandbox = tmebox.Sandbox(calls_module)
    inside = sandbox.array(100_000, np.int64)
    inside[:] = 7
    view = sandbox.memory.view(sandbox.same(inside), 64)
    assert view[0] == 7
    sandbox.close()
    assert not inside.any()
    inside[:] = 9
    assert bytes(view) != b""
    with tmebox.Sandbox(calls_module) as other:
        fresh = other.array(100_000, np.int64)
        assert not fresh.any()
        inside[:] = 11
        assert not fresh.any()
    del inside, view
    gc.collect()


def test_a_view_is_safe_while_sandboxes_come_and_go(calls_module: tmebox.Module) -> None:
    kept = []
    for value in range(50):
        with tmebox.Sandbox(calls_module) as sandbox:
            inside = sandbox.array(1000, np.int32)
            assert not inside.any()
            inside[:] = value
            kept.append(inside)
    assert not any(array.any() for array in kept)


def test_memory_is_bounds_checked(calls: tmebox.Sandbox) -> None:
    offset = calls.same(calls.array(64))
    calls.memory.write(offset, b"hello\0")
    assert calls.memory.read(offset, 5) == b"hello"
    assert calls.memory[offset : offset + 5] == b"hello"
    assert calls.memory.string(offset) == b"hello"
    calls.memory[offset : offset + 2] = b"HE"
    assert calls.memory.string(offset) == b"HEllo"
    for bad_offset, size in (
        (0, 1),
        (1 << 31, 1),
        (offset, 1 << 31),
        ((1 << 32) - 1, 8),
        (-8, 8),
        (offset, -1),
    ):
        with pytest.raises(tmebox.BadPointer):
            calls.memory.read(bad_offset, size)
    with pytest.raises(tmebox.BadPointer, match="read-only"):
        calls.memory.write(tmebox_control_page(), b"\0" * 8)


def tmebox_control_page() -> Any:
    from tmebox import abi

    return abi.CONTROL_PAGE


def test_memory_of_a_closed_sandbox_is_refused(calls_module: tmebox.Module) -> None:
    sandbox = tmebox.Sandbox(calls_module)
    sandbox.close()
    with pytest.raises(tmebox.SandboxClosed):
        sandbox.memory.read(1 << 26, 1)
    with pytest.raises(tmebox.SandboxClosed):
        sandbox.array(1)
    with pytest.raises(tmebox.SandboxClosed):
        sandbox.add(1, 2)
    sandbox.close()


def test_memory_is_not_written_under_a_running_call() -> None:
    module = tmebox.compile(
        source_text="volatile int go; void run(void) { while (!go); } void *at(void) { return (void *)&go; }"
    )
    with tmebox.Sandbox(module, timeout=10.0) as sandbox:
        offset = sandbox.at()
        sandbox.memory.write(offset, b"\0\0\0\0")
        with pytest.raises(TypeError, match="read-only"):
            sandbox.memory.view(offset, 4)[0] = 1
        flag = sandbox.array(1, np.int32)

        def run() -> None:
            with contextlib.suppress(tmebox.Timeout):
                sandbox.call("run", timeout=0.2)

        thread = threading.Thread(target=run)
        thread.start()
        busy = False
        while thread.is_alive() and not busy:
            try:
                sandbox.memory.write(offset, b"\0\0\0\0")
            except tmebox.SandboxBusy:
                busy = True
            except tmebox.SandboxClosed:
                break
        flag[0] = 1
        thread.join()
    assert busy


def test_only_whole_heap_pages_can_be_discarded(calls: tmebox.Sandbox) -> None:
    from tmebox import abi

    page = abi.PAGE_SIZE
    start = int.from_bytes(calls.memory.read(abi.CONTROL_HEAP_START, 8), "little")
    calls.memory.write(start, b"x" * 2 * page)
    calls.memory.discard(start, page)
    assert calls.memory.read(start, 2 * page) == b"\0" * page + b"x" * page
    for offset, size in (
        (abi.CONTROL_PAGE, page),
        (start + 1, page),
        (start, 5),
        (start, 1 << 31),
        (0, page),
    ):
        with pytest.raises(tmebox.BadPointer):
            calls.memory.discard(offset, size)
