"""An executor for smolagents: `CodeAgent(tools, model, executor=SandboxExecutor(timeout=5))`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smolagents.local_python_executor import CodeOutput, PythonExecutor

from tmebox.errors import Trap
from tmebox.python.errors import PythonError
from tmebox.python.interpreter import Python
from tmebox.python.opaque import Opaque
from tmebox.uncopied import Uncopied


class _FinalAnswer(BaseException):
    """Goes through the program, whatever it catches."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


class SandboxExecutor(Uncopied, PythonExecutor):  # type: ignore[misc]
    """Runs a CodeAgent's steps in one interpreter, whose globals stay from step to step. Tools run on the
    host. After a trap, such as a timeout, the next step begins with no globals but the agent's variables."""

    def __init__(self, *, timeout: float | None = 30.0, **options: Any) -> None:
        """Options are those of `Python`."""
        self.python = Python(timeout=timeout, **options)
        self.state: dict[str, Any] = {"_print_outputs": ""}
        """What the library reads after a step that failed."""
        self._variables: dict[str, Any] = {}

    def send_tools(self, tools: Mapping[str, Any]) -> None:
        given = {name: tool.__call__ for name, tool in tools.items()}
        if "final_answer" in given:
            given["final_answer"] = _final(given["final_answer"])
        self.python.add_functions(given)

    def send_variables(self, variables: Mapping[str, Any]) -> None:
        self._variables.update(variables)
        self.python.update(variables)

    def __call__(self, code_action: str) -> CodeOutput:
        python = self.python
        try:
            value = python.run(code_action)
        except _FinalAnswer as final:
            return CodeOutput(output=final.answer, logs=python.stdout, is_final_answer=True)
        except PythonError as error:
            raise RuntimeError(error.traceback) from error
        except Trap:
            python.reset()
            python.update(self._variables)
            raise
        finally:
            self.state["_print_outputs"] = python.stdout
        output = value.text if isinstance(value, Opaque) else value
        return CodeOutput(output=output, logs=python.stdout, is_final_answer=False)

    def cleanup(self) -> None:
        self.python.close()


def _final(tool: Any) -> Any:
    def final_answer(*arguments: Any, **keywords: Any) -> Any:
        raise _FinalAnswer(tool(*arguments, **keywords))

    return final_answer
