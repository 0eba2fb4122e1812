"""zlib, boxed, beside Python's own: whole texts, streams in pieces, checksums, damaged data."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def zlib_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("zlib", "zlib")


@pytest.fixture
def box(zlib_box: ModuleType) -> Iterator[Any]:
    with zlib_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


def sample(seed: int, size: int) -> bytes:
    choose = random.Random(seed)
    words = [choose.randbytes(choose.randrange(1, 12)) for _ in range(300)]
    return b"".join(choose.choice(words) for _ in range(size // 3 + 1))[:size]


def deflated(box: Any, zlib_box: ModuleType, data: bytes, piece: int) -> bytes:
    """As a C program does it: a stream, fed and emptied piece by piece."""
    stream = box.new("z_stream")
    assert box.deflateInit_(stream, 6, zlib_box.ZLIB_VERSION, box.sizeof("z_stream")) == zlib_box.Z_OK
    given, got = box.new(f"Bytef[{piece}]"), box.new("Bytef[1000]")
    found = b""
    for start in range(0, len(data), piece):
        chunk = data[start : start + piece]
        given.array()[: len(chunk)] = np.frombuffer(chunk, np.uint8)
        stream.next_in, stream.avail_in = given, len(chunk)
        flush = zlib_box.Z_FINISH if start + piece >= len(data) else zlib_box.Z_NO_FLUSH
        stream.avail_out = 0
        while stream.avail_out == 0:
            stream.next_out, stream.avail_out = got, 1000
            assert box.deflate(stream, flush) in (zlib_box.Z_OK, zlib_box.Z_STREAM_END, zlib_box.Z_BUF_ERROR)
            found += got.tobytes(1000 - box.checked.length(stream.avail_out, 1000))
    assert box.deflateEnd(stream) == zlib_box.Z_OK
    return found


@pytest.mark.parametrize("size", [1, 100, 50_000])
def test_streams_are_those_of_zlib(box: Any, zlib_box: ModuleType, size: int) -> None:
    data = sample(size, size)
    packed = deflated(box, zlib_box, data, 4096)
    assert zlib.decompress(packed) == data
    if zlib_box.ZLIB_VERSION == zlib.ZLIB_RUNTIME_VERSION:
        assert packed == zlib.compress(data, 6)


def test_whole_texts_go_both_ways(box: Any, zlib_box: ModuleType) -> None:
    data = sample(7, 30_000)
    room = box.checked.length(box.compressBound(len(data)), 40_000)
    out, length = np.zeros(room, np.uint8), np.array([room], np.uint64)
    assert box.compress2(out, length, data, len(data), 9) == zlib_box.Z_OK
    packed = out[: box.checked.length(int(length[0]), room)].tobytes()
    assert zlib.decompress(packed) == data
    again, length = np.zeros(len(data), np.uint8), np.array([len(data)], np.uint64)
    assert box.uncompress(again, length, packed, len(packed)) == zlib_box.Z_OK
    assert again[: int(length[0])].tobytes() == data


def test_checksums_are_those_of_zlib(box: Any) -> None:
    data = sample(1, 1000)
    assert box.crc32(0, data, len(data)) == zlib.crc32(data)
    assert box.adler32(1, data, len(data)) == zlib.adler32(data)


def test_damaged_data_is_refused_as_zlib_does(box: Any, zlib_box: ModuleType) -> None:
    packed = bytearray(zlib.compress(sample(2, 5000)))
    for place in range(0, len(packed), 97):
        damaged = bytearray(packed)
        damaged[place] ^= 0x55
        out, length = np.zeros(5000, np.uint8), np.array([5000], np.uint64)
        code = box.uncompress(out, length, bytes(damaged), len(damaged))
        try:
            theirs: bytes | None = zlib.decompress(bytes(damaged))
        except zlib.error:
            theirs = None
        assert (out[: int(length[0])].tobytes() if code == zlib_box.Z_OK else None) == theirs
