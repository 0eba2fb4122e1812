"""WebAssembly turned into C by wasm2c (Debian's `wabt`): native code that checks nothing but by guard pages.

`native/wasm_host.c` is what its output needs around it. The C library and the compiler are those of the
native builds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tmebox.errors import CompileError

NAME = "program"
HOST = Path(__file__).parent / "native" / "wasm_host.c"
MODE = "non-PIE"
TIMEOUT_S = 300.0
NOT_IMPLEMENTED = 52
"""WASI's ENOSYS."""
ANSWERED = frozenset(re.findall(r"^(?:uint32_t|void) wasi_(\w+)\(", HOST.read_text(), re.MULTILINE))
"""WASI functions that the host part has."""

_IMPORT = re.compile(r"^/\* import: '(\w+)' '(\w+)' \*/\n(\w+) (\w+)\(([^)]*)\);", re.MULTILINE)
_START = re.compile(r"^/\* export: '_start' \*/\nvoid (\w+)\(", re.MULTILINE)
_INSTANTIATE = re.compile(r"^void (\w+_instantiate)\((\w+|struct \w+) ?\*([^)]*)\);", re.MULTILINE)
_INITIALIZE = re.compile(r"^void (\w+_init_module)\(void\);", re.MULTILINE)


def why_missing() -> str:
    """Why it cannot be used here; empty if it can."""
    if shutil.which("wasm2c") is None:
        return "wasm2c is not installed: apt-get install wabt"
    return "" if _header() else "wasm2c is there, and its wasm-rt.h is not: apt-get install wabt"


def _header() -> Path | None:
    tool = shutil.which("wasm2c")
    path = Path(tool).resolve().parents[1] / "include" / "wasm-rt.h" if tool else None
    return path if path is not None and path.exists() else None


def to_c(module: Path) -> tuple[list[Path], list[str]]:
    """A WebAssembly command as C sources beside it, and the options to compile them with.

    Raises CompileError.
    """
    source = module.with_suffix(".c")
    try:
        done = subprocess.run(
            ["wasm2c", str(module), "-n", NAME, "-o", str(source)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CompileError(f"took longer than {TIMEOUT_S:g} s") from None
    if done.returncode:
        raise CompileError(done.stderr.strip().splitlines()[0][:200] if done.stderr.strip() else "no message")
    header = _header()
    if header is None:
        raise CompileError(why_missing())
    shutil.copy(header, module.with_name("wasm-rt.h"))
    module.with_name("wasm_glue.h").write_text(glue(source.with_suffix(".h").read_text(), source.stem))
    return [source, HOST], [f"-I{module.parent}", "-w"]


def glue(header: str, stem: str) -> str:
    """C that connects the program's names, which differ between versions of wasm2c, with the host part's.

    Raises CompileError for a header that has not what a command has.
    """
    start, instantiate = _START.search(header), _INSTANTIATE.search(header)
    if start is None or instantiate is None:
        raise CompileError("its header has no _start, or nothing that makes an instance")
    lines = [f'#include "{stem}.h"', ""]
    for _, name, result, symbol, parameters in _IMPORT.findall(header):
        types = [part.strip() for part in parameters.split(",")]
        named = ", ".join(f"{kind} a{index}" for index, kind in enumerate(types))
        passed = ", ".join(f"a{index}" for index in range(1, len(types)))
        if name in ANSWERED:
            lines.append(f"{result} wasi_{name}({', '.join(types[1:]) or 'void'});")
            body = f"{'' if result == 'void' else 'return '}wasi_{name}({passed});"
        else:
            body = "" if result == "void" else f"return {NOT_IMPLEMENTED};"
        lines.append(f"{result} {symbol}({named}) {{ {body} }}")
    initialize = _INITIALIZE.search(header)
    extra = ", 0" * len([part for part in instantiate[3].split(",") if part.strip()])
    lines += [
        "static void wasm_glue_run(void) {",
        f"    static {instantiate[2]} instance;",
        *([f"    {initialize[1]}();"] if initialize else []),
        f"    {instantiate[1]}(&instance{extra});",
        f"    {start[1]}(&instance);",
        "}",
    ]
    return "\n".join(lines) + "\n"
