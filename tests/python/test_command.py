"""`tmebox python` and `tmebox mcp`, as commands; the notebook's magic."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox.cli.python import _exit_code
from tmebox.python import Opaque, PythonError, mcp
from tmebox.python.magic import SandboxMagic

COMMAND = [sys.executable, "-m", "tmebox"]


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], input=text, capture_output=True, text=True, check=False)


def test_a_file_runs(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import json\nprint(json.dumps([1, 2]))\n")
    done = run("python", str(program))
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 2]\n", "")


def test_a_text_and_standard_input_run() -> None:
    assert run("python", "-c", "print(6 * 7)").stdout == "42\n"
    assert run("python", text="print(6 * 7)").stdout == "42\n"


def test_a_program_on_standard_input_is_utf8_as_in_a_file() -> None:
    for data, said in (("print(len('\u00e9'))".encode(), b"1\n"), (b"'\xe9'", b"not UTF-8")):
        done = subprocess.run(
            [*COMMAND, "python"],
            input=data,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            check=False,
        )
        assert said in done.stdout + done.stderr and b"Traceback" not in done.stderr


def test_failures_show_a_traceback_and_a_status() -> None:
    done = run("python", "-c", "def f(): 1 / 0\nf()")
    assert done.returncode == 1
    assert (
        done.stderr.endswith("ZeroDivisionError: divide by zero\n")
        and 'File "<command>", line 1' in done.stderr
    )
    assert run("python", "-c", "import sys\nsys.exit(7)").returncode == 7
    assert run("python", "-c", "raise SystemExit").returncode == 0
    assert run("python", "--timeout", "0.2", "-c", "while True: pass").returncode == 134
    done = run("python", "--instructions", "1000", "-c", "while True: pass")
    assert done.returncode == 1 and "1,000 instructions" in done.stderr
    assert run("python", "-c", "1", "file.py").returncode == 2


@pytest.mark.parametrize(
    ("message", "code"),
    [
        *(("", 0), ("None", 0), ("0", 0), ("5", 5), ("-1", 255), ("256", 0), ("text", 1)),
        *(("--5", 1), ("-", 1), ("²", 1), ("٣", 1), ("5\n", 1), ("9" * 5000, 255), ("-" + "9" * 5000, 255)),
        *((str((1 << 63) - 1), 255), (str(1 << 63), 255)),
    ],
)
def test_whatever_a_program_exits_with_is_a_status(message: str, code: int) -> None:
    assert _exit_code(message) == code


def test_a_prompt_talks() -> None:
    """On a terminal of its own: values are shown, errors too, and the state stays."""
    main, other = pty.openpty()
    lines = [
        b"x = 20\n", b"x + 22\n", b"def f(a):\n", b"    return a * 2\n", b"\n", b"f(x)\n", b"1/0\n",
        b"print(chr(27) + '[31m')\n", b"\x04",
    ]  # fmt: skip
    with subprocess.Popen([*COMMAND, "python"], stdin=other, stdout=other, stderr=other) as process:
        os.close(other)
        seen = b""
        try:
            for line in lines:  # each once it is asked for
                seen += read_until_a_prompt(main)
                os.write(main, line)
            while piece := os.read(main, 4096):
                seen += piece
        except OSError:  # the other side is closed
            pass
        except BaseException:
            process.kill()
            raise
        assert process.wait(30) == 0, seen
    os.close(main)
    text = seen.decode()
    assert "\n42\r" in text and "\n40\r" in text and "ZeroDivisionError" in text
    assert "\\x1b[31m" in text and "\x1b[31m" not in text  # what a program prints tells the terminal nothing


def read_until_a_prompt(descriptor: int) -> bytes:
    seen = b""
    while not seen.endswith((b">>> ", b"... ")):
        ready, _, _ = select.select([descriptor], [], [], 60)
        assert ready, seen
        seen += os.read(descriptor, 4096)
    return seen


def talk(*requests: dict[str, Any] | str) -> list[dict[str, Any]]:
    lines = [one if isinstance(one, str) else json.dumps({"jsonrpc": "2.0", **one}) for one in requests]
    done = run("mcp", "--timeout", "0.5", text="\n".join(lines) + "\n")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def call(number: int, code: str) -> dict[str, Any]:
    return {
        "id": number,
        "method": "tools/call",
        "params": {"name": "run_python", "arguments": {"code": code}},
    }


def test_a_server_runs_python() -> None:
    begin, listed, first, second, failed, late, after = talk(
        {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}},
        {"method": "notifications/initialized"},
        {"id": 1, "method": "tools/list"},
        call(2, "x = 6\nprint('hi')\nx * 7"),
        call(3, "x + 1"),
        call(4, "1 / 0"),
        call(5, "while True: pass"),
        call(6, "'x' in globals()"),
    )
    assert (
        begin["result"]["protocolVersion"] == "2025-03-26"
        and begin["result"]["serverInfo"]["name"] == "tmebox"
    )
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["run_python", "reset_python"]
    assert first["result"] == {"content": [{"type": "text", "text": "hi\n42\n"}], "isError": False}
    assert second["result"]["content"][0]["text"] == "7\n"
    assert failed["result"]["isError"] and "ZeroDivisionError" in failed["result"]["content"][0]["text"]
    assert late["result"]["isError"] and "restarted" in late["result"]["content"][0]["text"]
    assert after["result"]["content"][0]["text"] == "False\n"


def test_a_server_refuses_what_is_no_request() -> None:
    answers = talk(
        "{", "[]", '"text"', {"id": 1, "method": "nothing"}, {"id": 2, "method": "tools/call", "params": []},
        {"id": 3, "method": "tools/call", "params": {"name": "run_python", "arguments": {"code": 1}}},
        {"id": 4, "method": "tools/call", "params": {"name": "other"}}, "[" * 100_000,
        {"id": 5, "method": "ping"},
    )  # fmt: skip
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [-32700, -32600, -32600, -32601, -32602, -32602, -32602, -32700, None]


def served(*lines: bytes) -> list[Any]:
    """What a server in this process answers; every line ends."""
    output = io.BytesIO()
    with_ends = b"".join(line + b"\n" for line in lines)
    mcp.Server(timeout=5.0).serve(io.BytesIO(with_ends), output)
    return [json.loads(line, parse_constant=pytest.fail) for line in output.getvalue().splitlines()]


PING = b'{"jsonrpc": "2.0", "id": "last", "method": "ping"}'


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\xff\xfe\x00{}", -32700),
        (b'{"id": 1, "method": "ping"' + b" " * 100, -32700),
        (b'{"id": 1, "method": "\xed\xa0\x80"}', -32601),
        (b"9" * 6000, -32700),
        (b'{"a":' * 50_000, -32700),
        (b'{"id": ' + b"[" * 300 + b"]" * 300 + b', "method": "ping"}', -32600),
        (b'{"id": NaN, "method": "ping"}', -32600),
        (b'{"id": 1e999, "method": "ping"}', -32600),
        (b'{"id": true, "method": "ping"}', -32600),
        (b'{"id": {"a": 1}, "method": "ping"}', -32600),
        (b'{"id": 1, "method": "tools/call", "params": {"name": {"a": []}, "arguments": 5}}', -32602),
        (b'{"id": 1, "method": "tools/call", "params": {"name": "run_python", "arguments": [1]}}', -32602),
        (b'{"id": 1, "method": "ping", "params": [1]}', -32602),
        (b'{"id": 1, "method": "initialize", "params": {"protocolVersion": [[]]}}', None),
        (b'{"id": 1, "method": "notifications/cancelled", "params": {"requestId": 1}}', -32601),
    ],
)
def test_a_hostile_message_has_an_answer_and_the_server_goes_on(line: bytes, code: int | None) -> None:
    answer, after = served(line, PING)
    assert answer.get("error", {}).get("code") == code
    assert after == {"jsonrpc": "2.0", "id": "last", "result": {}}


@pytest.mark.parametrize(
    "code", ["1 << 100000", "[1 << 50000]", "x = '\ud800'", "chr(0xd800)", "'x' * 10 ** 6"]
)
def test_whatever_a_program_is_or_gives_the_server_goes_on(code: str) -> None:
    answer, after = served(json.dumps(call(1, code)).encode(), PING)
    assert answer["result"]["content"][0]["text"]
    assert after["id"] == "last"


VALUES = [
    *(None, True, 5, -1.5, "it's", b"\0x", bytearray(b"x"), [], (), {}, (1,), (1, 2), [[1], {"a": (None,)}]),
    *({1: 2, b"b": [3.5], None: ""}, [{"n": 1}, {"n": 2}], np.arange(5), [np.zeros((2, 2))]),
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_a_value_is_shown_as_python_shows_it(value: Any) -> None:
    assert mcp._shown(value) == repr(value)


LARGE = [
    *(bytes(3 << 20), "\0" * (3 << 20), [bytes(3 << 20)] * 20, {"a": bytes(3 << 20)}, {bytes(3 << 20): 1}),
    *([None] * (1 << 20), [bytes(1000)] * 5000, Opaque("t", "x" * (3 << 20))),
]


@pytest.mark.parametrize("value", LARGE, ids=range(len(LARGE)))
def test_only_so_much_of_a_value_is_made_and_sent(value: Any) -> None:
    tracemalloc.start()
    try:
        shown = mcp._shown(value)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shown.startswith(repr(value)[:100]) and shown.endswith("(cut: only so much is shown)")
    assert len(shown) < mcp.LONGEST_SHOWN + 100 and most < 40 << 20


@pytest.mark.parametrize(
    "code", ["bytes(3 << 20)", "raise ValueError('x' * (3 << 20))", "def f(): pass\nf.__name__ * (1 << 20)"]
)
def test_an_answer_is_no_longer_than_it_may_be(code: str) -> None:
    answer, _ = served(json.dumps(call(1, code)).encode(), PING)
    assert len(json.dumps(answer)) < 8 << 20


def test_the_rest_of_a_line_that_is_too_long_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "LONGEST_LINE_BYTES", 1000)
    smuggled = b'{"jsonrpc": "2.0", "id": 666, "method": "ping"}'
    for size in (999, 1000, 1001, 2000, 2500):
        answers = served(b'"' + b"x" * (size - 1) + smuggled, PING)
        assert [answer["id"] for answer in answers] == [None, "last"], size
    whole = PING + b" " * (999 - len(PING))  # with its end, just the longest
    assert [answer["id"] for answer in served(whole, PING)] == ["last", "last"]


def test_a_client_cancels_the_run_that_goes_on() -> None:
    here, there = os.pipe()
    output = io.BytesIO()
    server = mcp.Server(timeout=30.0)
    running = threading.Event()
    held: list[bool] = []
    interrupt = server._python.interrupt
    with open(here, "rb") as reading, open(there, "wb") as writing:
        thread = threading.Thread(target=server.serve, args=(reading, output))
        thread.start()

        def send(message: dict[str, Any]) -> None:
            writing.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            writing.flush()

        def cancel(number: Any) -> None:
            send({"method": "notifications/cancelled", "params": {"requestId": number}})

        cancel(1)  # of what was never asked
        send(call(1, "started = True\nwhile True: pass"))

        def heard() -> None:
            held.append(server._lock.locked())  # so that the run cannot end, and another begin, meanwhile
            interrupt()
            running.set()

        server._python.interrupt = heard  # type: ignore[method-assign]
        odd: list[Any] = [[], {}, None, 2, "1", 1.5, True]
        for number in odd:
            cancel(number)
        while not running.wait(0.05):
            cancel(1)
        send(call(2, "started"))
        writing.close()
        thread.join(30)
    assert not thread.is_alive() and all(held)
    # A request that was cancelled has no answer; what it had done stays.
    (answer,) = (json.loads(line) for line in output.getvalue().splitlines())
    assert (answer["id"], answer["result"]["content"][0]["text"]) == (2, "True\n")


def test_a_run_ends_when_its_client_has_gone() -> None:
    command = [*COMMAND, "mcp", "--timeout", "60"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None and server.stdout is not None
        for number, code in enumerate(["1", "while True: pass", "while True: pass"]):
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **call(number, code)}).encode() + b"\n")
            server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 0
        time.sleep(0.1)  # it may be in the next one, or about to begin it
        server.stdout.close()
        try:
            assert server.wait(20) == 141
        finally:
            server.kill()


def test_a_client_that_has_said_all_gets_all_answers() -> None:
    answers = talk(*(call(number, "import time\ntime.sleep(0.05)\n6 * 7") for number in range(5)))
    assert [answer["id"] for answer in answers] == list(range(5))
    assert all(answer["result"]["content"][0]["text"] == "42\n" for answer in answers)


def test_the_server_speaks_to_the_official_client() -> None:
    client = pytest.importorskip("mcp.client.stdio", reason="the package mcp is not installed")
    import asyncio

    from mcp import ClientSession, StdioServerParameters

    async def main() -> str:
        parameters = StdioServerParameters(command=sys.executable, args=["-m", "tmebox", "mcp"])
        async with client.stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            assert {tool.name for tool in (await session.list_tools()).tools} == {
                "run_python",
                "reset_python",
            }
            result = await session.call_tool("run_python", {"code": "sum(range(10))"})
            return str(result.content[0].text)

    assert asyncio.run(main()) == "45\n"


def test_the_magic_runs_cells_in_a_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {"rows": [1, 2, 3]}
    magic = SandboxMagic(namespace)
    assert magic("--in rows --out total", "print('in a cell')\ntotal = sum(rows)\ntotal * 2") == 12
    assert namespace["total"] == 6 and capsys.readouterr().out == "in a cell\n"
    assert magic("total + 1") == 7
    with pytest.raises(PythonError):
        magic("", "1 / 0")
    assert "ZeroDivisionError" in capsys.readouterr().err
    with pytest.raises(tmebox.Timeout):
        magic("--timeout 0.1", "while True: pass")
    assert magic("--reset", "1") == 1
    with pytest.raises(ValueError, match="--bad"):
        magic("--bad", "1")


def test_a_cell_tells_the_terminal_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    SandboxMagic({})("", "print('\\x1b[2Ja\\tb')")
    assert capsys.readouterr().out == "\\x1b[2Ja\tb\n"


def test_a_time_limit_holds_for_later_cells_also_after_a_trap_and_a_reset() -> None:
    magic = SandboxMagic({})
    magic("--timeout 0.1", "x = 1")
    for line in ("", "--reset", ""):
        with pytest.raises(tmebox.Timeout):
            magic(line, "while True: pass")
    assert magic("", "y = 2") is None
    for wrong in ("--timeout -1", "--timeout x", "--timeout 5 --bad", "--timeout"):
        with pytest.raises(ValueError):
            magic(wrong, "1")
        assert magic("y") == 2
    with pytest.raises(tmebox.Timeout):
        magic("", "while True: pass")


def test_ipython_loads_the_magic() -> None:
    shell = pytest.importorskip(
        "IPython.core.interactiveshell", reason="the package ipython is not installed"
    )
    ipython = shell.InteractiveShell.instance()
    ipython.run_line_magic("load_ext", "tmebox.python")
    assert ipython.run_cell_magic("sandbox", "", "6 * 7") == 42
