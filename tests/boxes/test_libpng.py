"""libpng, boxed, beside the machine's own: the same pixels both ways, and errors that become exceptions."""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.boxes.conftest import reference

pytestmark = [pytest.mark.network, pytest.mark.boxes]

Pixels = NDArray[np.uint8]
CHANNELS = {0: 1, 1: 2, 2: 3, 3: 4}
"""By the format's flags: 1 has alpha, 2 has colours."""


class Image(ctypes.Structure):
    _fields_ = [
        ("opaque", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("version", "width", "height", "format", "flags", "entries")),
        ("warning_or_error", ctypes.c_uint32),
        ("message", ctypes.c_char * 64),
    ]


@pytest.fixture(scope="module")
def libpng_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("libpng", "libpng1.6", "zlib")


@pytest.fixture
def box(libpng_box: ModuleType) -> Iterator[Any]:
    with libpng_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


def picture(kind: int) -> Pixels:
    width, height = 61, 43
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [(rows * (n + 1) + columns * 3) % 256 for n in range(CHANNELS[kind])]
    if kind & 1:
        planes[-1] |= 0x80
    return np.ascontiguousarray(np.stack(planes, axis=-1).astype(np.uint8))


def encoded(box: Any, libpng_box: ModuleType, pixels: Pixels, kind: int) -> bytes:
    image = box.new("png_image", version=libpng_box.PNG_IMAGE_VERSION, format=kind)
    image.height, image.width = pixels.shape[:2]
    out, size = np.zeros(100_000, np.uint8), np.array([100_000], np.uint64)
    assert box.png_image_write_to_memory(image, out, size, 0, pixels, 0, None), image.message
    return out[: box.checked.length(int(size[0]), 100_000)].tobytes()


def decoded(box: Any, libpng_box: ModuleType, data: bytes, kind: int) -> Pixels:
    image = box.new("png_image", version=libpng_box.PNG_IMAGE_VERSION)
    text = box.new(f"unsigned char[{len(data)}]")
    text.array()[:] = np.frombuffer(data, np.uint8)
    if not box.png_image_begin_read_from_memory(image, text, len(data)):
        raise ValueError(box.checked.text(image.message, 64, "latin-1"))
    width, height = (box.checked.between(side, 1, 1000) for side in (image.width, image.height))
    image.format = kind
    out = np.zeros((height, width, CHANNELS[kind]), np.uint8)
    if not box.png_image_finish_read(image, None, out, 0, None):
        raise ValueError(box.checked.text(image.message, 64, "latin-1"))
    return out


def theirs(data: bytes, kind: int) -> Pixels:
    png, image = reference("png16"), Image(version=1)
    if not png.png_image_begin_read_from_memory(ctypes.byref(image), data, ctypes.c_size_t(len(data))):
        raise ValueError(image.message.decode())
    image.format = kind
    out = np.zeros((image.height, image.width, CHANNELS[kind]), np.uint8)
    place = out.ctypes.data_as(ctypes.c_void_p)
    if not png.png_image_finish_read(ctypes.byref(image), None, place, 0, None):
        raise ValueError(image.message.decode())
    return out


@pytest.mark.parametrize("kind", CHANNELS)
def test_pictures_go_both_ways(box: Any, libpng_box: ModuleType, kind: int) -> None:
    pixels = picture(kind)
    data = encoded(box, libpng_box, pixels, kind)
    assert np.array_equal(theirs(data, kind), pixels)
    assert np.array_equal(decoded(box, libpng_box, data, kind), pixels)


def test_damaged_pictures_are_refused_with_the_reason(box: Any, libpng_box: ModuleType) -> None:
    whole = encoded(box, libpng_box, picture(2), 2)
    decoders: list[Callable[[bytes], Pixels]] = [
        lambda given: theirs(given, 2),
        lambda given: decoded(box, libpng_box, given, 2),
    ]
    for place in (3, 20, 60, len(whole) - 20):
        data = bytearray(whole)
        data[place] ^= 0xFF
        said = []
        for decode in decoders:
            try:
                decode(bytes(data))
                said.append("")
            except ValueError as error:
                said.append(str(error))
        assert said[0] == said[1] != "", place
    with pytest.raises(ValueError, match=r"(?i)not a png"):
        decoded(box, libpng_box, b"nothing of the kind", 2)


def test_a_picture_is_read_by_a_function_in_python_and_errors_are_exceptions(
    box: Any, libpng_box: ModuleType
) -> None:
    pixels = picture(2)
    for damaged in (False, True):
        data = bytearray(encoded(box, libpng_box, pixels, 2))
        if damaged:
            at = data.index(b"IDAT")
            length = struct.unpack(">I", data[at - 4 : at])[0]
            data[at + 20] ^= 0xFF
            checksum = zlib.crc32(data[at : at + 4 + length])
            data[at + 4 + length : at + 8 + length] = struct.pack(">I", checksum)
        place = 0

        def read(png: Any, to: Any, size: int, data: bytes = bytes(data)) -> None:
            nonlocal place
            count = box.checked.length(size, len(data) - place)
            box.memory.write(to, data[place : place + count])
            place += count

        def fail(png: Any, message: str) -> None:
            raise ValueError(message)

        png = box.png_create_read_struct(libpng_box.PNG_LIBPNG_VER_STRING, None, fail, None)
        information = box.png_create_info_struct(png)
        box.png_set_read_fn(png, None, read)
        rows = []
        try:
            box.png_read_info(png, information)
            row = np.zeros(box.checked.between(box.png_get_rowbytes(png, information), 1, 1000), np.uint8)
            for _ in range(box.checked.between(box.png_get_image_height(png, information), 1, 1000)):
                box.png_read_row(png, row, None)
                rows.append(row.copy())
        except ValueError as error:
            assert damaged, error
        else:
            assert not damaged and np.array_equal(np.stack(rows).reshape(pixels.shape), pixels)
