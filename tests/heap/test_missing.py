"""What the host lacks while a heap is used is an error that says so, no end of the host or the sandbox."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import WAYS
from tmebox import abi

PAGE = abi.PAGE_SIZE
Forked = Callable[..., ChildOutcome]


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("size", [100, 16 * PAGE])
def test_a_file_that_became_shorter_cannot_be_read_into_a_block(
    forked: Forked, tmp_path: Path, way: dict[str, Any], size: int
) -> None:
    """Also in a process that never had a sandbox."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)

    def child() -> tuple[str, bytes]:
        with tmebox.SharedHeap("1MiB", **way) as heap:
            block, mapped = heap.allocate(size), np.memmap(path, np.uint8, "r+")
            block.write(mapped)
            os.truncate(path, 0)
            with pytest.raises(tmebox.LimitError) as caught:
                block.write(mapped)
            block.write(b"after", 1)
            return str(caught.value), block.read(1, 5)

    message, after = forked(child).result()
    assert "shorter" in message
    assert after == b"after"


def test_what_is_done_on_the_side_takes_no_descriptor_while_a_sandbox_runs(
    touching: tmebox.Module, forked: Forked
) -> None:
    def child() -> tuple[int, str]:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        with pytest.raises(tmebox.LimitError) as caught:
            tmebox.SharedHeap("1MiB")
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        with tmebox.SharedHeap("1MiB") as heap, tmebox.Sandbox(touching, heap=heap) as box:
            block, _ = (heap.allocate(64, owner=owner, placement="dense") for owner in (box, None))
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
            return box.peek(block.offset), str(caught.value)

    value, message = forked(child).result()
    assert value == 0
    assert "ulimit -n" in message
