"""A server of the Model Context Protocol over two streams: one interpreter, which a model's client uses.

Requests and answers are JSON-RPC 2.0, one message a line.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

import tmebox
from tmebox.errors import TmeboxError, Trap
from tmebox.python.errors import PythonError
from tmebox.python.interpreter import Python

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
"""Of the protocol, the newest first."""
LONGEST_LINE_BYTES = 16 << 20

TOOLS = [
    {
        "name": "run_python",
        "description": (
            "Run Python (MicroPython, with json, re, math, random, collections, asyncio and a part of "
            "NumPy) in a sandbox without files or network. Variables stay from call to call. Returns what "
            "was printed, and the value of the last expression."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The program."}},
            "required": ["code"],
        },
    },
    {
        "name": "reset_python",
        "description": "Forget all variables and begin anew.",
        "inputSchema": {"type": "object", "properties": {}},
    },
]

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602


class RequestError(Exception):
    """What is wrong with a request: an error code of JSON-RPC, and words."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class Server:
    """Options are those of `Python`."""

    def __init__(self, **options: Any) -> None:
        self._python = Python(**options)

    def serve(self, reading: BinaryIO, writing: BinaryIO) -> None:
        """Answer until the input ends."""
        with self._python:
            while line := reading.readline(LONGEST_LINE_BYTES):
                if line.strip():
                    answer = self.answer(line)
                    if answer is not None:
                        writing.write(json.dumps(answer).encode() + b"\n")
                        writing.flush()

    def answer(self, line: bytes) -> dict[str, Any] | None:
        """The response to one message; None for a notification."""
        identity = None
        try:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RequestError(PARSE_ERROR, f"that is no JSON: {error}") from None
            if not isinstance(message, dict) or not isinstance(message.get("method"), str):
                raise RequestError(INVALID_REQUEST, "a request has a method")
            identity = message.get("id")
            if "id" not in message:
                return None
            parameters = message.get("params") or {}
            if not isinstance(parameters, dict):
                raise RequestError(INVALID_PARAMS, "params is an object")
            result = self._result(message["method"], parameters)
        except RequestError as error:
            wrong = {"code": error.code, "message": str(error)}
            return {"jsonrpc": "2.0", "id": identity, "error": wrong}
        return {"jsonrpc": "2.0", "id": identity, "result": result}

    def _result(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            wanted = parameters.get("protocolVersion")
            return {
                "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "tmebox", "version": tmebox.__version__},
            }
        if method == "ping":
            return {}
        if method == "tools/list":
            return {"tools": TOOLS}
        if method == "tools/call":
            return self._call(parameters.get("name"), parameters.get("arguments") or {})
        raise RequestError(METHOD_NOT_FOUND, f"there is no method {method}")

    def _call(self, name: Any, arguments: Any) -> dict[str, Any]:
        if name == "reset_python":
            self._python.reset()
            return _said("", False)
        if name != "run_python":
            raise RequestError(INVALID_PARAMS, f"there is no tool {name!r}")
        code = arguments.get("code") if isinstance(arguments, dict) else None
        if not isinstance(code, str):
            raise RequestError(INVALID_PARAMS, "run_python takes a text, code")
        python = self._python
        try:
            value = python.run(code)
        except PythonError as error:
            return _said(python.stdout + error.traceback, True)
        except TmeboxError as error:
            text = f"{python.stdout}{type(error).__name__}: {error}"
            if isinstance(error, Trap):
                python.reset()
                text += "\n(the interpreter was restarted: variables are gone)"
            return _said(text, True)
        shown = "" if value is None else f"{value!r}\n"
        return _said(python.stdout + shown, False)


def _said(text: str, is_error: bool) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": is_error}
