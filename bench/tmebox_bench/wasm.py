"""WebAssembly builds of the suite's programs: the same clang, and the wasi-libc that comes with it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.libc.libc import cache_directory

TARGET = "wasm32-wasi"
HEADERS = ("wasm-wasi-musl", "generic-musl")
LIMITS = clang.Limits(timeout_s=300, memory_bytes=16 * clang.GIB)


def is_installed() -> bool:
    """Whether there is a runtime to run the builds with."""
    return importlib.util.find_spec("wasmtime") is not None


def compile_wasm(source: Path, output: Path, options: Sequence[str]) -> None:
    """One C source to a WebAssembly object. Raises CompileError."""
    headers = clang.toolchain_dir() / "lib" / "libc" / "include"
    system = [clang.compiler_include_dir(), *(headers / name for name in HEADERS)]
    flags = ["-target", TARGET, *options, "-nostdinc", *(f"-isystem{path}" for path in system)]
    _run("clang", [*flags, "-c", str(source), "-o", str(output)])


def link_wasm(objects: Sequence[Path], output: Path, options: Sequence[str] = ()) -> None:
    """Objects to a command for WASI preview 1, or what `options` say. Raises CompileError.

    zig's driver links, because it has wasi-libc: it builds that at first use, and keeps it in a cache.
    """
    cache = cache_directory() / "zig"
    places = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache / "local")}
    command = [str(clang.toolchain_dir() / "zig"), "cc", "-target", TARGET, "-O2", "-s", "-o", str(output)]
    try:
        done = subprocess.run(
            [*command, *options, *map(str, objects)],
            env={"PATH": os.defpath, **places},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMITS.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CompileError(f"zig cc took longer than {LIMITS.timeout_s:g} s and was stopped") from None
    _require(done.returncode, done.stderr)


def _run(tool: str, arguments: Sequence[str]) -> None:
    finished = clang.run(tool, arguments, ANYWHERE, LIMITS)
    _require(finished.status, finished.messages)


_SETJMP_REFUSED = "Setjmp/longjmp support requires"
NO_SETJMP = (
    "uses setjmp, which clang 19 turns into WebAssembly's legacy exceptions, and not into those that became "
    "the standard"
)


def _require(status: int, messages: str) -> None:
    """Raise CompileError with the first error's text, without its place."""
    if status and _SETJMP_REFUSED in messages:
        raise CompileError(NO_SETJMP)
    if status:
        errors = [line.partition("error: ")[2] for line in messages.splitlines() if "error: " in line]
        raise CompileError(errors[0][:200] if errors else "no message")
