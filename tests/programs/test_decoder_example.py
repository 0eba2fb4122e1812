"""examples/decoder: what a decoder that writes too far does to the program, with and without a sandbox."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.forked import ChildOutcome
from tests.programs.examples import example


@pytest.fixture(scope="module")
def decoder() -> ModuleType:
    return example("decoder")


def test_natively_it_changes_the_program_or_ends_it(
    decoder: ModuleType, forked: Callable[..., ChildOutcome], tmp_path: Path
) -> None:
    library = decoder.build(tmp_path)

    def role_after(file: bytes) -> bytes:
        program, decode = decoder.native(library)
        decode(file)
        return bytes(program.role)

    assert forked(lambda: role_after(decoder.HONEST)).result() == b"guest"
    assert forked(lambda: role_after(decoder.CUNNING)).result() == b"admin"
    # In a process of its own, as in the example: beside windows, gigabytes can be written without a fault.
    assert subprocess.run([sys.executable, str(decoder.__file__), str(library)], check=False).returncode < 0


def test_in_a_sandbox_it_reaches_its_own_memory_only(decoder: ModuleType) -> None:
    program, decode = decoder.confined()
    assert decode(decoder.CUNNING) == 0
    assert decode(decoder.GREEDY) == -1
    assert program.role == b"guest"
    assert decode(decoder.HONEST) == 0
    assert bytes(program.image) == bytes(128) + b"\xff" * 128
    assert program.role == b"guest"
