"""The instructions that the part `walks` makes its texts of: the bytes of each, and what it does.

Both are written down here, side by side, so that neither comes from the decoder or from the tables that the
verifier goes by. `walk_machine` does what an item says; `walk_claims` goes by what it writes and leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tmebox import abi

RSP: Final = 4
RCX: Final = 1
REGISTERS: Final = (0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 13)
"""Some of all, and those whose encodings have exceptions; not rsp."""
LOW_BYTES: Final = (0, 1, 2, 3)
"""Registers whose lowest byte and word have a name without REX."""
NONE: Final = -1
LOW_32: Final = (1 << 32) - 1
SLOT: Final = 8

ENDS: Final = frozenset({"jump", "return", "stop", "gate jump", "jump to register", "jump to slot", "table"})
"""Kinds behind which control does not run on."""
CALLS: Final = frozenset({"call", "gate call", "call of register"})
BRANCHES: Final = frozenset({"jump", "call", "branch", "loop", "unless found", "unless in bounds"})
"""Kinds that go to another item of the text."""


@dataclass(frozen=True)
class Item:
    """One instruction.

    branch_bytes: of the number at its end that says how far it branches, or where its table is; else 0.
    register: what it writes or goes by. source, index: what else it reads; an access's address is source +
    scale * index + displacement. compute: what is written, of what the register held and the source holds.
    number: what it compares with, or which entry of the tables is a jump's first. deepens: by how much it
    moves rsp down. writes: all registers that it changes; leaves: what it makes true of `register`, as claims
    have it. target: the number of the item that it branches to. is_inside: it stands in a sequence, behind
    its first instruction, so that nothing may branch there.
    """

    kind: str
    encoding: bytes
    branch_bytes: int = 0
    register: int = NONE
    source: int = NONE
    index: int = NONE
    scale: int = 1
    displacement: int = 0
    size_bytes: int = 0
    compute: Callable[[int, int], int] | None = None
    number: int = 0
    deepens: int = 0
    writes: tuple[int, ...] = ()
    leaves: int | None = None
    target: int = NONE
    is_inside: bool = False


# -- encodings ---------------------------------------------------------------------------------------------


def little(number: int, size_bytes: int = 4) -> bytes:
    return (number % (1 << 8 * size_bytes)).to_bytes(size_bytes, "little")


def _rex(wide: bool, reg: int = 0, index: int = 0, rm: int = 0) -> bytes:
    """Nothing where no bit of it is needed."""
    bits = wide << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | rm >> 3
    return bytes([0x40 | bits]) if bits else b""


def _registers(opcode: bytes, wide: bool, reg: int, rm: int) -> bytes:
    return _rex(wide, reg, 0, rm) + opcode + bytes([0xC0 | (reg & 7) << 3 | rm & 7])


def _memory(
    opcode: bytes, wide: bool, reg: int, base: int, displacement: int, index: int = NONE, scale: int = 1
) -> bytes:
    """As assemblers do it: with the shortest displacement."""
    mode, number = 2, little(displacement)
    if displacement == 0 and base & 7 != 5:
        mode, number = 0, b""
    elif -128 <= displacement < 128:
        mode, number = 1, little(displacement, 1)
    fields = mode << 6 | (reg & 7) << 3
    if index != NONE:
        sib = bytes([(scale.bit_length() - 1) << 6 | (index & 7) << 3 | base & 7])
        return _rex(wide, reg, index, base) + opcode + bytes([fields | 4]) + sib + number
    sib = b"\x24" if base & 7 == RSP else b""
    return _rex(wide, reg, 0, base) + opcode + bytes([fields | base & 7]) + sib + number


# -- the stack ---------------------------------------------------------------------------------------------


def push(register: int) -> Item:
    encoding = _rex(False, rm=register) + bytes([0x50 | register & 7])
    return Item("push", encoding, register=register, deepens=SLOT)


def pop(register: int) -> Item:
    encoding = _rex(False, rm=register) + bytes([0x58 | register & 7])
    return Item("pop", encoding, register=register, deepens=-SLOT, writes=(register,))


def move_rsp(down: int, by_lea: bool) -> Item:
    if by_lea:
        return Item("move rsp", _memory(b"\x8d", True, RSP, RSP, -down), deepens=down)
    small = abs(down) < 128
    opcode, fields = (b"\x83" if small else b"\x81"), (0xEC if down > 0 else 0xC4)
    number = little(abs(down), 1 if small else 4)
    return Item("move rsp", b"\x48" + opcode + bytes([fields]) + number, deepens=down)


def store(register: int, displacement: int, size_bytes: int) -> Item:
    """From a general register, or from one of the first vector registers."""
    opcode, reg = (b"\x0f\x11", register & 7) if size_bytes == 16 else (b"\x89", register)
    encoding = _memory(opcode, size_bytes == 8, reg, RSP, displacement)
    return Item("store", encoding, displacement=displacement, size_bytes=size_bytes)


def load(register: int, displacement: int) -> Item:
    encoding = _memory(b"\x8b", True, register, RSP, displacement)
    return Item("load", encoding, register=register, writes=(register,))


# -- direct branches ---------------------------------------------------------------------------------------


def nop() -> Item:
    return Item("nop", b"\x90")


def stop(by_ud2: bool) -> Item:
    return Item("stop", b"\x0f\x0b" if by_ud2 else b"\xf4")


def ret() -> Item:
    return Item("return", b"\xc3")


def call() -> Item:
    return Item("call", b"\xe8" + bytes(4), 4, writes=REGISTERS)


def jump() -> Item:
    return Item("jump", b"\xe9" + bytes(4), 4)


def branch(condition: int) -> Item:
    return Item("branch", bytes([0x0F, 0x80 | condition]) + bytes(4), 4)


def loop(by_ecx: bool) -> Item:
    """It counts rcx down, or ecx, which clears the upper half."""
    prefix, kept = (b"\x67", LOW_32) if by_ecx else (b"", (1 << 64) - 1)
    return Item("loop", prefix + b"\xe2\0", 1, RCX, compute=lambda old, _: (old - 1) & kept, writes=(RCX,))


def jump_if_rcx_is_0() -> Item:
    return Item("branch", b"\xe3\0", 1)


def gate_call() -> Item:
    return Item("gate call", b"\xe8" + bytes(4), 4, writes=REGISTERS)


def gate_jump() -> Item:
    return Item("gate jump", b"\xe9" + bytes(4), 4)


# -- computed branches -------------------------------------------------------------------------------------


def truncate(register: int) -> Item:
    """The first instruction of a checked branch. The attacker has chosen what is in the register."""
    encoding = _registers(b"\x89", False, register, register)
    return Item("truncate", encoding, register=register, writes=(register,), leaves=32)


def check_function(register: int) -> Item:
    """number: the bit of the target map that has to be set."""
    number = abi.TARGET_FUNCTION
    encoding = _memory(b"\xf6", False, 0, register, abi.TARGET_MAP) + bytes([number])
    return Item("check function", encoding, register=register, number=number, is_inside=True)


def check_label(register: int, mark: int) -> Item:
    """number: what the target map has to hold."""
    encoding = _memory(b"\x80", False, 7, register, abi.TARGET_MAP) + bytes([mark])
    return Item("check label", encoding, register=register, number=mark, is_inside=True)


def unless_found(on_zero: bool) -> Item:
    """number: the zero flag with which it branches away."""
    encoding = bytes([0x0F, 0x84 if on_zero else 0x85]) + bytes(4)
    return Item("unless found", encoding, 4, number=int(on_zero), is_inside=True)


def call_of(register: int) -> Item:
    encoding = _rex(False, rm=register) + bytes([0xFF, 0xD0 | register & 7])
    return Item("call of register", encoding, register=register, writes=REGISTERS, is_inside=True)


def jump_to(register: int) -> Item:
    encoding = _rex(False, rm=register) + bytes([0xFF, 0xE0 | register & 7])
    return Item("jump to register", encoding, register=register, is_inside=True)


def keep_target(register: int) -> Item:
    encoding = _memory(b"\x89", True, register, RSP, abi.SPILL_TARGET)
    return Item("keep target", encoding, register=register, is_inside=True)


def restore(register: int) -> Item:
    encoding = _memory(b"\x8b", True, register, RSP, abi.SPILL_REGISTER)
    return Item("load", encoding, register=register, writes=(register,), is_inside=True)


def jump_to_slot() -> Item:
    return Item("jump to slot", b"\xff\x64\x24" + little(abi.SPILL_TARGET, 1), is_inside=True)


def compare(register: int, number: int) -> Item:
    return Item("compare", _registers(b"\x83", True, 7, register) + little(number, 1), 0, register,
                number=number)  # fmt: skip


def compare_half(register: int, number: int) -> Item:
    return Item("compare half", _registers(b"\x83", False, 7, register) + little(number, 1), 0, register,
                number=number)  # fmt: skip


def unless_in_bounds() -> Item:
    return Item("unless in bounds", b"\x0f\x87" + bytes(4), 4, is_inside=True)


def jump_through_table(register: int, first: int, *, is_inside: bool) -> Item:
    """From which of the tables' entries on it reads."""
    encoding = b"\x67" + _rex(False, index=register) + bytes([0xFF, 0x24, 0xC5 | (register & 7) << 3])
    return Item("table", encoding + bytes(4), 4, register, number=first, is_inside=is_inside)


# -- registers and accesses --------------------------------------------------------------------------------


def load_base(register: int) -> Item:
    fields = bytes([0x04 | (register & 7) << 3, 0x25])
    encoding = b"\x65" + _rex(True, register) + b"\x8b" + fields + little(abi.CONTROL_WINDOW_BASE)
    return Item("load base", encoding, register=register, writes=(register,), leaves=abi.HOLDS_BASE)


def _set(
    encoding: bytes,
    register: int,
    compute: Callable[[int, int], int],
    leaves: int | None,
    source: int = NONE,
) -> Item:
    return Item("set", encoding, register=register, source=source, compute=compute, writes=(register,),
                leaves=leaves)  # fmt: skip


def move_32(register: int, source: int) -> Item:
    encoding = _registers(b"\x89", False, source, register)
    return _set(encoding, register, lambda _, value: value & LOW_32, 32, source)


def move_64(register: int, source: int) -> Item:
    encoding = _registers(b"\x89", True, source, register)
    return _set(encoding, register, lambda _, value: value, None, source)


def extend_16(register: int, source: int) -> Item:
    encoding = _registers(b"\x0f\xb7", False, register, source)
    return _set(encoding, register, lambda _, value: value & 0xFFFF, 16, source)


def move_low_byte(register: int) -> Item:
    """The rest stays."""
    return _set(bytes([0xB0 | register, 0x55]), register, lambda old, _: old & ~0xFF | 0x55, None)


def shift_32(register: int, count: int) -> Item:
    encoding = _registers(b"\xc1", False, 5, register) + bytes([count])
    return _set(encoding, register, lambda old, _: (old & LOW_32) >> count, 32 - count)


def shift_64(register: int, count: int) -> Item:
    encoding = _registers(b"\xc1", True, 5, register) + bytes([count])
    return _set(encoding, register, lambda old, _: old >> count, 64 - count if count >= 32 else None)


def mask(register: int, number: int) -> Item:
    """With a number that is sign-extended from 8 bits."""
    encoding = _registers(b"\x83", False, 4, register) + little(number, 1)
    leaves = number.bit_length() if number >= 0 else 32
    return _set(encoding, register, lambda old, _: old & number & LOW_32, leaves)


def move_perhaps(register: int, source: int) -> Item:
    encoding = _registers(b"\x0f\x44", False, register, source)
    return Item("move perhaps", encoding, register=register, source=source, writes=(register,))


def exchange_and_add(register: int, source: int) -> Item:
    encoding = _registers(b"\x0f\xc1", True, source, register)
    return Item("exchange and add", encoding, register=register, source=source, writes=(register, source))


def access(register: int, base: int, displacement: int, index: int = NONE, scale: int = 1) -> Item:
    """A load of 8 bytes."""
    encoding = _memory(b"\x8b", True, register, base, displacement, index, scale)
    return Item("access", encoding, register=register, source=base, index=index, scale=scale,
                displacement=displacement, size_bytes=8, writes=(register,))  # fmt: skip
