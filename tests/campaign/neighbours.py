"""What the campaign uses of other test folders."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "runtime" / "system"), str(TESTS / "verify")]

from guest_side import BASE, Guest  # noqa: E402
from verify_corpus import ACCEPT, assemble  # noqa: E402

from forked import run_forked  # noqa: E402

__all__ = ["ACCEPT", "BASE", "Guest", "assemble", "run_forked"]
