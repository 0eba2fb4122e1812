"""Whatever moves rsp to a place of its own choice, or writes where a return address is, is refused.

Twice: in assembly of a program's, with the line and what to do, and as machine code that a hostile toolchain
puts into a module file, with any claim about the stack's depth that could help it.
"""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from iced_x86 import Decoder

import tmebox
from tests.hostile.scene import attack
from tests.verify.corpus import NUMBERS
from tmebox import Module, abi
from tmebox.modulefile import codec
from tmebox.modulefile.file import ModuleFile
from tmebox.verify import verify

DEPTH = "stack-depth-known"


@dataclass(frozen=True)
class Code:
    """text: one instruction a line. line: of the first one that is refused, from 0 on; None: what is refused
    has none. because: part of why, in assembly. rule: as machine code."""

    text: str
    line: int | None
    because: str
    rule: str = DEPTH

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


NOT_A_CONSTANT = "moves the stack pointer by what is not a constant"
RETURN = "is what a return needs"
OVERWRITES = "writes at or above the return address"
LEADS = "is what there is where it leads"
ABOVE = "below the return address, not in"

ATTACKS = {
    # -- return addresses ------------------------------------------------------------------------------------
    "write-the-return-address": Code("movq %rdi, (%rsp)\nret", 0, OVERWRITES),
    "write-half-of-it": Code("movl %edi, (%rsp)\nret", 0, OVERWRITES),
    "write-its-last-byte": Code("movb %dil, 7(%rsp)\nret", 0, OVERWRITES),
    "add-to-it": Code("addq %rdi, (%rsp)\nret", 0, OVERWRITES),
    "exchange-it": Code("xchgq %rdi, (%rsp)\nret", 0, OVERWRITES),
    "compare-and-exchange-it": Code("lock cmpxchgq %rdi, (%rsp)\nret", 0, OVERWRITES),
    "set-a-bit-of-it": Code("btsq $3, (%rsp)\nret", 0, OVERWRITES),
    "set-it-by-a-flag": Code("sete (%rsp)\nret", 0, OVERWRITES),
    "store-a-float-there": Code("fstpl (%rsp)\nret", 0, OVERWRITES),
    "pop-into-it": Code("pushq %rdi\npopq (%rsp)\nret", 1, "", "stack-access-bounded"),
    "return-to-what-was-pushed": Code("pushq %rdi\nret", 1, RETURN),
    "return-too-early": Code("subq $8, %rsp\nret", 1, RETURN),
    "return-past-it": Code("addq $8, %rsp\nret", 0, ABOVE),
    "pop-it": Code("popq %rax\npushq %rdi\nret", 0, ABOVE),
    "pop-it-and-jump": Code("popq %rax\njmpq *%rdi", None, "a jump to labels", "indirect-branch-checked"),
    "return-over-arguments": Code("retq $8", 0, "pops arguments", "known-instruction"),
    # -- rsp from anywhere -----------------------------------------------------------------------------------
    "move-from-a-register": Code("movq %rdi, %rsp\nret", 0, NOT_A_CONSTANT),
    "move-from-rbp": Code("movq %rdi, %rbp\nmovq %rbp, %rsp\nret", 1, NOT_A_CONSTANT),
    "move-32-bits": Code("movl %edi, %esp\nret", 0, NOT_A_CONSTANT),
    "load-it": Code("movq (%rdi), %rsp\nret", 0, NOT_A_CONSTANT, "memory-through-gs"),
    "leave": Code("movq %rdi, %rbp\nleave\nret", 1, NOT_A_CONSTANT, "known-instruction"),
    "pop-rsp": Code("pushq %rdi\npopq %rsp\nret", 1, NOT_A_CONSTANT),
    "add-a-register": Code("addq %rdi, %rsp\nsubq %rdi, %rsp\nret", 0, NOT_A_CONSTANT),
    "subtract-memory": Code("subq -16(%rsp), %rsp\nret", 0, NOT_A_CONSTANT),
    "an-address-with-an-index": Code("leaq (%rsp,%rdi), %rsp\nret", 0, NOT_A_CONSTANT),
    "an-address-of-another": Code("leaq 8(%rdi), %rsp\nret", 0, NOT_A_CONSTANT),
    "exchange": Code("xchgq %rdi, %rsp\nxchgq %rdi, %rsp\nret", 0, NOT_A_CONSTANT),
    "exchange-and-add": Code("xaddq %rdi, %rsp\nret", 0, NOT_A_CONSTANT),
    "move-by-condition": Code("cmoveq %rdi, %rsp\nret", 0, NOT_A_CONSTANT),
    "increment": Code("incq %rsp\nret", 0, NOT_A_CONSTANT),
    "shift": Code("shlq $1, %rsp\nret", 0, NOT_A_CONSTANT),
    "align": Code("andq $-64, %rsp\nret", None, NOT_A_CONSTANT),
    "borrow-it": Code(
        "movq %rsp, %rcx\nmovq %rdi, %rsp\npushq $77\npopq %rax\nmovq %rcx, %rsp\nret", 1, NOT_A_CONSTANT
    ),
    # -- on and on -------------------------------------------------------------------------------------------
    "slide-down": Code("1: subq $4096, %rsp\njmp 1b", 1, LEADS),
    "slide-up": Code("1: addq $4096, %rsp\njmp 1b", 0, ABOVE),
    "pop-for-ever": Code("1: popq %rax\njmp 1b", 0, ABOVE),
    "push-for-ever": Code("1: pushq $1\njmp 1b", 1, LEADS),
    "a-frame-of-70-MiB": Code("subq $0x4600000, %rsp\naddq $0x4600000, %rsp\nret", 0, ABOVE),
    "two-frames-of-40-MiB": Code(
        "subq $0x2800000, %rsp\nsubq $0x2800000, %rsp\naddq $0x5000000, %rsp\nret", 1, ABOVE
    ),
    # -- elsewhere with a frame ------------------------------------------------------------------------------
    "to-the-host-with-a-frame": Code(
        "pushq %rdi\njmp __tmebox_gate_hostcall", 1, LEADS
    ),
    "to-the-host-by-condition": Code(
        "pushq %rdi\nje __tmebox_gate_hostcall\npopq %rdi\nret", 1, LEADS
    ),
    "into-another-frame": Code(
        "pushq %rdi\ntestq %rdi, %rdi\nje 1f\npopq %rdi\n1: ret", None, "", DEPTH
    ),
    "into-the-middle-of-itself": Code("call 1f\nret\n1: popq %rax\nret", 2, ABOVE),
}  # fmt: skip
HARMLESS = {
    "write-it-from-below": Code("movups %xmm0, -8(%rsp)\nret", 0, OVERWRITES),
    "write-it-and-what-is-below": Code("movups %xmm0, -8(%rsp)\nmovups %xmm0, 8(%rsp)\nret", 0, OVERWRITES),
    "write-the-callers": Code("movq %rdi, 8(%rsp)\nmovq %rdi, 24(%rsp)\nret", 0, OVERWRITES),
    "write-from-a-frame": Code("subq $24, %rsp\nmovq %rdi, 32(%rsp)\naddq $24, %rsp\nret", 1, OVERWRITES),
    "write-far-above": Code("movq %rdi, 0x3f8(%rsp)\nret", 0, OVERWRITES),
    "through-a-register": Code("movq %rsp, %rax\nmovq %rdi, (%rax)\nret", 1, "", "memory-through-gs"),
    "through-an-address": Code("leaq (%rsp), %rax\nmovq %rdi, (%rax)\nret", 1, "", "memory-through-gs"),
    "with-an-index": Code("xorl %eax, %eax\nmovq %rdi, (%rsp,%rax)\nret", 1, "", "stack-access-bounded"),
    "by-a-string": Code(
        "movq %rsp, %rax\nmovq %rdi, %rcx\nmovq %rax, %rdi\nmovq %rcx, %rax\nmovl $8, %ecx\nrep stosq\nret",
        5,
        "",
        "string-instruction-rebased",
    ),
}  # fmt: skip
"""Assembly that is built so that it writes to the stack's twin: it changes no return. As machine code it is
refused."""
EVERY = {**ATTACKS, **HARMLESS}


def source_of(code: Code) -> str:
    """Each instruction on a line of its own, from the second one on."""
    lines = "\n".join(f'  __asm__("{line}");' for line in code.lines)
    return f"__attribute__((naked)) long f(long to) {{\n{lines}\n}}\n"


@pytest.mark.parametrize("name", ATTACKS)
def test_assembly_that_chooses_where_the_stack_is_is_refused_with_its_line(name: str) -> None:
    code = ATTACKS[name]
    with pytest.raises((tmebox.CompileError, tmebox.VerificationError)) as caught:
        tmebox.compile(source_text=source_of(code))
    message = str(caught.value)
    assert code.because in message
    if code.line is not None:
        assert f"source.c:{code.line + 2}" in message
    if f"{DEPTH}:" in message:
        assert "only calls write return addresses: save by push" in message


@pytest.mark.parametrize("name", HARMLESS)
def test_assembly_that_writes_beside_the_return_address_returns_to_its_call(name: str) -> None:
    """The caller has room above its own return address, which is damaged."""
    caller = """
    int visits;
    int secret(void) { return ++visits; }
    unsigned long where(void) { return (unsigned long)&secret; }
    int visited(void) { return visits; }
    long attack(long to) {
      char room[4096];
      __asm__ volatile("" : : "r"(room) : "memory");
      f(to);
      __asm__ volatile("" : : "r"(room) : "memory");
      return 7;
    }"""
    module = tmebox.compile(source_text=source_of(HARMLESS[name]) + caller)

    def act(sandbox: tmebox.Sandbox) -> object:
        return sandbox.attack(sandbox.where()), sandbox.visited()

    assert attack(module, act).value == (7, 0)


def test_the_same_without_the_attack_runs() -> None:
    text = '__attribute__((naked)) long f(long to) { __asm__("pushq %rdi\\n popq %rax\\n ret"); }'
    with tmebox.Sandbox(tmebox.compile(source_text=text)) as sandbox:
        assert sandbox.call_raw("f", 7) == 7


# -- a hostile toolchain -------------------------------------------------------------------------------------


@functools.cache
def machine_code() -> dict[str, bytes]:
    """Each attack as the assembler makes it, without any rewriting."""
    texts = [
        f'.section .text.a{number},"ax"\n'
        + code.text.replace("__tmebox_gate_hostcall", f".-{abi.TEXT_NOMINAL:#x}+{abi.GATE_HOSTCALL:#x}")
        + "\nhlt\n"
        for number, code in enumerate(EVERY.values())
    ]
    return dict(zip(EVERY, assembled(texts), strict=True))


def assembled(texts: list[str]) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.s").write_text("".join(texts))
        numbers = [f"-Wa,-defsym,{name}={value}" for name, value in NUMBERS.items()]
        command = [sys.executable, "-m", "ziglang", "clang", "-target", "x86_64-linux-musl", "-c", "a.s"]
        subprocess.run([*command, *numbers], cwd=folder, check=True)
        with Path(folder, "a.o").open("rb") as stream:
            elf = ELFFile(stream)
            sections = {section.name: section.data() for section in elf.iter_sections()}
    return (sections[f".text.a{number}"] for number in range(len(texts)))


def starts_of(code: bytes) -> list[int]:
    return [instruction.ip for instruction in Decoder(64, code)]


def rules_broken(code: bytes, claims: list[tuple[int, int]]) -> set[str]:
    """With these (position, depth) claims; empty if it is accepted."""
    places = [abi.TEXT_NOMINAL + position for position, _ in claims]
    try:
        verify(
            code,
            abi.TEXT_NOMINAL,
            functions=[abi.TEXT_NOMINAL],
            labels=[],
            depth_places=places,
            depths=[depth for _, depth in claims],
        )
    except tmebox.VerificationError as error:
        return {violation.rule for violation in error.violations}
    return set()


@pytest.mark.parametrize("name", EVERY)
def test_forged_machine_code_is_refused_whatever_is_claimed(name: str) -> None:
    code = machine_code()[name]
    assert EVERY[name].rule in rules_broken(code, [])
    starts, generator = starts_of(code), random.Random(name)
    depths = (0, 8, 24, 4096)
    for position in starts:
        for depth in depths:
            assert rules_broken(code, [(position, depth)]), (position, depth)
    for _ in range(20):
        chosen = sorted(generator.sample(starts, generator.randint(1, len(starts))))
        assert rules_broken(code, [(position, generator.choice(depths)) for position in chosen])


@functools.cache
def victim() -> ModuleFile:
    return tmebox.compile(source_text="int alive(void) { return 42; }\nint f(int x) { return x * 3; }").file


@pytest.mark.parametrize("name", EVERY)
def test_a_module_file_with_it_is_not_loaded(name: str) -> None:
    file, code = victim(), machine_code()[name]
    at = -len(file.text) % 16
    place = file.text_address + len(file.text) + at
    evil = replace(
        file,
        text=file.text + b"\xf4" * at + code,
        functions=np.sort(np.append(file.functions, np.uint32(place))),
        depth_places=np.append(file.depth_places, np.uint32(place)),
        depths=np.append(file.depths, np.uint32(0)),
    )
    with pytest.raises(tmebox.VerificationError):
        Module.from_bytes(codec.encode(evil))


def test_the_file_without_it_is_loaded_and_runs() -> None:
    file = victim()
    harmless = replace(file, text=file.text + b"\xf4" * 16)
    ending = attack(Module.from_bytes(codec.encode(harmless)), lambda sandbox: sandbox.f(5))
    assert ending.value == 15
