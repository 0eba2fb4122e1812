"""Brotli, boxed, beside the machine's own: what one packs, the other unpacks, whole and in pieces."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.boxes.conftest import reference
from tests.boxes.test_zlib import sample

pytestmark = [pytest.mark.network, pytest.mark.boxes]


@pytest.fixture(scope="module")
def brotli_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("brotli", "brotli")


@pytest.fixture
def box(brotli_box: ModuleType) -> Iterator[Any]:
    with brotli_box.open(memory="256MiB", timeout=20.0) as box:
        yield box


def packed(box: Any, brotli_box: ModuleType, data: bytes, quality: int) -> bytes:
    room = box.checked.length(box.BrotliEncoderMaxCompressedSize(len(data)), 2 * len(data) + 100)
    out, size = np.zeros(room, np.uint8), np.array([room], np.uint64)
    mode = brotli_box.BROTLI_MODE_GENERIC
    assert box.BrotliEncoderCompress(quality, 22, mode, len(data), data, size, out)
    return out[: box.checked.length(int(size[0]), room)].tobytes()


@pytest.mark.parametrize("quality", [1, 5, 11])
def test_texts_go_both_ways(box: Any, brotli_box: ModuleType, quality: int) -> None:
    data = sample(quality, 60_000)
    ours = packed(box, brotli_box, data, quality)
    again, size = ctypes.create_string_buffer(len(data)), ctypes.c_size_t(len(data))
    decoder = reference("brotlidec")
    assert decoder.BrotliDecoderDecompress(ctypes.c_size_t(len(ours)), ours, ctypes.byref(size), again) == 1
    assert again.raw == data
    encoder = reference("brotlienc")
    theirs, size = ctypes.create_string_buffer(100_000), ctypes.c_size_t(100_000)
    length = ctypes.c_size_t(len(data))
    assert encoder.BrotliEncoderCompress(quality, 22, 0, length, data, ctypes.byref(size), theirs) == 1
    assert theirs.raw[: size.value] == ours
    out, read = np.zeros(len(data), np.uint8), np.array([len(data)], np.uint64)
    assert box.BrotliDecoderDecompress(size.value, theirs.raw[: size.value], read, out)
    assert out.tobytes() == data


def test_streams_are_read_in_pieces(box: Any, brotli_box: ModuleType) -> None:
    data = sample(2, 30_000)
    ours = packed(box, brotli_box, data, 5)
    state = box.BrotliDecoderCreateInstance(None, None, None)
    sizes, given, got = box.new("size_t[2]"), box.new("uint8_t *[1]"), box.new("uint8_t *[1]")
    room, found = box.new("uint8_t[1000]"), b""
    text = box.text(ours)
    given[0], sizes[0] = text, len(ours)
    code = brotli_box.BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT
    while code == brotli_box.BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
        got[0], sizes[1] = room, 1000
        code = box.BrotliDecoderDecompressStream(state, sizes, given, sizes + 1, got, None)
        found += room.tobytes(1000 - box.checked.length(sizes[1], 1000))
    box.BrotliDecoderDestroyInstance(state)
    assert code == brotli_box.BROTLI_DECODER_RESULT_SUCCESS and found == data


def test_damaged_data_is_refused(box: Any, brotli_box: ModuleType) -> None:
    ours = bytearray(packed(box, brotli_box, sample(3, 5000), 9))
    ours[len(ours) // 2] ^= 0xFF
    out, read = np.zeros(5000, np.uint8), np.array([5000], np.uint64)
    code = box.BrotliDecoderDecompress(len(ours), bytes(ours), read, out)
    assert code != brotli_box.BROTLI_DECODER_RESULT_SUCCESS or out.tobytes() != sample(3, 5000)
