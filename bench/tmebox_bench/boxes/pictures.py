"""A picture of 12 megapixels, as PNG and as JPEG, made by the native libraries that are measured."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, PIXEL_BYTES = 4000, 3000, 3


@lru_cache(maxsize=1)
def picture() -> NDArray[np.uint8]:
    """Smooth shapes with the noise of a camera: RGB of shape (HEIGHT, WIDTH, 3)."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 2, (HEIGHT, WIDTH)).astype(np.float32)
    planes = [
        128 + 100 * np.sin(rows / (90 + 30 * n)) * np.cos(columns / (140 - 20 * n)) + noise for n in range(3)
    ]
    return np.ascontiguousarray(np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8))


def png(library: Path) -> bytes:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("""
        typedef struct {
            void *opaque; uint32_t version, width, height, format, flags, colormap_entries, warning_or_error;
            char message[64];
        } png_image;
        int png_image_write_to_memory(png_image *image, void *memory, size_t *size, int convert,
                                      const void *buffer, int32_t row_stride, const void *colormap);
    """)
    pixels = picture()
    image = ffi.new("png_image *", {"version": 1, "width": WIDTH, "height": HEIGHT, "format": 2})
    out = bytearray(pixels.nbytes + 1_000_000)
    size = ffi.new("size_t *", len(out))
    library_ = ffi.dlopen(str(library))
    given = ffi.from_buffer(pixels)
    done = library_.png_image_write_to_memory(image, ffi.from_buffer(out), size, 0, given, 0, ffi.NULL)
    assert done, ffi.string(image.message)
    return bytes(out[: size[0]])


def jpeg(library: Path) -> bytes:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("""
        void *tjInitCompress(void);
        int tjCompress2(void *handle, const char *srcBuf, int width, int pitch, int height, int pixelFormat,
                        unsigned char **jpegBuf, unsigned long *jpegSize, int jpegSubsamp, int jpegQual,
                        int flags);
    """)
    library_: Any = ffi.dlopen(str(library))
    place, size = ffi.new("unsigned char **"), ffi.new("unsigned long *")
    given = ffi.from_buffer("char[]", picture())
    coder = library_.tjInitCompress()
    assert not library_.tjCompress2(coder, given, WIDTH, 0, HEIGHT, 0, place, size, 2, 90, 0)
    return bytes(ffi.buffer(place[0], size[0]))
