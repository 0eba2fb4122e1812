"""Snapshots of interpreters."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys
from collections.abc import Callable

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox import abi
from tmebox.modulefile.snapshot import SnapshotFile
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


DRAW = "[random.getrandbits(32) for _ in range(4)]"


@pytest.mark.parametrize(
    "begun", ["import random", "import random\nrandom.random()", "import random\nrandom.seed(5)"]
)
def test_random_numbers_begin_anew_in_each_interpreter(begun: str) -> None:
    """Also where the state that it goes on from has had some."""
    with Python() as python:
        python.run(begun)
        snapshot = python.snapshot()
        drawn = [python.run(DRAW)]
        for _ in range(2):
            python.reset()
            drawn.append(python.run(f"import random\n{DRAW}"))
    data = snapshot.to_bytes()
    for source in (snapshot, snapshot, PythonSnapshot.from_bytes(data), PythonSnapshot.from_bytes(data)):
        with source.spawn(functions={"host": len}) as python:
            drawn.append(python.eval(DRAW))
            python.run("import random")
            drawn.append(python.eval(DRAW))
            again = python.snapshot()
        for _ in range(2):
            with again.spawn() as python:
                drawn.append(python.eval(DRAW))
    assert len({tuple(numbers) for numbers in drawn}) == len(drawn)


def test_random_numbers_begin_from_the_seed_of_each_interpreter() -> None:
    with Python() as python:
        python.run("import random\nrandom.random()")
        snapshot = python.snapshot()
    with Python(seed=7) as python:
        first = python.run(f"import random\n{DRAW}")
        assert python.run(DRAW) != first
    for seed, expected in ((7, True), (8, False)):
        for source in (snapshot, PythonSnapshot.from_bytes(snapshot.to_bytes())):
            with source.spawn(seed=seed) as python:
                assert (python.eval(DRAW) == first) is expected
                python.run("random.seed(3)")
                third = python.eval(DRAW)
                python.run("1")  # which is no beginning
                assert python.run(f"random.seed(3)\n{DRAW}") == third
                python.reset()
                assert (python.eval(DRAW) == first) is expected


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


def test_an_array_of_the_hosts_does_not_come_along_to_another_process() -> None:
    """Whose interpreters, too, have arrays: as many as there were in the first."""
    begin = (
        "import sys\nfrom tmebox.python import Python\n"
        "for _ in range(3): python = Python()\n"
        "python['prices'] = python.array(1000)\n"
        "python.run('def look(): return float(prices[0])')\n"
        "sys.stdout.buffer.write(python.snapshot().to_bytes())"
    )
    go_on = (
        "import sys\nfrom tmebox.python import PythonError, PythonSnapshot\n"
        "snapshot = PythonSnapshot.from_bytes(sys.stdin.buffer.read())\n"
        "for _ in range(4):\n"
        "    python = snapshot.spawn()\n"
        "    secret = python.array(1000)\n"
        "    for use in ('look()', 'prices', 'prices[:5]'):\n"
        "        try: print(python.eval(use))\n"
        "        except PythonError as error: assert 'did not come along' in error.message\n"
    )
    data = b""
    for code in (begin, go_on):
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        data = done.stdout
    assert data == b""


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


def changed(data: bytes, rng: random.Random) -> bytes:
    """A snapshot that is well formed, and whose interpreter is not: words of its pages are others."""
    file = SnapshotFile.from_bytes(data, key=None, largest_memory_bytes=2 * abi.MIB)
    pages = [(offset, bytearray(page)) for offset, page in file.pages]
    for _ in range(rng.choice((1, 10, 100, 1000))):
        _, page = rng.choice(pages)
        size, place = rng.choice((1, 4, 8)), rng.randrange(len(page) - 8)
        inside = rng.choice((abi.IMAGE_START, abi.ARENA_START)) + rng.randrange(1 << 20)
        value = rng.choice((0, (1 << 64) - 1, (1 << 32) - 1, inside, file.address + rng.randrange(1 << 19)))
        page[place : place + size] = (value & (256**size - 1)).to_bytes(size, "little")
    hostile = tuple((offset, bytes(page)) for offset, page in pages)
    return dataclasses.replace(file, pages=hostile).to_bytes()


def test_a_snapshot_by_an_attacker_harms_nobody_but_its_own_interpreter(
    forked: Callable[..., ChildOutcome],
) -> None:
    with Python(memory="2MiB") as python:
        python.run("import json, gc\nrows = [{'a': i} for i in range(99)]\ndef f(): return len(rows)")
        data = python.snapshot().to_bytes()

    def attack() -> tuple[int, int]:
        rng = random.Random(18)
        values = stopped = 0
        with Python() as innocent:
            innocent.run("x = 41")
            for _ in range(80):
                snapshot = PythonSnapshot.from_bytes(changed(data, rng), memory="2MiB", timeout=0.2)
                with snapshot.spawn() as python:
                    for source in ("f()", "json.dumps(rows)", "gc.collect()", "[0] * 5000"):
                        try:
                            python.run(source)
                            values += 1
                        except tmebox.TmeboxError:
                            stopped += 1
            assert innocent.run("x + 1") == 42
        return values, stopped

    values, stopped = forked(attack, timeout_s=120).result()
    assert values and stopped
