"""A server of the Model Context Protocol over two streams: one interpreter, which a model's client uses.

Requests and answers are JSON-RPC 2.0, one message a line. Messages are not trusted: whatever they say has an
answer, and none of them ends the server. Lines are read on a thread, so that a client can cancel the run that
goes on. Once nobody can read answers any more, it is cancelled, too.
"""

from __future__ import annotations

import json
import queue
import select
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import tmebox
from tmebox.errors import TmeboxError, Trap
from tmebox.python.errors import PythonError
from tmebox.python.interpreter import Python
from tmebox.python.opaque import Opaque
from tmebox.uncopied import Uncopied

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
INTERNAL_ERROR = -32603
WAITING_LINES = 16
"""Requests that wait for the one that runs. While there are as many, nothing more is read."""
LONGEST_SHOWN = 1 << 20
"""Characters of a value, and of what is said of an error. What was printed has the limit of `output`."""
TOO_LONG = b"!"
"""Stands for a line that is longer than LONGEST_LINE_BYTES; it is no JSON either."""
ASK_AGAIN_S = 0.01
LOOK_AGAIN_MS = 1000
CANCELLED = "notifications/cancelled"


class RequestError(Exception):
    """What is wrong with a request: an error code of JSON-RPC, and words."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class Server(Uncopied):
    """Options are those of `Python`."""

    def __init__(self, **options: Any) -> None:
        self._python = Python(**options)
        self._lock = threading.Lock()
        self._running: Any = None
        self._cancelled = False
        self._ended = False

    def serve(self, reading: BinaryIO, writing: BinaryIO) -> None:
        """Answer until the input ends."""
        lines: queue.Queue[bytes | None] = queue.Queue(WAITING_LINES)
        threading.Thread(target=self._read, args=(reading, lines), daemon=True).start()
        threading.Thread(target=self._watch, args=(writing,), daemon=True).start()
        try:
            with self._python:
                while (line := lines.get()) is not None:
                    answer = self.answer(line)
                    if answer is not None and not self._cancelled:
                        writing.write(json.dumps(answer).encode() + b"\n")
                        writing.flush()
        finally:
            self._ended = True

    def _watch(self, writing: BinaryIO) -> None:
        """Interrupt what runs once nobody can read answers any more: its client has gone. That requests have
        ended says less: `tmebox mcp < requests > answers` is to answer them all."""
        readers = select.poll()
        try:
            readers.register(writing.fileno(), 0)  # tells of an end without readers, and of nothing else
        except OSError:  # it is none of the system's
            return
        while not self._ended:
            if readers.poll(LOOK_AGAIN_MS):
                self._python.interrupt()
                time.sleep(ASK_AGAIN_S)

    def _read(self, reading: BinaryIO, lines: queue.Queue[bytes | None]) -> None:
        try:
            while line := _line(reading):
                if line.strip() and not (CANCELLED.encode() in line and self._cancel(line)):
                    lines.put(line)
        finally:
            lines.put(None)

    def _cancel(self, line: bytes) -> bool:
        """Whether that was a cancellation. It means something only for the run that goes on."""
        try:
            message = _message(line)
            parameters = message.get("params")
        except RequestError:
            return False
        if message["method"] != CANCELLED or "id" in message:
            return False
        wanted = parameters.get("requestId") if isinstance(parameters, dict) else None
        while self._cancels(wanted):
            time.sleep(ASK_AGAIN_S)  # then again, where the run was about to begin, or the program goes on
        return True

    def _cancels(self, wanted: Any) -> bool:
        """Whether that is the run that goes on: then it is interrupted, and no later one."""
        with self._lock:
            same = _is_identity(wanted) and type(wanted) is type(self._running) and wanted == self._running
            if same:
                self._cancelled = True
                self._python.interrupt()
            return same

    def answer(self, line: bytes) -> dict[str, Any] | None:
        """The response to one message; None for a notification."""
        identity = None
        with self._lock:
            self._cancelled = False
        try:
            message = _message(line)
            if "id" not in message:
                return None
            if not _is_identity(message["id"]):
                raise RequestError(INVALID_REQUEST, "an id is a text or an integer")
            identity = message["id"]
            parameters = message.get("params") or {}
            if not isinstance(parameters, dict):
                raise RequestError(INVALID_PARAMS, "params is an object")
            with self._lock:
                self._running = identity
            try:
                result = self._result(message["method"], parameters)
            finally:
                with self._lock:
                    self._running = None
        except Exception as error:  # a mistake of ours must not end what others' requests wait for
            code = error.code if isinstance(error, RequestError) else INTERNAL_ERROR
            wrong = {"code": code, "message": _cut(str(error))}
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
            return _said(python.stdout + _cut(error.traceback), True)
        except TmeboxError as error:
            text = python.stdout + _cut(f"{type(error).__name__}: {error}")
            if isinstance(error, Trap):
                python.reset()
                text += "\n(the interpreter was restarted: variables are gone)"
            return _said(text, True)
        return _said(python.stdout + ("" if value is None else f"{_shown(value)}\n"), False)


def _line(reading: BinaryIO) -> bytes:
    """The next line; b"" at the end. What follows the longest part of a long one is no message of its own."""
    line = reading.readline(LONGEST_LINE_BYTES)
    if len(line) < LONGEST_LINE_BYTES or line.endswith(b"\n"):
        return line
    while line and not line.endswith(b"\n"):
        line = reading.readline(LONGEST_LINE_BYTES)
    return TOO_LONG


def _message(line: bytes) -> dict[str, Any]:
    """Raises RequestError for what is no request."""
    if line is TOO_LONG:
        raise RequestError(PARSE_ERROR, f"a message has at most {LONGEST_LINE_BYTES:,} bytes")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError(PARSE_ERROR, f"that is no JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise RequestError(INVALID_REQUEST, "a request has a method")
    return message


def _is_identity(value: Any) -> bool:
    """As the protocol has it. It is sent back: so nothing nested, and no number that is none in JSON."""
    return type(value) in (str, int)


def _shown(value: Any) -> str:
    """As `repr` has it, as far as it may be long: what is behind that is not made."""
    shown: list[str] = []
    left = LONGEST_SHOWN
    for piece in _pieces(value):
        shown.append(piece)
        left -= len(piece)
        if left < 0:
            break
    return _cut("".join(shown))


def _pieces(value: Any) -> Iterator[str]:
    """Of `repr(value)`. Values that cross are no deeper than the wire has it."""
    if type(value) is dict:
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield f"{', ' if number else ''}{_piece(key)}: "
            yield from _pieces(item)
        yield "}"
    elif type(value) in (list, tuple):
        opening, closing = "[]" if type(value) is list else ("(", ",)" if len(value) == 1 else ")")
        yield opening
        for number, item in enumerate(value):
            if number:
                yield ", "
            yield from _pieces(item)
        yield closing
    else:
        yield _piece(value)


def _piece(value: Any) -> str:
    """Of what has no parts. A byte takes up to four characters."""
    if isinstance(value, str | bytes | bytearray):
        return repr(value[:LONGEST_SHOWN])
    if isinstance(value, Opaque):
        return value.text[: LONGEST_SHOWN + 1]
    try:
        return repr(value)
    except ValueError as error:  # an integer of more digits than this Python writes
        return f"<{type(value).__name__} that cannot be shown: {error}>"


def _cut(text: str) -> str:
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[:LONGEST_SHOWN]}… (cut: only so much is shown)"


def _said(text: str, is_error: bool) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": is_error}
