"""Calls by pointer that a compiler makes jumps of lead to functions: it says which jumps those are."""

from __future__ import annotations

import pytest

import tmebox

SOURCE = """
int twice(int x) { return 2 * x; }
int call(unsigned long f, int x) { return ((int (*)(int))f)(x); }
"""


@pytest.mark.parametrize("level", ["-O1", "-O2", "-Os", "-O3"])
def test_a_tail_call_by_pointer_arrives(level: str) -> None:
    module = tmebox.compile(source_text=SOURCE, flags=[level])
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.exports["call"](module.address_of("twice"), 21) == 42
