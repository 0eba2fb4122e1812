"""Notebooks: `%load_ext tmebox.python`, then `%%sandbox` above a cell, or `%sandbox expression` in a line."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from tmebox.python.errors import PythonError
from tmebox.python.interpreter import Python
from tmebox.shown import printable
from tmebox.uncopied import Uncopied


class SandboxMagic(Uncopied):
    """One interpreter for a notebook, made when it is first used."""

    def __init__(self, user_namespace: dict[str, Any]) -> None:
        self._namespace = user_namespace
        self._python: Python | None = None
        self._timeout: float | None = None

    def __call__(self, line: str, cell: str | None = None) -> Any:
        """%sandbox EXPRESSION, or %%sandbox [--in NAME]… [--out NAME]… [--timeout SECONDS] [--reset]: run the
        cell in a sandbox. --in: variables of the notebook that it gets; --out: globals that the notebook
        gets. --timeout: also of later cells and lines, in an interpreter that begins anew."""
        if cell is None:
            return self._run(line, [])
        names: dict[str, list[str]] = {"--in": [], "--out": []}
        timeout, anew = self._timeout, False
        words = iter(shlex.split(line))
        for word in words:
            if word in names:
                names[word] += next(words, "").split(",")
            elif word == "--timeout":
                timeout, anew = float(next(words, "")), True
            elif word == "--reset":
                anew = True
            else:
                raise ValueError(f"%%sandbox: {word!r} is none of --in, --out, --timeout, --reset")
        if anew:
            self._begin(timeout)
        value = self._run(cell, names["--in"])
        python = self._python
        assert python is not None
        for name in filter(None, names["--out"]):
            self._namespace[name] = python[name]
        return value

    def _begin(self, timeout: float | None) -> Python:
        """A new interpreter; the one before stays if there can be none."""
        made = Python(stdout=_show, timeout=timeout)
        before, self._python, self._timeout = self._python, made, timeout
        if before is not None:
            before.close()
        return made

    def _run(self, source: str, given: list[str]) -> Any:
        python = self._python
        if python is None or python.ended:
            python = self._begin(self._timeout)
        for name in filter(None, given):
            python[name] = self._namespace[name]
        try:
            return python.run(source, filename="<cell>")
        except PythonError as error:
            sys.stderr.write(error.traceback)
            raise


def _show(text: str) -> None:
    """On what is the cell's standard output at this moment. A terminal gets no escape sequences of a
    program's."""
    sys.stdout.write(printable(text, keep="\n\t") if sys.stdout.isatty() else text)


def load_ipython_extension(ipython: Any) -> None:
    """What `%load_ext tmebox.python` calls."""
    ipython.register_magic_function(SandboxMagic(ipython.user_ns), "line_cell", "sandbox")
