"""The checked-in table of facts about x86 instructions: what it says of the bytes of one instruction.

Lines are `encoding | conditions | mnemonic | operands | flags | marks`. An encoding is L (legacy) or V
(VEX), the opcode map and the opcode; with + its last three bits are a register. Conditions are on the parts
of an encoding that `Parts` names. Operands are `WHAT:ACCESS`, for memory `WHAT:ACCESS:BYTES`: `gpr.reg` is
the general register in ModRM's reg field, `vec.v` the vector register in VEX's v field, `operand` what
ModRM says, `implicit` what string instructions access, `stackpush` and `stackpop` both rsp and memory
there. An access is made of r, w, and cr, cw if it depends. Flags that may come out undefined count as
written.

The bytes are taken apart here without any disassembler: this is a second opinion on what iced says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

TABLE: Final = Path(__file__).parent / "facts" / "x86.txt"
STATUS_FLAGS: Final = frozenset(("cf", "pf", "af", "zf", "sf", "of"))
X87_FLAGS: Final = frozenset(("fc0", "fc1", "fc2", "fc3"))
GENERAL: Final = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
_LEGACY_PREFIXES: Final = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")


class Operand(NamedTuple):
    """what: as in the table. access: r, w, rw, cw, … bytes: of memory, at most."""

    what: str
    access: str
    bytes: int = 0


@dataclass(frozen=True)
class Fact:
    line: str
    key: str
    conditions: tuple[str, ...]
    mnemonic: str
    operands: tuple[Operand, ...]
    flags_read: frozenset[str]
    flags_written: frozenset[str]
    flags_depend: bool
    marks: frozenset[str]


class Parts(NamedTuple):
    """An encoding's parts, as far as the table's conditions name them, and the register fields with REX's
    bits."""

    key: str
    key_with_register: str
    fields: dict[str, int]
    registers: dict[str, int]
    has_rex: bool


class Effects(NamedTuple):
    """What the table says that an instruction does.

    reads, writes: registers, by their widest names (rax, vec3), and other state by the table's names.
    memory: accesses, implicit ones too, as ("operand" | "stack" | "implicit", access, bytes).
    """

    mnemonic: str
    reads: frozenset[str]
    writes: frozenset[str]
    memory: tuple[Operand, ...]
    flags_read: frozenset[str]
    flags_written: frozenset[str]
    flags_depend: bool
    marks: frozenset[str]


def read_table(lines: Iterable[str] | None = None) -> dict[str, list[Fact]]:
    """The facts by their encoding."""
    facts: dict[str, list[Fact]] = {}
    for line in TABLE.read_text().splitlines() if lines is None else lines:
        if line and not line.startswith("#"):
            fact = _fact(line)
            facts.setdefault(fact.key, []).append(fact)
    return facts


def _fact(line: str) -> Fact:
    key, conditions, mnemonic, operands, flags, marks = (column.strip() for column in line.split("|"))
    by_action = dict(re.findall(r"\b([rw]):(\S+)", flags))
    return Fact(
        line,
        key,
        tuple(conditions.split()),
        mnemonic,
        tuple(_operand(*term.split(":")) for term in operands.split()),
        frozenset(by_action.get("r", "").split(",")) - {""},
        frozenset(by_action.get("w", "").split(",")) - {""},
        flags.startswith("may"),
        frozenset(marks.split()),
    )


def _operand(what: str, access: str, size: str = "0") -> Operand:
    return Operand(what, access, int(size))


def take_apart(encoding: bytes) -> Parts:
    """The parts of one instruction of 64-bit code, which has to be encoded in legacy or VEX space."""
    count = next(index for index, byte in enumerate(encoding) if byte not in _LEGACY_PREFIXES)
    prefixes, rest = encoding[:count], encoding[count:]
    repeats = [prefix for prefix in prefixes if prefix in (0xF2, 0xF3)]
    fields = {
        "osz": int(0x66 in prefixes),
        "asz": 32 if 0x67 in prefixes else 64,
        "lock": int(0xF0 in prefixes),
        "rep": repeats[-1] & 3 if repeats else 0,
    }
    if rest[0] in (0xC4, 0xC5):
        return _with_modrm(*_vex(rest, fields))
    rex = 0
    if rest[0] & 0xF0 == 0x40:
        rex, rest = rest[0], rest[1:]
    bits = {"w": rex >> 3 & 1, "r": rex >> 2 & 1, "x": rex >> 1 & 1, "b": rex & 1}
    number = 0
    if rest[0] == 0x0F:
        number = {0x38: 2, 0x3A: 3}.get(rest[1], 1)
        rest = rest[1:] if number == 1 else rest[2:]
    return _with_modrm(f"L{number}", rest, {**fields, **bits}, bool(rex))


def _vex(rest: bytes, fields: dict[str, int]) -> tuple[str, bytes, dict[str, int], bool]:
    if rest[0] == 0xC5:
        number, second, third, rest = 1, rest[1] & 0x80 | 0x60, rest[1] & 0x7F, rest[2:]
    else:
        number, second, third, rest = rest[1] & 0x1F, rest[1], rest[2], rest[3:]
    bits = {"w": third >> 7, "r": ~second >> 7 & 1, "x": ~second >> 6 & 1, "b": ~second >> 5 & 1}
    # As the table has it, v is as encoded: 15 where the instruction has no such operand.
    return (
        f"V{number}",
        rest,
        {**fields, **bits, "vl": third >> 2 & 1, "pp": third & 3, "v": third >> 3 & 15},
        False,
    )


def _with_modrm(space: str, rest: bytes, fields: dict[str, int], has_rex: bool) -> Parts:
    opcode, modrm = rest[0], rest[1] if len(rest) > 1 else 0
    fields |= {"mod": modrm >> 6, "reg": modrm >> 3 & 7, "rm": modrm & 7, "srm": opcode & 7}
    registers = {
        "reg": fields["reg"] | fields["r"] << 3,
        "rm": fields["rm"] | fields["b"] << 3,
        "srm": fields["srm"] | fields["b"] << 3,
        "v": ~fields.get("v", 15) & 15,
        "is4": rest[-1] >> 4,
    }
    return Parts(f"{space} {opcode:02x}", f"{space} {opcode & 0xF8:02x}+", fields, registers, has_rex)


def facts_of(encoding: bytes, table: dict[str, list[Fact]]) -> list[Fact]:
    """Every line of the table that the encoding fits. More than one is an ambiguity, unless they say the
    same."""
    parts = take_apart(encoding)
    candidates = table.get(parts.key, []) + table.get(parts.key_with_register, [])
    return [
        fact for fact in candidates if all(_holds(condition, parts.fields) for condition in fact.conditions)
    ]


def _holds(condition: str, fields: dict[str, int]) -> bool:
    name, differs, value = re.fullmatch(r"(\w+?)(!?)=(\d+)", condition).groups()  # type: ignore[union-attr]
    return (fields[name] == int(value)) != bool(differs)


def effects(encoding: bytes, fact: Fact) -> Effects:
    """What one line of the table means for the registers that an encoding names."""
    parts = take_apart(encoding)
    reads: set[str] = set()
    writes: set[str] = set()
    memory: list[Operand] = []
    for operand in fact.operands:
        if operand.what in ("operand", "implicit"):
            memory.append(operand)
            continue
        if operand.what in ("stackpush", "stackpop"):
            memory.append(Operand("stack", "w" if operand.what == "stackpush" else "r", 8))
            names = {"rsp"}
        else:
            names = {_register(operand.what, parts)}
        if "r" in operand.access:
            reads |= names
        if "w" in operand.access:
            writes |= names
    if fact.mnemonic in ("vzeroall", "vzeroupper"):  # the table lists no operands for these
        writes |= {f"vec{number}" for number in range(16)}
    return Effects(
        fact.mnemonic, frozenset(reads), frozenset(writes), tuple(memory),
        fact.flags_read, fact.flags_written, fact.flags_depend, fact.marks,
    )  # fmt: skip


def _register(what: str, parts: Parts) -> str:
    """A register's widest name."""
    kind, _, field = what.partition(".")
    if not field:
        return "vec" + what[3:] if what.startswith(("xmm", "ymm")) else what
    number = parts.registers[field]
    if kind == "gpr8" and 4 <= number < 8 and not parts.has_rex:
        number -= 4  # %ah, %ch, %dh, %bh
    if kind in ("gpr", "gpr8"):
        return GENERAL[number]
    return f"{kind}{number & 7 if kind in ('st', 'mmx') else number}"
