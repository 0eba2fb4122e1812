"""libjpeg-turbo, boxed: pixels both ways, beside another decoder's; errors are exceptions."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = [pytest.mark.network, pytest.mark.boxes]

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def libjpeg_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("libjpeg", "libjpeg-turbo")


@pytest.fixture
def box(libjpeg_box: ModuleType) -> Iterator[Any]:
    with libjpeg_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


def errors_of(box: Any) -> Any:
    """An error manager whose errors are exceptions here. C programs need setjmp for it."""
    manager = box.new("struct jpeg_error_mgr")
    box.jpeg_std_error(manager)

    def fail(common: Any) -> None:
        text = box.new("char[200]")
        manager.format_message(common, text)
        raise ValueError(box.checked.text(text, 200, "latin-1"))

    manager.error_exit = box.callback(fail, "struct jpeg_error_mgr.error_exit")
    return manager


def encoded(box: Any, libjpeg_box: ModuleType, pixels: Pixels, quality: int) -> bytes:
    height, width, _ = pixels.shape
    job = box.new("struct jpeg_compress_struct")
    errors = errors_of(box)
    job.err = errors
    box.jpeg_CreateCompress(job, libjpeg_box.JPEG_LIB_VERSION, box.sizeof("struct jpeg_compress_struct"))
    place, size = box.new("unsigned char *[1]"), box.new("unsigned long[1]")
    box.jpeg_mem_dest(job, place, size)
    job.image_width, job.image_height, job.input_components = width, height, 3
    job.in_color_space = libjpeg_box.JCS_RGB
    box.jpeg_set_defaults(job)
    box.jpeg_set_quality(job, quality, True)
    box.jpeg_start_compress(job, True)
    data, rows = box.new(f"unsigned char[{pixels.size}]"), box.new("unsigned char *[1]")
    data.array()[:] = pixels.reshape(-1)
    for row in range(height):
        rows[0] = data + row * 3 * width
        assert box.jpeg_write_scanlines(job, rows, 1) == 1
    box.jpeg_finish_compress(job)
    made = bytes(box.checked.data(place[0], size[0], 1_000_000))
    box.jpeg_destroy_compress(job)
    return made


def decoded(box: Any, libjpeg_box: ModuleType, data: bytes) -> Pixels:
    job = box.new("struct jpeg_decompress_struct")
    errors = errors_of(box)
    job.err = errors
    box.jpeg_CreateDecompress(job, libjpeg_box.JPEG_LIB_VERSION, box.sizeof("struct jpeg_decompress_struct"))
    text = box.new(f"unsigned char[{max(len(data), 1)}]")
    text.array()[: len(data)] = np.frombuffer(data, np.uint8)
    box.jpeg_mem_src(job, text, len(data))
    box.jpeg_read_header(job, True)
    box.jpeg_start_decompress(job)
    width, height = (box.checked.between(side, 1, 1000) for side in (job.output_width, job.output_height))
    out, rows = box.new(f"unsigned char[{3 * width * height}]"), box.new(f"unsigned char *[{height}]")
    for row in range(height):
        rows[row] = out + row * 3 * width
    done = 0
    while done < height:
        done += box.checked.between(
            box.jpeg_read_scanlines(job, rows + done, height - done), 1, height - done
        )
    box.jpeg_finish_decompress(job)
    box.jpeg_destroy_decompress(job)
    return out.array().reshape(height, width, 3).copy()


def smooth() -> Pixels:
    rows, columns = np.mgrid[0:70, 0:90]
    return np.stack([rows * 3, columns * 2, rows + columns], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("quality", [60, 95])
def test_pictures_come_back_much_as_they_were(box: Any, libjpeg_box: ModuleType, quality: int) -> None:
    pixels = smooth()
    data = encoded(box, libjpeg_box, pixels, quality)
    again = decoded(box, libjpeg_box, data)
    assert np.abs(again.astype(int) - pixels).mean() < 3


def test_pixels_are_those_of_another_decoder(box: Any, libjpeg_box: ModuleType) -> None:
    image = pytest.importorskip("PIL.Image")
    data = encoded(box, libjpeg_box, smooth(), 90)
    theirs = np.asarray(image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(decoded(box, libjpeg_box, data).astype(int) - theirs).max() <= 2


def test_errors_are_exceptions(box: Any, libjpeg_box: ModuleType) -> None:
    for data in (b"nothing of the kind", b""):
        with pytest.raises(ValueError, match=r"Not a JPEG file|Empty input file"):
            decoded(box, libjpeg_box, data)
