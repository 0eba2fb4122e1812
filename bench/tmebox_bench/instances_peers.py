"""Ways to have isolated instances of C code from Python. Each yields operations that time themselves."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tmebox
from tmebox.errors import CompileError
from tmebox_bench import debian, suite, wasm
from tmebox_bench.operations import Operation, repeated
from tmebox_bench.peers import compile_host
from tmebox_bench.variants import MissingError

PROGRAMS = Path(__file__).parent / "instances_programs"
GREETING_LENGTH = len("hello number 7")
ANSWER = 42
WASM_SIGNALS = ("_WASI_EMULATED_SIGNAL",)
REACTOR = ("-mexec-model=reactor",)


@dataclass(frozen=True)
class Sources:
    """C files of one subject, where their headers are, and what their instances export."""

    files: tuple[Path, ...]
    exports: tuple[str, ...]
    include_dirs: tuple[Path, ...] = ()
    wasm_defines: tuple[str, ...] = ()


@dataclass
class Peer:
    """operations: by a key of instances.OPERATIONS. missing: what could not be built, and why. repeats: how
    often an operation is done in a round, in percent of what instances.REPEATS says."""

    operations: dict[str, Operation]
    missing: dict[str, str] = field(default_factory=dict)
    repeats_percent: int = 100


def subjects() -> tuple[dict[str, Sources], str]:
    """Sources by name, and why Lua is not among them if it is not."""
    found = {
        "trivial": Sources((PROGRAMS / "trivial.c",), ("add",)),
        "stdio": Sources((PROGRAMS / "stdio.c",), ("greet",)),
    }
    try:
        upstream = next(program for program in suite.PROGRAMS if program.name == "lua").sources()
    except debian.SourcesUnavailableError as error:
        return found, f"Lua: {error}"
    files = (PROGRAMS / "lua.c", *upstream.files[1:])  # the first is the benchmark program's own
    found["lua"] = Sources(files, ("prepare", "answer"), upstream.include_dirs, WASM_SIGNALS)
    return found, ""


def expect(value: object, wanted: object) -> None:
    if value != wanted:
        raise RuntimeError(f"an instance answers {value!r}, not {wanted!r}")


def after(before: Callable[[], Any], timed: Callable[[], Any]) -> Operation:
    """An operation that each time follows something else, which is not timed."""

    def action(times: int) -> float:
        spent_ns = 0
        for _ in itertools.repeat(None, times):
            before()
            start_ns = time.perf_counter_ns()
            timed()
            spent_ns += time.perf_counter_ns() - start_ns
        return spent_ns / times / 1e9

    return action


# -- tmebox -------------------------------------------------------------------------------------------------
@contextmanager
def sandbox(sources: Mapping[str, Sources], _: Path) -> Iterator[Peer]:
    modules = {
        name: tmebox.compile(item.files, include_dirs=item.include_dirs, exports=item.exports)
        for name, item in sources.items()
    }
    with Path(os.devnull).open("wb") as nowhere:

        def trivial() -> None:
            with tmebox.Sandbox(modules["trivial"]) as box:
                expect(box.add(3, 4), 7)

        def stdio() -> None:
            with tmebox.Sandbox(modules["stdio"], stdout=nowhere) as box:
                expect(box.greet(7), GREETING_LENGTH)

        with (
            tmebox.Sandbox(modules["trivial"]) as small,
            tmebox.Sandbox(modules["stdio"], stdout=nowhere) as middle,
        ):
            operations = {
                "trivial": repeated(trivial),
                "stdio": repeated(stdio),
                "reset-trivial": after(lambda: small.add(3, 4), small.reset),
                "reset-stdio": after(lambda: middle.greet(7), middle.reset),
            }
            if "lua" not in modules:
                yield Peer(operations)
                return
            with tmebox.Sandbox(modules["lua"]) as first:
                expect(first.prepare(), 0)
                snapshot = first.snapshot()

            def ready() -> None:
                with snapshot.spawn() as box:
                    expect(box.answer(ANSWER), ANSWER)

            def anew() -> None:
                with tmebox.Sandbox(modules["lua"]) as box:
                    expect(box.prepare(), 0)
                    expect(box.answer(ANSWER), ANSWER)

            spawned: list[tmebox.Sandbox] = []
            with snapshot.spawn() as large:
                operations |= {
                    "lua-anew": repeated(anew),
                    "lua-ready": repeated(ready),
                    "lua-spawn": after(lambda: close_all(spawned), lambda: spawned.append(snapshot.spawn())),
                    "reset-lua": after(lambda: large.answer(ANSWER), large.reset),
                }
                yield Peer(operations)
            close_all(spawned)


def close_all(sandboxes: list[tmebox.Sandbox]) -> None:
    while sandboxes:
        sandboxes.pop().close()


# -- wasmtime -----------------------------------------------------------------------------------------------
@contextmanager
def wasmtime_py(sources: Mapping[str, Sources], scratch: Path) -> Iterator[Peer]:
    if not wasm.is_installed():
        raise MissingError("not installed: pip install './bench[peers]'")
    import wasmtime

    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    operations: dict[str, Operation] = {}
    missing: dict[str, str] = {}
    for name, item in sources.items():
        try:
            module = wasmtime.Module.from_file(engine, str(wasm_library(name, item, scratch)))
        except (CompileError, wasmtime.WasmtimeError) as error:
            missing[name] = str(error).splitlines()[0][:200]
            continue
        operation, calls = WASM_OPERATIONS[name]
        operations[operation] = repeated(wasm_cycle(linker, module, calls))
    yield Peer(operations, missing)


WasmCalls = tuple[tuple[str, tuple[int, ...], int], ...]
WASM_OPERATIONS: dict[str, tuple[str, WasmCalls]] = {
    "trivial": ("trivial", (("add", (3, 4), 7),)),
    "stdio": ("stdio", (("greet", (7,), GREETING_LENGTH),)),
    "lua": ("lua-anew", (("prepare", (), 0), ("answer", (ANSWER,), ANSWER))),
}
"""By subject: the operation, and the calls (export, arguments, result) that it is made of."""


def wasm_cycle(linker: Any, module: Any, calls: WasmCalls) -> Callable[[], None]:
    import wasmtime

    def cycle() -> None:
        store = wasmtime.Store(linker.engine)
        wasi = wasmtime.WasiConfig()
        wasi.stdout_file = os.devnull
        store.set_wasi(wasi)
        exports = linker.instantiate(store, module).exports(store)
        exports["_initialize"](store)
        for name, arguments, wanted in calls:
            expect(exports[name](store, *arguments), wanted)

    return cycle


def wasm_library(name: str, item: Sources, scratch: Path) -> Path:
    """A WASI reactor. Raises CompileError."""
    objects = []
    for index, source in enumerate(item.files):
        objects.append(scratch / f"{name}-{index}.o")
        search = [f"-I{directory}" for directory in item.include_dirs]
        defines = [f"-D{define}" for define in item.wasm_defines]
        wasm.compile_wasm(source, objects[-1], ["-O2", *defines, *search])
    output = scratch / f"{name}.wasm"
    exports = [f"-Wl,--export={export}" for export in item.exports]
    wasm.link_wasm(objects, output, [*REACTOR, *exports])
    return output


# -- processes ----------------------------------------------------------------------------------------------
@contextmanager
def process(sources: Mapping[str, Sources], scratch: Path) -> Iterator[Peer]:
    """A static program started with posix_spawn, the cheapest way Python has; its exit code is the answer."""
    operations: dict[str, Operation] = {}
    for name, item in sources.items():
        program = scratch / f"{name}-program"
        build_host(item, program, "-static", "-DPROGRAM")
        operations["lua-anew" if name == "lua" else name] = repeated(spawn_cycle(str(program)))
    yield Peer(operations, repeats_percent=10)


def spawn_cycle(path: str) -> Callable[[], None]:
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]

    def cycle() -> None:
        child = os.posix_spawn(path, [path], {}, file_actions=quiet)
        expect(os.waitpid(child, 0)[1], 0)

    return cycle


@contextmanager
def fork(sources: Mapping[str, Sources], scratch: Path) -> Iterator[Peer]:
    """os.fork of a Python process that has nothing but the functions loaded (and Lua prepared, for that)."""
    libraries = {}
    for name, item in sources.items():
        libraries[name] = scratch / f"{name}-fork.so"
        build_host(item, libraries[name], "-shared", "-fPIC")
    parents: list[subprocess.Popen[str]] = []
    try:
        operations = {}
        for name, path in libraries.items():
            command = [
                sys.executable,
                "-I",
                str(Path(__file__).parent / "instances_fork.py"),
                name,
                str(path),
            ]
            parents.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            operations["lua-ready" if name == "lua" else name] = told(parents[-1])
        yield Peer(operations, repeats_percent=10)
    finally:
        for parent in parents:
            parent.kill()
            parent.communicate()


def told(parent: subprocess.Popen[str]) -> Operation:
    """An operation that another process does and times."""
    assert parent.stdin is not None and parent.stdout is not None
    requests, answers = parent.stdin, parent.stdout

    def action(times: int) -> float:
        requests.write(f"{times}\n")
        requests.flush()
        answer = answers.readline()
        if not answer:
            raise RuntimeError("the forking process ended")
        return float(answer)

    return action


def build_host(item: Sources, output: Path, *flags: str) -> None:
    search = [f"-I{directory}" for directory in item.include_dirs]
    compile_host([str(path) for path in item.files], output, *flags, *search, "-lm")


MakePeer = Callable[[Mapping[str, Sources], Path], AbstractContextManager[Peer]]
PEERS: dict[str, MakePeer] = {
    "tmebox": sandbox,
    "wasmtime-py": wasmtime_py,
    "process": process,
    "os.fork": fork,
}
"""In the order of the table's columns."""
