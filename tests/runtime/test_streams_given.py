"""Streams that the host gives a sandbox: when they are looked at."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import tmebox


@pytest.fixture(scope="module")
def library() -> tmebox.Module:
    return tmebox.compile(source_text='#include <stdio.h>\nvoid say(void) { puts("said"); }')


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
@pytest.mark.parametrize("wrong", [1.5, True, object(), ["a"]])
def test_what_is_no_stream_is_told_when_the_sandbox_is_made(
    library: tmebox.Module, stream: str, wrong: object
) -> None:
    with pytest.raises(TypeError, match=r"cannot be (written to|read from)"):
        tmebox.Sandbox(library, **{stream: wrong})  # type: ignore[arg-type]


def test_a_world_is_made_when_it_is_first_looked_at(library: tmebox.Module, tmp_path: Path) -> None:
    with tmebox.Sandbox(library, stdout=io.BytesIO(), stderr=len, env={"A": "b"}) as box:
        assert box._tenancy.system_if_made is None
    given = bytearray(b"as it was")
    with tmebox.Sandbox(library, stdin=given) as box:
        given[:] = b"otherwise"
        assert box._tenancy.system.descriptors[0].read(20) == b"as it was"
    with pytest.raises(OSError):
        tmebox.Sandbox(library, dirs=[(tmp_path / "nowhere", "/d")])


async def later(*_: object) -> int:
    return 0


class Later:
    write = read = staticmethod(later)


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
@pytest.mark.parametrize("wrong", [later, Later()])
def test_a_stream_that_nobody_would_await_is_refused(
    library: tmebox.Module, stream: str, wrong: object
) -> None:
    with pytest.raises(TypeError, match="is an async function"):
        tmebox.Sandbox(library, **{stream: wrong})  # type: ignore[arg-type]
