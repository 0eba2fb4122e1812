"""Two runs of a package's tests are compared by what they print."""

from __future__ import annotations

import re

import pytest

from tests.cxx.printed import unlike


@pytest.mark.parametrize(
    ("inside", "outside", "why"),
    [
        ("Success: 12 tests passed in 3 ms.", "Success: 12 tests passed in 9.5 ms.", ""),
        ("Success: 11 tests passed.", "Success: 12 tests passed.", "natively .*12.*sandboxed .*11"),
        ("3 cases\nall.cc:243: 8 tests\n", "all.cc:243: 8 tests\n3 cases\n", ""),
        ("3 cases\n", "3 cases\n3 cases\n", "natively .*3 cases.*3 cases.*sandboxed"),
        ("[doctest] assertions: 6095", "[doctest] assertions: 6096", "6096.*6095"),
        ("PASS", "PASS\nat 0x7ffd", ""),
    ],
)
def test_a_difference_of_counts_is_told(inside: str, outside: str, why: str) -> None:
    said = unlike(inside, outside)
    assert bool(said) == bool(why)
    assert re.search(why, said)
