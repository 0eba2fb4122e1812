"""The contract between rewriter, linker, verifier, native core and guest libc, in numbers.

This is the one place that knows registers, the window layout and the gate slots. C and assembly get the
same numbers from a header generated from this file (`python -m tmebox.abi HEADER`).

`address` always means a host virtual address, `offset` a position inside a sandbox's window.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

PAGE_SIZE = 4 * KIB

# -- host address space ---------------------------------------------------------------------------
CODE_BASE = 1 * GIB
"""First address of the code region, which holds every module's text."""
CODE_END = 2 * GIB - 64 * KIB
"""End of the code region; equal to TARGET_MAP, so that a map displacement is a positive disp32."""
TARGET_MAP = 0x7FFF_0000
"""The target map has one byte per byte of text: the byte for `address` is at `address + TARGET_MAP`."""
TARGET_MAP_END = TARGET_MAP + 4 * GIB
"""Any zero-extended 32-bit value plus TARGET_MAP is below this; all of it is reserved."""
GATE_BASE = 0x7FFE_0000
"""The gate page, at the top of the code region: the only way out of verified text."""
GATE_SIZE = CODE_END - GATE_BASE
GATE_HOSTCALL = GATE_BASE + 0x00
"""Jumped to with an import's index in r11d and the return address on the sandbox stack."""
GATE_EXIT = GATE_BASE + 0x40
"""Where the outermost sandbox function returns to; a return site in the target map."""
GATES = {"__tmebox_gate_hostcall": GATE_HOSTCALL}
"""Symbols that a direct branch may leave the text to."""
TEXT_NOMINAL = CODE_BASE + 16 * MIB
"""Where the linker places text; the loader moves it to the slot it chooses."""
TEXT_ALIGN = 64 * KIB
TEXT_MAX = 512 * MIB
USUAL_TEXT_SIZE = 256 * MIB
"""The top of the code region up to the gates, in which a module's text has its usual place."""

# -- target map bits ------------------------------------------------------------------------------
TARGET_RETURN = 1
"""The instruction after a call."""
TARGET_FUNCTION = 2
"""Entry of a function that is exported or whose address is taken."""
TARGET_LABEL = 4
"""Jump-table label, computed-goto label or landing pad."""
Isolation = Literal["code+data", "data"]
ISOLATIONS: tuple[Isolation, ...] = ("code+data", "data")
"""Whether code verifies itself where it goes, or its compiler is trusted with that."""
Base = Literal["gs", "r15"]
BASES: tuple[Base, ...] = ("gs", "r15")
"""Where the window's base is while a sandbox runs."""
FORMS = (*BASES, "twin")
"""Sets of rules by which a text goes: see form()."""


def form(base: str, isolation: str) -> str:
    """By which rules such a text goes: "gs", "r15", or "twin", whose stack is out of the window's reach."""
    return "twin" if (base, isolation) == ("gs", "code+data") else base


TARGET_R15_SHIFT = 3
"""The same bits, shifted, mark the targets in code that has its base in r15: such code trusts r15 and r14,
which code that uses gs may change, so neither kind of code can ever arrive in the other."""
TARGET_SHIFTS = {"gs": 0, "r15": TARGET_R15_SHIFT, "twin": 0}
LABEL_MARKS = (0x01, 0x04, 0x05, 0x40, 0x41, 0x44, 0x45, 0x80, 0x81, 0x84, 0x85, 0xC0, 0xC1, 0xC4, 0xC5)
"""With a control stack: what the target map says of a label, by its depth. No check for a function is
satisfied by one of them, and no check of code with its base in r15."""
LABEL_DEPTHS = (0, 8, 24, 56, 88, 120, 152, 184, 216, 248, 312, 440, 824, 1592, 4152)
"""The depths that labels can have which jumps to computed targets may reach: LABEL_MARKS[n] is for
LABEL_DEPTHS[n]."""

TWIN_DISTANCE = (69 << 20) + 0x1840
"""How much higher the lower 32 bits of rsp are than the offset of what rsp points at in the twin. Lines
whose addresses agree in bits 12 to 27 throw each other out of a Zen's cache."""
CONTROL_GUARD = 69 << 20
"""Below what a control stack can have, no access is possible for so many bytes."""

HOLDS_BASE = 64
"""A fact about a register, as module files claim it: it holds the window's base. Facts from 0 to 32 say that
its value is below 2 to the power of that."""

TABLE_ENTRY = 8
"""Bytes of an entry of the tables of jump targets that a text may end with: the address of an instruction."""

# -- window layout (offsets) ----------------------------------------------------------------------
WINDOW_SIZE = 4 * GIB
GUARD = 1 * MIB
"""Never mapped: [0, GUARD), GUARD on either side of 1 GiB and of 2 GiB, and the last GUARD of the window."""
PRIVATE_END = 1 * GIB - GUARD
"""Stack, image and heap lie below; rsp stays below 1 GiB."""
RSP_MASK = 1 * GIB - 1
"""What a rebase leaves of rsp's offset, where the stack lies in the private part."""
ARENA_START = 1 * GIB + GUARD
"""Host arrays, which other host threads may write while the sandbox runs, so that no stack may be there."""
ARENA_FIRST_END = ARENA_START + 16 * KIB
"""What of the arena every window has."""
ARENA_END = 2 * GIB - GUARD
SHARED_START = 2 * GIB + GUARD
"""The shared heap's lines, at the same offsets in all of its sandboxes."""
SHARED_END = 4 * GIB - GUARD
UPPER_RSP_START = 2 * GIB
"""A stack for which the private part is too small lies above the arena, up to SHARED_END, with a heap's
second part below it: there rsp stays in the window's upper half, and no shared heap is mapped."""
UPPER_RSP_MASK = 2 * GIB - 1
"""What a rebase leaves of rsp's offset from UPPER_RSP_START then."""
UPPER_LOWEST = ARENA_START + 256 * MIB
"""A heap that has no room in the private part goes on up to SHARED_END, and begins here or above: the arena
keeps what is below."""
STACK_LOWEST = GUARD + 64 * KIB
"""Nothing of a window is mapped below. The worst case is the window before, with rsp at its last byte after a
rebase: then an access begins within GUARD of this window, and is up to 128 bytes wide."""
STACK_TOP = 64 * MIB + 64 * KIB
"""A stack grows down from here, unless it is too large and ends at PRIVATE_END or SHARED_END; 64 KiB above a
64 MiB boundary so that its first pages share a page-table page with the control page and the image."""
CONTROL_PAGE = STACK_TOP
"""One page, read-only to the sandbox."""
STACK_RANDOM = STACK_TOP - 16
"""16 random bytes, new for every sandbox (what AT_RANDOM is to a process)."""
IMAGE_START = CONTROL_PAGE + PAGE_SIZE
"""First offset of a module's data image (rodata, data, bss); the heap follows it."""

# -- shared heap ----------------------------------------------------------------------------------
SHARED_LINE = 64
"""What has an owner."""
SHARED_PAGE_LINES = PAGE_SIZE // SHARED_LINE
SHARED_KEY_BITS = 15
SHARED_KEYS = 1 << SHARED_KEY_BITS
"""Key 0 is the host's, and of lines that nobody has."""
SHARED_IMPORT = "__tmebox_shared_heap"
"""`long __tmebox_shared_heap(long call, long, long)`: what the functions of <tmebox.h> become."""
SHARED_CALL_ALLOC = 0
SHARED_CALL_FREE = 1
SHARED_CALL_SIZE = 2
SHARED_CALL_TRANSFER = 3
SHARED_CALL_KEY = 4
SHARED_CALL_HANDLE_ALLOC = 5
SHARED_CALL_HANDLE_FREE = 6
SHARED_CALL_PIN = 7
SHARED_CALL_UNPIN = 8
SHARED_CALL_HANDLE_TRANSFER = 9

# -- control page (byte offsets inside it, all fields u64) ----------------------------------------
CONTROL_WINDOW_BASE = CONTROL_PAGE + 0
"""Window base address: `addq %gs:CONTROL_WINDOW_BASE, %rsp` turns an offset into an address."""
CONTROL_HEAP_START = CONTROL_PAGE + 8
CONTROL_HEAP_END = CONTROL_PAGE + 16
CONTROL_STACK_LOW = CONTROL_PAGE + 24
CONTROL_STACK_TOP = CONTROL_PAGE + 32
CONTROL_ZERO = CONTROL_PAGE + PAGE_SIZE - 8
"""Always 0."""
CONTROL_UPPER_START = CONTROL_PAGE + 40
"""The heap's second part; 0 and 0: it has none."""
CONTROL_UPPER_END = CONTROL_PAGE + 48
CONTROL_RSP_MASK = CONTROL_PAGE + 56
"""The bits of rsp that a rebase keeps: RSP_MASK, or UPPER_RSP_MASK."""
CONTROL_RSP_START = CONTROL_PAGE + 64
"""The address that it adds: the window's base, or UPPER_RSP_START above it."""
CONTROL_RSP_LAST = CONTROL_PAGE + 72
"""The largest offset that rsp can have after it."""
CONTROL_PROCESSOR = CONTROL_PAGE + 80
"""PROCESSOR_… bits: what optional code may use here (see `modulefile.file`)."""
PROCESSOR_AVX2 = 1
"""AVX2, and so AVX."""

# -- stack discipline -----------------------------------------------------------------------------
STACK_REACH = 512 * KIB
"""Largest |displacement| of an access through rsp that stays a plain `disp(%rsp)`, and the largest sum
of rsp adjustments between two such accesses. Worst case: rsp at the window's first byte after a rebase
(0), one full adjustment (-512 KiB), one full displacement (-512 KiB): exactly the 1 MiB guard below. Where
rsp stays in the upper half, its last byte is the window's: see STACK_LOWEST. After an access at the largest
displacement rsp itself may be 512 KiB farther: 1.5 MiB, for which the gaps between stacks leave room."""
STACK_EXHAUSTED = GUARD - 8
"""An offset that is never mapped: code accesses it when a frame is larger than what is left below rsp."""
RED_ZONE = 128
SPILL_REGISTER = -136
"""rsp displacement where r11 is kept while a check needs it: just below the red zone."""
SPILL_TARGET = -RED_ZONE
"""Where a checked target is kept, at the red zone's end: no kernel writes there, should a signal come while a
host has taken the alternate stack away. It fits 8 bits, which is how it is encoded."""

R15_REACH = GUARD // 2
"""Largest |displacement| of an access `disp(%r15,%r14)`: r14 is in [0, 4 GiB), the guards catch the rest."""

# -- registers ------------------------------------------------------------------------------------
RESERVED = ("r14", "r15")
"""With the base in r15: r15 holds it, r14 an offset below 4 GiB; the program has neither."""
INTEGER_ARGUMENT_REGISTERS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
VECTOR_ARGUMENT_COUNT = 8

TRAP_REASON = 0x746D_7200
"""Plus a number below 256, in a `movl $…, %eax` behind a `ud2`: which check of a compiler has failed. Only
messages depend on it."""
TRAP_UNPROMISED = 254
"""Such a number: assembly has an instruction there that no sandbox has. clang has no number so high."""

MAX_IMPORTS = 4096
MAX_CALLBACKS = 4096
"""Functions of the host that one sandbox may have by pointer; their numbers follow those of imports."""
SYSCALL_IMPORT = "__tmebox_syscall"
"""`long __tmebox_syscall(long number, const long arguments[6])`: what musl's system calls become."""
SYS_MEMORY_EXHAUSTED = 0x746D_6501
"""System call number by which libc tells the host that a request for arguments[0] bytes found no room."""
SYS_ASSERTION_FAILED = 0x746D_6502
"""The same for assert(), before it calls abort(): offsets of the expression's and the file's text, the line,
and the offset of the function's name. Only messages depend on it."""
SYS_CPU_FEATURES = 0x746D_6503
"""By this one a program learns which of the processor's features its module needs, so that they are there:
arguments[0] is where to put words as cpuid has them, ecx of leaf 1, ebx and ecx of 7, ecx of 0x80000001."""
SYS_ABORT_MESSAGE = 0x746D_6504
"""By this one libc++abi says why it is about to call abort(): arguments[0] is the offset of a text."""
SYS_THREADS_STAND_STILL = 0x746D_6505
"""By this one libc says that no thread can go on, or that one has run over its stack: a STANDING_… number,
the offset of rows of 40 bytes, and how many: the thread's number, its stack pointer's offset, where it waits,
and 16 bytes of name."""
STANDING_DEADLOCK = 0
STANDING_OVERFLOW = 1
STANDING_BELOW = 2
"""A deadlock in which some thread could run, but is in a call that must not return before a later one."""
SYS_CALL_DEPTH = 0x746D_6506
"""How many calls of the host's the sandbox is in: more than one inside host functions that call it again."""
SYS_LONGJMP = 0x746D_6510
"""By this one a program with a control stack goes back to a frame of its own. Arguments, where rsi points:
where rsp is to be, as an offset, in the lower half and the code's address in the upper one; rax and rdx
there."""
SYS_READ_STACK = 0x746D_6511
"""What a control stack holds at the offset in rsi: rax is 0 and rdx the word, or rax is -1."""
SYS_BEGIN_THREAD = 0x746D_6512
"""A control stack for a thread that will begin in the function rsi, and whose stack is [rdx, rcx): its
number, or a negative error number."""
SYS_SWITCH_THREAD = 0x746D_6513
"""Goes on where the thread with the number rsi stands; 0 is the first. rdx 1: the caller has ended."""
SYS_SLICES = 0x746D_6514
"""rsi 1: from now on, where a thread has run for a slice of time, it is interrupted, and thread KEEPER goes
on as if the other had changed to it, but with one more than that one's number in rdx. rsi 0: threads run as
long as they like."""
KEEPER = 1
"""The thread that looks after turns: a sandbox's first one beside the one that was called."""
MOST_FIBERS = 1024
"""Threads of a sandbox that can have a control stack beside the first."""
SYS_CLOCK = 0x746D_6507
"""The time of a clock, where the core tells it: its number is the second argument itself, and seconds and
nanoseconds come back in rax and rdx. Less than 0 in rax: ask by clock_gettime()."""
ARRAYS_MARK = 0x51C2_7A0E_83D9_B64F
"""By this value in a module's data the loader finds the pointer of the first thread's arrays of variable
size. It is replaced by where their memory ends; the word behind it by where that begins."""
KEPT_MARK = 0x2E9D_41B7_F05A_6C83
"""By this value the loader finds what the core puts back where an exception of the host's has ended code that
would have: `struct kept` of the guest's kernel.h, at the end of which it is."""
KEPT_BYTES = 48
EXCEPTIONS_MARK = 0x77C4_0D1E_92AB_583F
"""The same for C++: before it are two words of each thread's, the exceptions that it handles and how many it
throws."""
EXCEPTIONS_BYTES = 16
TASK_NUMBER, TASK_NAME, TASK_NAME_BYTES = 128, 170, 16
"""What the C library has about a thread is where its stack begins: in it, its number, 32 bits, and its
name."""
SYS_DIRECT = 0x746D_0000
"""Added to the number of one of Linux's system calls: its first five arguments follow in registers, its sixth
is 0. The core answers with the result in rax and 0 in rdx. Another rdx: ask with arguments in memory."""
THREAD_ALIGNMENT = 64
"""Thread-local variables of all threads have the same place modulo this."""

STDOUT_MARK = 0x3B5F_0E92_C46D_8A17
"""What libc's stdout is recognized by in a module's data: its `cookie`, for which it has no other use."""
FILE_WPOS, FILE_WBASE, FILE_FD, FILE_COOKIE = 40, 56, 120, 152
"""Offsets in libc's FILE: end and start of what is buffered for writing, its descriptor, its cookie."""


def _header() -> str:
    lines = ["/* Generated from src/tmebox/abi.py; do not edit. */", "#pragma once", ""]
    for name, value in sorted(globals().items()):
        if name.isupper() and isinstance(value, int) and not name.startswith("_"):
            # C takes 0xfff00000 for 32 bits, so that a sum with it wraps round, and 4293918720 for 64.
            text = hex(value) if value >= 0 and not 1 << 31 <= value < 1 << 32 else str(value)
            lines.append(f"#define TMEBOX_{name} {text}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(_header())
