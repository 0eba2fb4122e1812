"""A type checker finds mistakes in programs that use tmebox, and none in correct ones."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

BEGINNING = """
import tmebox
module = tmebox.compile("add.c")
sandbox = tmebox.Sandbox(module)
snapshot = sandbox.snapshot()
pool = tmebox.SandboxPool(module)
def task(box: tmebox.Sandbox, number: int) -> str:
    return str(box.add(number, 1))
"""
MISTAKES = {
    "a name that tmebox has not": "tmebox.Sandbx(module)",
    "an option's name": 'tmebox.Sandbox(module, memroy="4MiB")',
    "isolation": 'tmebox.compile("add.c", isolation="code")',
    "base": 'tmebox.compile("add.c", base="r14")',
    "optimize": 'tmebox.compile("add.c", optimize="O2")',
    "flags as one text": 'tmebox.compile("add.c", flags=3)',
    "timeout": 'tmebox.Sandbox(module, timeout="1s")',
    "memory": "tmebox.Sandbox(module, memory=64.0)",
    "stdin": 'tmebox.Sandbox(module, stdin="a text")',
    "stdin of run": 'sandbox.run(["program"], stdin="a text")',
    "stdout": "sandbox.run(stdout=b'')",
    "a directory's mode": 'tmebox.Sandbox(module, dirs=[("here", "/there", "r")])',
    "an import that is no function": 'tmebox.Sandbox(module, imports={"note": 3})',
    "an option of spawn": "snapshot.spawn(memory=1 << 20)",
    "an option's type in spawn": "snapshot.spawn(timeout=[1])",
    "an option of a pool": "tmebox.SandboxPool(module, thread=2)",
    "an option of a pool's sandboxes": "tmebox.SandboxPool(module, timeout='soon')",
    "memory of a pool of a snapshot": "tmebox.SandboxPool(snapshot, memory=1 << 20)",
    "a task's arguments": 'pool.submit(task, "seven")',
    "a task's result": "pool.submit(task, 7).result() + 1",
    "results of a map": "next(pool.map(task, [7])) + 1",
    "results that may be exceptions": "next(pool.map(task, [7], return_exceptions=True)).upper()",
    "what Completed has": "sandbox.run().returncode",
    "output that is bytes": 'sandbox.run().stdout + "a text"',
    "a method of a module": "module.spawn()",
    "a method of a snapshot": "snapshot.close()",
    "a snapshot's key": 'snapshot.to_bytes(key="secret")',
    "bytes of a module": 'tmebox.Module.from_bytes("add.tbx")',
    "a trap's attribute": "tmebox.MemoryFault('it stopped').adress",
    "an array's items": "sandbox.array(3, np.float32).size.upper()",
}
CORRECT = '''
"""What the documents show, in a few lines."""
import asyncio
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tmebox

@tmebox.host_function
def note(text: str) -> None:
    print(text)

@tmebox.host_function(name="log")
def log_it(text: str) -> None:
    print(text)

def task(box: tmebox.Sandbox, number: int) -> str:
    return str(box.add(number, 1))

def plain(box: tmebox.Sandbox) -> int:
    return int(box.add(1, 1))

module: tmebox.Module = tmebox.compile(
    ["add.c", Path("more.c")], optimize="-O3", isolation="data", base="r15", defines={"N": 1, "M": None},
    trust_compiler=True, progress=lambda stage, done, total: None,
)
again = tmebox.Module.from_bytes(module.to_bytes())
with tmebox.Sandbox(
    module, memory="4MiB", stack=1 << 20, timeout=1, imports=[note, log_it], env={"A": "b"}, files=8,
    dirs=["a:/a", ("b", "/b"), (Path("c"), "/c", "ro"), ("d", "/d", True)],
    stdin=sys.stdin, stdout=sys.stdout, stderr=lambda data: None,
) as sandbox:
    total: int = sandbox.add(3, 4)
    items: NDArray[np.float32] = sandbox.array(3, np.float32)
    raw: NDArray[np.uint8] = sandbox.array((3, 4))
    other: NDArray[Any] = sandbox.array([3], "u4")
    done = sandbox.run(["program", b"x", Path("y")], stdin=io.BytesIO(b"x"), stdout=io.BytesIO(), stderr=2)
    code: int = done.exit_code
    text: str = done.stdout.decode()
    snapshot = sandbox.snapshot()
    kept: tmebox.Sandbox = snapshot.spawn(timeout=2.5, stdin=b"", imports={"note": print})
    function = sandbox.exports["add"]
with tmebox.SandboxPool(module, size=4, memory="4MiB", timeout=1.0) as pool:
    strings: list[str] = list(pool.map(task, [1, 2], progress="tasks"))
    either: list[str | Exception] = list(pool.map(task, [1], return_exceptions=True))
    named: int = pool.submit("add", 3, 4).result()
    one: int = pool.submit(plain).result()
    several: str = pool.submit(task, 7).result()
    by_method: int = pool.submit(lambda box: int(box.add(1, 2))).result()

async def main() -> None:
    async with tmebox.SandboxPool(snapshot, timeout=3) as other_pool:
        text: str = await other_pool.call(task, 7)
        async for result in other_pool.map_async(task, [7]):
            print(result.upper())
        async with other_pool.lease(timeout=1) as box:
            box.add(1, 2)

try:
    asyncio.run(main())
except tmebox.Trap as trap:
    frames: tuple[tmebox.Frame, ...] = trap.backtrace
    line: int | None = trap.line
'''


def checked(directory: Path, **sources: str) -> subprocess.CompletedProcess[str]:
    """What mypy says of these files, strictly, as of a user's."""
    for name, source in sources.items():
        (directory / f"{name}.py").write_text(source)
    (directory / "mypy.ini").write_text(f"[mypy]\nstrict = True\nmypy_path = {ROOT / 'src'}\n")
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent"]
    return subprocess.run(
        [*command, *(f"{name}.py" for name in sources)],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_correct_program_has_no_error(tmp_path: Path) -> None:
    said = checked(tmp_path, correct=CORRECT)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.fixture(scope="module")
def lines_with_errors(tmp_path_factory: pytest.TempPathFactory) -> set[int]:
    """All mistakes in one file, one a line, behind lines that have none."""
    source = BEGINNING + "import numpy as np\n" + "\n".join(MISTAKES.values()) + "\n"
    said = checked(tmp_path_factory.mktemp("mistakes"), mistakes=source)
    assert said.returncode == 1, said.stdout + said.stderr
    return {int(line) for line in re.findall(r"^mistakes\.py:(\d+): error", said.stdout, re.MULTILINE)}


FIRST = BEGINNING.count("\n") + 2


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_found(name: str, lines_with_errors: set[int]) -> None:
    assert FIRST + list(MISTAKES).index(name) in lines_with_errors, MISTAKES[name]


def test_nothing_before_the_mistakes_is_one(lines_with_errors: set[int]) -> None:
    assert min(lines_with_errors) == FIRST


def test_types_cost_no_package_where_programs_run() -> None:
    script = (
        "import sys; sys.modules['typing_extensions'] = None\n"
        "import tmebox\n"
        "[getattr(tmebox, name) for name in tmebox.__all__]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
