"""An interpreter, and what owns one, is there once: a copy would be another name for it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tmebox.python import Python
from tmebox.python.magic import SandboxMagic
from tmebox.python.mcp import Server

WAYS: list[Callable[[Any], object]] = [copy.copy, copy.deepcopy, pickle.dumps]


@pytest.mark.parametrize("way", WAYS)
def test_an_interpreter_is_not_copied(way: Callable[[Any], object]) -> None:
    with Python() as python:
        python["x"] = 1
        magic, server = SandboxMagic({}), Server()
        assert magic("1 + 2") == 3
        for value in (python, magic, server):
            with pytest.raises(TypeError, match="not copied or pickled"):
                way(value)
        assert python["x"] == 1 and magic("3") == 3


def test_a_snapshot_has_nothing_that_a_copy_could_take_from_it() -> None:
    with Python() as python:
        python["x"] = 1
        snapshot = copy.copy(python.snapshot())
    with snapshot.spawn() as one, snapshot.spawn() as other:
        one["x"] = 2
        assert other["x"] == 1
    for way in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="to_bytes"):
            way(snapshot)
