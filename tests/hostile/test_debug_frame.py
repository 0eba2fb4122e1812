"""Frame information that lies: the first trap must neither take memory nor time for it."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.frame_sections import COMMON, section, uleb
from tmebox import Module
from tmebox.modulefile import codec

MOST_BYTES = 64 << 20
"""Of memory, more than before: a hundredth of what one such file took once."""
SOURCE = "void boom(void) { __builtin_trap(); }"
FRAMES = {
    "many registers and rows": b"".join(b"\x05" + uleb(100 + number) + b"\0" for number in range(4000))
    + b"\x41" * 12_000,
    "many remembered rows": b"\x0a\x41" * 50_000,
    "an endless number": b"\x0e" + b"\xff" * 100_000,
    "a frame that is its own caller": bytes([0x0C, 7, 0]),
}


@pytest.mark.parametrize("instructions", FRAMES.values(), ids=FRAMES)
def test_a_trap_costs_little_whatever_the_frame_information_says(
    instructions: bytes, forked: Callable[..., ChildOutcome]
) -> None:
    honest = tmebox.compile(source_text=SOURCE).file
    begin = section(instructions, COMMON)
    address = honest.text_address.to_bytes(8, "little")
    lying = replace(honest, debug_frame=begin.replace(bytes.fromhex("0000004100000000"), address))

    def act() -> tuple[str, int, int]:
        sandbox = tmebox.Sandbox(Module.from_bytes(codec.encode(lying)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(tmebox.Trap) as caught:
            sandbox.boom()
        told = len(caught.value.backtrace)
        return str(caught.value), told, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    message, frames, grown_kib = forked(act).result()
    assert "boom" in message
    assert 1 <= frames <= 64
    assert grown_kib << 10 < MOST_BYTES
