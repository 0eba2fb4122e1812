"""tools/tmebox.gdb, in a gdb that runs a process with sandboxes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tmebox
from tmebox import abi
from tmebox.modulefile import codec

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "tmebox.gdb"
ACTIVATION = ROOT / "native" / "enter" / "activation.h"

STOPPED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from tests.native.machine import DATA, Machine, Trapped
machine = Machine([(int, "", "l")])
assert machine.call("add", 3, 4) == 7
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.raise_signal(signal.SIGUSR1)
"""

HOST_CALL = STOPPED + "machine.read(DATA - 4096, 8); machine.call('count_up_and_call')\n"
"""The control page is looked at: it is installed when something touches it."""

LABELS = """
int host(void *function, void *label);
int f(int n)
{
    static void *const places[] = {&&more, &&end};
    void *volatile place = places[n & 1];
    host((void *)f, place);
    goto *place;
more: n += 3;
end: return n;
}
"""

CONTROL = """
import os, signal, sys
import tmebox
box = tmebox.Sandbox(tmebox.Module.load(MODULE), imports={"host": lambda function, label: 0})
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.raise_signal(signal.SIGUSR1)
box.f(1)
"""

SIGNALS = """
for name, arguments, number in (("load", [0], 11), ("undefined", [], 4), ("spin", [], 0)):
    try:
        machine = Machine(timeout_s=0.05 if name == "spin" else 0)
        machine.call(name, *arguments)
    except Trapped as trapped:
        assert trapped.signal == number, trapped
    else:
        raise AssertionError(name)
print("all trapped")
"""


def gdb(program: str, *commands: str) -> str:
    """What gdb prints while it runs the program with these commands."""
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    able = ["gdb", "-batch", "-nx", "-ex", "python print('able')", "-ex", "run", "--args", "/bin/true"]
    tried = subprocess.run(able, capture_output=True, text=True, check=False).stdout
    if "able" not in tried or "exited normally" not in tried:
        pytest.skip("gdb has no Python, or may not run a process here")
    orders = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "-batch", "-nx", "-x", SCRIPT, *orders, "--args", sys.executable, "-c", program, ROOT],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_signals_of_the_core_do_not_stop_the_debugger() -> None:
    printed = gdb(STOPPED + SIGNALS, "run", "continue")
    assert "all trapped" in printed
    assert "exited normally" in printed
    assert not re.search(r"received signal (?!SIGUSR1)", printed), printed


def test_where_names_what_is_sandboxed() -> None:
    printed = gdb(
        HOST_CALL,
        "run",
        f"hbreak *{abi.GATE_HOSTCALL:#x}",
        "continue",
        "tmebox where",
        "tmebox where *(long *)$rsp",
        f"tmebox where *(long *)$rsp + {abi.TARGET_MAP:#x}",
        f"tmebox where (long)$rsp / (1l << 32) * (1l << 32) + {abi.CONTROL_PAGE:#x}",
        f"tmebox where (long)$rsp / (1l << 32) * (1l << 32) + {abi.IMAGE_START:#x}",
        f"tmebox where (long)$rsp / (1l << 32) * (1l << 32) + {abi.ARENA_START:#x}",
        f"tmebox where (long)$rsp / (1l << 32) * (1l << 32) + {abi.WINDOW_SIZE + abi.IMAGE_START:#x}",
    )
    base = r"window at 0x\w+00000000, offset 0x\w+ "
    assert "pc 0x7ffe0000: gate page, host-call gate" in printed, printed
    assert re.search(rf"(?m)^rsp 0x\w+: {base}\(stack\)$", printed), printed
    assert re.search(r"(?m)^0x\w+: code region, text mapped at 0x\w+0000, offset 0x\w+$", printed), printed
    assert re.search(r"(?m)^0x\w+: target map of 0x\w+: return \(base in r15\)$", printed), printed
    assert re.search(rf"(?m)^0x\w+: {base}\((data image|heap)\); nothing", printed), (
        "the neighbour is nobody's"
    )
    for part in ("control page", "data image|heap", "arena"):
        assert re.search(rf"(?m)^0x\w+: {base}\(({part})\)$", printed), printed


def test_where_names_a_control_stack_and_what_the_target_map_says(tmp_path: Path) -> None:
    codec.write(tmebox.compile(source_text=LABELS).file, tmp_path / "labels.tbx")
    printed = gdb(
        CONTROL.replace("MODULE", repr(str(tmp_path / "labels.tbx"))),
        "run",
        f"hbreak *{abi.GATE_HOSTCALL:#x}",
        "continue",
        "tmebox where",
        f"tmebox where (long)$rsp / (1l << 32) * (1l << 32) + {abi.TWIN_DISTANCE - 4096:#x}",
        f"tmebox where *(long *)$rsp + {abi.TARGET_MAP:#x}",
        f"tmebox where $rdi + {abi.TARGET_MAP:#x}",
        f"tmebox where $rsi + {abi.TARGET_MAP:#x}",
    )
    twin = r"control stack at 0x\w+00000000; its twin in the window is at offset 0x400\w+"
    assert re.search(rf"(?m)^rsp 0x\w+: {twin}$", printed), printed
    assert re.search(r"(?m)^0x\w+: guard below a control stack$", printed), printed
    for target in ("no target", r"function \(base in gs\)", r"label of depth \d+ \(base in gs\)"):
        assert re.search(rf"(?m)^0x\w+: target map of 0x\w+: {target}$", printed), printed


def test_where_names_the_gates_and_what_is_not_sandboxed() -> None:
    places = {
        abi.GATE_EXIT: "gate page, exit gate",
        abi.GATE_EXIT - 3: "gate page, the call that enters a sandbox",
        abi.GATE_BASE + 0x84: "gate page, return from a host call, base in r15, 0x4 behind its start",
        abi.CODE_BASE: "code region, no text here",
        abi.TARGET_MAP_END - 1: "target map, of no code",
        0x10: "nothing is mapped there",
    }
    printed = gdb(STOPPED, "run", *(f"tmebox where {place:#x}" for place in places), "tmebox where $rsp")
    for place, name in places.items():
        assert f"{place:#x}: {name}\n" in printed, printed
    assert re.search(r"(?m)^0x\w+: the host's: \[stack\], rw-$", printed), printed


def test_without_a_process_where_says_what_to_do() -> None:
    assert "there is no process; `run` or `attach` first" in gdb("", "tmebox where 1")
    assert "has not loaded tmebox" in gdb("", "starti", "tmebox where 1")


def test_the_gates_are_where_the_core_has_them() -> None:
    header = ACTIVATION.read_text()
    offsets = {int(offset, 16) for offset in re.findall(r"#define GATE_\w+_OFFSET (0x\w+)$", header, re.M)}
    script = SCRIPT.read_text()
    table = script[script.index("CORE_GATES = {") : script.index("OPERATORS = {")]
    assert {int(offset, 16) for offset in re.findall(r"(?m)^    (0x\w+):", table)} == offsets
    assert 'abi["GATE_EXIT"] - 3' in script and "TMEBOX_GATE_EXIT - TMEBOX_GATE_BASE - 3" in header


def test_it_stops_where_a_forked_child_of_the_host_crashes() -> None:
    """The recipe of docs/debugging.md."""
    shown = gdb(
        STOPPED + "import ctypes\nif os.fork() == 0: ctypes.string_at(16)\nos.wait()\n",
        "handle SIGUSR1 nostop noprint pass",
        "set breakpoint pending on",
        "break tmebox_hand_on",
        "tbreak before_fork",
        "run",
        "set follow-fork-mode child",
        "continue",
        "backtrace",
    )
    _, _, behind = shown.partition("<signal handler called>")
    assert re.search(r"#\d+ .*str", behind.splitlines()[1]), shown
