"""Tools for pydantic-ai: `Agent(model, toolsets=[sandbox_toolset(functions={"search": search})])`."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic_ai import ModelRetry
from pydantic_ai.toolsets import FunctionToolset

from tmebox.errors import TmeboxError
from tmebox.python.errors import PythonError
from tmebox.python.interpreter import Python
from tmebox.python.opaque import Opaque


def sandbox_toolset(
    *, timeout: float | None = 30.0, max_retries: int = 3, **options: Any
) -> FunctionToolset[Any]:
    """One tool, `run_python`, whose globals stay from call to call. What goes wrong in it, the model is told,
    and may try again; after a trap, such as a timeout, the next call begins with no globals. Calls that it
    makes at once take turns. Options are those of `Python`; async functions run on the agent's loop."""
    python = Python(timeout=timeout, **options)
    turns = _Turns()

    async def run_python(code: str) -> dict[str, Any]:
        """Run Python in a sandbox. Variables stay from call to call.

        Args:
            code: The program. What it prints is returned, and the value of its last expression.
        """
        async with turns.here():  # until what was printed has been read
            try:
                if python.ended:  # also by a call that was cancelled
                    python.reset()
                value = await python.run_async(code)
            except PythonError as error:
                raise ModelRetry(python.stdout + error.traceback) from error
            except TmeboxError as error:
                raise ModelRetry(f"{type(error).__name__}: {error}") from error
            return {"printed": python.stdout, "value": value.text if isinstance(value, Opaque) else value}

    return FunctionToolset([run_python], max_retries=max_retries)


class _Turns:
    """A lock of the loop that runs. An asyncio.Lock belongs to one loop, an agent may run in one after the
    other; in two at once, calls are refused."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    def here(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock
