"""What a user writes to use a library: boxed, by cffi, by wasmtime-py. All do the same and return the same.

Each function gets a library ready and returns what is timed. Its lines are counted as the user's code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tmebox_bench.boxes.pictures import HEIGHT, PIXEL_BYTES, WIDTH

Timed = Callable[[], Any]
Face = Callable[[Any, Any], Timed]
"""(library, data) -> what is timed. library: a package, or the path of a native or WebAssembly one."""
TEXT = bytes(range(16))


# -- calls ---------------------------------------------------------------------------------------------
def number_boxed(package: ModuleType, data: Any) -> Timed:
    box = package.open(memory="16MiB")
    return lambda: box.zlibCompileFlags() and None


def number_cffi(library: Path, data: Any) -> Timed:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("unsigned long zlibCompileFlags(void);")
    zlib = ffi.dlopen(str(library))
    return lambda: zlib.zlibCompileFlags() and None


def number_wasmtime(library: Path, data: Any) -> Timed:
    store, exports = _instance(library)
    function = exports["zlibCompileFlags"]
    return lambda: function(store) and None


def checksum_boxed(package: ModuleType, data: bytes) -> Timed:
    box = package.open(memory="16MiB")
    return lambda: box.adler32(1, data, len(data))


def checksum_cffi(library: Path, data: bytes) -> Timed:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("unsigned long adler32(unsigned long adler, const char *buf, unsigned len);")
    zlib = ffi.dlopen(str(library))
    return lambda: zlib.adler32(1, data, len(data))


def checksum_wasmtime(library: Path, data: bytes) -> Timed:
    store, exports = _instance(library)
    function, memory = exports["adler32"], exports["memory"]
    place = exports["malloc"](store, len(data))

    def call() -> int:
        memory.write(store, data, place)
        return function(store, 1, place, len(data)) & 0xFFFFFFFF

    return call


# -- callbacks -----------------------------------------------------------------------------------------
def events_boxed(package: ModuleType, document: bytes) -> Timed:
    box = package.open(memory="64MiB")
    seen = [0]

    def start(user: Any, name: str, attributes: Any) -> None:
        seen[0] += 1

    def parse() -> int:
        seen[0] = 0
        parser = box.XML_ParserCreate(None)
        box.XML_SetStartElementHandler(parser, start)
        assert box.XML_Parse(parser, document, len(document), True) == package.XML_STATUS_OK
        box.XML_ParserFree(parser)
        return seen[0]

    return parse


def events_cffi(library: Path, document: bytes) -> Timed:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("""
        typedef struct XML_ParserStruct *XML_Parser;
        typedef void (*XML_StartElementHandler)(void *user, const char *name, const char **attributes);
        XML_Parser XML_ParserCreate(const char *encoding);
        void XML_SetStartElementHandler(XML_Parser parser, XML_StartElementHandler handler);
        int XML_Parse(XML_Parser parser, const char *s, int len, int isFinal);
        void XML_ParserFree(XML_Parser parser);
    """)
    expat = ffi.dlopen(str(library))
    seen = [0]

    @ffi.callback("XML_StartElementHandler")  # type: ignore[untyped-decorator, unused-ignore]
    def start(user: Any, name: Any, attributes: Any) -> None:
        ffi.string(name).decode()
        seen[0] += 1

    def parse() -> int:
        seen[0] = 0
        parser = expat.XML_ParserCreate(ffi.NULL)
        expat.XML_SetStartElementHandler(parser, start)
        assert expat.XML_Parse(parser, document, len(document), 1) == 1
        expat.XML_ParserFree(parser)
        return seen[0]

    return parse


def events_wasmtime(library: Path, document: bytes) -> Timed:
    """A function goes into the module's table, and its index is the pointer."""
    from wasmtime import Func, FuncType, ValType

    store, exports, table = _instance_with_table(library)
    memory = exports["memory"]
    seen = [0]

    def start(user: int, name: int, attributes: int) -> None:
        size = 16
        while 0 not in (found := memory.read(store, name, name + size)):
            size *= 2
        bytes(found).split(b"\0", 1)[0].decode()
        seen[0] += 1

    index = table.grow(store, 1, Func(store, FuncType([ValType.i32()] * 3, []), start))
    place = exports["malloc"](store, len(document))

    def parse() -> int:
        seen[0] = 0
        parser = exports["XML_ParserCreate"](store, 0)
        exports["XML_SetStartElementHandler"](store, parser, index)
        memory.write(store, document, place)
        assert exports["XML_Parse"](store, parser, place, len(document), 1) == 1
        exports["XML_ParserFree"](store, parser)
        return seen[0]

    return parse


def events_pyexpat(library: Path, document: bytes) -> Timed:
    from pyexpat import ParserCreate

    seen = [0]

    def start(name: str, attributes: Any) -> None:
        seen[0] += 1

    def parse() -> int:
        seen[0] = 0
        parser = ParserCreate()
        parser.ordered_attributes = True
        parser.StartElementHandler = start
        parser.Parse(document, True)
        return seen[0]

    return parse


# -- throughput ----------------------------------------------------------------------------------------
def unpack_copying(package: ModuleType, data: tuple[bytes, int]) -> Timed:
    box, (packed, size) = package.open(memory="128MiB"), data
    out = np.zeros(size, np.uint8)
    return lambda: box.LZ4_decompress_safe(packed, out, len(packed), size)


def unpack_in_place(package: ModuleType, data: tuple[bytes, int]) -> Timed:
    box, (packed, size) = package.open(memory="128MiB"), data
    given, out = box.array(len(packed)), box.array(size)
    given[:] = np.frombuffer(packed, np.uint8)
    return lambda: box.LZ4_decompress_safe(given, out, len(packed), size)


def unpack_cffi(library: Path, data: tuple[bytes, int]) -> Timed:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("int LZ4_decompress_safe(const char *src, char *dst, int compressedSize, int dstCapacity);")
    lz4, (packed, size) = ffi.dlopen(str(library)), data
    out = np.zeros(size, np.uint8)
    pointer = ffi.from_buffer("char[]", out)
    return lambda: lz4.LZ4_decompress_safe(packed, pointer, len(packed), size)


def unpack_wasmtime(library: Path, data: tuple[bytes, int]) -> Timed:
    store, exports = _instance(library)
    packed, size = data
    memory, function = exports["memory"], exports["LZ4_decompress_safe"]
    given, out = exports["malloc"](store, len(packed)), exports["malloc"](store, size)

    def call() -> int:
        memory.write(store, packed, given)
        done = function(store, given, out, len(packed), size)
        memory.read(store, out, out + size)
        return done

    return call


# -- pictures ------------------------------------------------------------------------------------------
def png_boxed(package: ModuleType, data: bytes) -> Timed:
    box = package.open(memory="128MiB")
    out = box.array((HEIGHT, WIDTH, PIXEL_BYTES))
    given = box.array(len(data))

    def decode() -> Any:
        given[:] = np.frombuffer(data, np.uint8)
        image = box.new("png_image", version=package.PNG_IMAGE_VERSION)
        assert box.png_image_begin_read_from_memory(image, given, len(data))
        assert (image.width, image.height) == (WIDTH, HEIGHT)
        image.format = package.PNG_FORMAT_RGB
        assert box.png_image_finish_read(image, None, out, 0, None)
        return out

    return decode


def png_cffi(library: Path, data: bytes) -> Timed:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("""
        typedef struct {
            void *opaque; uint32_t version, width, height, format, flags, colormap_entries, warning_or_error;
            char message[64];
        } png_image;
        int png_image_begin_read_from_memory(png_image *image, const void *memory, size_t size);
        int png_image_finish_read(png_image *image, const void *background, void *buffer, int32_t row_stride,
                                  void *colormap);
    """)
    png = ffi.dlopen(str(library))
    out = np.zeros((HEIGHT, WIDTH, PIXEL_BYTES), np.uint8)
    pointer = ffi.from_buffer("char[]", out)

    def decode() -> Any:
        image = ffi.new("png_image *", {"version": 1})
        assert png.png_image_begin_read_from_memory(image, ffi.from_buffer(data), len(data))
        assert (image.width, image.height) == (WIDTH, HEIGHT)
        image.format = 2
        assert png.png_image_finish_read(image, ffi.NULL, pointer, 0, ffi.NULL)
        return out

    return decode


def jpeg_boxed(package: ModuleType, data: bytes) -> Timed:
    box = package.open(memory="128MiB")
    out = box.array((HEIGHT, WIDTH, PIXEL_BYTES))
    decoder = box.tjInitDecompress()
    rgb = package.TJPF_RGB

    def decode() -> Any:
        assert not box.tjDecompress2(decoder, data, len(data), out, WIDTH, 0, HEIGHT, rgb, 0)
        return out

    return decode


def jpeg_cffi(library: Path, data: bytes) -> Timed:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("""
        void *tjInitDecompress(void);
        int tjDecompress2(void *handle, const char *jpegBuf, unsigned long jpegSize, char *dstBuf, int width,
                          int pitch, int height, int pixelFormat, int flags);
    """)
    jpeg = ffi.dlopen(str(library))
    out = np.zeros((HEIGHT, WIDTH, PIXEL_BYTES), np.uint8)
    pointer = ffi.from_buffer("char[]", out)
    decoder = jpeg.tjInitDecompress()

    def decode() -> Any:
        assert not jpeg.tjDecompress2(decoder, data, len(data), pointer, WIDTH, 0, HEIGHT, 0, 0)
        return out

    return decode


def _instance(library: Path) -> tuple[Any, Any]:
    """A store and the exports of a WebAssembly library."""
    return _instance_with_table(library)[:2]


def _instance_with_table(library: Path) -> tuple[Any, Any, Any]:
    """Also the table of functions that it calls by pointer, with room for more."""
    from wasmtime import Engine, Limits, Linker, Module, Store, Table, TableType, ValType, WasiConfig

    engine = Engine()
    store, linker = Store(engine), Linker(engine)
    store.set_wasi(WasiConfig())
    linker.define_wasi()
    module = Module.from_file(engine, str(library))
    (wanted,) = (each for each in module.imports if isinstance(each.type, TableType))
    table = Table(store, TableType(ValType.funcref(), Limits(wanted.type.limits.min, None)), None)
    linker.define(store, wanted.module, wanted.name, table)
    exports = linker.instantiate(store, module).exports(store)
    exports["_initialize"](store)
    return store, exports, table
