"""A second opinion on accepted texts: another decoder (objdump), other code, the same promises.

It reads a disassembly as text and knows nothing of iced or of the verifier's tables. It is not complete; it
looks for what an escape would need: a host address, an unchecked branch, a wrong rsp, a forbidden word.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.verify.recheck_depth import Stack, as_signed, differences
from tests.verify.recheck_facts import Knowledge
from tests.verify.recheck_lines import Line
from tmebox import abi
from tmebox.modulefile.file import ModuleFile
from tmebox.verify import VerifiedText

FORBIDDEN = re.compile(
    r"\(bad\)|sys(call|enter|exit|ret)|int[1o]?$|u?iret|ins[bwlq]?$|in$|outs?|cli$|sti$|std$|cld$|popf|pushf|hlt.+"
    r"|rd(tsc|pid|pkru|pmc|pru|[fg]sbase|msr|ssp)|wr|swapgs|x(save|rstor|getbv|setbv|begin|end$|abort|lat|test)|fx(save|rstor)"
    r"|f?n?stenv|fldenv|fn?save|frstor|cpuid|enter|leave|l(ret|jmp|call)|cmps[bwlq]?$|scas|lods|maskmov|movnt|movdir"
    r"|clflush|clwb|monitor|mwait|u(mwait|monitor)|tpause|[sl][gi]dt|[ls]ldt|[ls]tr$|[ls]msw|v?p?gather|l[sf]s$|lgs"
    r"|data16|addr32|rex|loadiwkey|ver[rw]|lsl|lar|bnd|notrack|xacquire|xrelease|repnz|repn?e|fs$|gs$|[ds]s$|es$|cs$"
)
MEMORY = re.compile(
    r"(?P<segment>%[c-gs]s:)?(?P<displacement>-?0x[0-9a-f]+|\d+)?(?<!%st)\((?P<registers>[^)]*)\)"
    r"|(?P<absolute_segment>%[c-gs]s:)?(?P<absolute>(?<![$*\w])0x[0-9a-f]+)(?=,|$| )"
)
REGISTER = re.compile(r"%([cdefgs]s\b(?!:)|cr\d|db\d|mm\d|k\d|[zt]mm|bnd|[er]iz|eip)")
BIT_OFFSET = re.compile(r"bt[crs]?[wlq]? %.*\(|bt[crs]?[wlq]? %.*%gs:")
STACK_POINTERS = {"%rsp", "%esp", "%sp", "%spl"}
READS_LAST = re.compile(r"(cmp|test|push|bt|nop|call|jmp|v?p?test|v?u?comis)[bwlqsd]?$")
ANCHOR = re.compile(
    r"(mov|add|or|adc|sbb|and|sub|xor|cmp|test|inc|dec|neg|not|imul)[bwlq]?|movz[bw][wlq]|movs[bw][wlq]|movslq"
    r"|v?mov([au]p[sd]|s[sd]|dq[au]|[dq])"
)
"""Whole names of plain integer instructions and plain vector moves: they access their operand or fault. Not
the x87's stores, which complete without if an exception is unmasked; nor what masks, counts or only hints."""
AT_RSP = re.compile(r"(?<!:)(?:-?0x[0-9a-f]+)?\(%rsp\)")
WAIT = 0x9B
WIDE = re.compile(r"%r([a-d]x|[sd]i|bp|sp|\d+)$")


def disassemble(codes: Sequence[bytes], address: int, folder: Path) -> list[list[Line]]:
    """objdump's reading of each code as if it were at `address`: one Line an instruction."""
    names = [f"{number}.bin" for number in range(len(codes))]
    for name, code in zip(names, codes, strict=True):
        (folder / name).write_bytes(code)
    command = ["objdump", "-D", "-z", "-w", "-b", "binary", "-m", "i386:x86-64", f"--adjust-vma={address:#x}"]
    listing = subprocess.run(
        [*command, *names], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    return [read(part) for part in re.split(r"^\S+:\s+file format binary$", listing, flags=re.MULTILINE)[1:]]


def read(listing: str) -> list[Line]:
    lines = []
    for match in re.finditer(r"^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(.*)$", listing, re.MULTILINE):
        address, encoding = int(match[1], 16), bytes.fromhex(match[2])
        text = match[3].partition("#")[0].partition("<")[0].strip()
        text = re.sub(r"^(rep|lock|(data16 |rex.W )*(cs )?(?=nop|xchg %ax,%ax)) ?", "", text)
        if encoding[0] == WAIT and len(encoding) > 1:  # objdump reads two instructions as one
            lines.append(Line(address, encoding[:1], "fwait", ""))
            address, encoding = address + 1, encoding[1:]
        mnemonic, _, operands = text.partition(" ")
        lines.append(Line(address, encoding, mnemonic, operands.strip()))
    return lines


def exactly(text: str) -> str:
    return re.escape(text)


MAP = f"{abi.TARGET_MAP:#x}"
BASE = f"%gs:{abi.CONTROL_WINDOW_BASE:#x}"
SPILLED_TARGET, SPILLED_VALUE = f"-{-abi.SPILL_TARGET:#x}(%rsp)", f"-{-abi.SPILL_REGISTER:#x}(%rsp)"
MASKED = f"{abi.CONTROL_RSP_MASK:#x}(%r15)"
ADDED = f"{abi.CONTROL_RSP_START:#x}(%r15)"
REBASED = f"add {ADDED},%rsp"
ANYWHERE = r"je 0x[0-9a-f]+"


def test_of(register: str, bits: str) -> str:
    return r"testb \$0x" + bits + "," + exactly(f"{MAP}({register})")


def low(register: str) -> str:
    """The 32-bit name of a 64-bit register."""
    return register + "d" if register[2:].isdigit() else "%e" + register[2:]


def compare_of(register: str, mark: int) -> str:
    return exactly(f"cmpb ${mark:#x},{MAP}({register})")


def keeping(register: str) -> list[str]:
    """The end of a checked jump after which the register is what it was."""
    return [
        exactly(f"mov {register},{SPILLED_TARGET}"),
        exactly(f"mov {SPILLED_VALUE},{register}"),
        exactly(f"jmp *{SPILLED_TARGET}"),
    ]


def to_function(register: str) -> list[str]:
    return [f"mov [^$].*,{low(register)}", test_of(register, f"{abi.TARGET_FUNCTION:x}"), ANYWHERE]


def to_label(register: str, mark: int) -> list[str]:
    return [f"mov [^$].*,{low(register)}", compare_of(register, mark), r"jne 0x[0-9a-f]+"]


def within(tables: bytes, first: int, most: int) -> tuple[int, int] | None:
    """Entries 0 to `most` of a table at an offset, as entries of all tables; None if there are none such."""
    if first < 0 or first % abi.TABLE_ENTRY or first + (most + 1) * abi.TABLE_ENTRY > len(tables):
        return None
    return first // abi.TABLE_ENTRY, first // abi.TABLE_ENTRY + most


def low_half(register: str) -> str:
    return f"{register}d" if register[2:].isdigit() else register.replace("%r", "%e")


def table_read(texts: Sequence[str], tables: bytes, address: int) -> tuple[int, int] | None:
    """The first and the last entry that three instructions read which are a jump through `tables`, which are
    at `address`."""
    found = list(map(re.Pattern.fullmatch, TABLE_JUMP, texts))
    if len(found) != len(TABLE_JUMP) or not found[0] or not found[1] or not found[2]:
        return None
    most, table = int(found[0][1], 16), int(found[2][1], 16)
    index = next((name for name in REGISTERS if found[2][2] == low_half(name)), None)
    if index is None or found[0][2] not in (index, low_half(index)):
        return None
    return within(tables, table - address, most)


REGISTERS = [f"%r{name}" for name in ("ax", "cx", "dx", "bx", "bp", "si", "di", *map(str, range(8, 16)))]
GS_STRINGS = [
    [
        exactly("mov %edi,%edi"),
        exactly(f"mov {BASE},%r11"),
        exactly("lea (%r11,%rdi,1),%rdi"),
        r"stos %\w+,%es:\(%rdi\)",
    ],
    [
        exactly("mov %edi,%edi"),
        exactly("mov %esi,%esi"),
        exactly(f"mov {BASE},%r11"),
        exactly("lea (%r11,%rdi,1),%rdi"),
        exactly("lea (%r11,%rsi,1),%rsi"),
        r"movs[bwlq] %ds:\(%rsi\),%es:\(%rdi\)",
    ],
]
GS_JUMPS = [
    (check + end, depth)
    for register in REGISTERS
    for check, depth in (
        (to_function(register), 0),
        *(
            (to_label(register, mark), depth)
            for mark, depth in zip(abi.LABEL_MARKS, abi.LABEL_DEPTHS, strict=True)
        ),
    )
    for end in ([exactly(f"jmp *{register}")], keeping(register))
]
"""And the depth that they need."""
GS_CALLS = [[*to_function(register), exactly(f"call *{register}")] for register in REGISTERS]
R15_BITS = "(8|10|18|20|28|30|38)"
R15_SEQUENCES = [
    [exactly("mov (%rsp),%r11d"), test_of("%r11", "8"), ANYWHERE, exactly("mov %r11,(%rsp)"), "ret"],
    *(
        [rf"mov .*,{low(register)}", test_of(register, R15_BITS), ANYWHERE, *keeping(register)]
        for register in REGISTERS[:-2]
    ),
    ["(mov|lea|add|sub|and) .*,%esp", exactly(f"and {MASKED},%esp"), exactly(REBASED)],
    [exactly("mov %edi,%edi"), exactly("lea (%r15,%rdi,1),%rdi"), r"stos %\w+,%es:\(%rdi\)"],
    [
        exactly("mov %edi,%edi"),
        exactly("mov %esi,%esi"),
        exactly("lea (%r15,%rdi,1),%rdi"),
        exactly("lea (%r15,%rsi,1),%rsi"),
        r"movs[bwlq] %ds:\(%rsi\),%es:\(%rdi\)",
    ],
    *(
        [rf"mov [^$].*,{low(register)}", test_of(register, R15_BITS), ANYWHERE, rf"(call|jmp) \*{register}"]
        for register in REGISTERS[:-2]
    ),
]
SEQUENCES = {"gs": [*GS_STRINGS, *GS_CALLS, *(sequence for sequence, _ in GS_JUMPS)], "r15": R15_SEQUENCES}
NEEDS = {tuple(sequence): depth for sequence, depth in GS_JUMPS}
TABLE_JUMP = [
    re.compile(r"cmp \$(0x[0-9a-f]+),(%\w+)"),
    re.compile(r"ja 0x[0-9a-f]+"),
    re.compile(r"jmp \*(0x[0-9a-f]+)\(,(%\w+),8\)"),
]
RESERVED = re.compile(r"%r1[45][dwb]?$")
FILLS_OFFSET = re.compile(r"(movl?|lea) .*,%r14d$")


CAN_END = re.compile(r"(jmp|call) \*|ret|stos|movs[bwlq]? |add .*,%rsp")
"""The last instructions of sequences."""


@dataclass
class Reading:
    """What sequences make of a text. starts: where control may arrive. covered, rebased: numbers of lines.
    needs: of jumps to computed targets, the depth. reads: of jumps through tables, the entries."""

    starts: set[int]
    covered: set[int] = field(default_factory=set)
    rebased: set[int] = field(default_factory=set)
    needs: dict[int, int] = field(default_factory=dict)
    reads: dict[int, tuple[int, int]] = field(default_factory=dict)


def arrivals(lines: list[Line], base: str = "gs", tables: bytes = b"") -> set[int]:
    """Where control may arrive in a text: at what is an instruction, but inside no sequence."""
    return read_sequences(lines, base, tables).starts


def read_sequences(lines: list[Line], base: str, tables: bytes) -> Reading:
    texts = [re.sub(r"\s+", " ", line.text) for line in lines]
    reading = Reading({line.address for line in lines})
    for last, text in enumerate(texts):
        for sequence in SEQUENCES[base] if CAN_END.match(text) else ():
            first = last + 1 - len(sequence)
            found = texts[max(first, 0) : last + 1]
            if len(found) == len(sequence) and all(map(re.fullmatch, sequence, found)):
                reading.covered.update(range(first + 1, last + 1))
                if "%esp" in sequence[0]:
                    reading.rebased.add(first)
                reading.starts.difference_update(line.address for line in lines[first + 1 : last + 1])
                if tuple(sequence) in NEEDS:
                    reading.needs[lines[last].address] = NEEDS[tuple(sequence)]
    end = lines[-1].address + len(lines[-1].encoding)
    for first in range(len(lines) - 2):
        read_here = table_read(texts[first : first + 3], tables, end)
        if read_here:
            reading.covered.update((first + 1, first + 2))
            reading.starts.difference_update(line.address for line in lines[first + 1 : first + 3])
            reading.reads[lines[first + 2].address] = read_here
    return reading


@dataclass(frozen=True)
class Claimed:
    """What a text's metadata says. functions, labels: addresses. facts: addresses, and register number << 8 |
    fact. depths: addresses, and the depth of the stack from there on."""

    functions: Sequence[int] = ()
    labels: Sequence[int] = ()
    facts: Sequence[tuple[int, int]] = ()
    depths: Sequence[tuple[int, int]] = ()


def claimed_by(file: ModuleFile) -> Claimed:
    return Claimed(
        file.functions.tolist(),
        file.labels.tolist(),
        list(zip(file.fact_places.tolist(), file.facts.tolist(), strict=True)),
        list(zip(file.depth_places.tolist(), file.depths.tolist(), strict=True)),
    )


def complaints(
    lines: list[Line],
    size_bytes: int,
    base: str = "gs",
    tables: bytes = b"",
    claimed: Claimed = Claimed(),
    verdict: VerifiedText | None = None,
) -> Iterator[str]:
    """Everything wrong with one text: its instructions, of `size_bytes`, and the tables that follow them; and
    what the verifier has learnt of it that is not so."""
    reading = read_sequences(lines, base, tables)
    starts = reading.starts
    confined: set[int] = set()
    if base == "gs":
        known = Knowledge(lines, tables, claimed.facts, {*claimed.functions, *claimed.labels}, reading.reads)
        for number, line in enumerate(lines):
            if line.address in known.reads:
                reading.covered.add(number)
        yield from known.complaints(starts)
        confined = known.confined
        stack = Stack(
            lines, tables, claimed.depths, claimed.functions, claimed.labels, reading.needs, known.reads
        )
        yield from stack.found
        yield from differences(stack, verdict) if verdict else ()
    else:
        yield from unanchored_complaints(lines)
    if sum(len(line.encoding) for line in lines) != size_bytes:
        yield "objdump reads another number of bytes"
    for number, line in enumerate(lines):
        dangerous = [
            *control_complaints(line, starts, base),
            *(memory_complaints(line) if base == "gs" else r15_complaints(line)),
            *(stack_pointer_complaints(line) if base == "r15" else ()),
        ]
        if number in reading.covered:
            dangerous = [what for what in dangerous if what.startswith("branch")]
        if number in reading.rebased:
            dangerous = [what for what in dangerous if what != "rsp written"]
        if line.address in confined:
            dangerous = [what for what in dangerous if what != "host address"]
        yield from (f"{line}: {what}" for what in dangerous)
    for (target,) in struct.iter_unpack("<Q", tables):
        if target not in starts:
            yield f"{target:#x} in a table: no instruction"
    if not re.match(r"(jmp|ret|hlt|ud2)\b", lines[-1].text):
        yield f"{lines[-1]}: runs on"


def control_complaints(line: Line, starts: set[int], base: str) -> Iterator[str]:
    if FORBIDDEN.match(line.mnemonic) or REGISTER.search(line.operands) or BIT_OFFSET.match(line.text):
        yield "forbidden"
    if re.match(r"(call|jmp).* \*" if base == "gs" else r"ret|(call|jmp).* \*", line.text):
        yield "unchecked"
    if re.match(r"ret.", line.text):
        yield "forbidden"
    if re.match(r"stos|movs[bwlq]?$", line.mnemonic) and "%es:" in line.operands:
        yield "string"
    if re.match(r"pop .*\(%rsp\)", line.text):
        yield "pop through rsp"
    if re.match(r"j|call|loop", line.mnemonic) and re.fullmatch(r"0x[0-9a-f]+", line.operands):
        target = int(line.operands, 16)
        if target not in starts and target not in abi.GATES.values():
            yield "branch to no instruction"


def stack_pointer_complaints(line: Line) -> Iterator[str]:
    operands = re.sub(r"\([^)]*\)", "", line.operands).split(",")
    exchanges = re.match(r"xchg|xadd|cmpxchg|mulx", line.mnemonic)
    if STACK_POINTERS.isdisjoint(operands if exchanges else operands[-1:]) or READS_LAST.match(line.mnemonic):
        return
    amount = re.fullmatch(r"\$(0x[0-9a-f]+),%rsp", line.operands)
    if line.mnemonic in ("add", "sub") and amount:
        if abs(as_signed(int(amount[1], 16))) > abi.STACK_REACH:
            yield "rsp moves too far"
    elif line.mnemonic == "and" and amount:
        size = -as_signed(int(amount[1], 16))
        if size not in [1 << bit for bit in range(abi.STACK_REACH.bit_length())]:
            yield "rsp moves too far"
    elif line.mnemonic == "lea" and (moved := re.fullmatch(r"(-?0x[0-9a-f]+|)\(%rsp\),%rsp", line.operands)):
        if abs(int(moved[1] or "0", 16)) > abi.STACK_REACH:
            yield "rsp moves too far"
    else:
        yield "rsp written"


def memory_complaints(line: Line) -> Iterator[str]:
    if re.match(r"lea|nop|j|call|loop", line.mnemonic) and "*" not in line.operands:
        return
    if re.match(r"(stos|movs[bwlq]?)$", line.mnemonic) and "%es:" in line.operands:
        return
    for found in MEMORY.finditer(line.operands):
        registers = [
            register for register in (found["registers"] or "").split(",") if register.startswith("%")
        ]
        segment = found["segment"] or found["absolute_segment"]
        displacement = int(found["displacement"] or found["absolute"] or "0", 16)
        if registers == ["%rsp"] and segment is None:
            if abs(displacement) > abi.STACK_REACH:
                yield "too far from rsp"
        elif segment != "%gs:":
            yield "host address"
        elif registers == ["%rip"]:
            if not 0 <= line.address + len(line.encoding) + displacement < abi.WINDOW_SIZE:
                yield "outside the window"
        elif any(WIDE.match(register) and not register.endswith("d") for register in registers):
            yield "64-bit address"
        elif not registers and not 0 <= displacement < 2 * abi.GIB:
            yield "outside the window"


def r15_complaints(line: Line) -> Iterator[str]:
    """The memory rule and the reserved registers' with the base in r15."""
    if "(" not in line.operands or not re.match(r"j|call|loop", line.mnemonic):
        operands = re.sub(r"\([^)]*\)", "", line.operands).split(",")
        exchanges = re.match(r"xchg|xadd|cmpxchg|mulx", line.mnemonic)
        written = operands if exchanges else operands[-1:]
        is_harmless = READS_LAST.match(line.mnemonic) or FILLS_OFFSET.match(line.text)
        if any(map(RESERVED.match, written)) and not is_harmless:
            yield "reserved register written"
    if re.match(r"lea|nop|j|call|loop", line.mnemonic) and "*" not in line.operands:
        return
    if re.match(r"(stos|movs[bwlq]?)$", line.mnemonic) and "%es:" in line.operands:
        return
    for found in MEMORY.finditer(line.operands):
        displacement = int(found["displacement"] or found["absolute"] or "0", 16)
        reaches = {"%rsp": (-abi.STACK_REACH, abi.STACK_REACH), "%r15": (0, 2 * abi.GIB - 1)}
        reaches["%r15,%r14,1"] = (-abi.R15_REACH, abi.R15_REACH)
        least, most = reaches.get(found["registers"] or "", (1, 0))
        if found["segment"] or found["absolute_segment"] or not least <= displacement <= most:
            yield "host address"


def unanchored_complaints(lines: list[Line]) -> Iterator[str]:
    """Branches that rsp reaches after it was moved and before anything near it was accessed."""
    moved = 0
    for line in lines:
        if AT_RSP.search(line.operands) and ANCHOR.fullmatch(line.mnemonic):
            moved = 0
        if re.match(r"push|pop|call|ret", line.mnemonic) or line.text == REBASED:
            moved = 0
        if constant := re.fullmatch(r"(?:add|sub|and) \$(0x[0-9a-f]+),%rsp", line.text):
            moved += abs(as_signed(int(constant[1], 16)))
        if displacement := re.fullmatch(r"lea (-?0x[0-9a-f]+)?\(%rsp\),%rsp", line.text):
            moved += abs(int(displacement[1] or "0", 16))
        if moved > abi.STACK_REACH or (moved and re.match(r"j|loop", line.mnemonic)):
            yield f"{line}: rsp moved by {moved:#x} unseen"
        if re.match(r"jmp|hlt|ud2", line.mnemonic):
            moved = 0
