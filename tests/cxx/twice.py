"""One source, two programs, by the same clang with the same options: one for this machine, one for a sandbox.

The native one begins with the assembly for isolation "data", in which a stack is as anywhere else. That for
a stack and its twin, which sandboxes have, does not run natively. What was made is kept in the directory that
TMEBOX_CXX_KEPT names, if it does: a run that was cut short goes on there. It is for one state of the
toolchain.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.compile import clang
from tmebox.toolchain.compile.compile import compile_to_assembly
from tmebox.toolchain.objects import NO_JUMP_TABLES
from tmebox.toolchain.options import CompileOptions
from tmebox.toolchain.rewrite.rewrite import rewrite


@dataclass(frozen=True)
class Twice:
    """Two objects of one source."""

    native: Path
    sandboxed: Path


@dataclass(frozen=True)
class Outcome:
    """`printed`: both streams; `trap`: what ended the program against its will."""

    exit_code: int
    printed: str
    trap: str = ""


def compiled(source: Path, directory: Path, options: CompileOptions) -> Twice:
    """Its objects in `directory`, or where they are kept. Raises CompileError."""
    kept = os.environ.get("TMEBOX_CXX_KEPT")
    parent = Path(kept) if kept else directory
    parent.mkdir(parents=True, exist_ok=True)
    name = f"{source.stem[:40]}-{_key(source, options)}"
    made = Twice(parent / f"{name}.native.o", parent / f"{name}.sandboxed.o")
    for path, make in ((made.native, native_assembly), (made.sandboxed, sandboxed_assembly)):
        if not path.exists():
            assemble(make(source, options), path, file=source.name, limits=options.limits)
    return made


def native_assembly(source: Path, options: CompileOptions) -> str:
    """Raises CompileError."""
    return compile_to_assembly(source, replace(options, isolation="data")).text


def sandboxed_assembly(source: Path, options: CompileOptions) -> str:
    """Instrumented: rarely, only without jump tables, as `compile_object` finds. Raises CompileError."""
    try:
        return rewrite(compile_to_assembly(source, options).text, file=source.name)
    except CompileError:
        if NO_JUMP_TABLES in options.flags:
            raise
    return sandboxed_assembly(source, replace(options, flags=(*options.flags, NO_JUMP_TABLES)))


def _key(source: Path, options: CompileOptions) -> str:
    about = repr((source.name, replace(options, readable_dirs=())))
    return hashlib.sha256(source.read_bytes() + about.encode()).hexdigest()[:16]


def link_natively(objects: Sequence[Path], program: Path) -> str:
    """With the libraries that the compiler's package builds for this machine; returns what is wrong."""
    command = [str(clang.toolchain_dir() / "zig"), "c++", "-target", clang.TARGET, "-static", "-g0"]
    done = subprocess.run(
        [*command, *map(str, objects), "-o", str(program)], capture_output=True, text=True, check=False
    )
    return f"does not link: {done.stderr[-600:]}" if done.returncode else ""


def run_natively(program: Path, arguments: Sequence[str], directory: Path, timeout_s: float) -> Outcome:
    """In `directory`."""
    try:
        done = subprocess.run(
            [program, *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(-1, "", f"not at its end after {timeout_s} s")
    return Outcome(done.returncode, done.stdout.decode(errors="replace"))


def run_sandboxed(
    module: tmebox.Module, title: str, arguments: Sequence[str], directory: Path, timeout_s: float
) -> Outcome:
    """With `directory` as the root and the current directory, to be read. The program's own name is in /tmp,
    where it may write: some put their files beside themselves."""
    with tempfile.TemporaryDirectory(prefix="tmebox-cxx-") as scratch:
        dirs = [f"{directory}:/:ro", f"{scratch}:/tmp"]
        sandbox = tmebox.Sandbox(module, memory="512M", dirs=dirs)
        try:
            done = sandbox.run([f"/tmp/{title}", *arguments], timeout=timeout_s)
        except tmebox.Trap as trap:
            return Outcome(-1, "", str(trap))
    return Outcome(done.exit_code, (done.stdout + done.stderr).decode(errors="replace"))
