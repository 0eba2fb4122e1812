"""Ways to call the same C functions from Python. Each yields a Peer: operations that time themselves."""

from __future__ import annotations

import ctypes
import importlib.util
import io
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox_bench.operations import Operation, accompanied, inside, prepared, repeated
from tmebox_bench.variants import MissingError

SOURCES = Path(__file__).parent / "functions"
TEXT = "hello world"
MEGABYTE = 1 << 20
COMPILE_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Peer:
    """operations: by a key of calls.OPERATIONS."""

    operations: Mapping[str, Operation]


def _answer(value: int) -> int:
    return value + 1


def _expect(value: object, wanted: object) -> None:
    if value != wanted:
        raise RuntimeError(f"a benchmark's function returns {value!r}, not {wanted!r}")


@contextmanager
def sandbox(_: Path) -> Iterator[Peer]:
    module = tmebox.compile(SOURCES / "functions.c")
    elsewhere = np.zeros(MEGABYTE, np.uint8)

    def trap() -> None:
        try:
            victim.fault()
        except tmebox.MemoryFault:
            return
        raise RuntimeError("a bad access went through")

    @contextmanager
    def reset() -> Iterator[Callable[[], None]]:
        victim.reset()
        victim.add(3, 4)  # what only a first call costs is not what a trap does
        yield trap

    with (
        tmebox.Sandbox(module, imports={"answer": _answer}) as box,
        tmebox.Sandbox(module, imports={"answer": _answer}) as victim,
    ):
        resident = box.array(MEGABYTE)
        _expect((box.add(3, 4), box.length(TEXT), box.ask(3)), (7, len(TEXT), 6))
        yield Peer(
            {
                "scalar": repeated(box.add, 3, 4),
                "threads": accompanied(repeated(box.add, 3, 4)),
                "string": repeated(box.length, TEXT),
                "resident": repeated(box.touch, resident, MEGABYTE),
                "copied": repeated(box.touch, elsewhere, MEGABYTE),
                "callback": inside(box.ask),
                "trap": prepared(reset),
            }
        )


@contextmanager
def extension(scratch: Path) -> Iterator[Peer]:
    python = f"-I{sysconfig.get_paths()['include']}"
    compile_shared(["extension.c", "functions.c"], scratch / "tmebox_bench_extension.so", python)
    module = load("tmebox_bench_extension", scratch)
    array = np.zeros(MEGABYTE, np.uint8)
    _expect((module.add(3, 4), module.length(TEXT), module.ask(3, _answer)), (7, len(TEXT), 6))
    yield Peer(
        {
            "scalar": repeated(module.add, 3, 4),
            "threads": accompanied(repeated(module.add, 3, 4)),
            "string": repeated(module.length, TEXT),
            "resident": repeated(module.touch, array),
            "callback": inside(lambda times: module.ask(times, _answer)),
        }
    )


@contextmanager
def cffi_api(scratch: Path) -> Iterator[Peer]:
    if importlib.util.find_spec("cffi") is None:
        raise MissingError("not installed: pip install './bench[peers]'")
    import cffi

    builder = cffi.FFI()
    lines = (SOURCES / "functions.h").read_text().splitlines()
    declarations = [line.partition("/*")[0] for line in lines if ";" in line]
    declared = [line for line in declarations if "answer" not in line]
    builder.cdef("\n".join([*declared, 'extern "Python" long answer(long value);']))
    builder.set_source("tmebox_bench_cffi", "long answer(long value);\n" + "\n".join(declared))
    generated = scratch / "cffi.c"
    with redirect_stdout(io.StringIO()):
        builder.emit_c_code(str(generated))
    # cffi makes `answer` static, for this file only.
    generated.write_text(generated.read_text().replace("static long answer(", "long answer("))
    python = f"-I{sysconfig.get_paths()['include']}"
    compile_shared([str(generated), "functions.c"], scratch / "tmebox_bench_cffi.so", python)
    module = load("tmebox_bench_cffi", scratch)
    ffi, lib = module.ffi, module.lib
    ffi.def_extern(name="answer")(_answer)
    array, text = np.zeros(MEGABYTE, np.uint8), TEXT.encode()
    _expect((lib.add(3, 4), lib.length(text), lib.ask(3)), (7, len(TEXT), 6))
    yield Peer(
        {
            "scalar": repeated(lib.add, 3, 4),
            "threads": accompanied(repeated(lib.add, 3, 4)),
            "string": repeated(lib.length, text),
            "resident": repeated(lambda: lib.touch(ffi.from_buffer(array), MEGABYTE)),
            "callback": inside(lib.ask),
        }
    )


@contextmanager
def ctypes_library(scratch: Path) -> Iterator[Peer]:
    path = scratch / "library.so"
    compile_shared(["functions.c", "pointer.c"], path)
    library = ctypes.CDLL(str(path))
    prototype = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long)
    callback = prototype(_answer)
    library.set_answer(callback)
    library.length.argtypes, library.length.restype = [ctypes.c_char_p], ctypes.c_long
    library.touch.argtypes = [ctypes.c_void_p, ctypes.c_long]
    library.ask.argtypes, library.ask.restype = [ctypes.c_long], ctypes.c_long
    array, text = np.zeros(MEGABYTE, np.uint8), TEXT.encode()
    _expect((library.add(3, 4), library.length(text), library.ask(3)), (7, len(TEXT), 6))
    yield Peer(
        {
            "scalar": repeated(library.add, 3, 4),
            "threads": accompanied(repeated(library.add, 3, 4)),
            "string": repeated(library.length, text),
            "resident": repeated(lambda: library.touch(array.ctypes.data, MEGABYTE)),
            "callback": inside(library.ask),
        }
    )


@contextmanager
def wasmtime_py(scratch: Path) -> Iterator[Peer]:
    if importlib.util.find_spec("wasmtime") is None:
        raise MissingError("not installed: pip install './bench[peers]'")
    import wasmtime

    link_wasm(scratch / "functions.wasm")
    store = wasmtime.Store()
    module = wasmtime.Module.from_file(store.engine, str(scratch / "functions.wasm"))
    i32 = wasmtime.ValType.i32()
    answer = wasmtime.Func(store, wasmtime.FuncType([i32], [i32]), _answer)
    exports: Any = wasmtime.Instance(store, module, [answer]).exports(store)
    memory, buffer = exports["memory"], exports["buffer_start"](store)
    add, length, touch, ask, fault = (exports[name] for name in ("add", "length", "touch", "ask", "fault"))
    data, text = bytes(MEGABYTE), TEXT.encode() + b"\0"

    def string() -> int:
        memory.write(store, text, buffer)
        return int(length(store, buffer))

    def copied() -> int:
        memory.write(store, data, buffer)
        return int(touch(store, buffer, MEGABYTE))

    def trap() -> None:
        try:
            fault(store)
        except wasmtime.Trap:
            return
        raise RuntimeError("a bad access went through")

    _expect((add(store, 3, 4), string(), ask(store, 3)), (7, len(TEXT), 6))
    yield Peer(
        {
            "scalar": repeated(add, store, 3, 4),
            "threads": accompanied(repeated(add, store, 3, 4)),
            "string": repeated(string),
            "resident": repeated(touch, store, buffer, MEGABYTE),
            "copied": repeated(copied),
            "callback": inside(lambda times: ask(store, times)),
            "trap": repeated(trap),
        }
    )


_MESSAGE = struct.Struct("<3q")
_ADD, _LENGTH, _TOUCH, _ASK, _FAULT = range(5)
_QUESTION = 1


class _Server:
    """The functions in another process, behind two pipes."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()

    def call(self, operation: int, first: int = 0, second: int = 0, data: bytes = b"") -> int | None:
        """None if the process ends instead."""
        self._send(_MESSAGE.pack(operation, first, second) + data)
        while True:
            reply = os.read(self._from, _MESSAGE.size)
            if not reply:
                self._process.wait()
                return None
            kind, value, _ = _MESSAGE.unpack(reply)
            if kind != _QUESTION:
                return int(value)
            self._send(_MESSAGE.pack(0, _answer(value), 0))

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._to, view) :]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def pipe(scratch: Path) -> Iterator[Peer]:
    path = scratch / "server"
    compile_host(["server.c", "functions.c"], path)

    @contextmanager
    def fresh() -> Iterator[Callable[[], None]]:
        victim = _Server(path)
        try:
            victim.call(_ADD, 1, 2)
            yield lambda: _expect(victim.call(_FAULT), None)
        finally:
            victim.close()

    server, text, data = _Server(path), TEXT.encode(), bytes(MEGABYTE)
    try:
        results = (server.call(_ADD, 3, 4), server.call(_LENGTH, len(text), 0, text), server.call(_ASK, 3))
        _expect(results, (7, len(TEXT), 6))
        yield Peer(
            {
                "scalar": repeated(server.call, _ADD, 3, 4),
                "string": repeated(server.call, _LENGTH, len(text), 0, text),
                "copied": repeated(server.call, _TOUCH, MEGABYTE, 0, data),
                "callback": inside(lambda times: server.call(_ASK, times)),
                "trap": prepared(fresh),
            }
        )
    finally:
        server.close()


PEERS: dict[str, Callable[[Path], AbstractContextManager[Peer]]] = {
    "tmebox": sandbox,
    "C extension": extension,
    "cffi (API)": cffi_api,
    "ctypes": ctypes_library,
    "wasmtime-py": wasmtime_py,
    "pipe": pipe,
}
"""In the order of the table's columns."""


def compile_shared(sources: Sequence[str], output: Path, *flags: str) -> None:
    """C to a shared library for this process. Raises MissingError."""
    compile_host(sources, output, "-shared", "-fPIC", *flags)


def compile_host(sources: Sequence[str], output: Path, *flags: str) -> None:
    """With the machine's compiler, else with the toolchain package's. Raises MissingError."""
    compiler = shutil.which("cc")
    command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc"]
    paths = [str(SOURCES / source) for source in sources]
    arguments = [*command, "-O2", f"-I{SOURCES}", *paths, *flags, "-o", str(output)]  # libraries come last
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False, errors="replace"
    )
    if done.returncode:
        raise MissingError(f"{output.name} does not build: {done.stderr.strip()[-300:]}")


def link_wasm(output: Path) -> None:
    """functions.c as a WebAssembly library. Raises MissingError."""
    compiled = output.with_suffix(".o")
    flags = ["-target", "wasm32-unknown-unknown", "-O2", "-ffreestanding", "-nostdinc"]
    headers = f"-isystem{clang.compiler_include_dir()}"
    steps = (
        ("clang", [*flags, headers, "-c", str(SOURCES / "functions.c"), "-o", str(compiled)]),
        ("wasm-ld", ["--no-entry", "--export-all", "--allow-undefined", str(compiled), "-o", str(output)]),
    )
    for tool, arguments in steps:
        try:
            finished = clang.run(tool, arguments, ANYWHERE, clang.Limits(memory_bytes=16 * clang.GIB))
        except CompileError as error:
            raise MissingError(str(error)) from None
        if finished.status:
            raise MissingError(finished.messages.strip()[:300])


def load(name: str, directory: Path) -> ModuleType:
    """Import an extension module from a file."""
    spec = importlib.util.spec_from_file_location(name, directory / f"{name}.so")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
