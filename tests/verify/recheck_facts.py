"""The second opinion on facts about registers: one walk over a disassembly, with a table of what is known.

The verifier looks facts up from the places that need them; this goes from the first instruction to the last.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping

from tests.verify.recheck_lines import Line
from tmebox import abi

LEGACY = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
WIDE = [f"%r{name}" for name in LEGACY] + [f"%r{number}" for number in range(8, 16)]
HALF = [f"%e{name}" for name in LEGACY] + [f"%r{number}d" for number in range(8, 16)]
PARTS = {
    **{name: number for number, name in enumerate(WIDE)},
    **{name: number for number, name in enumerate(HALF)},
    **{f"%{name}": number for number, name in enumerate(LEGACY)},
    **{f"%{name[0]}{end}": number for number, name in enumerate(LEGACY[:4]) for end in "lh"},
    **{f"%{name}l": number for number, name in enumerate(LEGACY) if number > 3},
    **{f"%r{number}{end}": number for number in range(8, 16) for end in "wb"},
}
"""Every name of a part of a register, and which it is a part of."""
ONLY_READ = re.compile(r"(cmp|test|push|bt|nop|j\w+|v?p?test|v?u?comis|prefetch)[bwlqsd]*$")
ALWAYS_WHOLE = re.compile(
    r"(mov|lea|add|or|adc|sbb|and|sub|xor|inc|dec|neg|not|movs[bw]|shl|sar|shr)l?$|(imul)l?$"
)
ADDRESS = re.compile(
    r"(?<![:\w])(?P<displacement>-?0x[0-9a-f]+)?\((?P<base>%r\w+)(,(?P<index>%r\w+),(?P<scale>[1248]))?\)"
)
TABLE_JUMP = re.compile(r"jmp \*(0x[0-9a-f]+)\(,(%\w+),8\)")
EVERYTHING = frozenset(range(16))
IMPLICIT = {
    r"call": EVERYTHING,
    r"(i?mul|i?div)[bwlq]?$": frozenset((0, 2)),
    r"(cltq|cwtl|cbtw|cdqe|cwde|cbw|lahf)$": frozenset((0,)),
    r"(cltd|cqto|cwtd|cdq|cqo|cwd)$": frozenset((2,)),
    r"loop|j[er]?cxz": frozenset((1,)),
    r"(rep )?(stos|movs[bwlq]?$)": frozenset((1, 6, 7)),
    r"cmpxchg(8|16)b": frozenset((0, 2)),
    r"cmpxchg": frozenset((0,)),
    r"v?pcmp[ei]str": frozenset((1,)),
    r"f?n?stsw": frozenset((0,)),
    r"xgetbv|rd|cpuid": EVERYTHING,
}
"""What else is written, by beginning of the mnemonic."""

NEVER = -1
"""In place of a fact: control never gets there, so that whatever is claimed of where it goes is true."""
Facts = dict[int, int]
"""Register number to fact, as claims have them."""


class Knowledge:
    """confined: addresses of instructions whose access is in the window because of facts. reads: of jumps
    through tables, the first and the last entry: those of `bounded`, which are compared, and by facts."""

    def __init__(
        self,
        lines: list[Line],
        tables: bytes,
        facts: Iterable[tuple[int, int]],
        others: set[int],
        bounded: Mapping[int, tuple[int, int]],
    ) -> None:
        self.reads = dict(bounded)
        self.lines = lines
        self.entries = [target for (target,) in struct.iter_unpack("<Q", tables)]
        self.claimed: dict[int, Facts] = {}
        self.malformed: list[str] = []
        for address, fact in facts:
            register, value = fact >> 8, fact & 0xFF
            about = self.claimed.setdefault(address, {})
            if not 0 <= register < 16 or register == 4 or register in about:
                self.malformed.append(f"{address:#x}: a claim about register {register}")
            if value > 32 and value != abi.HOLDS_BASE:
                self.malformed.append(f"{address:#x}: the claim {value}")
            about[register] = value
        after_calls = {end(line) for line in lines if line.mnemonic.startswith("call")}
        self.open = others | after_calls
        self.met = (
            self.open | set(self.entries) | self.claimed.keys() | set(filter(None, map(target_of, lines)))
        )
        self.confined: set[int] = set()
        self._demands: list[tuple[Line, Facts, int]] = []
        self._walk()

    def _walk(self) -> None:
        known: Facts = {}
        falls = False
        before: Line | None = None
        for line in self.lines:
            if line.address in self.met:
                if falls and before is not None:
                    self._demands.append((before, known, line.address))
                known = dict(self.claimed.get(line.address, {}))
            if is_confined(line, known):
                self.confined.add(line.address)
            known = after(line, known)
            target = target_of(line)
            if target is not None:
                self._demands.append((line, known, target))
            read = self.reads.get(line.address) or self._read_by_facts(line, known)
            if read is not None:
                self.reads[line.address] = read
                for entry in set(self.entries[read[0] : read[1] + 1]):
                    self._demands.append((line, known, entry))
            ends = re.match(r"(jmp|ret|hlt|ud2)\b", line.text)
            falls = not ends
            if ends:
                known = dict.fromkeys(range(16), NEVER)
            before = line

    def _read_by_facts(self, line: Line, known: Facts) -> tuple[int, int] | None:
        """What a jump through a table reads whose index is below a power of 2, if it is all in the tables."""
        jump = TABLE_JUMP.fullmatch(line.text)
        if jump is None or jump[2] not in HALF or jump[2] == "%esp":
            return None
        bits = known.get(HALF.index(jump[2]))
        first, off = divmod(int(jump[1], 16) - end(self.lines[-1]), abi.TABLE_ENTRY)
        if bits is None or not 0 <= bits <= 32 or off or first < 0 or first + (1 << bits) > len(self.entries):
            return None
        return first, first + (1 << bits) - 1

    def complaints(self, starts: set[int]) -> Iterator[str]:
        yield from self.malformed
        for address in sorted(self.claimed):
            if address not in starts or address in self.open:
                yield f"{address:#x}: a claim about registers where others may arrive, or nobody"
        for line, known, target in self._demands:
            for register, fact in self.claimed.get(target, {}).items():
                if not holds(known.get(register), fact):
                    yield f"{line}: without {WIDE[register]} = {fact}, which is claimed at {target:#x}"


def end(line: Line) -> int:
    return line.address + len(line.encoding)


def target_of(line: Line) -> int | None:
    """Where a direct branch goes."""
    is_direct = re.match(r"j|call|loop", line.mnemonic) and re.fullmatch(r"0x[0-9a-f]+", line.operands)
    return int(line.operands, 16) if is_direct else None


def holds(known: int | None, wanted: int) -> bool:
    if known is None:
        return False
    if known == NEVER:
        return True
    return known == wanted if abi.HOLDS_BASE in (known, wanted) else known <= wanted


def is_confined(line: Line, known: Facts) -> bool:
    """Whether the only access is to the window, by what is known of the registers of its address."""
    found = list(ADDRESS.finditer(line.operands))
    if len(found) != 1 or re.match(r"push|pop|call|jmp|stos|movs[bwlq]?$", line.mnemonic):
        return False
    if re.match(r"bt[crs]?[wlq]? %", line.text) or re.match(r"lea|nop", line.mnemonic):
        return False
    base, index = found[0]["base"], found[0]["index"]
    if base not in WIDE or base == "%rsp" or known.get(WIDE.index(base)) != abi.HOLDS_BASE:
        return False
    displacement = int(found[0]["displacement"] or "0", 16)
    if index is None:
        return 0 <= displacement < 2 * abi.GIB
    bits = known.get(WIDE.index(index)) if index in WIDE and index != base else None
    if bits is None or not 0 <= bits <= 32 or displacement < -abi.R15_REACH:
        return False
    most = ((1 << bits) - 1) * int(found[0]["scale"]) + displacement
    return most < abi.WINDOW_SIZE + abi.R15_REACH and displacement < 2 * abi.GIB


def after(line: Line, known: Facts) -> Facts:
    """What is known once the instruction has run."""
    written = written_by(line)
    facts = {register: fact for register, fact in known.items() if register not in written}
    made = made_by(line)
    if made is not None:
        facts[made[0]] = made[1]
    return facts


def operands_of(line: Line) -> list[str]:
    return re.sub(r"\([^)]*\)", "()", line.operands).split(",")


def written_by(line: Line) -> frozenset[int]:
    """Registers that may change; too many rather than too few."""
    implicit: frozenset[int] = frozenset()
    for beginning, registers in IMPLICIT.items():
        if re.match(beginning, line.mnemonic) and not re.match(r"movs[sd]\b|imul .*,", line.text):
            implicit |= registers
    operands = operands_of(line)
    divides = len(operands) == 1 and re.fullmatch(r"(i?mul|i?div)[bwlq]?", line.mnemonic)
    if divides or ONLY_READ.match(line.mnemonic) or line.text == "xchg %ax,%ax":  # 66 90, a nop
        return implicit
    exchanges = re.match(r"xchg|xadd|cmpxchg|mulx", line.mnemonic)
    named = {PARTS[name] for name in (operands if exchanges else operands[-1:]) if name in PARTS}
    return implicit | named


def made_by(line: Line) -> tuple[int, int] | None:
    """A register and what is known of it because of this instruction."""
    operands = operands_of(line)
    last = operands[-1]
    if line.text == f"mov %gs:{abi.CONTROL_WINDOW_BASE:#x},{last}" and last in WIDE and last != "%rsp":
        return WIDE.index(last), abi.HOLDS_BASE
    if re.fullmatch(r"movz[bw][lq]?", line.mnemonic) and last in (*WIDE, *HALF):
        return PARTS[last], 8 if line.mnemonic[4] == "b" else 16
    number = int(operands[0][1:], 16) if re.fullmatch(r"\$0x[0-9a-f]+", operands[0]) else None
    if re.fullmatch("shrq?", line.mnemonic) and last in WIDE and number is not None and 32 <= number < 64:
        return PARTS[last], 64 - number
    if last not in HALF or last == "%esp" or not ALWAYS_WHOLE.match(line.mnemonic):
        return None
    if line.mnemonic.startswith("imul") and len(operands) == 1:
        return None
    if re.match("shl|sar|shr", line.mnemonic):
        count = 1 if len(operands) == 1 else number
        if count is None or not 0 < count < 32:
            return None
        return PARTS[last], 32 - count if line.mnemonic.startswith("shr") else 32
    if line.mnemonic.startswith("and") and number is not None and number < 1 << 31:
        return PARTS[last], number.bit_length()
    return PARTS[last], 32
