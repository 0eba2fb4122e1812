"""One instruction that only touches registers, run on this CPU with given registers."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence
from functools import cache
from typing import Final

_RDI, _RSP = 7, 4
_KEPT: Final = (3, 5, 12, 13, 14, 15)
_FLAGS: Final = 16


def _move(opcode: int, register: int) -> bytes:
    """`movq place(%rdi), %register` (8b) or the other way (89), place being the register's own."""
    return bytes([0x4C if register >= 8 else 0x48, opcode, 0x47 | (register & 7) << 3, 8 * register])


def _push(register: int) -> bytes:
    return bytes([0x41, 0x50 | register & 7] if register >= 8 else [0x50 | register])


def _pop(register: int) -> bytes:
    return bytes([0x41, 0x58 | register & 7] if register >= 8 else [0x58 | register])


def routine(instruction: bytes) -> bytes:
    """`void routine(uint64_t state[17])`: registers by number, then the flags; rsp is neither read nor
    written."""
    others = [number for number in range(16) if number not in (_RDI, _RSP)]
    code = b"".join(map(_push, _KEPT)) + _push(_RDI)
    code += b"".join(_move(0x8B, number) for number in others) + _move(0x8B, _RDI)
    code += instruction
    code += b"\x9c\x48\x87\x7c\x24\x08"  # pushfq; xchgq %rdi, 8(%rsp)
    code += b"".join(_move(0x89, number) for number in others)
    code += b"\x58\x48\x89\x87" + (8 * _FLAGS).to_bytes(4, "little")  # popq %rax; movq %rax, flags(%rdi)
    code += _pop(0) + b"\x48\x89\x47" + bytes([8 * _RDI])  # popq %rax; movq %rax, place of rdi(%rdi)
    return code + b"".join(map(_pop, reversed(_KEPT))) + b"\xc3"


@cache
def _page() -> tuple[mmap.mmap, int]:
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    return page, ctypes.addressof(ctypes.c_char.from_buffer(page))


def execute(instruction: bytes, registers: Sequence[int]) -> tuple[list[int], int]:
    """The registers and the flags afterwards. In this process: call it in a child that may die."""
    page, address = _page()
    code = routine(instruction)
    page.seek(0)
    page.write(code)
    state = (ctypes.c_uint64 * 17)(*registers, 0)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(state))
    return list(state)[:16], state[_FLAGS]
