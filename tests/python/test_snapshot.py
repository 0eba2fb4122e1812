"""Snapshots of interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tmebox
from tmebox.python import Python, PythonError, PythonSnapshot


def test_others_go_on_from_a_snapshot() -> None:
    with Python(functions={"host": lambda: "old"}) as python:
        python.run("import json, re\ncache = {'a': [1, 2]}\ndef f(x): return cache[x]")
        snapshot = python.snapshot()
        python.run("cache.clear()")
    with snapshot.spawn() as one, snapshot.spawn(functions={"host": lambda: "new"}) as two:
        one.run("cache['b'] = 1")
        assert two.run("f('a'), host(), sorted(cache)") == ([1, 2], "new", ["a"])
        assert one.run("json.dumps(cache['a']), host()") == ("[1, 2]", "old")
    with pytest.raises(TypeError, match="memory"):
        snapshot.spawn(memory="1MiB")


def test_each_spawn_has_its_own_random_bits() -> None:
    with Python() as python:
        snapshot = python.snapshot()
    source = "import random\nrandom.random()"
    with (
        snapshot.spawn() as one,
        snapshot.spawn() as two,
        snapshot.spawn(seed=1) as three,
        snapshot.spawn(seed=1) as four,
    ):
        assert one.run(source) != two.run(source)
        assert three.run(source) == four.run(source)


def test_bytes_go_to_another_process() -> None:
    with Python() as python:
        python.run("x = {'n': 41}")
        data = python.snapshot().to_bytes(compress=True)
    code = (
        "import sys\nfrom tmebox.python import PythonSnapshot\n"
        "snapshot = PythonSnapshot.from_bytes(sys.stdin.buffer.read(), functions={'one': lambda: 1})\n"
        "print(snapshot.spawn().run('x[\"n\"] + one()'))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=False)
    assert done.stdout == b"42\n", done.stderr


def test_sealed_bytes_need_their_key() -> None:
    with Python() as python:
        data = python.snapshot().to_bytes(key=b"k" * 16)
    PythonSnapshot.from_bytes(data, key=b"k" * 16)
    with pytest.raises(tmebox.SnapshotError):
        PythonSnapshot.from_bytes(data, key=b"x" * 16)


def test_a_call_of_a_function_that_is_not_given_any_more_is_an_error() -> None:
    with Python(functions={"host": lambda: 1}) as python:
        snapshot = python.snapshot()
    with snapshot.spawn(functions={}) as python, pytest.raises(PythonError, match="no function") as caught:
        python.run("host()")
    assert caught.value.type == "NameError"
