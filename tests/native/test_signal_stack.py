"""The alternate signal stack is whoever sets it last: it is looked at again while sandboxes are called."""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable

import pytest

from tests.forked import ChildOutcome
from tests.native.machine import DATA, Machine, Trapped
from tests.native.test_handlers import trap
from tmebox import _native

Forked = Callable[..., ChildOutcome]
LIBC = ctypes.CDLL(None, use_errno=True)
SS_DISABLE = 2


class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


KEPT: list[object] = []
ADDRESSES: list[int | None] = []


def set_stack(size_bytes: int) -> None:
    """Of this thread; 0: none."""
    memory = ctypes.create_string_buffer(size_bytes) if size_bytes else None
    KEPT.append(memory)
    address = ctypes.addressof(memory) if memory is not None else None
    ADDRESSES.append(address)
    stack = Stack(address, 0 if size_bytes else SS_DISABLE, size_bytes)
    assert LIBC.sigaltstack(ctypes.byref(stack), None) == 0


def wait_for_a_look() -> None:
    """The watchdog's clock goes on while a call runs, here on another thread; then each thread looks once."""
    machine = Machine()
    thread = threading.Thread(target=lambda: spin(machine, 0.1))
    thread.start()
    thread.join()


def spin(machine: Machine, seconds: float) -> None:
    with pytest.raises(Trapped):
        machine.call("spin", timeout_s=seconds)


@pytest.mark.parametrize("size_bytes", [0, 2048, 4096])
@pytest.mark.parametrize("kind", ["load", "spin", "undefined"])
def test_a_stack_that_will_not_do_is_replaced(forked: Forked, size_bytes: int, kind: str) -> None:
    def child() -> list[int]:
        expected = [trap(kind)]
        for _ in range(2):
            set_stack(size_bytes)
            wait_for_a_look()
            expected.append(trap(kind))
        return expected

    wanted = {"load": signal.SIGSEGV, "spin": 0, "undefined": signal.SIGILL}[kind]
    assert forked(child).result() == [wanted] * 3


def test_a_host_function_may_take_the_stack_away(forked: Forked) -> None:
    def child() -> list[int]:
        def take() -> None:
            set_stack(0)
            wait_for_a_look()

        machine = Machine(imports=[(take, "", "v")])
        with pytest.raises(Trapped) as caught:
            machine.call("call_then_spin", timeout_s=1.0)
        return [caught.value.signal, trap("load")]

    assert forked(child).result() == [0, signal.SIGSEGV]


def test_code_that_moves_rsp_by_numbers_has_a_stack_again_after_each_host_function(forked: Forked) -> None:
    """Between the two halves of such a move rsp is any number below 4 GiB."""

    def child() -> list[tuple[int, int]]:
        machine = Machine(imports=[(lambda: set_stack(0), "", "v")])
        found = []
        for _ in range(5):
            with pytest.raises(Trapped) as caught:
                machine.call("call_then_spin", timeout_s=0.05)
            found.append((caught.value.signal, caught.value.code))
            machine.instance.revive()
        return found

    assert forked(child).result() == [(0, 0)] * 5


def test_the_stack_that_a_handler_of_pythons_gives_stays(forked: Forked) -> None:
    """And the one that was there before, which may be gone by then, does not come back."""

    def child() -> tuple[bool, bool]:
        machine, present = Machine(), Stack()
        set_stack(1 << 20)
        machine.call("add", 1, 2)

        def handle(*_: object) -> None:
            set_stack(1 << 20)
            _native.write(machine.base + DATA, b"\7")

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        machine.call("spin_flagged", DATA)
        assert LIBC.sigaltstack(None, ctypes.byref(present)) == 0
        return present.sp == ADDRESSES[-1], present.sp == ADDRESSES[-2]

    assert forked(child).result() == (True, False)


def test_calls_in_between_are_enough_where_the_clock_stands_still(forked: Forked) -> None:
    def child() -> int:
        machine = Machine()
        machine.call("add", 1, 2)
        time.sleep(0.3)  # the watchdog sleeps
        set_stack(0)
        for _ in range(600):
            machine.call("add", 1, 2)
        return trap("load")

    assert forked(child).result() == signal.SIGSEGV


def test_threads_leave_no_mapping_behind(forked: Forked) -> None:
    def child() -> tuple[int, int]:
        def count() -> int:
            with open("/proc/self/maps") as file:
                return len(file.readlines())

        def work() -> None:
            Machine().call("add", 1, 2)
            set_stack(0)

        def rounds(number: int) -> None:
            for _ in range(number):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()

        rounds(20)
        before = count()
        rounds(100)
        return before, count()

    before, after = forked(child).result()
    assert after - before < 20
