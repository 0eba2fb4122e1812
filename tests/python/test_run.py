"""Running programs: values, output, exceptions, globals."""

from __future__ import annotations

import math
import pickle
import tracemalloc
from collections.abc import Iterator

import pytest

import tmebox
from tmebox.python import Opaque, Python, PythonError


@pytest.fixture
def python() -> Iterator[Python]:
    with Python() as python:
        yield python


def test_the_last_expression_is_the_value_of_a_run(python: Python) -> None:
    assert python.run("x = 20\nx + 22") == 42
    assert python.run("x; x + 1") == 21
    assert python.run("'a'; x = 5") is None
    assert python.run("x == 5") is True
    assert python.run("for i in range(3): i") is None
    assert python.run("") is None
    assert python.run("# nothing") is None
    assert python.run("pass") is None
    assert python.run("x += 1") is None
    assert python.run("'text'") == "text"
    assert python.run("7") == 7
    assert python.run("x if x else 0") == 6
    assert python.run("[y for y in (1, 2)]") == [1, 2]
    assert python.run("1,") == (1,)
    assert python.run("x = 1; 'text'") == "text"
    assert python.run("x = 1\n3.5\n\n") == 3.5
    assert python.run("def f():\n    5") is None
    assert python.run("if 1:\n    7") is None


def test_globals_stay_between_runs(python: Python) -> None:
    python.run("def double(x):\n    return 2 * x\nstate = [1]")
    assert python.eval("double(21)") == 42
    python.run("state.append(double(state[-1]))")
    assert python["state"] == [1, 2]
    assert python.call("double", 4) == 8
    assert python.call("double", x="ab") == "abab"


VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**62 - 1,
    2**62,
    -(2**62),
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**64,
    10**50,
    -(10**50),
    255,
    256,
    2**200 - 1,
    -(2**200),
    0.0,
    -0.0,
    1.5,
    1e300,
    float("inf"),
    "",
    "text",
    "ünïcode ☃ 🐍",
    "nul\0inside",
    b"",
    b"bytes\0\xff",
    bytearray(b"more"),
    [],
    [1, [2, [3]]],
    (),
    (1, "a"),
    {},
    {"a": 1, 2: [None], b"k": 0.5},
    {None: 1, True: 2, 2.5: 3},
    [{"n": i, "s": str(i)} for i in range(100)],
    "x" * 100_000,
    list(range(10_000)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_values_come_back_as_they_went(python: Python, value: object) -> None:
    python["value"] = value
    back = python["value"]
    assert back == value and type(back) is type(value)
    if not isinstance(value, dict | list):  # whose order is lost in dictionaries
        assert repr(back) == repr(value)


def test_not_a_number_crosses(python: Python) -> None:
    python["x"] = math.nan
    assert math.isnan(python["x"])


def test_what_is_no_data_stays_inside(python: Python) -> None:
    python.run("def f(): pass\ng = (x for x in ())\ns = {1}")
    for name in ("f", "g", "s"):
        with pytest.raises(PythonError, match="cannot leave the sandbox") as caught:
            python[name]
        assert caught.value.type == "TypeError"
    value = python.run("f")
    assert isinstance(value, Opaque) and value.type == "function" and "f" in value.text
    with pytest.raises(TypeError, match="cannot enter the sandbox"):
        python["x"] = object()
    with pytest.raises(TypeError, match="cannot enter the sandbox"):
        python["x"] = {(1, 2): 3}
    with pytest.raises(ValueError, match="nested"):
        deep: list[object] = []
        for _ in range(100):
            deep = [deep]
        python["x"] = deep


def test_a_structure_that_contains_itself_stays_inside(python: Python) -> None:
    python.run("a = []\na.append(a)\nb = [1]\nfor i in range(40): b = [b, b]")
    with pytest.raises(PythonError, match="nested too deeply"):
        python["a"]
    with pytest.raises(PythonError) as caught:
        python["b"]
    assert caught.value.type == "MemoryError"
    assert python.eval("1 + 1") == 2


def test_what_would_cost_the_host_too_much_is_refused() -> None:
    with Python(memory="4MiB") as python:
        python.run("a = [None] * 200000")  # a byte each on the way, but not on the host
        with pytest.raises(PythonError, match="too large"):
            python["a"]


def test_output_is_kept_or_handed_on() -> None:
    pieces: list[str] = []
    with Python() as python, Python(stdout=pieces.append) as streaming:
        assert python.run("print('one', 2)\nprint('drei ☃', end='')") is None
        assert python.stdout == "one 2\ndrei ☃"
        python.run("print('x' * 10000)")
        assert python.stdout == "x" * 10000 + "\n"
        python.run("1")
        assert python.stdout == ""
        streaming.run("print('a')\nprint('b')")
        assert pieces == ["a\n", "b\n"]


def test_output_is_limited() -> None:
    with Python(output="4KiB") as python:
        with pytest.raises(PythonError, match="limit on output") as caught:
            python.run("while True: print('spam')")
        assert caught.value.type == "OSError"
        assert len(python.stdout) <= 4096
        assert python.run("print('again')\n3") == 3


def test_output_costs_the_host_what_it_is_counted_for() -> None:
    """Also where each character comes alone: a call of the host's function hands on what there is."""
    size = 32 << 10
    with Python(output=size, memory="1MiB", functions={"f": lambda: None}) as python:
        python.run("f()\nprint('x')")
        tracemalloc.start()
        try:
            with pytest.raises(PythonError, match="limit on output"):
                python.run("while True:\n    print('中', end='')\n    f()")
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < 4 * size
        assert python.stdout == "中" * (size // 3)


def test_exceptions_have_a_traceback(python: Python) -> None:
    with pytest.raises(PythonError) as caught:
        python.run("def f(x):\n    return 1 / x\n\nf(0)", filename="sums.py")
    error = caught.value
    assert error.type == "ZeroDivisionError"
    assert [(frame.file, frame.line, frame.function) for frame in error.frames] == [
        ("sums.py", 4, "<module>"),
        ("sums.py", 2, "f"),
    ]
    assert "sums.py" in str(error) and "line 2" in str(error)
    assert error.traceback.startswith("Traceback (most recent call last):\n")
    assert isinstance(error, tmebox.TmeboxError)
    again = pickle.loads(pickle.dumps(error))
    assert again.type == error.type and again.frames == error.frames


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("1 +", "SyntaxError"),
        ("  x = 1", "IndentationError"),
        ("raise ValueError('no')", "ValueError"),
        ("class Own(Exception): pass\nraise Own('mine')", "Own"),
        ("nobody", "NameError"),
        ("import nothing", "ImportError"),
        ("raise SystemExit", "SystemExit"),
        ("open('/etc/shadow')", "OSError"),
        ("class E(Exception):\n    def __str__(self): return 1/0\nraise E()", "ZeroDivisionError"),
    ],
)
def test_every_exception_becomes_a_python_error(python: Python, source: str, kind: str) -> None:
    with pytest.raises(PythonError) as caught:
        python.run(source)
    assert caught.value.type == kind
    assert python.run("6 * 7") == 42


def test_globals_are_items(python: Python) -> None:
    python["a"] = 1
    python.update({"b": [2], "c": None})
    assert {"a", "b", "c"} <= set(python.keys())
    assert "a" in python and "z" not in python
    del python["a"]
    with pytest.raises(KeyError):
        python["a"]
    with pytest.raises(KeyError):
        del python["a"]
    with pytest.raises(KeyError):
        python["no name"] = 1


def test_modules_of_the_host_can_be_imported() -> None:
    with Python(modules={"helper": "def twice(x): return 2 * x\nNAME = __name__"}) as python:
        assert python.run("import helper\nhelper.twice(4), helper.NAME") == (8, "helper")
        with pytest.raises(PythonError, match="no module named"):
            python.run("import other")


@pytest.mark.parametrize(
    "name",
    [
        "json",
        "re",
        "math",
        "struct",
        "collections",
        "asyncio",
        "random",
        "time",
        "hashlib",
        "heapq",
        "binascii",
        "io",
        "array",
        "errno",
        "gc",
        "sys",
        "cmath",
        "deflate",
    ],
)
def test_modules_that_need_no_machine_are_there(python: Python, name: str) -> None:
    python.run(f"import {name}")


@pytest.mark.parametrize(
    "name", ["os", "socket", "machine", "uctypes", "marshal", "subprocess", "ctypes", "_thread", "vfs"]
)
def test_modules_of_a_machine_are_not(python: Python, name: str) -> None:
    with pytest.raises(PythonError) as caught:
        python.run(f"import {name}")
    assert caught.value.type == "ImportError"


def test_two_interpreters_share_nothing() -> None:
    with Python() as one, Python() as other:
        one.run("import select\nselect.secret = 1\nx = 5")
        assert "x" not in other
        with pytest.raises(PythonError):
            other.run("import select\nselect.secret")


def test_a_closed_interpreter_says_so() -> None:
    python = Python()
    python.close()
    python.close()
    assert python.closed
    with pytest.raises(tmebox.SandboxClosed):
        python.run("1")


def test_reset_returns_to_the_beginning() -> None:
    with Python(functions={"one": lambda: 1}, timeout=0.2) as python:
        python.run("x = 1")
        with pytest.raises(tmebox.Timeout):
            python.run("while True: pass")
        with pytest.raises(tmebox.SandboxClosed):
            python.run("1")
        python.reset()
        assert "x" not in python
        assert python.run("one() + 1") == 2
