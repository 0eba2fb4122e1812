"""Run untrusted Python inside your own process: MicroPython, in a sandbox.

from tmebox.python import Python

with Python(memory="32MiB", timeout=1.0, functions={"search": search}) as python:
    python.run("result = sum(row['n'] for row in search('x'))")
    python["result"]
"""

from tmebox.python.errors import OutOfInstructions, PythonError, PythonFrame
from tmebox.python.guest import available
from tmebox.python.interpreter import Python
from tmebox.python.magic import load_ipython_extension
from tmebox.python.opaque import Opaque
from tmebox.python.snapshot import PythonSnapshot

__all__ = [
    "Opaque",
    "OutOfInstructions",
    "Python",
    "PythonError",
    "PythonFrame",
    "PythonSnapshot",
    "available",
    "load_ipython_extension",
]
