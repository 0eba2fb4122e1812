"""Calls whose arguments or results are in whole vector registers or in x87 registers.

The core enters a sandbox with 64 bits of each vector register, and takes as much back. So these calls enter
a function of our own first. It takes its registers and stack arguments from a block of the sandbox's memory,
calls the function that is meant, and puts the results into the block. It is a text like any module's:
verified, and shared by all sandboxes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tmebox import _native, abi
from tmebox.modulefile.file import LineTable, ModuleFile, Relocations, Symbol
from tmebox.runtime.module import Module
from tmebox.runtime.sandbox_memory import SandboxMemory

MOST_STACK_BYTES = 1024
RESULTS = 256
"""Where in the block they are: rax, rdx, xmm0, xmm1, st(0), st(1)."""
STACK = 384
"""And the stack arguments."""

CODE: tuple[tuple[str, str], ...] = (
    ("push rbx", "53"),
    ("mov ebx,edi", "89fb"),
    ("sub rsp,400h", "4881ec00040000"),
    ("mov ecx,gs:[ebx+8]", "65678b4b08"),
    ("mov [rsp],rcx", "48890c24"),
    ("test ecx,ecx", "85c9"),  # words of stack arguments that are left
    ("je short 000000000000002Ch", "7415"),
    ("sub ecx,1", "83e901"),
    ("mov rax,gs:[ebx+ecx*8+180h]", "6567488b84cb80010000"),
    ("mov gs:[esp+ecx*8],rax", "6567488904cc"),
    ("jmp short 0000000000000013h", "ebe7"),
    ("movups xmm0,gs:[ebx+40h]", "65670f104340"),
    ("movups xmm1,gs:[ebx+50h]", "65670f104b50"),
    ("movups xmm2,gs:[ebx+60h]", "65670f105360"),
    ("movups xmm3,gs:[ebx+70h]", "65670f105b70"),
    ("movups xmm4,gs:[ebx+80h]", "65670f10a380000000"),
    ("movups xmm5,gs:[ebx+90h]", "65670f10ab90000000"),
    ("movups xmm6,gs:[ebx+0A0h]", "65670f10b3a0000000"),
    ("movups xmm7,gs:[ebx+0B0h]", "65670f10bbb0000000"),
    ("mov rdi,gs:[ebx+10h]", "6567488b7b10"),
    ("mov rsi,gs:[ebx+18h]", "6567488b7318"),
    ("mov rdx,gs:[ebx+20h]", "6567488b5320"),
    ("mov rcx,gs:[ebx+28h]", "6567488b4b28"),
    ("mov r8,gs:[ebx+30h]", "65674c8b4330"),
    ("mov r9,gs:[ebx+38h]", "65674c8b4b38"),
    ("mov eax,gs:[ebx+0C0h]", "65678b83c0000000"),  # how many vector registers hold arguments
    ("mov r11d,gs:[ebx]", "6567448b1b"),
    ("test byte ptr [r11+7FFF0000h],2", "41f6830000ff7f02"),
    ("je short 0000000000000106h", "7463"),
    ("call r11", "41ffd3"),
    ("mov gs:[ebx+100h],rax", "656748898300010000"),
    ("mov gs:[ebx+108h],rdx", "656748899308010000"),
    ("movups gs:[ebx+110h],xmm0", "65670f118310010000"),
    ("movups gs:[ebx+120h],xmm1", "65670f118b20010000"),
    ("mov ecx,gs:[ebx+0C4h]", "65678b8bc4000000"),  # how many x87 registers hold results
    ("test ecx,ecx", "85c9"),
    ("je short 00000000000000EBh", "7415"),
    ("fstp tbyte ptr gs:[ebx+130h]", "6567dbbb30010000"),
    ("sub ecx,1", "83e901"),
    ("je short 00000000000000EBh", "7408"),
    ("fstp tbyte ptr gs:[ebx+140h]", "6567dbbb40010000"),
    ("add rsp,400h", "4881c400040000"),
    ("pop rbx", "5b"),
    ("mov r11d,[rsp]", "448b1c24"),
    ("test byte ptr [r11+7FFF0000h],1", "41f6830000ff7f01"),
    ("je short 0000000000000106h", "7405"),
    ("mov [rsp],r11", "4c891c24"),
    ("ret", "c3"),
    ("hlt", "f4"),
)
"""What the bytes mean, from address 0 on: `tests/runtime/test_wide.py` asks a disassembler."""


class Host(Protocol):
    instance: _native.Instance
    module: Module

    @property
    def memory(self) -> SandboxMemory: ...
    def scratch(self, size_bytes: int) -> _native.Extent: ...


@dataclass(frozen=True)
class Registers:
    """Results: integers of 64, of 128, and of 80 bits."""

    rax: int
    rdx: int
    vectors: tuple[int, int]
    x87: tuple[int, int]


def _file() -> ModuleFile:
    text = bytes.fromhex("".join(code for _, code in CODE))
    none = np.zeros(0, np.uint32)
    return ModuleFile(
        isolation="code+data",
        base="gs",
        text_address=abi.TEXT_NOMINAL,
        text=text,
        segments=(),
        exports=(),
        imports=(),
        functions=np.array([abi.TEXT_NOMINAL], np.uint32),
        labels=none,
        relocations=Relocations(none, none, none, none, none),
        symbols=(Symbol(abi.TEXT_NOMINAL, len(text), WHOLE),),
        lines=LineTable(none, np.zeros(0, np.uint16), none, ()),
        producer="tmebox",
    )


WHOLE = "call with whole registers"
_texts: dict[str, Module] = {}
"""The one text, by its purpose. Kept for good, once it was needed."""


def call(
    host: Host,
    address: int,
    integers: Sequence[int],
    vectors: Sequence[int],
    stack: bytes,
    x87_results: int,
    timeout_s: float,
) -> Registers:
    """Call the function at an address of sandboxed code, which is an export or has its address taken.
    vectors: of 128 bits. Raises TypeError if there is too much on the stack, LimitError, or what a call
    raises."""
    file = host.module.file
    if file.base != "gs" or file.isolation != "code+data":
        raise TypeError(
            "vectors and long double results go to and from code with code+data isolation and its base in "
            f"gs: this has {file.isolation} and its base in {file.base}; pass pointers"
        )
    if len(stack) > MOST_STACK_BYTES:
        raise TypeError(
            f"{len(stack)} bytes of arguments on the stack, beside vectors or long double results: at most "
            f"{MOST_STACK_BYTES} go; pass pointers"
        )
    text = _texts.get(WHOLE)
    if text is None:  # of threads that load it at once one wins
        text = _texts.setdefault(WHOLE, Module(_file()))
    head = struct.pack("<8Q", address, len(stack) // 8, *integers, *[0] * (6 - len(integers)))
    lanes = b"".join(value.to_bytes(16, "little") for value in vectors).ljust(128, b"\0")
    counts = struct.pack("<2I", len(vectors), x87_results)
    block = (head + lanes + counts).ljust(STACK, b"\0") + stack
    room = host.scratch(len(block))
    host.memory.write(room.start, block)
    host.instance.call(text.address, [room.start], [], b"", timeout_s)
    found = host.memory.read(room.start + RESULTS, 80)
    numbers = [int.from_bytes(found[start : start + size], "little")
               for start, size in ((0, 8), (8, 8), (16, 16), (32, 16), (48, 10), (64, 10))]  # fmt: skip
    rax, rdx, xmm0, xmm1, st0, st1 = numbers
    return Registers(rax, rdx, (xmm0, xmm1), (st0, st1))
