"""Jumps through tables in modules that move, and beside other modules with tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tmebox

SOURCE = """
static int state = 1;
static int (*step)(int, int);
static int walk(int which, int x) {
  switch (which) {
    case 0: return x + state;
    case 1: return x * state;
    case 2: return x - %d;
    case 3: return x ^ state;
    case 4: return x / 3;
    case 5: return x | state;
    default: return -1;
  }
}
int begin(int n) { step = walk; state = n; return n; }
int go(int which, int x) { return step(which, x); }
"""


def expected(state: int, constant: int) -> list[int]:
    x = 100
    return [x + state, x * state, x - constant, x ^ state, x // 3, x | state, -1]


def walked(sandbox: tmebox.Sandbox) -> list[int]:
    return [sandbox.go(which, 100) for which in range(7)]


def test_two_modules_jump_through_their_own_tables() -> None:
    modules = [tmebox.compile(source_text=SOURCE % constant) for constant in (7, 9)]
    assert all(module.file.table_entries == 8 for module in modules)
    with tmebox.Sandbox(modules[0]) as first, tmebox.Sandbox(modules[1]) as second:
        first.begin(5)
        second.begin(6)
        for _ in range(3):
            assert walked(first) == expected(5, 7)
            assert walked(second) == expected(6, 9)


ELSEWHERE = """
import sys, tmebox
module = tmebox.Module.load(sys.argv[1])
if sys.argv[3:]:
    module = module.at(module.address - 64 * tmebox.abi.MIB)
snapshot = tmebox.Snapshot.from_bytes(open(sys.argv[2], "rb").read(), module)
with snapshot.spawn() as sandbox:
    print(*[sandbox.go(which, 100) for which in range(7)])
"""


@pytest.mark.parametrize("moved", [False, True])
def test_a_snapshot_goes_on_in_another_process(moved: bool, tmp_path: Path) -> None:
    module = tmebox.compile(source_text=SOURCE % 8)
    with tmebox.Sandbox(module) as sandbox:
        sandbox.begin(11)
        assert walked(sandbox) == expected(11, 8)
        (tmp_path / "snapshot").write_bytes(sandbox.snapshot().to_bytes())
    module.save(tmp_path / "module")
    command: list[str | Path] = [sys.executable, "-c", ELSEWHERE, tmp_path / "module", tmp_path / "snapshot"]
    done = subprocess.run([*command, *["moved"] * moved], check=True, capture_output=True, text=True)
    assert list(map(int, done.stdout.split())) == expected(11, 8)
