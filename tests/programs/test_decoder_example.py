"""examples/decoder: what a decoder that writes too far does to the program, with and without a sandbox."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.forked import ChildOutcome

EXAMPLE = Path(__file__).parents[2] / "examples" / "decoder" / "decoder.py"


@pytest.fixture(scope="module")
def decoder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("decoder_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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
    assert forked(lambda: role_after(decoder.GREEDY)).signal is not None


def test_in_a_sandbox_it_reaches_its_own_memory_only(decoder: ModuleType) -> None:
    program, decode = decoder.confined()
    assert decode(decoder.CUNNING) == 0
    assert decode(decoder.GREEDY) == -1
    assert program.role == b"guest"
    assert decode(decoder.HONEST) == 0
    assert bytes(program.image) == bytes(128) + b"\xff" * 128
    assert program.role == b"guest"
