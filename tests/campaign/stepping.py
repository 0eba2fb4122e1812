"""Runs a child process instruction by instruction through its sandboxed code, with ptrace."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from tmebox import abi

TRACEME, PEEKTEXT, POKETEXT, CONT, SINGLESTEP, GETREGS, SETREGS = 0, 1, 4, 7, 9, 12, 13
BREAKPOINT = 0xCC
WATCHDOG_SIGNAL = signal.SIGRTMAX - 1
"""As native/threads/handlers.c takes it where nobody has: to a thread that has run for too long."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

_NAMES = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
    "fs_base gs_base ds es fs gs"
)


class Registers(ctypes.Structure):
    """The kernel's struct user_regs_struct."""

    _fields_ = [(name, ctypes.c_uint64) for name in _NAMES.split()]


def ptrace(request: int, process: int, address: int = 0, data: int = 0) -> int:
    ctypes.set_errno(0)
    result = int(_libc.ptrace(request, process, address, data))
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace request {request}: {os.strerror(ctypes.get_errno())}")
    return result


def in_code_region(address: int) -> bool:
    return abi.CODE_BASE <= address < abi.CODE_END


@dataclass
class Ended(Exception):
    """The child is gone. status: as os.waitpid gives it."""

    status: int


class Stepper:
    """The main thread of a forked child. All methods raise Ended when it ends."""

    def __init__(self, body: Callable[[], None]) -> None:
        """body: what the child does, from its first stop (SIGSTOP, sent to itself) on."""
        self.process = os.fork()
        if self.process == 0:
            try:
                ptrace(TRACEME, 0)
                body()
            finally:
                os._exit(99)
        number = self.wait()
        while number != signal.SIGSTOP:
            number = self.go(number)

    def wait(self) -> int:
        """The signal that it stopped for."""
        _, status = os.waitpid(self.process, 0)
        if not os.WIFSTOPPED(status):
            raise Ended(status)
        return os.WSTOPSIG(status)

    def registers(self) -> Registers:
        registers = Registers()
        ptrace(GETREGS, self.process, 0, ctypes.addressof(registers))
        return registers

    def go(self, number: int = 0) -> int:
        """Go on with signal `number`, up to the next stop; its signal."""
        ptrace(CONT, self.process, 0, number)
        return self.wait()

    def go_to_the_end(self) -> NoReturn:
        """Raises Ended. Page faults reach the child."""
        passed = 0
        while True:
            passed = self.go(passed if passed in (signal.SIGSEGV, signal.SIGBUS) else 0)

    def step(self, number: int = 0) -> int:
        """One instruction, or, with a signal, to the first one of its handler. The stop's signal. Where
        another one has come, the instruction has not run."""
        ptrace(SINGLESTEP, self.process, 0, number)
        return self.wait()

    def execute(self) -> int:
        """One instruction, whatever the watchdog wants: its signal is dropped. The stop's signal."""
        while (stopped := self.step()) == WATCHDOG_SIGNAL:
            pass
        return stopped

    def run_to(self, address: int, pass_on: frozenset[int] = frozenset()) -> None:
        """Up to the instruction at `address`, by a breakpoint there that is gone afterwards. Signals in
        `pass_on`, and page faults, reach the child."""
        word = ptrace(PEEKTEXT, self.process, address) & (1 << 64) - 1
        ptrace(POKETEXT, self.process, address, word & ~0xFF | BREAKPOINT)
        number = 0
        while True:
            number = self.go(number)
            registers = self.registers()
            if number == signal.SIGTRAP and registers.rip == address + 1:
                break
            if number not in pass_on | {signal.SIGSEGV, signal.SIGBUS}:
                number = 0
        ptrace(POKETEXT, self.process, address, word)
        registers.rip = address
        ptrace(SETREGS, self.process, 0, ctypes.addressof(registers))

    def kill(self) -> None:
        try:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
