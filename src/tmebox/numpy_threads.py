"""Threads that NumPy begins where it is imported. To be told before that, in processes of our own only."""

from __future__ import annotations

import os


def begin_none() -> None:
    """They take a third of a short program's processor time to start, and share the process's descriptors:
    each of a program's calls would take 45 ns longer. Nothing in these processes multiplies matrices."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
