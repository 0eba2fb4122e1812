"""Other decoders, read in one form: Zydis, capstone, GNU objdump and LLVM's, as far as they are there."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from iced_x86 import OpKind, Register

from tests.campaign.facts_believed import MNEMONICS
from tmebox.verify.decoded import decode, signed


class Memory(NamedTuple):
    """segment: of an override, or "". base, index: register names, or "". scale: 1 without an index."""

    segment: str
    base: str
    index: str  # type: ignore[assignment]
    scale: int
    displacement: int


class Reading(NamedTuple):
    """One instruction. registers: those that are operands as written; no order, since syntaxes differ."""

    size_bytes: int
    mnemonic: str
    registers: frozenset[str]
    memory: Memory | None


class Peer(Protocol):
    """wrong_about: what encodings begin with that it is known to read wrongly."""

    name: str
    wrong_about: re.Pattern[bytes] | None

    def missing(self) -> str | None:
        """Why this machine does not have it, or None."""
        ...

    def read(self, encodings: Sequence[bytes]) -> list[Reading | None]:
        """Each encoding by itself; None where it sees no instruction."""
        ...


_NAMES: Final = {number: name.lower() for name, number in vars(Register).items() if name.isupper()}
_FLOATS: Final = re.compile(r"st\((\d)\)")


def iced(encoding: bytes) -> Reading | None:
    decoded = decode(encoding)
    if decoded is None:
        return None
    instruction = decoded.instruction
    registers = frozenset(
        _NAMES[instruction.op_register(number)]
        for number in range(instruction.op_count)
        if instruction.op_kind(number) == OpKind.REGISTER
    )
    memory = None
    operand = decoded.operand
    if operand is not None:
        displacement = operand.displacement_i64
        if instruction.is_ip_rel_memory_operand:  # iced has added the instruction's end
            displacement -= len(encoding)
        memory = _memory(
            _NAMES[operand.segment] if operand.has_override else "",
            "" if operand.base == Register.NONE else _NAMES[operand.base],
            "" if operand.index == Register.NONE else _NAMES[operand.index],
            operand.scale,
            displacement,
        )
    return Reading(len(encoding), MNEMONICS[instruction.mnemonic], registers, memory)


def _memory(segment: str, base: str, index: str, scale: int, displacement: int) -> Memory:
    displacement = signed(displacement % (1 << 64))
    index = "" if index in ("riz", "eiz") else index
    return Memory(segment, base, index, scale if index else 1, displacement)


class Zydis:
    name = "Zydis"
    wrong_about = None

    def missing(self) -> str | None:
        return None if _zydis() else "no C compiler with Zydis's header and library (libzydis-dev)"

    def read(self, encodings: Sequence[bytes]) -> list[Reading | None]:
        program = _zydis()
        if program is None:
            raise RuntimeError(self.missing())
        text = "".join(f"{encoding.hex()}\n" for encoding in encodings)
        lines = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout
        return [self._reading(line) for line in lines.splitlines()]

    def _reading(self, line: str) -> Reading | None:
        if line == "none":
            return None
        size, mnemonic, registers, *memory = line.split(";")
        names = frozenset(filter(None, registers.split(",")))
        segment, base, index, scale, displacement = memory if len(memory) == 5 else ("", "", "", "0", "0")
        found = _memory(segment, base, index, int(scale), int(displacement)) if len(memory) == 5 else None
        return Reading(int(size), mnemonic, names, found)


_ZYDIS_SOURCE: Final = r"""
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

static const char *name(ZydisRegister reg) {
    return reg == ZYDIS_REGISTER_NONE ? "" : ZydisRegisterGetString(reg);
}

int main(void) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        unsigned char bytes[32];
        size_t count = 0;
        unsigned value;
        while (count < 16 && sscanf(line + 2 * count, "%2x", &value) == 1)
            bytes[count++] = value;
        ZydisDecodedInstruction it;
        ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, count, &it, ops))) {
            puts("none");
            continue;
        }
        printf("%d;%s;", it.length, ZydisMnemonicGetString(it.mnemonic));
        for (int i = 0; i < it.operand_count_visible; i++)
            if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
                printf("%s,", name(ops[i].reg.value));
        for (int i = 0; i < it.operand_count_visible; i++) {
            if (ops[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
                continue;
            int overridden = (it.attributes & ZYDIS_ATTRIB_HAS_SEGMENT) != 0;
            printf(";%s;%s;%s;%d;%lld", overridden ? name(ops[i].mem.segment) : "",
                   name(ops[i].mem.base), name(ops[i].mem.index), ops[i].mem.scale,
                   (long long)ops[i].mem.disp.value);
        }
        puts("");
    }
}
"""


@cache
def _zydis() -> str | None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="tmebox-zydis-"))
    source, program = folder / "zydis.c", folder / "zydis"
    source.write_text(_ZYDIS_SOURCE)
    built = subprocess.run([compiler, source, "-o", program, "-lZydis"], capture_output=True, check=False)
    return str(program) if built.returncode == 0 else None


class Capstone:
    name = "capstone"
    wrong_about = None

    def missing(self) -> str | None:
        try:
            import capstone  # noqa: F401
        except ImportError:
            return "capstone is not installed"
        return None

    def read(self, encodings: Sequence[bytes]) -> list[Reading | None]:
        import capstone
        from capstone import x86_const

        machine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        machine.detail = True
        readings: list[Reading | None] = []
        for encoding in encodings:
            found = next(machine.disasm(encoding, 0), None)
            if found is None:
                readings.append(None)
                continue
            name = machine.reg_name
            memory = None
            registers = set()
            for operand in found.operands:
                if operand.type == x86_const.X86_OP_REG:
                    registers.add(_FLOATS.sub(r"st\1", name(operand.reg)))
                elif operand.type == x86_const.X86_OP_MEM and memory is None:
                    part = operand.mem
                    parts = [name(part.segment), name(part.base), name(part.index)]
                    segment, base, index = (text or "" for text in parts)
                    memory = _memory(segment, base, index, part.scale, part.disp)
            words = found.mnemonic.split()
            readings.append(Reading(found.size, words[-1], frozenset(registers), memory))
        return readings


_OPERAND: Final = re.compile(
    r"(?:%(?P<segment>[c-gs]s):)?(?P<displacement>-?(?:0x[0-9a-f]+|\d+))?\("
    r"(?:%(?P<base>\w+))?(?:,%(?P<index>\w+))?(?:,(?P<scale>[1248]))?\)"
    r"|%(?P<segment_alone>[c-gs]s):(?P<absolute>-?(?:0x[0-9a-f]+|\d+))"
)
_REGISTER: Final = re.compile(r"%(st\(\d\)|\w+)")
_PREFIX: Final = re.compile(r"^(rep[nez]*|lock|\{\w+\}|data16|cs|xacquire|xrelease|bnd|notrack)\s+")


def from_att(size_bytes: int, text: str) -> Reading:
    """An instruction in AT&T's syntax, as both objdump and LLVM print it, roughly."""
    text = text.partition("#")[0].partition("<")[0].strip()
    while found := _PREFIX.match(text):
        text = text[found.end() :]
    mnemonic, _, operands = text.partition("\t") if "\t" in text else text.partition(" ")
    memory = None
    match = _OPERAND.search(re.sub(r"%st\(\d\)", "", operands))
    if match:
        segment = match["segment"] or match["segment_alone"] or ""
        displacement = int(match["displacement"] or match["absolute"] or "0", 0)
        memory = _memory(
            segment, match["base"] or "", match["index"] or "", int(match["scale"] or 1), displacement
        )
        operands = operands.replace(match[0], "", 1)
    registers = {_FLOATS.sub(r"st\1", name) for name in _REGISTER.findall(operands)}
    registers = {"st0" if name == "st" else name for name in registers}
    return Reading(size_bytes, mnemonic.split(",")[0], frozenset(registers), memory)


class Objdump:
    name = "objdump"
    wrong_about = None

    def missing(self) -> str | None:
        return None if shutil.which("objdump") else "objdump is not installed"

    def read(self, encodings: Sequence[bytes]) -> list[Reading | None]:
        """All in one file, each in a place of its own, filled up with instructions of one byte."""
        room = 32
        data = b"".join(encoding.ljust(room, b"\x90") for encoding in encodings)
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            file.write(data)
            file.flush()
            command = ["objdump", "-D", "-z", "-w", "-b", "binary", "-m", "i386:x86-64", file.name]
            listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = {
            int(match[1], 16): (len(bytes.fromhex(match[2])), match[3])
            for match in re.finditer(r"^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(.*)$", listing, re.MULTILINE)
        }
        readings: list[Reading | None] = []
        for number in range(len(encodings)):
            size_bytes, text = found.get(number * room, (0, "(bad)"))
            readings.append(None if "(bad)" in text else from_att(size_bytes, text))
        return readings


class Llvm:
    name = "LLVM"
    wrong_about = re.compile(rb"[\x26\x2e\x36\x3e\x64\x65]*\x67.?[\xc4\xc5]", re.DOTALL)
    # LLVM 14 loses the v, and an operand, of a VEX instruction with an address-size prefix. All others agree
    # with iced there, and so does the table of facts.

    def missing(self) -> str | None:
        return None if shutil.which("llvm-mc") else "llvm-mc is not installed"

    def read(self, encodings: Sequence[bytes]) -> list[Reading | None]:
        """It prints no sizes: `syscall`, never accepted, shows where each ends: it is read whole or not."""
        lines = [" ".join(f"{byte:#04x}" for byte in encoding) for encoding in encodings]
        marked = "\n0x0f 0x05\n".join(lines) + "\n0x0f 0x05\n"
        command = ["llvm-mc", "--disassemble", "--triple=x86_64"]
        listing = subprocess.run(command, input=marked, capture_output=True, text=True, check=False).stdout
        readings: list[Reading | None] = []
        parts = re.sub(r"^\t\.text\n", "", listing).split("\tsyscall\n")
        for encoding, part in zip(encodings, parts, strict=False):
            found = [line.strip() for line in part.splitlines() if line.strip()]
            text = " ".join(re.sub(r"\s+", " ", line) for line in found)
            is_one = len([line for line in found if line not in ("lock", "rep", "repne")]) == 1
            readings.append(from_att(len(encoding), text) if is_one else None)
        return readings + [None] * (len(encodings) - len(readings))


PEERS: Final[tuple[Peer, ...]] = (Zydis(), Capstone(), Objdump(), Llvm())  # type: ignore[assignment]
