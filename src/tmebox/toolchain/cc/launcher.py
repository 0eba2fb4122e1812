"""The lines that make a program start itself: see `modulefile.launcher`.

They name the Python that linked the program, as scripts of Python packages do.
"""

from __future__ import annotations

import os
import shlex
import site
import sys
from pathlib import Path

from tmebox.modulefile.launcher import MAX_BYTES

STARTER = "tmebox.cli.started"


def launcher() -> bytes:
    """Nothing, if it is not known which Python this is."""
    if not sys.executable:
        return b""
    python = shlex.quote(os.path.abspath(sys.executable))
    if _is_found_in_isolation():
        arguments = f"-I -m {STARTER}"
    else:  # and still nothing is imported from the directory that the program is started in
        arguments = f"-c 'import sys; del sys.path[0]; import {STARTER} as program; program.main()'"
    text = f'#!/bin/sh\nexec {python} {arguments} "$0" "$@"\n'.encode("utf-8", "surrogateescape")
    return text if len(text) <= MAX_BYTES else b""


def _is_found_in_isolation() -> bool:
    """Whether tmebox is among what this Python has for everybody."""
    package = Path(__file__).parents[3]
    users = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    users += [site.USER_BASE] if site.USER_BASE else []
    return not any(package.is_relative_to(os.path.abspath(path)) for path in users)
