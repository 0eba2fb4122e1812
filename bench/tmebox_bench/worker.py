"""Runs sandboxed and WebAssembly builds, in a process of its own: `python -m tmebox_bench.worker`.

Reads a request per line, {"kind": "sandbox" | "wasm", "path": …, "arguments": […]}, and answers each with a
line: {"cpu_ns": …, "exit_code": …, "stdout": …} or {"error": …}. Only the program itself is timed, from the
call of its start-up code to its exit: modules are loaded before, and each run has a fresh sandbox.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import tmebox

MEMORY = "512MiB"
TIMEOUT_S = 300.0
Answer = dict[str, Any]


def _spent_ns(since_ns: int = 0) -> int:
    return time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID) - since_ns


@cache
def _module(path: str) -> tmebox.Module:
    return tmebox.Module.load(path, trust_compiler=True)


def _run_sandbox(path: str, arguments: list[str]) -> Answer:
    with tmebox.Sandbox(_module(path), memory=MEMORY, timeout=TIMEOUT_S) as sandbox:
        start_ns = _spent_ns()
        completed = sandbox.run(["program", *arguments], stderr=lambda _: None)
        cpu_ns = _spent_ns(start_ns)
    return {
        "cpu_ns": cpu_ns,
        "exit_code": completed.exit_code,
        "stdout": completed.stdout.decode(errors="replace"),
    }


@cache
def _wasm_module(path: str) -> tuple[Any, Any]:
    import wasmtime

    engine = wasmtime.Engine()
    return engine, wasmtime.Module.from_file(engine, path)


def _run_wasm(path: str, arguments: list[str]) -> Answer:
    import wasmtime

    engine, module = _wasm_module(path)
    with tempfile.NamedTemporaryFile() as output:
        configuration = wasmtime.WasiConfig()
        configuration.argv = ["program", *arguments]
        configuration.stdout_file = output.name
        store = wasmtime.Store(engine)
        store.set_wasi(configuration)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        start: Any = linker.instantiate(store, module).exports(store)["_start"]
        exit_code = 0
        start_ns = _spent_ns()
        try:
            start(store)
        except wasmtime.ExitTrap as leaving:
            exit_code = leaving.code
        cpu_ns = _spent_ns(start_ns)
        stdout = output.read().decode(errors="replace")
    return {"cpu_ns": cpu_ns, "exit_code": exit_code, "stdout": stdout}


_RUNNERS: dict[str, Callable[[str, list[str]], Answer]] = {"sandbox": _run_sandbox, "wasm": _run_wasm}


def _answer(request: Answer) -> Answer:
    try:
        return _RUNNERS[request["kind"]](request["path"], request["arguments"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer requests until the end of input."""
    # What a program prints by mistake must not look like an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
