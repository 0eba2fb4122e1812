"""Instructions executed on the side against the same instructions executed natively: see side_oracle.c."""

from __future__ import annotations

import functools
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tmebox.runtime.side import SideForm
from tmebox.verify.decoded import decode

FOLDER: Final = Path(__file__).parent
NATIVE: Final = FOLDER.parents[1] / "native"
SOURCES: Final = (
    FOLDER / "side_oracle.c",
    *(NATIVE / "enter" / name for name in ("side_forms.c", "side_access.c", "side_run.c", "side.S")),
    NATIVE / "threads" / "signals.c",
    NATIVE / "windows" / "copy.S",
)
BATCH: Final = 128
_TASK: Final = struct.Struct("<15s7B2xiI4BIB15sQII")
_ANSWER: Final = struct.Struct("<6I2Q")

FINDINGS: Final = (
    "", "a register", "flags", "where control went", "vector registers", "x87 state", "MXCSR", "memory",
    "the stack's memory", "another signal", "its form was not found", "no accesses", "an access is too large",
    "a fault changed something", "memory outside of its accesses",
)  # fmt: skip


class Answer(NamedTuple):
    """aside, faulted: executions on the side that went through, or ended in the same fault. untouched: it did
    not access memory. beyond: it reached over the end of memory, natively. finding: what differs, or "".
    state: in which of the states."""

    aside: int
    faulted: int
    untouched: int
    beyond: int
    finding: str
    state: int
    value: int
    expected: int


@functools.cache
def program() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """The oracle, compiled once per process (its children have it too), and the folder that it is in."""
    folder = tempfile.TemporaryDirectory(prefix="tmebox-side-")
    path = Path(folder.name, "oracle")
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"]
    includes = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}", "-idirafter", "/usr/include"]
    options = ["-std=gnu11", "-O2", *includes, *map(str, SOURCES), "-o", str(path)]
    subprocess.run([*command, *options], check=True)
    return path, folder


def run(forms: Sequence[SideForm], seed: int, count: int, careless: bool = False) -> list[Answer]:
    """Each form in `count` states, up to its first finding. careless: no exception is unmasked. Raises
    RuntimeError with the form at which the oracle died."""
    answers: list[Answer] = []
    with subprocess.Popen([program()[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        for first in range(0, len(forms), BATCH):
            batch = forms[first : first + BATCH]
            tasks = b"".join(_task(form, seed, count, careless) for form in batch)
            os.write(child.stdin.fileno(), tasks)
            for form in batch:
                data = child.stdout.read(_ANSWER.size)
                if len(data) < _ANSWER.size:
                    raise RuntimeError(f"the oracle ended with {child.wait()} at {form}, seed {seed}")
                numbers: list[Any] = list(_ANSWER.unpack(data))
                numbers[4] = FINDINGS[numbers[4]]
                answers.append(Answer(*numbers))
    return answers


def described(form: SideForm, answer: Answer, seed: int) -> str:
    """A sentence about a finding."""
    decoded = decode(form.encoding)
    text = str(decoded.instruction) if decoded else "?"
    return (
        f"{form.encoding.hex(' ')} ({text}), stub {form.stub.hex(' ')}: {answer.finding} differs; value "
        f"{answer.value:#x}, expected {answer.expected:#x}; seed {seed}, state {answer.state}"
    )


def _task(form: SideForm, seed: int, count: int, careless: bool) -> bytes:
    mixed = seed * 0x9E37_79B9_7F4A_7C15 + int.from_bytes(form.encoding, "little") * 0x2545_F491_4F6C_DD1D
    return _TASK.pack(
        form.encoding, len(form.encoding), form.kind, form.how, form.flags, form.base_register,
        form.index_register, form.scale, form.displacement, form.size, form.pointer, form.for_rsp, form.mask,
        form.lane, form.state, len(form.stub), form.stub, mixed % (1 << 64), count, careless,
    )  # fmt: skip
