"""Agents' libraries, the real ones, with models that follow a script."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


def test_an_agent_of_smolagents_runs_its_code_in_the_sandbox() -> None:
    smolagents = pytest.importorskip("smolagents", reason="the package smolagents is not installed")
    from tmebox.python.adapters.smolagents import SandboxExecutor

    steps = iter(
        [
            "Thought: look.\n<code>\nrows = search('cats')\nprint(len(rows), 'rows')\nx = 5\n</code>",
            "Thought: a mistake.\n<code>\nprint('before')\nimport os\n</code>",
            "Thought: answer.\n<code>\nfinal_answer(sum(r['n'] for r in rows) + x + start)\n</code>",
        ]
    )

    class Scripted(smolagents.Model):  # type: ignore[misc, name-defined]
        def generate(self, messages: Any, **options: Any) -> Any:
            return smolagents.ChatMessage(role="assistant", content=next(steps))

    @smolagents.tool  # type: ignore[untyped-decorator]
    def search(text: str) -> list[dict[str, int]]:
        """Search.

        Args:
            text: what to look for
        """
        return [{"n": len(text)}, {"n": 10}]

    executor = SandboxExecutor(timeout=5)
    agent = smolagents.CodeAgent(tools=[search], model=Scripted(), executor=executor, max_steps=4)
    answer = agent.run("How many?", additional_args={"start": 100})
    assert answer == 4 + 10 + 5 + 100
    failed = agent.memory.steps[2]
    assert "ImportError" in str(failed.error)
    executor.cleanup()


def test_an_agent_of_pydantic_ai_runs_its_code_in_the_sandbox() -> None:
    pytest.importorskip("pydantic_ai", reason="the package pydantic-ai-slim is not installed")
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    from tmebox.python.adapters.pydantic_ai import sandbox_toolset

    codes = iter(["1 / 0", "x = double(21)\nprint('x is', x)\nx", "x + 1"])
    seen: list[Any] = []

    def model(messages: list[Any], info: Any) -> Any:
        returned = [part.content for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        seen.extend(content for content in returned if isinstance(content, dict))
        code = next(codes, None)
        if code is None:
            return ModelResponse(parts=[TextPart(str(seen[-1]["value"]))])
        return ModelResponse(parts=[ToolCallPart("run_python", {"code": code})])

    async def double(x: int) -> int:
        await asyncio.sleep(0.01)
        return 2 * x

    agent = Agent(FunctionModel(model), toolsets=[sandbox_toolset(functions={"double": double}, timeout=5)])
    assert agent.run_sync("Compute.").output == "43"
    assert seen[0] == {"printed": "x is 42\n", "value": 42}


def test_calls_that_a_model_makes_at_once_take_turns() -> None:
    """In one event loop after the other, and after one that was too late."""
    pytest.importorskip("pydantic_ai", reason="the package pydantic-ai-slim is not installed")
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    from tmebox.python.adapters.pydantic_ai import sandbox_toolset

    def model(messages: list[Any], info: Any) -> Any:
        returned = [part.content for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        seen.extend(content for content in returned if isinstance(content, dict))
        codes = next(steps, None)
        if codes is None:
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart("run_python", {"code": code}) for code in codes])

    async def nap() -> None:
        await asyncio.sleep(0.01)

    agent = Agent(FunctionModel(model), toolsets=[sandbox_toolset(functions={"nap": nap}, timeout=0.3)])
    for _ in range(2):
        steps = iter([["while True: pass"], [f"print({n})\nnap()\n{n}" for n in range(4)]])
        seen: list[Any] = []
        assert asyncio.run(agent.run("Compute.")).output == "done"
        assert seen == [{"printed": f"{n}\n", "value": n} for n in range(4)]
