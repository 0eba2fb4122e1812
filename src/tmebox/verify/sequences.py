"""Instructions that are safe only together, in the order and with the operands that `SEQUENCES` spells out.

A sequence is a list of steps; `steps_of` says which steps an instruction can be. Nearly every step is one
exact encoding, made here without the decoder's help. The last step is the dangerous one (a return, an
indirect branch, a write of rsp, a string instruction) and appears in no other place of any sequence, so
two sequences never overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from iced_x86 import Code, Register

from tmebox.abi import (
    CONTROL_RSP_MASK,
    CONTROL_RSP_START,
    CONTROL_WINDOW_BASE,
    FORMS,
    LABEL_DEPTHS,
    LABEL_MARKS,
    RESERVED,
    SPILL_REGISTER,
    SPILL_TARGET,
    TARGET_FUNCTION,
    TARGET_LABEL,
    TARGET_MAP,
    TARGET_R15_SHIFT,
    TARGET_RETURN,
    TARGET_SHIFTS,
)
from tmebox.verify import jump_tables as tablejumps
from tmebox.verify.decoded import Decoded

Steps = tuple[str, ...]

_NUMBERS: Final = {
    "rax": 0, "rcx": 1, "rdx": 2, "rbx": 3, "rbp": 5, "rsi": 6, "rdi": 7,
    "r8": 8, "r9": 9, "r10": 10, "r11": 11, "r12": 12, "r13": 13, "r14": 14, "r15": 15,
}  # fmt: skip
"""Registers that can hold the target of a checked branch, by their number in an encoding. Not rsp."""


def _numbers(base: str) -> dict[str, int]:
    reserved = RESERVED if base == "r15" else ()
    return {name: number for name, number in _NUMBERS.items() if name not in reserved}


READS_MAP: Final = "a read of the target map"
"""Goes with each step that does; such an instruction may be nothing but a step."""

# -- steps that are one exact encoding ---------------------------------------------------------------------


def _disp32(displacement: int) -> bytes:
    return displacement.to_bytes(4, "little", signed=True)


def _disp8(displacement: int) -> bytes:
    return displacement.to_bytes(1, "little", signed=True)


def _test_map(number: int, mask: int) -> bytes:
    """`testb $mask, TARGET_MAP(%register)`: f6 /0 ib, with a SIB byte where the register needs one."""
    sib = b"\x24" if number & 7 == 4 else b""
    rex = b"\x41" if number >= 8 else b""
    return rex + bytes([0xF6, 0x80 | number & 7]) + sib + _disp32(TARGET_MAP) + bytes([mask])


def _compare_map(number: int, mark: int) -> bytes:
    """`cmpb $mark, TARGET_MAP(%register)`: 80 /7 ib."""
    sib = b"\x24" if number & 7 == 4 else b""
    rex = b"\x41" if number >= 8 else b""
    return rex + bytes([0x80, 0xB8 | number & 7]) + sib + _disp32(TARGET_MAP) + bytes([mark])


def _branch(opcode: int, number: int) -> bytes:
    """`call *%register` (ff /2) or `jmp *%register` (ff /4), both with a register operand."""
    rex = b"\x41" if number >= 8 else b""
    return rex + bytes([0xFF, opcode | number & 7])


def _keep_target(number: int) -> bytes:
    """`movq %register, SPILL_TARGET(%rsp)`: 89 /r with a displacement of 8 bits."""
    rex = 0x4C if number >= 8 else 0x48
    return bytes([rex, 0x89, 0x44 | (number & 7) << 3, 0x24]) + _disp8(SPILL_TARGET)


def _restore(number: int) -> bytes:
    """`movq SPILL_REGISTER(%rsp), %register`: 8b /r with a displacement of 32 bits."""
    rex = 0x4C if number >= 8 else 0x48
    return bytes([rex, 0x8B, 0x84 | (number & 7) << 3, 0x24]) + _disp32(SPILL_REGISTER)


def load_base(number: int) -> bytes:
    """`movq %gs:CONTROL_WINDOW_BASE, %register`: gs, 8b /r, absolute."""
    rex = 0x4C if number >= 8 else 0x48
    return bytes([0x65, rex, 0x8B, 0x04 | (number & 7) << 3, 0x25]) + _disp32(CONTROL_WINDOW_BASE)


_BASE_STEPS: Final = {
    "gs": [
        (bytes.fromhex("65 23 24 25") + _disp32(CONTROL_RSP_MASK), "andl RSP_MASK, %esp"),
        (bytes.fromhex("65 48 03 24 25") + _disp32(CONTROL_RSP_START), "addq RSP_START, %rsp"),
        (load_base(11), "movq %gs:BASE, %r11"),
        (bytes.fromhex("49 8d 3c 3b"), "leaq (%r11,%rdi), %rdi"),
        (bytes.fromhex("49 8d 34 33"), "leaq (%r11,%rsi), %rsi"),
    ],
    "r15": [
        (bytes.fromhex("41 23 a7") + _disp32(CONTROL_RSP_MASK), "andl RSP_MASK, %esp"),
        (bytes.fromhex("49 03 a7") + _disp32(CONTROL_RSP_START), "addq RSP_START, %rsp"),
        (bytes.fromhex("49 8d 3c 3f"), "leaq (%r15,%rdi), %rdi"),
        (bytes.fromhex("49 8d 34 37"), "leaq (%r15,%rsi), %rsi"),
    ],
}
"""What reads the control page, or the window's base in r15. `RSP_MASK` is `%gs:CONTROL_RSP_MASK` or
`CONTROL_RSP_MASK(%r15)`, and `RSP_START` alike: in which part of it rsp stays, each window says."""


def _steps_with_depth() -> list[tuple[bytes, str]]:
    """What checks are where the stack's depth is known: for a function, or for a label of one depth."""
    steps = []
    for name, number in _NUMBERS.items():
        steps.append((_test_map(number, TARGET_FUNCTION), f"testb $FUNCTION, MAP(%{name})"))
        for mark in LABEL_MARKS:
            steps.append((_compare_map(number, mark), f"cmpb ${mark:#x}, MAP(%{name})"))
            steps.append((_compare_map(number, mark), READS_MAP))
    return steps


def _exact_steps(base: str, used: frozenset[str]) -> dict[bytes, frozenset[str]]:
    """used: the steps that some sequence has."""
    shift = TARGET_SHIFTS[base]
    steps: list[tuple[bytes, str]] = [
        (bytes.fromhex("44 8b 1c 24"), "movl (%rsp), %r11d"),
        (_test_map(11, TARGET_RETURN << TARGET_R15_SHIFT), "testb $RETURN, MAP(%r11)"),
        (bytes.fromhex("4c 89 1c 24"), "movq %r11, (%rsp)"),
        (bytes.fromhex("c3"), "ret"),
        (bytes.fromhex("ff 64 24") + _disp8(SPILL_TARGET), "jmp *SPILL_TARGET(%rsp)"),
        (bytes.fromhex("89 ff"), "movl %edi, %edi"),
        (bytes.fromhex("89 f6"), "movl %esi, %esi"),
        *_BASE_STEPS["r15" if base == "r15" else "gs"],
        *(_steps_with_depth() if base == "twin" else ()),
    ]
    for repeat in (b"", b"\xf3"):
        for prefix, opcode in ((b"", 0), (b"", 1), (b"\x66", 1), (b"\x48", 1)):
            for order in {repeat + prefix, prefix + repeat} if prefix != b"\x48" else {repeat + prefix}:
                steps.append((order + bytes([0xAA + opcode]), "[rep] stos"))
                steps.append((order + bytes([0xA4 + opcode]), "[rep] movs"))
    for name, number in _numbers(base).items():
        for mask in range(1, (TARGET_RETURN | TARGET_FUNCTION | TARGET_LABEL) + 1):
            steps.append((_test_map(number, mask << shift), f"testb $MASK, MAP(%{name})"))
            steps.append((_test_map(number, mask << shift), READS_MAP))
        steps.append((_keep_target(number), f"movq %{name}, SPILL_TARGET(%rsp)"))
        steps.append((_restore(number), f"movq SPILL_REGISTER(%rsp), %{name}"))
        steps.append((_branch(0xD0, number), f"call *%{name}"))
        steps.append((_branch(0xE0, number), f"jmp *%{name}"))
    table: dict[bytes, frozenset[str]] = {}
    for encoding, step in steps:
        if step in used:
            table[encoding] = table.get(encoding, frozenset()) | {step}
    return table


# -- steps that many encodings can be -----------------------------------------------------------------------

_LOAD32: Final = frozenset({Code.MOV_R32_RM32, Code.MOV_RM32_R32})
_SET_ESP: Final = _LOAD32 | {
    Code.LEA_R32_M, Code.ADD_RM32_R32, Code.ADD_R32_RM32, Code.ADD_RM32_IMM8, Code.ADD_RM32_IMM32,
    Code.SUB_RM32_R32, Code.SUB_R32_RM32, Code.SUB_RM32_IMM8, Code.SUB_RM32_IMM32,
    Code.AND_RM32_R32, Code.AND_R32_RM32, Code.AND_RM32_IMM8, Code.AND_RM32_IMM32,
}  # fmt: skip
_LOADS: Final = {
    getattr(Register, f"{name.upper()}D" if name[1:].isdigit() else f"E{name[1:].upper()}"): frozenset(
        {f"movl SRC, %{name} (32 bits)"}
    )
    for name in _NUMBERS
}
_JUMP_UNLESS_EQUAL: Final = frozenset({Code.JNE_REL8_64, Code.JNE_REL32_64})
_JUMP_IF_EQUAL: Final = frozenset({Code.JE_REL8_64, Code.JE_REL32_64})
_NO_STEPS: Final[frozenset[str]] = frozenset()


def steps_of(decoded: Decoded, exact: Mapping[bytes, frozenset[str]]) -> frozenset[str]:
    """The steps that the instruction can be; of those in `exact`, and of those that many encodings can be."""
    steps = exact.get(decoded.encoding, _NO_STEPS)
    code, register = decoded.code, decoded.first_register
    if code in _JUMP_IF_EQUAL:
        return steps | {"je T"}
    if code in _JUMP_UNLESS_EQUAL:
        return steps | {"jne T"}
    if code in _LOAD32 and register in _LOADS:
        return steps | _LOADS[register]
    if code in _SET_ESP and register == Register.ESP:
        return steps | {"32-bit write of %esp"}
    return steps


# -- the sequences ------------------------------------------------------------------------------------------

CHECKED_RETURN: Final[Steps] = (
    "movl (%rsp), %r11d",
    "testb $RETURN, MAP(%r11)",
    "je T",
    "movq %r11, (%rsp)",
    "ret",
)
REBASE: Final[Steps] = (
    "32-bit write of %esp",
    "andl RSP_MASK, %esp",
    "addq RSP_START, %rsp",
)
TABLE_JUMPS: Final[tuple[Steps, ...]] = tuple(
    steps for name in _NUMBERS for steps in tablejumps.sequences(name)
)
"""Only as good as their numbers: see `tablejumps`."""
_STRINGS: Final[dict[str, tuple[Steps, Steps]]] = {
    "gs": (
        ("movl %edi, %edi", "movq %gs:BASE, %r11", "leaq (%r11,%rdi), %rdi", "[rep] stos"),
        (
            "movl %edi, %edi",
            "movl %esi, %esi",
            "movq %gs:BASE, %r11",
            "leaq (%r11,%rdi), %rdi",
            "leaq (%r11,%rsi), %rsi",
            "[rep] movs",
        ),
    ),
    "r15": (
        ("movl %edi, %edi", "leaq (%r15,%rdi), %rdi", "[rep] stos"),
        (
            "movl %edi, %edi",
            "movl %esi, %esi",
            "leaq (%r15,%rdi), %rdi",
            "leaq (%r15,%rsi), %rsi",
            "[rep] movs",
        ),
    ),
}


def proven(sequence: Steps) -> int:
    """How many of a sequence's steps, counted from its end, it makes safe: all but its first, which only
    computes a value and has to be safe by itself. A rebase begins with the write of rsp it makes safe."""
    return len(sequence) if sequence == REBASE else len(sequence) - 1


def _checked_branches(name: str) -> tuple[Steps, Steps]:
    check = (f"movl SRC, %{name} (32 bits)", f"testb $MASK, MAP(%{name})", "je T")
    return (*check, f"call *%{name}"), (*check, f"jmp *%{name}")


def _checked_jump_keeping(name: str) -> Steps:
    """The target goes through the red zone's end; the register's own value has been kept below that."""
    return (
        f"movl SRC, %{name} (32 bits)",
        f"testb $MASK, MAP(%{name})",
        "je T",
        f"movq %{name}, SPILL_TARGET(%rsp)",
        f"movq SPILL_REGISTER(%rsp), %{name}",
        "jmp *SPILL_TARGET(%rsp)",
    )


def function_jumps(name: str) -> tuple[Steps, Steps, Steps]:
    """With a control stack: a call of a function and two jumps to one."""
    check = (f"movl SRC, %{name} (32 bits)", f"testb $FUNCTION, MAP(%{name})", "je T")
    return (*check, f"call *%{name}"), (*check, f"jmp *%{name}"), (*check, *_kept(name))


def label_jumps(name: str, mark: int) -> tuple[Steps, Steps]:
    """With a control stack: jumps to labels of one depth."""
    check = (f"movl SRC, %{name} (32 bits)", f"cmpb ${mark:#x}, MAP(%{name})", "jne T")
    return (*check, f"jmp *%{name}"), (*check, *_kept(name))


def _kept(name: str) -> Steps:
    return (
        f"movq %{name}, SPILL_TARGET(%rsp)",
        f"movq SPILL_REGISTER(%rsp), %{name}",
        "jmp *SPILL_TARGET(%rsp)",
    )


TO_FUNCTIONS: Final = frozenset(sequence for name in _NUMBERS for sequence in function_jumps(name)[1:])
TO_LABELS: Final = {
    sequence: depth
    for name in _NUMBERS
    for mark, depth in zip(LABEL_MARKS, LABEL_DEPTHS, strict=True)
    for sequence in label_jumps(name, mark)
}
"""Sequence → the depth that its mark stands for."""


def _sequences(base: str) -> tuple[Steps, ...]:
    if base == "twin":
        calls = (function_jumps(name)[0] for name in _NUMBERS)
        return (*TABLE_JUMPS, *calls, *TO_FUNCTIONS, *TO_LABELS, *_STRINGS["gs"])
    common = (*TABLE_JUMPS, REBASE, *_STRINGS[base])
    if base == "gs":  # without a control stack: its compiler is trusted with control
        return common
    return (
        CHECKED_RETURN,
        *(sequence for name in _numbers(base) for sequence in _checked_branches(name)),
        *(_checked_jump_keeping(name) for name in _numbers(base)),
        *common,
    )


@dataclass(frozen=True)
class Sequences:
    """The sequences that there are with the window's base in one place.

    exact: encoding → the steps that it can be. by_last_step: the sequences that a last step may complete.
    """

    exact: Mapping[bytes, frozenset[str]]
    by_last_step: Mapping[str, tuple[Steps, ...]]
    longest: int


def _of(base: str) -> Sequences:
    sequences = _sequences(base)
    by_last_step: dict[str, tuple[Steps, ...]] = {}
    for sequence in sequences:
        by_last_step[sequence[-1]] = (*by_last_step.get(sequence[-1], ()), sequence)
    used = frozenset(step for sequence in sequences for step in sequence)
    if any("MAP(" in step for step in used):
        used |= {READS_MAP}
    return Sequences(_exact_steps(base, used), by_last_step, max(map(len, sequences)))


SEQUENCES: Final = {base: _of(base) for base in FORMS}
