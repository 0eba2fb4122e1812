"""The host's x87 unit where a module that changes it comes after others.

Each case in a process of its own: that such a module was loaded counts for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = {
    "plain.c": """
        int find(void);
        int answer(void) { return 42; }
        int call_host(void) { return find(); }
        int jump(void) { return ((int (*)(void))(long)find())(); }
        """,
    "wrecker.c": """
        int wreck(void)
        {
            unsigned short found, word = 0x0c7f;
            __asm__ volatile("fnstcw %0" : "=m"(found));
            __asm__ volatile("fldcw %0" : : "m"(word));
            __asm__ volatile("fld1\\n fldz\\n fdivrp %st, %st(1)\\n fld1\\n fld1");
            return found;
        }
        """,
}
PREPARATION = """
import ctypes, sys, tmebox

class State(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 7), ("mxcsr", ctypes.c_uint32)]

libm = ctypes.CDLL("libm.so.6")

def state():
    found = State()
    libm.fegetenv(ctypes.byref(found))
    control, status, tags = (word & 0xFFFF for word in found.words[:3])
    return [control, status & 0x3F, tags]  # of the status, the exceptions: the rest is the last comparison's

def load_wrecker():
    return tmebox.compile(sys.argv[1] + "/wrecker.c")

def wreck():
    with tmebox.Sandbox(load_wrecker()) as sandbox:
        sandbox.wreck()
    seen.append(state())
    return 43

modules, seen = [], []
plain = tmebox.compile(sys.argv[1] + "/plain.c")
libm.feclearexcept(0x3D)  # what importing NumPy may have flagged
before = state()
"""
BETWEEN_CALLS = """
with tmebox.Sandbox(plain, imports={"find": wreck}) as sandbox:
    assert sandbox.answer() == 42
    wreck()
    assert sandbox.answer() == 42
"""
DURING_A_HOST_CALL = """
with tmebox.Sandbox(plain, imports={"find": wreck}) as sandbox:
    assert sandbox.call_host() == 43
"""
UNDER_A_JUMP = """
def find():
    modules.append(load_wrecker())
    return modules[0].address_of("wreck")

with tmebox.Sandbox(plain, imports={"find": find}) as sandbox:
    assert sandbox.jump() == 0x37F
"""
WITH_ANOTHER_CONTROL_WORD = """
def find():
    seen.append(state())
    libm.fesetround(0)
    return 43

libm.fesetround(0xC00)
before = state()
with tmebox.Sandbox(plain, imports={"find": find}) as sandbox:
    assert sandbox.answer() == 42
    seen.append(state())
    assert sandbox.call_host() == 43
"""
CHANGED_BY_A_HOST_FUNCTION = """
def find():
    libm.fesetround(0xC00)
    raise LookupError

with tmebox.Sandbox(plain, imports={"find": find}) as sandbox:
    try:
        sandbox.call_host()
    except LookupError:
        seen.append(state())
"""
COMPARISON = """
assert [*seen, state()] == [before] * (len(seen) + 1), (seen, state(), before)
"""


@pytest.mark.parametrize(
    "when",
    [BETWEEN_CALLS, DURING_A_HOST_CALL, UNDER_A_JUMP],
    ids=["between-calls", "during-a-host-call", "and-is-jumped-into"],
)
def test_a_module_that_changes_x87_state_is_noticed_whenever_it_comes(tmp_path: Path, when: str) -> None:
    run(tmp_path, when)


@pytest.mark.parametrize(
    "what", [WITH_ANOTHER_CONTROL_WORD, CHANGED_BY_A_HOST_FUNCTION], ids=["another", "changed"]
)
def test_the_hosts_control_word_comes_back_also_without_such_a_module(tmp_path: Path, what: str) -> None:
    run(tmp_path, what)


def run(folder: Path, what: str) -> None:
    for name, text in SOURCES.items():
        (folder / name).write_text(text)
    script = PREPARATION + what + COMPARISON
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
