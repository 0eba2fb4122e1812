"""Zstandard, boxed, beside the machine's own: what one packs, the other unpacks."""

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
def zstd_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("zstd", "libzstd")


@pytest.fixture
def box(zstd_box: ModuleType) -> Iterator[Any]:
    with zstd_box.open(memory="256MiB", timeout=20.0) as box:
        yield box


@pytest.mark.parametrize("level", [1, 3, 19])
def test_texts_go_both_ways(box: Any, level: int) -> None:
    data, zstd = sample(level, 200_000), reference("zstd")
    room = box.checked.length(box.ZSTD_compressBound(len(data)), 300_000)
    packed = np.zeros(room, np.uint8)
    written = box.ZSTD_compress(packed, room, data, len(data), level)
    assert not box.ZSTD_isError(written)
    ours = packed[: box.checked.length(written, room)].tobytes()
    zstd.ZSTD_decompress.restype = zstd.ZSTD_compress.restype = ctypes.c_size_t
    again = ctypes.create_string_buffer(len(data))
    assert zstd.ZSTD_decompress(again, ctypes.c_size_t(len(data)), ours, ctypes.c_size_t(len(ours))) == len(
        data
    )
    assert again.raw == data
    theirs = ctypes.create_string_buffer(room)
    size = zstd.ZSTD_compress(theirs, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), level)
    out = np.zeros(len(data), np.uint8)
    assert box.ZSTD_decompress(out, len(out), theirs.raw[:size], size) == len(data)
    assert out.tobytes() == data


def test_streams_are_written_in_pieces(box: Any, zstd_box: ModuleType) -> None:
    data = sample(4, 100_000)
    context = box.ZSTD_createCStream()
    given, got = box.new("ZSTD_inBuffer"), box.new("ZSTD_outBuffer")
    room = box.new("char[5000]")
    packed = b""
    for start in range(0, len(data), 7000):
        piece = box.text(data[start : start + 7000])
        given.src, given.size, given.pos = piece, len(data[start : start + 7000]), 0
        last = start + 7000 >= len(data)
        mode, left = zstd_box.ZSTD_e_end if last else zstd_box.ZSTD_e_continue, 1
        while left if last else given.pos < given.size:
            got.dst, got.size, got.pos = room, 5000, 0
            left = box.ZSTD_compressStream2(context, got, given, mode)
            assert not box.ZSTD_isError(left)
            packed += room.tobytes(box.checked.length(got.pos, 5000))
    box.ZSTD_freeCStream(context)
    out = np.zeros(len(data), np.uint8)
    assert box.ZSTD_decompress(out, len(out), packed, len(packed)) == len(data)
    assert out.tobytes() == data


def test_dictionaries_make_small_texts_smaller(box: Any) -> None:
    words = sample(5, 4000)
    data = words[1000:1500]
    sizes = []
    for dictionary in (b"", words):
        packed, out = np.zeros(2000, np.uint8), np.zeros(500, np.uint8)
        context, other = box.ZSTD_createCCtx(), box.ZSTD_createDCtx()
        size = box.ZSTD_compress_usingDict(
            context, packed, 2000, data, 500, dictionary or None, len(dictionary), 19
        )
        sizes.append(box.checked.length(size, 2000))
        ours = packed[: sizes[-1]].tobytes()
        read = box.ZSTD_decompress_usingDict(
            other, out, 500, ours, len(ours), dictionary or None, len(dictionary)
        )
        assert read == 500 and out.tobytes() == data
    assert sizes[1] < sizes[0] / 4


def test_damaged_data_has_a_name(box: Any) -> None:
    out = np.zeros(100, np.uint8)
    code = box.ZSTD_decompress(out, 100, b"nothing of the kind", 19)
    assert box.ZSTD_isError(code) and box.ZSTD_getErrorName(code) == "Unknown frame descriptor"
