"""Runs accepted forms on this CPU, in hostile states, and says where they do not do as the verifier believes.

`describe` turns what the verifier knows about an encoding into a `Description`, which `processor.c` compares
with what happens: a child process runs batches of them, each one thousands of times if wanted.
"""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from iced_x86 import (
    CodeSize,
    Formatter,
    FormatterSyntax,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    Register,
    RegisterExt,
    RflagsBits,
)

from tmebox import abi
from tmebox.verify.decoded import Decoded, decode, signed
from tmebox.verify.forms import Form, classify
from tmebox.verify.sequences import READS_MAP
from tmebox.verify.tables import TABLES, Table

Classify = Callable[[bytes, Table], Form]

SOURCE: Final = Path(__file__).with_name("processor.c")
MOST_ACCESSES: Final = 4
MOST_BOUNDS: Final = 4
BATCH: Final = 128
TEXT_ADDRESS: Final = 0x5000_0000
"""Where processor.c puts the instruction: somewhere in this page."""
ISLANDS: Final = (0x0020_0000, 0x0020_0FF0, 0x7FFF_F100, abi.CONTROL_PAGE, 0, 0x7FFF_FFF8)
"""Offsets in the window where there is memory, or nearly."""

OUTCOMES: Final = (
    "completed", "page fault", "protection fault", "arithmetic fault", "unknown opcode", "alignment fault",
    "breakpoint",
)  # fmt: skip
FINDINGS: Final = (
    "",
    "its length is another one (value: where control went on, or what it tried to read)",
    "a register changed that is not written (value: its number)",
    "rsp moved further than is known (value: how far; expected: at most)",
    "a flag changed that is not written (value: which)",
    "x87 state changed, and is_x87 is not set",
    "control bits of MXCSR changed",
    "a vector register changed that is not written (value: its number)",
    "upper halves of vector registers changed, and is_avx is not set",
    "AVX-512 state changed",
    "a segment register or base changed",
    "it accessed another address than is known (value: which)",
    "it accessed memory outside what is promised (value: the address)",
    "it wrote other memory than is known (value: place among the islands)",
    "it counts as an access that surely happens, completed, and can have accessed nothing (value: address)",
    "it counts as a call, and wrote no return address",
    "more bits are left in a register than is promised (value: the register)",
    "what it should load or store is not there (value: in memory)",
    "this CPU, which has the features, does not know it",
    "control never goes on after it, and did",
    "control went on elsewhere (value: where)",
    "it counts as a store that surely happens, completed, and stored nothing (value: address)",
)
FLAT: Final = 8
_SHORT, _WRITES, _ANCHORS, _STORES = 1, 2, 4, 8
_FLAGS: Final = {
    "BRANCHES": 1, "DIRECT": 2, "ENDS": 4, "CALLS": 8, "MOVES_RSP": 16, "IS_X87": 32, "IS_AVX": 64,
    "REPEATS": 128, "WRITES_MXCSR": 256, "SETS_RSP": 512,
}  # fmt: skip
_STATUS: Final = {
    RflagsBits.CF: 1, RflagsBits.PF: 4, RflagsBits.AF: 16, RflagsBits.ZF: 64, RflagsBits.SF: 128,
    RflagsBits.OF: 2048, RflagsBits.DF: 1024, RflagsBits.IF: 512, RflagsBits.AC: 1 << 18,
}  # fmt: skip
_MAY_WRITE: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_SURE: Final = frozenset({OpAccess.READ, OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE})
_NAMES: Final = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
_NOTHING: Final = 255
_RIP: Final = 16
_FORM: Final = struct.Struct("<B15s4I2qQI4B8s64s")
_ACCESS: Final = struct.Struct("<6BHq")
_RESULT: Final = struct.Struct("<8I3Q4Q16Q16Q2Q4I")


@dataclass(frozen=True)
class Description:
    """One form as processor.c takes it: what it should do. unexplained: why it should not be accepted."""

    encoding: bytes
    base: str
    form: Form
    fixed: tuple[Any, ...]
    rest: tuple[Any, ...]
    unexplained: str = ""

    def packed(self, seed: int, count: int) -> bytes:
        return _FORM.pack(*self.fixed, seed, count, *self.rest)


@dataclass(frozen=True)
class Result:
    """outcomes: how often each of OUTCOMES. finding: a sentence with the state that it happened in, or ""."""

    description: Description
    outcomes: tuple[int, ...]
    finding: str


def can_run(form: Form) -> bool:
    """Some text with this form may be accepted."""
    return not form.refusals and not (form.needs_sequence and not form.steps)


def describe(encoding: bytes, base: str, judge: Classify = classify) -> Description | None:
    """What the verifier believes about an encoding; None if it refuses it, perhaps only at TEXT_ADDRESS."""
    form = judge(encoding, TABLES[base])
    decoded = decode(encoding)
    if decoded is None or not can_run(form) or not _fits_place(form, decoded, TABLES[base]):
        return None
    kinds = [_kind(used, form, decoded) for used in decoded.accesses]
    accesses = [
        _access(used, kind, form, decoded) for used, kind in zip(decoded.accesses, kinds, strict=True)
    ]
    bounds = [(number, bits) for number, bits in _bounds(form, decoded, base)]
    effect, register = _effect(form)
    fixed = (
        len(encoding),
        encoding,
        _flags(form, decoded),
        _mask(decoded, RegisterExt.is_gpr64),
        _mask(decoded, RegisterExt.is_zmm),
        _status(decoded.instruction.rflags_modified),
        form.adjusts,
        _target(decoded),
    )
    rest = (
        len(accesses),
        len(bounds),
        effect,
        register,
        b"".join(bytes(bound) for bound in bounds),
        b"".join(accesses),
    )
    wrong = "an access that no rule explains" if FLAT in kinds and not form.steps else ""
    if len(accesses) > MOST_ACCESSES:
        wrong = f"{len(accesses)} accesses"
    return Description(encoding, base, form, fixed, rest, wrong)


def _fits_place(form: Form, decoded: Decoded, table: Table) -> bool:
    if form.operand is None:
        return True
    offset = TEXT_ADDRESS + signed(decoded.instruction.memory_displacement)
    return not (table.offset_problem(offset) or table.offset_problem(offset + abi.PAGE_SIZE))


def _flags(form: Form, decoded: Decoded) -> int:
    it = decoded.instruction
    facts = {
        "BRANCHES": form.branches,
        "DIRECT": decoded.has_branch_target,
        "ENDS": form.ends,
        "CALLS": form.calls,
        "MOVES_RSP": decoded.opcode.moves_rsp,
        "IS_X87": form.is_x87,
        "IS_AVX": form.is_avx,
        "REPEATS": decoded.opcode.is_string and it.has_rep_prefix,
        "WRITES_MXCSR": it.mnemonic in (Mnemonic.LDMXCSR, Mnemonic.VLDMXCSR),
        "SETS_RSP": bool(form.needs_sequence) or form.adjusts > abi.STACK_REACH,
    }
    return sum(_FLAGS[name] for name, holds in facts.items() if holds)


def _mask(decoded: Decoded, is_kind: Callable[[int], bool]) -> int:
    return (
        sum(1 << RegisterExt.number(register) for register in decoded.written if is_kind(register))
        & 0xFFFF_FFFF
    )


def _status(bits: int) -> int:
    return sum(ours for theirs, ours in _STATUS.items() if bits & theirs)


def _target(decoded: Decoded) -> int:
    return signed(decoded.instruction.near_branch_target) if decoded.has_branch_target else 0


_KINDS: Final = {
    "WINDOW": 1, "STACK": 2, "NEAR": 3, "TABLE": 4, "FIXED": 5, "STRING": 6, "TARGET_BITS": 7
}  # fmt: skip


def _kind(used: Any, form: Form, decoded: Decoded) -> int:
    """How an access may be aimed, and what is promised of it."""
    if decoded.opcode.is_string:
        return _KINDS["STRING"]
    if used.segment == Register.GS:
        return _KINDS["WINDOW"]
    if used.base == Register.RSP and used.segment == Register.SS and used.index == Register.NONE:
        return _KINDS["STACK"]
    if READS_MAP in form.steps:
        return _KINDS["TARGET_BITS"]
    if any(step.startswith("an access to near") for step in form.steps):
        return _KINDS["NEAR"]
    if any(step.startswith("an access to table") for step in form.steps):
        return _KINDS["TABLE"]
    if (
        used.segment == Register.DS
        and used.base == Register.R15
        and used.index in (Register.NONE, Register.R14)
    ):
        return _KINDS["FIXED" if used.index == Register.NONE else "NEAR"]
    return FLAT


def _number(register: int) -> int:
    return _NOTHING if register == Register.NONE else RegisterExt.number(register)


def _access(used: Any, kind: int, form: Form, decoded: Decoded) -> bytes:
    it = decoded.instruction
    # iced leaves the size of a repeated access open; this is what one repetition accesses.
    width = max(MemorySizeExt.size(it.memory_size if decoded.opcode.is_string else used.memory_size), 1)
    # It gives the sum for an operand relative to rip, here with the instruction at 0.
    by_place = it.is_ip_rel_memory_operand and used.displacement == it.memory_displacement
    anchors = form.anchors and used.base == Register.RSP and used.access in _SURE
    flags = (
        _SHORT * (used.address_size == CodeSize.CODE32)
        | _WRITES * (used.access in _MAY_WRITE)
        | _ANCHORS * anchors
        | _STORES * (used.access == OpAccess.WRITE)
    )
    place = _RIP if by_place else _number(used.base), _number(used.index), used.scale
    return _ACCESS.pack(*place, kind, flags, width, 0, used.displacement_i64)


def _bounds(form: Form, decoded: Decoded, base: str) -> Iterator[tuple[int, int]]:
    """Registers, and how many bits the form leaves in them if it is what the verifier takes it for."""
    for step in sorted(form.steps):
        for beginning, ending, bits in (
            ("a 32-bit offset into %", "", 32),
            ("16 bits into %", "", 16),
            ("movl SRC, %", " (32 bits)", 32),
        ):
            if step.startswith(beginning) and step.endswith(ending):
                yield _NAMES.index(step.removeprefix(beginning).removesuffix(ending)), bits
    for step, name, bits in (
        ("32-bit write of %esp", "rsp", 32),
        ("andl $RSP_MASK, %esp", "rsp", 30),
        ("movl %edi, %edi", "rdi", 32),
        ("movl %esi, %esi", "rsi", 32),
    ):
        if step in form.steps:
            yield _NAMES.index(name), bits
    if base == "r15" and Register.R14 in decoded.written:
        yield 14, 32


def _effect(form: Form) -> tuple[int, int]:
    """1: the register holds what memory holds afterwards; 2: memory holds what the register held."""
    for step in form.steps:
        if step == "movq %r11, (%rsp)":
            return 2, 11
        if step == "movl (%rsp), %r11d":
            return 1, 11
        if step.startswith("movq %gs:BASE, %"):
            return 1, _NAMES.index(step.removeprefix("movq %gs:BASE, %"))
        if step.startswith("movq %") and step.endswith(", SPILL_TARGET(%rsp)"):
            return 2, _NAMES.index(step.removeprefix("movq %").removesuffix(", SPILL_TARGET(%rsp)"))
        if step.startswith("movq SPILL_REGISTER(%rsp), %"):
            return 1, _NAMES.index(step.removeprefix("movq SPILL_REGISTER(%rsp), %"))
    return 0, 0


# -- running them ------------------------------------------------------------------------------------------


@functools.cache
def cpu_features() -> frozenset[str]:
    flags = Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0]
    return frozenset(flags.replace(":", " ").split())


@functools.cache
def program() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """processor.c, compiled once per process (its children have it too), and the folder that it is in."""
    folder = tempfile.TemporaryDirectory(prefix="tmebox-campaign-")
    path = Path(folder.name, "processor")
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    command = (
        [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
    )
    numbers = {"MAP_DISPLACEMENT": abi.TARGET_MAP, "CONTROL_OFFSET": abi.CONTROL_WINDOW_BASE}
    defines = [f"-D{name}={value:#x}" for name, value in numbers.items()]
    subprocess.run([*command, "-O2", *defines, str(SOURCE), "-o", str(path)], check=True)
    return path, folder


class Processor:
    """The child process. One that dies is started again: what it ran then is a finding."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Processor:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self.child:
            self.child.kill()
            self.child.communicate()
        self.child = None

    def run(self, descriptions: Sequence[Description], seed: int, count: int) -> list[Result]:
        """Each form `count` times, in states that `seed` and the form's bytes decide. Stops at a form's first
        finding."""
        results = []
        for first in range(0, len(descriptions), BATCH):
            batch = descriptions[first : first + BATCH]
            answers = self._ask(batch, seed, count)
            if isinstance(answers, list):
                results += answers
                continue
            for description in batch:  # the child died; which of them was it?
                alone = self._ask([description], seed, count)
                if isinstance(alone, list):
                    results += alone
                else:
                    what = f"{place(description)}: the process that ran it ended with {alone}; seed {seed}"
                    results.append(Result(description, (0,) * len(OUTCOMES), what))
        return results

    def _ask(self, batch: Sequence[Description], seed: int, count: int) -> list[Result] | str:
        """The results, or how the child ended."""
        if self.child is None:
            self.child = subprocess.Popen([program()[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        stdin, stdout = self.child.stdin, self.child.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the child has no pipes")
        forms = b"".join(
            description.packed(_mixed(seed, description.encoding), count) for description in batch
        )
        try:
            stdin.write(len(batch).to_bytes(4, "little") + forms)
            stdin.flush()
        except BrokenPipeError:
            pass
        answer = stdout.read(len(batch) * _RESULT.size)
        if len(answer) < len(batch) * _RESULT.size:
            status = self.child.wait()
            self.stop()
            if status == 3:
                raise RuntimeError("the process that runs instructions could not be set up")
            return f"status {status}"
        pairs = zip(batch, _RESULT.iter_unpack(answer), strict=True)
        return [_result(description, numbers, seed) for description, numbers in pairs]


def _mixed(seed: int, encoding: bytes) -> int:
    return (seed * 0x9E37_79B9_7F4A_7C15 + int.from_bytes(encoding, "little") * 0x2545_F491_4F6C_DD1D) % (
        1 << 64
    )


def place(description: Description) -> str:
    decoded = decode(description.encoding)
    text = Formatter(FormatterSyntax.GAS).format(decoded.instruction) if decoded else "?"
    return f"{description.encoding.hex(' ')} ({text}), base {description.base}"


def _result(description: Description, numbers: Sequence[int], seed: int) -> Result:
    outcomes, finding = tuple(numbers[:7]), numbers[7]
    if not finding:
        return Result(description, outcomes, "")
    execution, value, expected = numbers[8:11]
    addresses, before, after = numbers[11:15], numbers[15:31], numbers[31:47]
    rip, flags, mxcsr, control, status, tags = numbers[47:]
    registers = " ".join(
        f"{name}={old:#x}" + (f"->{new:#x}" if new != old else "")
        for name, old, new in zip(_NAMES, before, after, strict=True)
    )
    accesses = " ".join(f"{address:#x}" for address in addresses[: description.rest[0]])
    return Result(
        description,
        outcomes,
        f"{place(description)}: {FINDINGS[finding]}; value {value:#x}, expected {expected:#x}; seed {seed}, "
        f"execution {execution}; accesses [{accesses}]; {registers} rip={rip:#x} flags={flags:#x} "
        f"mxcsr={mxcsr:#x} x87 control={control:#x} status={status:#x} tags={tags:#x}",
    )
