"""A host function takes the thread's alternate signal stack away: the next handler's frame is where rsp was.
What was checked is not where such frames are, and after a handler of the core's or Python's the call ends."""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox import abi

Forked = Callable[..., ChildOutcome]
LIBC = ctypes.CDLL(None, use_errno=True)
SS_DISABLE = 2
TIMEOUT_S = 0.2
MESSAGE = "no stack for signal handlers"
REGISTERS = [
    "rax",
    "rbx",
    "rcx",
    "rdx",
    "rsi",
    "rdi",
    "rbp",
    *(f"r{number}" for number in range(8, 16)),
    "rax",
]
SOURCE = f"""
int take(void);
void spin(void);
__asm__(".text\\n .globl spin\\n .type spin, @function\\n spin: jmp *table(%rip)\\n again:"
        "{"".join(f"addq %{first}, %{second};" for first, second in pairwise(REGISTERS))}"
        "jmp *table(%rip)\\n .size spin, .-spin\\n .data\\n table: .quad again\\n .text");
void go(int deep) {{
    if (deep == 0) {{
        take();
        spin();
    }} else
        go(deep - 1);
    __asm__ volatile("");
}}
"""
"""All registers are in use at the jumps, so checked targets are kept in memory. Frames lie at multiples of 64
bytes: how deep they begin decides what is where."""


class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def take_stack_away() -> None:
    assert LIBC.sigaltstack(ctypes.byref(Stack(None, SS_DISABLE, 0)), None) == 0


def outcomes(module: tmebox.Module, rounds: int) -> set[str]:
    """Of calls on this thread that are sent signals once the stack is away, just after the core looked."""
    found = set()
    for turn in range(rounds):
        me, end = threading.get_ident(), threading.Event()
        taken: list[float] = []

        def send(me: int = me, taken: list[float] = taken, end: threading.Event = end) -> None:
            while not end.wait(0.0005):
                if taken:
                    signal.pthread_kill(me, signal.SIGALRM)

        def take(taken: list[float] = taken) -> int:
            take_stack_away()
            taken.append(time.monotonic())
            return 0

        sender = threading.Thread(target=send)
        sender.start()
        with tmebox.Sandbox(module, imports={"take": take}, timeout=TIMEOUT_S) as sandbox:
            try:
                sandbox.go(turn % 8)
            except tmebox.Trap as trap:
                when = "at once" if time.monotonic() - taken[0] < TIMEOUT_S / 2 else "late"
                found.add(f"{when}: {type(trap).__name__}: {trap}")
        end.set()
        sender.join()
    return found


def on_a_thread(function: Callable[[], set[str]]) -> set[str]:
    found: set[str] = set()
    thread = threading.Thread(target=lambda: found.update(function()))
    thread.start()
    thread.join()
    return found


@pytest.mark.parametrize("is_main", [True, False])
def test_after_a_handler_of_pythons_the_call_ends(
    forked: Forked, module: tmebox.Module, is_main: bool
) -> None:
    def child() -> set[str]:
        signal.signal(signal.SIGALRM, lambda *_: None)
        with (  # the watchdog finds the handler
            tmebox.Sandbox(module, imports={"take": lambda: 0}, timeout=0.1) as sandbox,
            pytest.raises(tmebox.Timeout),
        ):
            sandbox.go(0)
        return outcomes(module, 8) if is_main else on_a_thread(lambda: outcomes(module, 8))

    found = forked(child).result()
    assert "at once: StackOverflow" in " ".join(found), found
    assert all(MESSAGE in one or "Timeout" in one for one in found), found


def test_what_was_checked_is_not_where_frames_are(forked: Forked, module: tmebox.Module) -> None:
    """A handler of C's, of which the core knows nothing, comes back to the sandbox."""

    def child() -> set[str]:
        LIBC.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        LIBC.signal(signal.SIGALRM, ctypes.cast(LIBC.labs, ctypes.c_void_p))
        return outcomes(module, 24)

    found = forked(child).result()
    assert found
    assert all(MESSAGE in one or "Timeout" in one for one in found), found


def test_the_kernels_frames_begin_below_it() -> None:
    assert -abi.RED_ZONE <= abi.SPILL_TARGET <= -8
