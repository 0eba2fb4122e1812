"""One instruction at a time on this processor, in a state of registers and of the FPU that a test chooses.

What it does is noted: the signal it raised, or the registers after it. Only for forked children: it takes
over their signal handlers.
"""

from __future__ import annotations

import ctypes
import mmap
import signal
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from iced_x86 import Decoder

DATA = 0xC00
"""Where, in the page, the words are that the code reads and notes."""
BEFORE, FLAGS, COMPLETED, SIGNAL, FAULT, STATE, GIVEN, REGISTERS = 0, 2, 3, 4, 5, 6, 16, 32
"""Slots of 8 bytes: the harness' own rsp, what is noted, MXCSR; 16 registers before and 16 after."""
USUAL_MXCSR = 0x1F80
RSP_NUMBER = 4
SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)
SA_SIGINFO, SA_ONSTACK, SA_NODEFER = 4, 0x0800_0000, 0x4000_0000
CONTEXT_RIP = 168
"""Offset of rip in a ucontext_t."""
SIGINFO_ADDRESS = 16
EMPTY_WINDOW = 16 << 20

_RESET, _ONE, _CONTROL, _EXCHANGE = ("dbe3", ""), ("d9e8", ""), ("d92d", "unmasked"), ("d9c9", "")
X87_STATES = {  # fninit, fld1, fldcw, fxch, fldt
    "as reset": [_RESET],
    "unmasked": [_RESET, _CONTROL],
    "unmasked and full": [_RESET, *[_ONE] * 8, _CONTROL],
    "unmasked with a signalling NaN": [_RESET, ("db2d", "nan"), _CONTROL],
    "unmasked with a huge number": [_RESET, ("db2d", "huge"), _CONTROL],
    "unmasked with a tiny number": [_RESET, ("db2d", "tiny"), _CONTROL],
    "with an exception pending": [_RESET, _EXCHANGE, _CONTROL],
}
"""Opcodes, and what each loads."""
MXCSR_STATES = {
    "masked": 0x1F80,
    "unmasked": 0,
    "unmasked, all flagged": 0x3F,
    "flushing, rounding up, denormals are zeros": 0xDFC0,
}
_OPERANDS = {
    "unmasked": struct.pack("<H", 0x340),
    "nan": bytes.fromhex("01000000000000 80 ff7f"),
    "huge": bytes.fromhex("ffffffffffffffff fe7f"),
    "tiny": bytes.fromhex("0100000000000080 0100"),
}
_OPERANDS_AT = {name: DATA + 0x200 + 16 * number for number, name in enumerate(_OPERANDS)}


def _relative(opcode: str, target: int, position: int) -> bytes:
    """`opcode` with a rip-relative operand at `target`, as it is encoded at `position` of the page."""
    head = bytes.fromhex(opcode)
    return head + (target - position - len(head) - 4).to_bytes(4, "little", signed=True)


def _slot(number: int) -> int:
    return DATA + 8 * number


@dataclass(frozen=True)
class State:
    """registers: rax to r15 as encodings number them; rsp among them."""

    registers: Sequence[int]
    x87: str = "as reset"
    mxcsr: str = "masked"


@dataclass(frozen=True)
class Outcome:
    """signal: 0 if the instruction completed. address: what the kernel says was accessed, if one was raised.
    registers, flags: afterwards, if it completed."""

    signal: int
    address: int
    registers: tuple[int, ...] = field(default=())
    flags: int = 0


class _Action(ctypes.Structure):
    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


class _Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


class Processor:
    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._function = ctypes.CFUNCTYPE(None)(self.address)
        self._words = np.frombuffer(self._page, np.uint64, 64, DATA)
        for name, value in _OPERANDS.items():
            at = _OPERANDS_AT[name]
            self._page[at : at + len(value)] = value
        self.mapped = self.address + DATA + 0x300
        """Where some words can be read and written."""
        self._empty = mmap.mmap(-1, EMPTY_WINDOW)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._empty))
        if ctypes.CDLL(None).mprotect(ctypes.c_void_p(start), ctypes.c_size_t(EMPTY_WINDOW), 0):
            raise OSError("mprotect")
        self.middle = start + EMPTY_WINDOW // 2
        """An address with nothing mapped for EMPTY_WINDOW // 2 bytes on either side."""
        self._handle_signals()

    def _handle_signals(self) -> None:
        """A handler of machine code, on a stack of its own, that notes the signal and goes on at the end."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._stack = ctypes.create_string_buffer(1 << 16)
        stack = _Stack(ctypes.addressof(self._stack), 0, len(self._stack))
        self._handler_at = DATA - 0x80
        self._resume_at = DATA - 0x100
        handler = _relative("48 89 3d", _slot(SIGNAL), self._handler_at)  # mov %rdi, SIGNAL
        handler += bytes.fromhex("48 8b 46") + bytes([SIGINFO_ADDRESS])  # mov 16(%rsi), %rax
        handler += _relative("48 89 05", _slot(FAULT), self._handler_at + len(handler))
        handler += _relative("48 8d 05", self._resume_at, self._handler_at + len(handler))  # lea
        handler += bytes.fromhex("48 89 82") + CONTEXT_RIP.to_bytes(4, "little") + b"\xc3"  # … rip; ret
        self._page[self._handler_at : self._handler_at + len(handler)] = handler
        resume = _relative("48 8b 25", _slot(BEFORE), self._resume_at)  # mov before, %rsp
        resume += bytes.fromhex("fc dbe3")  # cld; fninit
        resume += _relative("0f ae 15", _slot(STATE) + 4, self._resume_at + len(resume))  # ldmxcsr
        resume += bytes.fromhex("415f 415e 415d 415c 5d 5b c3")  # pop …; ret
        self._page[self._resume_at : self._resume_at + len(resume)] = resume
        action = _Action(self.address + self._handler_at, flags=SA_SIGINFO | SA_ONSTACK | SA_NODEFER)
        if libc.sigaltstack(ctypes.byref(stack), None):
            raise OSError(ctypes.get_errno(), "sigaltstack")
        for number in SIGNALS:
            if libc.sigaction(int(number), ctypes.byref(action), None):
                raise OSError(ctypes.get_errno(), "sigaction")

    def run(self, instruction: bytes, state: State) -> Outcome:
        code = _code(instruction, state.x87, self._resume_at)
        self._page[: len(code)] = code
        words = self._words
        words[GIVEN : GIVEN + 16] = state.registers
        words[COMPLETED : FAULT + 1] = 0
        words[STATE] = MXCSR_STATES[state.mxcsr] | USUAL_MXCSR << 32
        self._function()
        if not words[COMPLETED]:
            return Outcome(int(words[SIGNAL]), int(words[FAULT]))
        noted = words[REGISTERS : REGISTERS + 16].tolist()
        return Outcome(0, 0, tuple(noted), int(words[FLAGS]))


def _code(instruction: bytes, x87: str, resume_at: int) -> bytes:
    before = _before(x87)
    return before + instruction + _after(len(before) + len(instruction), resume_at)


@cache
def _before(x87: str) -> bytes:
    code = bytes.fromhex("53 55 4154 4155 4156 4157")  # push callee-saved registers
    code += _relative("48 89 25", _slot(BEFORE), len(code))  # mov %rsp, before
    for opcode, operand in X87_STATES[x87]:
        if operand:
            code += _relative(opcode, _OPERANDS_AT[operand], len(code))
        else:
            code += bytes.fromhex(opcode)
    code += _relative("0f ae 15", _slot(STATE), len(code))  # ldmxcsr
    code += bytes.fromhex("0f57c0")  # xorps %xmm0, %xmm0
    return code + _moves(0x8B, GIVEN, len(code))


@cache
def _after(position: int, resume_at: int) -> bytes:
    code = _moves(0x89, REGISTERS, position)
    code += _relative("48 8b 25", _slot(BEFORE), position + len(code))
    code += b"\x9c" + _relative("8f 05", _slot(FLAGS), position + len(code) + 1)  # pushf; pop flags
    code += _relative("48 89 25", _slot(COMPLETED), position + len(code))  # mov %rsp, completed
    return code + b"\xe9" + (resume_at - position - len(code) - 5).to_bytes(4, "little", signed=True)


def _moves(opcode: int, first_slot: int, position: int) -> bytes:
    """`mov` between each register and its slot."""
    code = b""
    for number in range(16):
        head = bytes([0x48 | (number >> 3) << 2, opcode, 0x05 | (number & 7) << 3])
        code += _relative(head.hex(), _slot(first_slot + number), position + len(code))
    return code


def features() -> set[str]:
    """What this processor has, as the kernel spells it."""
    return set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())


ONE_BYTE = [
    prefix + rex
    for prefix in (b"", b"\x66", b"\xf2", b"\xf3", b"\xf0")
    for rex in (b"", b"\x44", b"\x48", b"\x4c")
]
"""What may stand before an opcode of the first map."""
TWO_BYTES = [before + b"\x0f" for before in ONE_BYTE]
_LEGACY = [before + escape for before in ONE_BYTE for escape in (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")]
_VEX = [
    *(bytes([0xC5, inverted | fields]) for inverted in (0xF8, 0x78) for fields in range(8)),
    *(
        bytes([0xC4, inverted | opcodes, wide | fields])
        for inverted in (0xE0, 0x60)
        for opcodes in (1, 2, 3)
        for wide in (0x78, 0xF8)
        for fields in range(8)
    ),
]  # fmt: skip


ALL_MAPS = [*_LEGACY, *_VEX]


def encodings(
    fields: Sequence[bytes], tails: Sequence[bytes], heads: Sequence[bytes] = ALL_MAPS
) -> Iterator[bytes]:
    """Every opcode behind these heads, with these ModRM and SIB bytes, and what of a tail it needs.
    The same encoding may come more than once."""
    for head in heads:
        for opcode in range(256):
            for field_bytes in fields:
                for tail in tails:
                    candidate = head + bytes([opcode]) + field_bytes + tail
                    instruction = Decoder(64, candidate).decode()
                    if not instruction.is_invalid:
                        yield candidate[: instruction.len]
