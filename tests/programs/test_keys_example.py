"""examples/keys: what a parser that reads too far gives away, with and without a sandbox between."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.programs.examples import example

KEY = bytes(range(16))
VECTOR = 0xA129CA6149BE45E5
"""SipHash-2-4 of the bytes 0 to 14 under KEY, as its authors publish it."""


@pytest.fixture(scope="module")
def keys() -> ModuleType:
    return example("keys")


def test_in_one_memory_the_key_leaks(keys: ModuleType) -> None:
    _, ask = keys.together(KEY)
    assert ask(keys.request(b"H", b"hello")) == b"hello"
    assert KEY in keys.leaked(ask)


def test_in_a_sandbox_of_its_own_the_key_is_never_in_what_leaks(keys: ModuleType) -> None:
    key = bytes(range(200, 216))
    _, signer, ask = keys.apart(key)
    leak = keys.leaked(ask)
    assert len(leak) > 80_000
    assert not any(key[start : start + 4] in leak for start in range(0, 13, 4))
    signer.set_key(KEY)
    assert ask(keys.request(b"S", bytes(range(15)))) == VECTOR.to_bytes(8, "little")
    assert ask(keys.request(b"H", b"hello")) == b"hello"
