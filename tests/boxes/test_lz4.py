"""LZ4, boxed, beside the machine's own: what one packs, the other unpacks."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.boxes.conftest import reference
from tests.boxes.test_zlib import sample

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def lz4_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("lz4", "lz4")


@pytest.fixture
def box(lz4_box: ModuleType) -> Iterator[Any]:
    with lz4_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_blocks_go_both_ways(box: Any, size: int) -> None:
    lz4, data = reference("lz4"), sample(size, size)
    room = box.checked.length(box.LZ4_compressBound(size), 2 * size + 100)
    packed = np.zeros(room, np.uint8)
    length = box.checked.length(box.LZ4_compress_default(data, packed, size, room), room)
    again = ctypes.create_string_buffer(size)
    assert lz4.LZ4_decompress_safe(packed.tobytes(), again, length, size) == size
    assert again.raw == data
    theirs = ctypes.create_string_buffer(room)
    count = lz4.LZ4_compress_default(data, theirs, size, room)
    out = np.zeros(size, np.uint8)
    assert box.LZ4_decompress_safe(theirs.raw[:count], out, count, size) == size
    assert out.tobytes() == data


def test_frames_with_checksums_go_both_ways(box: Any) -> None:
    data = sample(3, 100_000)
    preferences = box.new("LZ4F_preferences_t")
    preferences.frameInfo.contentChecksumFlag = 1
    room = box.checked.length(box.LZ4F_compressFrameBound(len(data), preferences), 300_000)
    frame = np.zeros(room, np.uint8)
    written = box.LZ4F_compressFrame(frame, room, data, len(data), preferences)
    assert not box.LZ4F_isError(written)
    packed = frame[: box.checked.length(written, room)].tobytes()
    context = box.new("LZ4F_dctx *[1]")
    assert not box.LZ4F_isError(box.LZ4F_createDecompressionContext(context, 100))
    out = np.zeros(len(data), np.uint8)
    sizes = np.array([len(out)], np.uint64), np.array([len(packed)], np.uint64)
    assert box.LZ4F_decompress(context[0], out, sizes[0], packed, sizes[1], None) == 0
    assert out.tobytes() == data


def test_damaged_blocks_are_refused(box: Any) -> None:
    out = np.zeros(100, np.uint8)
    assert box.LZ4_decompress_safe(b"\xff" * 50, out, 50, 100) < 0
    assert box.LZ4_decompress_safe(b"", out, 0, 100) < 0
