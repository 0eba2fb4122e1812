"""Warnings at the line of the user's that led to them, however deep in tmebox they come up."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

HERE = f"{Path(__file__).parent}/"


def warn_caller(warning: Warning | str) -> None:
    """Warn, as of the innermost running function that is none of tmebox's."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(warning, stacklevel=depth)
