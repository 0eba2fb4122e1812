"""Instrumented assembly text to an object file."""

from __future__ import annotations

from pathlib import Path

from tmebox.errors import CompileError, Diagnostic
from tmebox.outputs import write_output
from tmebox.toolchain import diagnostics
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import Reach
from tmebox.toolchain.marks import mark
from tmebox.toolchain.scratch import scratch_directory
from tmebox.toolchain.statements import require_known


def assemble(
    text: str,
    output: Path,
    *,
    file: str,
    isolation: str = "code+data",
    base: str = "gs",
    limits: clang.Limits = clang.DEFAULT_LIMITS,
) -> None:
    """Write the object `output`, marked as one for `isolation` and `base`, for which `text` was instrumented.

    `file` is the source's name, for messages. Raises CompileError, OSError.
    """
    require_known(text, file)
    with scratch_directory() as scratch:
        source, written = scratch / "instrumented.s", scratch / "object"
        source.write_text(text + mark(isolation, base), encoding="utf-8", errors="surrogateescape")
        arguments = [
            "-triple",
            "x86_64-unknown-linux-musl",
            "-filetype",
            "obj",
            "-mrelax-relocations=no",
            "-dwarf-version=5",
        ]
        command = ["-cc1as", *arguments, "-o", str(written), str(source)]
        finished = clang.run("clang", command, Reach(writes=(scratch,)), limits)
        if finished.status == 0:
            write_output(output, written.read_bytes(), replaces_links=True)
            return
    found = diagnostics.parse_clang(finished.messages, lambda _: f"{file} (instrumented assembly)")
    wrong = diagnostics.errors(found) or (Diagnostic(finished.messages.strip()[-2000:] or "no message"),)
    raise CompileError(f"{file}: its instrumented assembly does not assemble", wrong)
