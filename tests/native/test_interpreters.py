"""Interpreters that tmebox refuses to work in, clearly."""

from __future__ import annotations

import subprocess
import sys

import pytest

IN_A_SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
try:
    import tmebox
    tmebox.Sandbox
except ImportError as error:
    print("refused:", error, flush=True)
else:
    print("accepted", flush=True)
'''
interpreters.run_string(interpreters.create(), code)
"""


def test_a_subinterpreter_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SUBINTERPRETER], capture_output=True, text=True, timeout=60, check=False
    )
    if "No module named" in done.stderr:
        pytest.skip("this Python has no module for subinterpreters")
    assert done.stdout.startswith("refused:"), (done.stdout, done.stderr)
