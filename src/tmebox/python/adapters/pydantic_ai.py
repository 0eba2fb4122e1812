"""Tools for pydantic-ai: `Agent(model, toolsets=[sandbox_toolset(functions={"search": search})])`."""

from __future__ import annotations

from typing import Any

from pydantic_ai import ModelRetry
from pydantic_ai.toolsets import FunctionToolset

from tmebox.errors import TmeboxError, Trap
from tmebox.python.errors import PythonError
from tmebox.python.interpreter import Python
from tmebox.python.opaque import Opaque


def sandbox_toolset(
    *, timeout: float | None = 30.0, max_retries: int = 3, **options: Any
) -> FunctionToolset[Any]:
    """One tool, `run_python`, whose globals stay from call to call. What goes wrong in it, the model is told,
    and may try again. Options are those of `Python`; async functions run on the agent's loop."""
    python = Python(timeout=timeout, **options)

    async def run_python(code: str) -> dict[str, Any]:
        """Run Python in a sandbox. Variables stay from call to call.

        Args:
            code: The program. What it prints is returned, and the value of its last expression.
        """
        try:
            value = await python.run_async(code)
        except PythonError as error:
            raise ModelRetry(python.stdout + error.traceback) from error
        except TmeboxError as error:
            if isinstance(error, Trap):
                python.reset()
            raise ModelRetry(f"{type(error).__name__}: {error}") from error
        return {"printed": python.stdout, "value": value.text if isinstance(value, Opaque) else value}

    return FunctionToolset([run_python], max_retries=max_retries)
