"""Mapping functions, regions and the machine's features."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from tests.native.machine import READ_WRITE
from tmebox import _native, abi

PAGE = abi.PAGE_SIZE


@pytest.fixture
def pages() -> int:
    """Four reserved pages."""
    return _native.reserve(0, 4 * PAGE)


def protections(address: int) -> str:
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, flags = line.split()[:2]
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= address < end:
            return flags
    return "none"


def test_reserved_memory_cannot_be_touched_until_it_is_mapped(pages: int) -> None:
    assert protections(pages) == "---p"
    _native.map_zero(pages + PAGE, PAGE, READ_WRITE)
    assert protections(pages + PAGE) == "rw-p"
    assert _native.read(pages + PAGE, 16) == bytes(16)
    assert protections(pages) == protections(pages + 2 * PAGE) == "---p"


def test_an_occupied_address_cannot_be_reserved(pages: int) -> None:
    with pytest.raises(FileExistsError):
        _native.reserve(pages + PAGE, PAGE)


def test_a_free_address_is_reserved_exactly(pages: int) -> None:
    _native.unmap(pages, 4 * PAGE)
    assert _native.reserve(pages, PAGE) == pages
    _native.unmap(pages, PAGE)


def test_written_bytes_are_read_back_until_they_are_discarded(pages: int) -> None:
    _native.map_zero(pages, PAGE, READ_WRITE)
    _native.write(pages + 5, b"hello")
    assert _native.read(pages + 4, 7) == b"\0hello\0"
    _native.discard(pages, PAGE)
    assert _native.read(pages + 4, 7) == bytes(7)


def test_protect_changes_only_its_range(pages: int) -> None:
    _native.map_zero(pages, 2 * PAGE, READ_WRITE)
    _native.protect(pages, PAGE, _native.PROT_READ)
    assert (protections(pages), protections(pages + PAGE)) == ("r--p", "rw-p")


@pytest.mark.parametrize("function", ["reserve", "discard", "unmap"])
@pytest.mark.parametrize(("address", "size_bytes"), [(PAGE, 0), ((1 << 64) - PAGE, 2 * PAGE), (0, 1 << 63)])
def test_impossible_ranges_are_refused(function: str, address: int, size_bytes: int) -> None:
    with pytest.raises(ValueError):
        getattr(_native, function)(address, size_bytes)


def test_an_error_of_the_system_carries_its_number() -> None:
    with pytest.raises(OSError) as caught:
        _native.protect(PAGE + 1, PAGE, READ_WRITE)
    assert caught.value.errno is not None


def test_buffer_address_tells_where_how_large_and_whether_read_only() -> None:
    array = np.zeros((3, 4), dtype=np.int16)
    assert _native.buffer_address(array) == (array.ctypes.data, 24, False)
    assert _native.buffer_address(b"abc")[1:] == (3, True)
    with pytest.raises(BufferError):
        _native.buffer_address(array.T)
    with pytest.raises(BufferError):
        _native.buffer_address(5)


def test_a_region_is_the_memory_itself(pages: int) -> None:
    _native.map_zero(pages, PAGE, READ_WRITE)
    region = _native.Region(pages, 16, None, True)
    view = memoryview(region)
    assert (view.nbytes, view.format, view.readonly) == (16, "B", False)
    view[3] = 7
    assert _native.read(pages, 5) == bytes([0, 0, 0, 7, 0])
    assert region.exports == 1
    view.release()
    assert region.exports == 0


def test_a_read_only_region_gives_no_writable_view(pages: int) -> None:
    _native.map_zero(pages, PAGE, READ_WRITE)
    region = _native.Region(pages, 16, None, False)
    assert memoryview(region).readonly
    with pytest.raises(ValueError):
        np.frombuffer(memoryview(region), dtype=np.uint8)[0] = 1


def test_a_view_keeps_the_regions_owner_alive(pages: int) -> None:
    class Owner:
        pass

    _native.map_zero(pages, PAGE, READ_WRITE)
    owner = Owner()
    alive = weakref.ref(owner)
    view = np.frombuffer(_native.Region(pages, 16, owner, True), dtype=np.uint8)  # type: ignore[call-overload]
    del owner
    gc.collect()
    assert alive() is not None
    del view
    gc.collect()
    assert alive() is None


def test_a_region_with_views_cannot_be_moved(pages: int) -> None:
    _native.map_zero(pages, PAGE, READ_WRITE)
    region = _native.Region(pages, 16, None, True)
    view = memoryview(region)
    with pytest.raises(BufferError):
        region.__init__(pages + 16, 16, None, True)  # type: ignore[misc]
    view.release()


def test_cpu_features_agree_with_the_kernel() -> None:
    line = next(row for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("flags"))
    flags = set(line.split(":")[1].split())
    ours = {name for name, present in _native.cpu_features().items() if present}
    hidden = {"fsgsbase", "tme", "pconfig"}  # the kernel decides whether it shows or enables these
    assert ours - flags <= hidden
    assert (set(_native.cpu_features()) & flags) - ours <= hidden
