"""Runs accepted forms on this CPU, in hostile states, and says where they do not do as the verifier believes.

`processor.c` compares what is in a form's `Description` with what happens: a child process runs batches of
them, each one thousands of times if wanted.
"""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from iced_x86 import Formatter, FormatterSyntax

from tests.campaign.described import REGISTERS, Description
from tmebox import abi
from tmebox.verify.decoded import decode

SOURCE: Final = Path(__file__).with_name("processor.c")
BATCH: Final = 128
_RESULT: Final = struct.Struct("<8I3Q4Q16Q16Q2Q4I")

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
    "upper halves of vector registers changed, by no encoding of AVX",
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
    "a page fault left registers changed, so that it cannot run again once the page is there (value: which)",
    "rsp moved down by another number than is known (value: by how much)",
    "it wrote through rsp beyond the known end of such writes (value: the address; expected: the end)",
)


@dataclass(frozen=True)
class Result:
    """outcomes: how often each of OUTCOMES. finding: a sentence with the state that it happened in, or ""."""

    description: Description
    outcomes: tuple[int, ...]
    finding: str


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
        for name, old, new in zip(REGISTERS, before, after, strict=True)
    )
    accesses = " ".join(f"{address:#x}" for address in addresses[: description.rest[0]])
    return Result(
        description,
        outcomes,
        f"{place(description)}: {FINDINGS[finding]}; value {value:#x}, expected {expected:#x}; seed {seed}, "
        f"execution {execution}; accesses [{accesses}]; {registers} rip={rip:#x} flags={flags:#x} "
        f"mxcsr={mxcsr:#x} x87 control={control:#x} status={status:#x} tags={tags:#x}",
    )
