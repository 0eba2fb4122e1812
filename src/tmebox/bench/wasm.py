"""WebAssembly builds of the suite's programs: the same clang, and the wasi-libc that comes with it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.toolchain import clang

TARGET = "wasm32-wasi"
HEADERS = ("wasm-wasi-musl", "generic-musl")
LIMITS = clang.Limits(timeout_s=300, memory_bytes=16 * clang.GIB)


def is_installed() -> bool:
    """Whether there is a runtime to run the builds with."""
    return importlib.util.find_spec("wasmtime") is not None


def compile_wasm(source: Path, output: Path, options: Sequence[str]) -> None:
    """One C source to a WebAssembly object. Raises CompileError."""
    headers = clang.toolchain_dir() / "lib" / "libc" / "include"
    system = [*(headers / name for name in HEADERS), clang.compiler_include_dir()]
    flags = ["-target", TARGET, *options, "-nostdinc", *(f"-isystem{path}" for path in system)]
    _run("clang", [*flags, "-c", str(source), "-o", str(output)])


def link_wasm(objects: Sequence[Path], output: Path) -> None:
    """Objects to a command for WASI preview 1. zig's driver builds wasi-libc at first use, and links it.

    Raises CompileError.
    """
    _run("cc", ["-target", TARGET, "-O2", "-s", "-o", str(output), *map(str, objects)])


def _run(tool: str, arguments: Sequence[str]) -> None:
    finished = clang.run(tool, arguments, LIMITS)
    if finished.status:
        raise CompileError(finished.messages.strip()[:500] or f"{tool} fails")
