"""What the sandboxed libc is made of, and how one of its sources becomes an object.

Three trees, each of which replaces files of the same relative name in the one before it: musl's `src`, musl's
`src` for x86-64, and `guest/musl`. `guest/` adds what stands in for the kernel, start-up and compiler-rt.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.toolchain.rewrite import rewrite

GUEST = Path(__file__).parent.parent / "guest"


@dataclass(frozen=True)
class Source:
    """One file to compile. `name` is unique and becomes the object's; `musl` says whose headers it sees."""

    name: str
    path: Path


START = Source("start/start", GUEST / "start" / "start.S")
"""The object a command starts with; everything else is in the archive."""

EXCLUDED = {
    # Another start-up (guest/start), and one thread whose descriptor is static data.
    "env/__libc_start_main": "start-up is ours",
    "thread/__set_thread_area": "the thread pointer is a constant",
    "thread/__unmapself": "threads cannot end alone",
    "thread/__tls_get_addr": "no thread-local block",
    "thread/syscall_cp": "no system call instruction to cancel at",
    "ldso/tlsdesc": "no dynamic linking",
    "signal/restore": "handlers return like functions",
    "setjmp/longjmp": "with setjmp",
}
"""musl files that are left out, and why."""

MALLOC_KEPT = {"reallocarray", "replaced"}
"""What is left of musl's malloc: the allocator is ours (guest/malloc)."""

EXCLUDED_ASSEMBLY = {"ldso/dlsym", "process/vfork", "string/memset"}
"""x86-64 assembly of musl whose C version is used instead."""

FLAGS = (
    "-target", "x86_64-linux-musl", "-std=c99", "-O2", "-ffreestanding", "-nostdinc", "-D_XOPEN_SOURCE=700",
    "-fno-pic", "-mcmodel=small", "-fomit-frame-pointer", "-fno-stack-protector", "-fcf-protection=none",
    "-fno-addrsig", "-ftls-model=local-exec", "-fno-integrated-as", "-ffunction-sections", "-fdata-sections",
    "-frounding-math", "-fno-strict-aliasing", "-fasynchronous-unwind-tables", "-w",
)  # fmt: skip
"""The sandbox's code generation flags plus what musl's own build uses. Unwind tables become .debug_frame."""

UNWIND_SECTION = "\t.cfi_sections .debug_frame\n"
COMPILE_TIMEOUT_S = 300


@cache
def ziglang() -> Path:
    """Directory of the `ziglang` package."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise CompileError("no compiler: install tmebox with its cc extra (pip install 'tmebox[cc]')")
    return Path(spec.origin).parent


def compiler_version() -> str:
    ziglang()
    return importlib.metadata.version("ziglang")


def include_dirs() -> tuple[Path, ...]:
    """Where a sandboxed program's system headers are, in search order."""
    headers = ziglang() / "lib" / "libc" / "include"
    names = ("x86_64-linux-musl", "generic-musl", "x86-linux-any", "any-linux-any")
    return (*(headers / name for name in names), ziglang() / "lib" / "include")


def sources() -> list[Source]:
    """Everything in the archive, by name, largest trees last so that overrides win."""
    musl = ziglang() / "lib" / "libc" / "musl" / "src"
    chosen: dict[str, Path] = {}
    for path in sorted(musl.glob("*/*.c")):
        if path.parent.name == "malloc" and path.stem not in MALLOC_KEPT:
            continue
        chosen[f"{path.parent.name}/{path.stem}"] = path
    for path in sorted(musl.glob("*/x86_64/*.c")):
        chosen[f"{path.parent.parent.name}/{path.stem}"] = path
    for path in sorted(musl.glob("*/x86_64/*.s")):
        name = f"{path.parent.parent.name}/{path.stem}"
        if name not in EXCLUDED_ASSEMBLY:
            chosen[name] = path
    for tree in (GUEST / "musl", GUEST):
        for path in sorted([*tree.glob("*/*.c"), *tree.glob("*/*.S")]):
            if tree is GUEST and path.is_relative_to(GUEST / "musl"):
                continue
            chosen[f"{path.parent.name}/{path.stem}"] = path
    chosen.pop(START.name)
    return [Source(name, path) for name, path in chosen.items() if name not in EXCLUDED]


def compile_source(source: Source, output: Path, generated: Path, isolation: str) -> None:
    """C or assembly → instrumented assembly → object. `generated` holds abi.h."""
    text = source.path.read_text() if source.path.suffix == ".s" else _to_assembly(source, generated)
    try:
        instrumented = rewrite(UNWIND_SECTION + text, file=str(source.path), isolation=isolation)
    except CompileError as error:
        raise CompileError(f"libc: {source.name} cannot be sandboxed: {error}", error.diagnostics) from None
    command = [str(ziglang() / "zig"), "clang", "-target", "x86_64-linux-musl", "-c", "-x", "assembler", "-"]
    _run([*command, "-o", str(output)], instrumented)


def archive(path: Path, members: list[Path]) -> None:
    """Write a deterministic archive with a symbol table."""
    listing = path.with_suffix(".rsp")
    listing.write_text("\n".join(f'"{member}"' for member in members))
    _run([str(ziglang() / "zig"), "ar", "rcsD", str(path), f"@{listing}"])


def _to_assembly(source: Source, generated: Path) -> str:
    musl = ziglang() / "lib" / "libc" / "musl"
    own = [GUEST / "arch", GUEST / "kernel", GUEST / "start", generated]
    internal = [musl / "arch" / "x86_64", musl / "arch" / "generic", musl / "src" / "include", musl / "src" / "internal"]
    search = [f"-I{path}" for path in (*own, *internal)]
    system = [f"-isystem{path}" for path in include_dirs()]
    preprocess_only = source.path.suffix == ".S"
    mode = ["-E", "-P"] if preprocess_only else ["-S"]
    command = [str(ziglang() / "zig"), "clang", *FLAGS, *search, *system, *mode, str(source.path), "-o", "-"]
    return _run(command)


def _run(command: list[str], text: str | None = None) -> str:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise CompileError(f"libc: the compiler failed ({done.returncode}): {done.stderr.strip()}")
    return done.stdout
