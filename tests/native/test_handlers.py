"""Other people's signal handlers: chained to, kept off sandbox stacks, put back."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.native.machine import Machine, Trapped
from tmebox import _native

SA_ONSTACK = 0x0800_0000
SA_SIGINFO = 4
LIBC = ctypes.CDLL(None, use_errno=True)
Forked = Callable[..., Any]


class KernelAction(ctypes.Structure):
    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("restorer", ctypes.c_void_p),
        ("mask", ctypes.c_uint64),
    ]


def action(number: int) -> KernelAction:
    present = KernelAction()
    assert LIBC.syscall(13, number, None, ctypes.byref(present), 8) == 0
    return present


def set_action(number: int, new: KernelAction) -> None:
    assert LIBC.syscall(13, number, ctypes.byref(new), None, 8) == 0


def crash() -> None:
    ctypes.string_at(8)


def trap(name: str = "undefined") -> int:
    try:
        Machine(timeout_s=0.05).call(name)
    except Trapped as caught:
        return caught.signal
    return -1


def start_afresh() -> None:
    """No handlers of ours, and none of pytest's."""
    _native.remove_handlers()
    faulthandler.disable()


def test_a_crash_of_the_host_itself_still_kills(forked: Forked) -> None:
    def child() -> None:
        start_afresh()
        trap()
        crash()

    assert forked(child).signal == signal.SIGSEGV


@pytest.mark.parametrize(
    "number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP]
)
def test_a_fatal_signal_sent_by_someone_still_kills(forked: Forked, number: int) -> None:
    def child() -> None:
        start_afresh()
        trap()
        os.kill(os.getpid(), number)

    assert forked(child).signal == number


def test_an_ignored_fatal_signal_stays_ignored_when_sent_and_kills_when_real(forked: Forked) -> None:
    def child() -> None:
        start_afresh()
        signal.signal(signal.SIGSEGV, signal.SIG_IGN)
        _native.install_handlers()
        os.kill(os.getpid(), signal.SIGSEGV)
        assert trap("load") == signal.SIGSEGV
        crash()

    assert forked(child).signal == signal.SIGSEGV


@pytest.mark.parametrize("when", ["before", "after", "after and then ours again"])
def test_faulthandler_reports_a_crash_of_the_host_once(forked: Forked, when: str) -> None:
    with tempfile.TemporaryFile() as report:

        def child() -> None:
            start_afresh()
            if when == "before":
                faulthandler.enable(report)
            assert trap() == signal.SIGILL
            if when != "before":
                faulthandler.enable(report)
            if when == "after and then ours again":
                _native.install_handlers()
                assert trap("load") == signal.SIGSEGV
            crash()

        outcome = forked(child)
        report.seek(0)
        written = report.read()
    assert outcome.signal == signal.SIGSEGV
    assert written.count(b"Fatal Python error: Segmentation fault") == 1


def test_a_trap_never_reaches_an_earlier_handler(forked: Forked) -> None:
    def child() -> list[int]:
        with tempfile.TemporaryFile() as report:
            faulthandler.enable(report)
            signals = [trap("load"), trap("halt"), trap("undefined"), trap("spin")]
            report.seek(0, os.SEEK_END)
            return [*signals, report.tell()]

    assert forked(child).result() == [11, 11, 4, 0, 0]


def test_a_foreign_handler_without_its_own_stack_gets_one(forked: Forked) -> None:
    callback_type = ctypes.CFUNCTYPE(None, ctypes.c_int)

    def child() -> list[bool]:
        called: list[int] = []
        callback = callback_type(called.append)
        _native.install_handlers()
        LIBC.signal.argtypes = [ctypes.c_int, callback_type]
        LIBC.signal(signal.SIGUSR1, callback)
        without = action(signal.SIGUSR1).flags & SA_ONSTACK
        handler = action(signal.SIGUSR1).handler
        _native.install_handlers()
        after = action(signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        return [
            without == 0,
            after.flags & SA_ONSTACK != 0,
            after.handler == handler,
            called == [signal.SIGUSR1],
        ]

    assert forked(child).result() == [True] * 4


def test_a_foreign_handler_that_appears_during_a_long_call_gets_its_own_stack_too(forked: Forked) -> None:
    def child() -> bool:
        machine = Machine(imports=[(_replace_usr1_handler, "", "v")])
        with pytest.raises(Trapped):
            machine.instance.call(machine.address("call_then_spin"), (), (), b"", 0.2)
        return action(signal.SIGUSR1).flags & SA_ONSTACK != 0

    assert forked(child).result() is True


def _replace_usr1_handler() -> None:
    plain = KernelAction.from_buffer_copy(bytes(action(signal.SIGINT)))
    plain.handler = ctypes.cast(LIBC.getpid, ctypes.c_void_p).value
    plain.flags &= ~(SA_ONSTACK | SA_SIGINFO)
    set_action(signal.SIGUSR1, plain)


def test_the_c_librarys_internal_handlers_use_their_own_stack_too(forked: Forked) -> None:
    """glibc runs signal 33 on every thread when one calls setuid(), and installs it at the first such."""

    def child() -> list[int]:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        os.setuid(os.getuid())
        _native.install_handlers()
        handled = [n for n in (32, 33) if (action(n).handler or 0) > signal.SIG_IGN]
        return [n for n in handled if not action(n).flags & SA_ONSTACK]

    assert forked(child).result() == []


def test_removing_puts_every_handler_back(forked: Forked) -> None:
    def child() -> list[int]:
        trap("spin")  # the first threads of a process make the C library install handlers of its own
        _native.remove_handlers()
        before = [bytes(action(n))[:8] for n in range(1, 65)]
        assert not _native.handlers_installed()
        _native.install_handlers()
        assert _native.handlers_installed()
        assert trap("spin") == 0
        _native.remove_handlers()
        after = [bytes(action(n))[:8] for n in range(1, 65)]
        return [n + 1 for n in range(64) if before[n] != after[n]]

    assert forked(child).result() == []


def test_a_call_after_removal_installs_the_handlers_again(forked: Forked) -> None:
    def child() -> list[int]:
        trap()
        _native.remove_handlers()
        return [trap("load"), trap("spin")]

    assert forked(child).result() == [signal.SIGSEGV, 0]


def test_replaced_handlers_are_noticed_and_installed_again(forked: Forked) -> None:
    def child() -> list[object]:
        trap()
        signal.signal(signal.SIGILL, signal.SIG_DFL)
        noticed = not _native.handlers_installed()
        _native.install_handlers()
        return [noticed, _native.handlers_installed(), trap("undefined")]

    assert forked(child).result() == [True, True, signal.SIGILL]


def test_handlers_replaced_during_a_call_are_back_for_the_next_one(forked: Forked) -> None:
    def child() -> list[int]:
        start_afresh()
        with tempfile.TemporaryFile() as report:
            machine = Machine(imports=[(lambda: faulthandler.enable(report), "", "v")])
            with pytest.raises(Trapped):
                machine.call("call_then_spin", timeout_s=0.2)
            return [trap("load"), trap("undefined"), report.tell()]

    assert forked(child).result() == [signal.SIGSEGV, signal.SIGILL, 0]


def test_a_signal_stack_that_is_large_enough_is_kept(forked: Forked) -> None:
    class Stack(ctypes.Structure):
        _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

    def child() -> list[bool]:
        kept: list[bool] = []

        def run(size_bytes: int) -> None:
            memory = ctypes.create_string_buffer(size_bytes)
            own = Stack(ctypes.addressof(memory), 0, size_bytes)
            assert LIBC.sigaltstack(ctypes.byref(own), None) == 0
            assert trap("load") == signal.SIGSEGV
            present = Stack()
            LIBC.sigaltstack(None, ctypes.byref(present))
            kept.append(present.sp == own.sp)
            LIBC.sigaltstack(ctypes.byref(Stack(None, 2, 0)), None)

        for size_bytes in (256 * 1024, 12 * 1024):
            thread = threading.Thread(target=run, args=(size_bytes,))
            thread.start()
            thread.join()
        return kept

    assert forked(child).result() == [True, False]


@pytest.mark.parametrize(
    "daemon", ["Machine().call('spin_flagged', DATA)", "Machine([(int, '', 'l')]).call('spin_calling')"]
)
@pytest.mark.parametrize("ending", ["pass", "sys.exit(3)", "os._exit(3)"])
def test_the_interpreter_ends_quietly_while_a_daemon_thread_is_in_a_call(daemon: str, ending: str) -> None:
    program = (
        "import os, sys, threading\n"
        "from tests.native.machine import DATA, Machine\n"
        "Machine(timeout_s=5.0).call('add', 1, 2)\n"
        f"threading.Thread(target=lambda: {daemon}, daemon=True).start()\n"
        f"{ending}\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0 if ending == "pass" else 3, b"")
