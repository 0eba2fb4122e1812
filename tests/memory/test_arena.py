"""Host-made memory: handed out again, and scrubbed between owners."""

from __future__ import annotations

import numpy as np
import pytest

import tmebox

KEEP_C = """
#include <string.h>
static const unsigned char *seen;
void look(const unsigned char *bytes) { seen = bytes; }
const unsigned char *where(void) { return seen; }
long sum(long offset, long size)
{
    const unsigned char *bytes = (const unsigned char *)offset;
    long total = 0;
    for (long i = 0; i < size; i++) total += bytes[i];
    return total;
}
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=KEEP_C)


@pytest.mark.parametrize("size", [64, 5000, 300_000])
def test_arguments_of_calls_before_a_reset_are_gone(module: tmebox.Module, size: int) -> None:
    with tmebox.Sandbox(module) as sandbox:
        sandbox.look(np.full(size, 7, np.uint8))
        offset = sandbox.where()
        assert sandbox.sum(offset, size) == 7 * size
        sandbox.reset()
        assert sandbox.sum(offset, size) == 0


def test_arrays_that_are_still_there_keep_their_contents(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        before, kept, after = (sandbox.array(1000) for _ in range(3))
        for array in (before, kept, after):
            array[:] = 3
        places = [sandbox.look(array) or sandbox.where() for array in (before, kept, after)]
        del before, after, array
        sandbox.reset()
        assert kept.tolist() == [3] * 1000
        assert [sandbox.sum(place, 1000) for place in places] == [0, 3000, 0]
