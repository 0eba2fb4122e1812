"""The decoder's facts against the processor and against another disassembler."""

import ctypes
import mmap
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from iced_x86 import Decoder, Mnemonic

from tests.forked import ChildOutcome
from tests.verify.recheck import disassemble
from tmebox.verify.bases import TABLES
from tmebox.verify.decoded import decode
from tmebox.verify.forms import classify

pytestmark = pytest.mark.slow

FAULTS = {Mnemonic.DIV, Mnemonic.IDIV, Mnemonic.INT3}
"""Instructions that may raise a signal although their form is plain."""
DIRECTION_FLAG = 1 << 10
DATA = 0x800
"""Where, in the page, the harness keeps rsp before, rsp after and the flags."""


def relative(opcode: str, slot: int, position: int) -> bytes:
    """`opcode` with a rip-relative operand at DATA + 8 * slot, as it is encoded at `position` of the page."""
    head = bytes.fromhex(opcode)
    return head + (DATA + 8 * slot - position - len(head) - 4).to_bytes(4, "little", signed=True)


def harness(instruction: bytes, values: list[int]) -> bytes:
    """A function that runs one instruction with every register but rsp set, and notes rsp and the flags."""
    code = bytes.fromhex("53 55 4154 4155 4156 4157")  # push callee-saved registers
    code += relative("48 89 25", 0, len(code))  # mov %rsp, before
    for number, value in enumerate(values):
        if number != 4:
            code += bytes([0x48 | number >> 3, 0xB8 | number & 7]) + value.to_bytes(8, "little")
    code += instruction
    code += relative("48 89 25", 1, len(code))  # mov %rsp, after
    code += relative("48 8b 25", 0, len(code))  # mov before, %rsp
    code += b"\x9c" + relative("8f 05", 2, len(code) + 1)  # pushf; pop flags
    return code + bytes.fromhex("fc dbe3 415f 415e 415d 415c 5d 5b c3")  # cld; fninit; pop …; ret


def register_instructions(count: int) -> Iterator[bytes]:
    """Random encodings with register operands that are accepted anywhere and that this CPU has."""
    flags = set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
    chooser = random.Random(2025)
    prefixes = [
        b"",
        b"\x66",
        b"\xf2",
        b"\xf3",
        b"\x48",
        b"\x49",
        b"\x4c",
        b"\x41",
        b"\x66\x48",
        b"\xf3\x48",
        b"\xf2\x48",
    ]
    vex = [b"\xc5", b"\xc4\xe2", b"\xc4\xe3", b"\xc4\xe1"]
    found = 0
    while found < count:
        if chooser.random() < 0.6:
            head = chooser.choice(prefixes) + chooser.choice([b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a"])
        else:
            head = chooser.choice(vex) + bytes([chooser.randrange(256)])
        # Half of the operands name rsp or its neighbours in the encoding.
        fields = 0xC0 | chooser.choice(
            [chooser.randrange(64), 0x20 | chooser.randrange(8), chooser.randrange(8) << 3 | 4]
        )
        candidate = head + bytes([chooser.randrange(256), fields]) + chooser.randbytes(8)
        instruction = Decoder(64, candidate).decode()
        encoding = candidate[: instruction.len]
        if instruction.is_invalid or instruction.mnemonic in FAULTS:
            continue
        form = classify(encoding, TABLES["gs"])
        decoded = decode(encoding)
        is_plain = not (
            form.refusals or form.needs_sequence or form.access or form.adjusts or form.branches or form.ends
        )
        if (
            is_plain
            and decoded
            and decoded.operand is None
            and not decoded.accesses
            and form.features <= flags
        ):
            found += 1
            yield encoding


def changing_rsp_or_direction(encodings: Iterable[bytes]) -> list[str]:
    chooser = random.Random(1)
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    function = ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    words = np.frombuffer(page, np.uint64, 3, DATA)
    wrong = []
    for encoding in encodings:
        code = harness(encoding, [chooser.getrandbits(64) for _ in range(16)])
        page[: len(code)] = code
        function()
        if words[0] != words[1] or int(words[2]) & DIRECTION_FLAG:
            wrong.append(encoding.hex(" "))
    return wrong


def test_plain_instructions_leave_rsp_and_the_direction_flag_alone(
    forked: Callable[..., ChildOutcome],
) -> None:
    """If the decoder forgot that an instruction writes a register, the processor would show it here."""
    assert forked(lambda: changing_rsp_or_direction(register_instructions(20_000))).result() == []


def test_the_processor_shows_a_change_of_rsp_or_direction(forked: Callable[..., ChildOutcome]) -> None:
    changing = ["48 89 c4", "40 b4 01", "fd"]  # mov %rax, %rsp; mov $1, %spl; std
    assert forked(lambda: changing_rsp_or_direction(map(bytes.fromhex, changing))).result() == changing


@pytest.mark.skipif(shutil.which("objdump") is None, reason="the other disassembler is objdump")
def test_two_decoders_agree_where_the_instructions_of_a_real_library_begin(tmp_path: Path) -> None:
    library = next(Path(np.__file__).parent.glob("*core/_multiarray_umath*.so"))
    with library.open("rb") as stream:
        code = ELFFile(stream).get_section_by_name(".text").data()[:300_000]
    [lines] = disassemble([code], 0, tmp_path)
    whole = len(code) - 16  # the last instruction is cut off
    theirs = {line.address for line in lines if line.address < whole}
    ours = {instruction.ip for instruction in Decoder(64, code) if instruction.ip < whole}
    assert len(ours) > 40_000
    assert ours == theirs
