"""What single instructions do, as bit-vector formulas: the few that sequences and rules are made of.

An instruction that has no model here may do anything to the registers that the table of facts says it writes.
So a rule that begins to trust another instruction does not hold any more until that has a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import z3
from iced_x86 import CodeSize, MemorySizeExt, Mnemonic, OpKind, Register, RegisterExt

from tests.campaign.facts_believed import MNEMONICS
from tests.campaign.x86_facts_table import GENERAL, Effects, effects, facts_of, read_table
from tmebox.verify.decoded import Decoded, decode, signed

FACTS: Final = read_table()
_IMMEDIATES: Final = frozenset(
    number for name, number in vars(OpKind).items() if name.startswith("IMMEDIATE")
)
_FLAT: Final = frozenset({Register.DS, Register.SS, Register.ES, Register.CS})


@dataclass
class Access:
    """address: of its first byte, 64 bits."""

    address: Any
    size_bytes: int
    writes: bool


@dataclass
class State:
    """A machine whose registers and memory are formulas.

    base: the window's base, where gs points. target: where the last branch went. Flags are conditions.
    """

    base: Any
    registers: dict[str, Any]
    memory: Any
    zero: Any
    carry: Any
    accesses: list[Access] = field(default_factory=list)
    target: Any = None
    count: int = 0

    @staticmethod
    def fresh(name: str = "") -> State:
        return State(
            z3.BitVec(f"base{name}", 64),
            {register: z3.BitVec(f"{register}{name}", 64) for register in GENERAL},
            z3.Array(f"memory{name}", z3.BitVecSort(64), z3.BitVecSort(8)),
            z3.Bool(f"zf{name}"),
            z3.Bool(f"cf{name}"),
        )

    def unknown(self, bits: int) -> Any:
        self.count += 1
        return z3.FreshConst(z3.BitVecSort(bits), "unknown")

    def load(self, address: Any, size_bytes: int) -> Any:
        self.accesses.append(Access(address, size_bytes, writes=False))
        return self.peek(address, size_bytes)

    def peek(self, address: Any, size_bytes: int) -> Any:
        parts = [z3.Select(self.memory, address + number) for number in reversed(range(size_bytes))]
        return parts[0] if size_bytes == 1 else z3.Concat(*parts)

    def store(self, address: Any, value: Any, size_bytes: int) -> None:
        self.accesses.append(Access(address, size_bytes, writes=True))
        for number in range(size_bytes):
            byte = z3.Extract(8 * number + 7, 8 * number, value)
            self.memory = z3.Store(self.memory, address + number, byte)

    def read(self, register: int) -> Any:
        """A general register, of any size."""
        whole = self.registers[full_name(register)]
        bits = 8 * RegisterExt.size(register)
        low = 8 if is_high(register) else 0
        return z3.Extract(low + bits - 1, low, whole)

    def write(self, register: int, value: Any) -> None:
        """32 bits clear the upper half; 8 and 16 leave the rest as it is."""
        name, bits = full_name(register), value.size()
        old = self.registers[name]
        if bits == 32:
            value = z3.ZeroExt(32, value)
        elif bits < 32:
            low = 8 if is_high(register) else 0
            parts = [z3.Extract(63, low + bits, old), value]
            value = z3.Concat(*parts, *([z3.Extract(low - 1, 0, old)] if low else []))
        self.registers[name] = value


def full_name(register: int) -> str:
    whole = RegisterExt.full_register(register)
    return GENERAL[RegisterExt.number(whole)]


def is_high(register: int) -> bool:
    return register in (Register.AH, Register.BH, Register.CH, Register.DH)


@dataclass(frozen=True)
class Step:
    """One instruction to run. displacement, immediate: formulas of 64 bits instead of the encoding's, or
    None."""

    decoded: Decoded
    displacement: Any = None
    immediate: Any = None

    @staticmethod
    def of(encoding: bytes) -> Step:
        decoded = decode(encoding)
        if decoded is None:
            raise ValueError(f"no instruction: {encoding.hex(' ')}")
        return Step(decoded)


def told(decoded: Decoded) -> Effects:
    """What the table of facts says; it has exactly one opinion on what the verifier accepts."""
    found = {effects(decoded.encoding, fact) for fact in facts_of(decoded.encoding, FACTS)}
    if len(found) != 1:
        raise ValueError(f"{decoded.encoding.hex(' ')}: {len(found)} facts")
    return found.pop()


def run(state: State, step: Step) -> None:
    name = MNEMONICS[step.decoded.instruction.mnemonic]
    model = MODELS.get(name) or PARTIAL.get(name)
    if model is None:
        anything(state, step)
    else:
        model(state, step)


def address_of(state: State, step: Step) -> Any:
    """The address of the memory operand, as segment base plus offset."""
    operand = step.decoded.operand
    if operand is None:
        raise ValueError(f"{step.decoded.encoding.hex(' ')} has no memory operand")
    offset = step.displacement
    if offset is None:
        offset = z3.BitVecVal(operand.displacement_i64, 64)
    for register, scale in ((operand.base, 1), (operand.index, operand.scale)):
        if register != Register.NONE:
            offset = offset + state.registers[full_name(register)] * scale
    if operand.address_size == CodeSize.CODE32:
        offset = z3.ZeroExt(32, z3.Extract(31, 0, offset))
    if operand.segment == Register.GS:
        return state.base + offset
    return offset if operand.segment in _FLAT else state.unknown(64)


def operand_bits(step: Step) -> int:
    """Of the first operand."""
    instruction = step.decoded.instruction
    if instruction.op_kind(0) == OpKind.REGISTER:
        return 8 * RegisterExt.size(instruction.op_register(0))
    return 8 * memory_bytes(step)


def memory_bytes(step: Step) -> int:
    return MemorySizeExt.size(step.decoded.instruction.memory_size)


def source(state: State, step: Step, number: int, bits: int) -> Any:
    instruction = step.decoded.instruction
    kind = instruction.op_kind(number)
    if kind == OpKind.REGISTER:
        return state.read(instruction.op_register(number))
    if kind == OpKind.MEMORY:
        return state.load(address_of(state, step), memory_bytes(step))
    if kind in _IMMEDIATES:
        value = step.immediate
        if value is None:
            value = z3.BitVecVal(signed(instruction.immediate(number)), 64)
        return z3.Extract(bits - 1, 0, value)
    raise ValueError(f"an operand of kind {kind}")


def result(state: State, step: Step, value: Any) -> None:
    instruction = step.decoded.instruction
    if instruction.op_kind(0) == OpKind.REGISTER:
        state.write(instruction.op_register(0), value)
    else:
        state.store(address_of(state, step), value, value.size() // 8)


def anything(state: State, step: Step) -> None:
    """What is written may come out as anything, and what is accessed is noted."""
    fact = told(step.decoded)
    for operand in fact.memory:
        if operand.what == "operand":
            state.accesses.append(Access(address_of(state, step), operand.bytes, "w" in operand.access))
        else:
            state.accesses.append(Access(state.unknown(64), operand.bytes, "w" in operand.access))
    if any("w" in operand.access for operand in fact.memory):
        state.memory = z3.FreshConst(state.memory.sort(), "memory")
    for name in fact.writes & set(GENERAL):
        state.registers[name] = state.unknown(64)
    _flags(state, fact)


def _flags(state: State, fact: Effects) -> None:
    if "zf" in fact.flags_written:
        state.zero = z3.FreshConst(z3.BoolSort(), "zf")
    if "cf" in fact.flags_written:
        state.carry = z3.FreshConst(z3.BoolSort(), "cf")


def _move(state: State, step: Step) -> None:
    result(state, step, source(state, step, 1, operand_bits(step)))


def _move_extended(state: State, step: Step) -> None:
    value = source(state, step, 1, 0)
    result(state, step, z3.ZeroExt(operand_bits(step) - value.size(), value))


def _effective_address(state: State, step: Step) -> None:
    result(state, step, z3.Extract(operand_bits(step) - 1, 0, address_of(state, step)))


def _arithmetic(operation: Callable[[Any, Any], Any], keeps: bool) -> Callable[[State, Step], None]:
    """keeps: whether the result goes to the first operand, or sets flags only."""

    def model(state: State, step: Step) -> None:
        bits = operand_bits(step)
        left, right = source(state, step, 0, bits), source(state, step, 1, bits)
        value = operation(left, right)
        _flags(state, told(step.decoded))
        state.zero = value == 0
        if operation is _subtract:
            state.carry = z3.ULT(left, right)
        elif operation is _and:
            state.carry = z3.BoolVal(False)
        if keeps:
            _write_back(state, step, value)

    return model


def _write_back(state: State, step: Step, value: Any) -> None:
    """The operand that was read is written: one access that does both."""
    result(state, step, value)
    if step.decoded.instruction.op_kind(0) == OpKind.MEMORY:
        del state.accesses[-2]


def _add(left: Any, right: Any) -> Any:
    return left + right


def _subtract(left: Any, right: Any) -> Any:
    return left - right


def _and(left: Any, right: Any) -> Any:
    return left & right


def _shift_right(state: State, step: Step) -> None:
    """The count is taken modulo 32, or 64 for 64-bit operands; flags stay if it is 0."""
    bits = operand_bits(step)
    left, right = source(state, step, 0, bits), source(state, step, 1, 8)
    count = z3.ZeroExt(bits - 8, right) if bits > 8 else right
    count = count & (63 if bits == 64 else 31)
    _flags(state, told(step.decoded))
    _write_back(state, step, z3.LShR(left, count))


def _some_result(state: State, step: Step) -> None:
    """The first operand comes out as anything, but all of it is written."""
    instruction = step.decoded.instruction
    if instruction.op_count < 2 and instruction.mnemonic == Mnemonic.IMUL:
        anything(state, step)
        return
    registers = dict(state.registers)
    anything(state, step)
    if instruction.op_kind(0) == OpKind.REGISTER:
        name = full_name(instruction.op_register(0))
        state.registers[name] = registers[name]
        state.write(instruction.op_register(0), state.unknown(operand_bits(step)))


def _some_shift(state: State, step: Step) -> None:
    """Likewise, but a count of 0 leaves everything as it is."""
    bits = operand_bits(step)
    count = source(state, step, 1, 8) & (63 if bits == 64 else 31)
    registers = dict(state.registers)
    _some_result(state, step)
    if step.decoded.instruction.op_kind(0) == OpKind.REGISTER:
        name = full_name(step.decoded.instruction.op_register(0))
        state.registers[name] = z3.If(count == 0, registers[name], state.registers[name])


def _push(state: State, step: Step) -> None:
    value = source(state, step, 0, 64)
    state.registers["rsp"] = state.registers["rsp"] - 8
    state.store(state.registers["rsp"], value, 8)


def _pop(state: State, step: Step) -> None:
    value = state.load(state.registers["rsp"], 8)
    state.registers["rsp"] = state.registers["rsp"] + 8
    result(state, step, value)


def _call(state: State, step: Step) -> None:
    _jump(state, step)
    state.registers["rsp"] = state.registers["rsp"] - 8
    state.store(state.registers["rsp"], state.unknown(64), 8)


def _return(state: State, step: Step) -> None:
    state.target = state.load(state.registers["rsp"], 8)
    state.registers["rsp"] = state.registers["rsp"] + 8


def _jump(state: State, step: Step) -> None:
    is_direct = step.decoded.has_branch_target
    state.target = state.unknown(64) if is_direct else source(state, step, 0, 64)


def _fall_through(state: State, step: Step) -> None:
    """A conditional branch that is not taken; see `not_taken`."""


def not_taken(state: State, step: Step) -> Any:
    """The condition under which control goes past a conditional branch."""
    mnemonic = MNEMONICS[step.decoded.instruction.mnemonic]
    if mnemonic == "je":
        return z3.Not(state.zero)
    if mnemonic == "jne":
        return state.zero
    if mnemonic == "ja":
        return z3.Or(state.zero, state.carry)
    return z3.BoolVal(True)


def _one_element(names: tuple[str, ...]) -> Callable[[State, Step], None]:
    """The first element of a string instruction, upward. The rest is for an induction."""

    def model(state: State, step: Step) -> None:
        fact = told(step.decoded)
        for name, operand in zip(names, fact.memory, strict=True):
            state.accesses.append(Access(state.registers[name], operand.bytes, "w" in operand.access))
            state.registers[name] = state.registers[name] + operand.bytes
        if "rcx" in fact.writes:
            state.registers["rcx"] = state.unknown(64)
        state.memory = z3.FreshConst(state.memory.sort(), "memory")

    return model


_STORES, _MOVES = _one_element(("rdi",)), _one_element(("rdi", "rsi"))
MODELS: Final[dict[str, Callable[[State, Step], None]]] = {
    "mov": _move,
    "movzx": _move_extended,
    "lea": _effective_address,
    "add": _arithmetic(_add, keeps=True),
    "sub": _arithmetic(_subtract, keeps=True),
    "and": _arithmetic(_and, keeps=True),
    "cmp": _arithmetic(_subtract, keeps=False),
    "test": _arithmetic(_and, keeps=False),
    "shr": _shift_right,
    "push": _push,
    "pop": _pop,
    "call": _call,
    "ret": _return,
    "jmp": _jump,
    "je": _fall_through,
    "jne": _fall_through,
    "ja": _fall_through,
    **{f"stos{size}": _STORES for size in "bwdq"},
    **{f"movs{size}": _MOVES for size in "bwdq"},
}
"""By mnemonic."""
PARTIAL: Final[dict[str, Callable[[State, Step], None]]] = {
    **dict.fromkeys(["or", "xor", "adc", "sbb", "neg", "not", "inc", "dec", "imul", "movsx"], _some_result),
    **dict.fromkeys(("shl", "sal", "sar"), _some_shift),
}
"""These tell only which part of a register is written."""
