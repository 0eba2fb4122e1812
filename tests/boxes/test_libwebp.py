"""libwebp, boxed, beside the machine's own: the same pixels, lossless and lossy."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.boxes.conftest import reference
from tests.boxes.test_libpng import picture

pytestmark = [pytest.mark.network, pytest.mark.boxes]

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def libwebp_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("libwebp", "libwebp")


@pytest.fixture
def box(libwebp_box: ModuleType) -> Iterator[Any]:
    with libwebp_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


def encoded(box: Any, pixels: Pixels, quality: float | None) -> bytes:
    """quality: None for lossless."""
    height, width, _ = pixels.shape
    place = box.new("uint8_t *[1]")
    if quality is None:
        size = box.WebPEncodeLosslessRGBA(pixels, width, height, 4 * width, place)
    else:
        size = box.WebPEncodeRGBA(pixels, width, height, 4 * width, quality, place)
    assert size
    data = box.checked.data(place[0], size, 100_000)
    box.WebPFree(place[0])
    return bytes(data)


def decoded(box: Any, data: bytes) -> Pixels:
    sides = box.new("int[2]")
    found = box.WebPDecodeRGBA(data, len(data), sides, sides + 1)
    if found is None:
        raise ValueError("no picture")
    width, height = (box.checked.between(side, 1, 1000) for side in sides)
    pixels = np.frombuffer(box.checked.data(found, 4 * width * height, 4_000_000), np.uint8)
    box.WebPFree(found)
    return pixels.reshape(height, width, 4)


def theirs(data: bytes) -> Pixels:
    webp, width, height = reference("webp"), ctypes.c_int(), ctypes.c_int()
    webp.WebPDecodeRGBA.restype = ctypes.c_void_p
    found = webp.WebPDecodeRGBA(data, ctypes.c_size_t(len(data)), ctypes.byref(width), ctypes.byref(height))
    size = 4 * width.value * height.value
    return np.frombuffer(ctypes.string_at(found, size), np.uint8).reshape(height.value, width.value, 4)


def test_lossless_pictures_go_both_ways(box: Any) -> None:
    pixels = picture(3)
    data = encoded(box, pixels, None)
    assert np.array_equal(theirs(data), pixels) and np.array_equal(decoded(box, data), pixels)


@pytest.mark.parametrize("quality", [10.0, 90.0])
def test_lossy_pictures_have_the_same_pixels(box: Any, quality: float) -> None:
    data = encoded(box, picture(3), quality)
    assert np.array_equal(decoded(box, data), theirs(data))


def test_damaged_pictures_are_refused(box: Any) -> None:
    data = bytearray(encoded(box, picture(3), None))
    with pytest.raises(ValueError, match="no picture"):
        decoded(box, bytes(data[: len(data) // 2]))
    with pytest.raises(ValueError, match="no picture"):
        decoded(box, b"nothing of the kind")
