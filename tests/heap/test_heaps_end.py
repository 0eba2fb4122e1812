"""Masked accesses whose lanes are on both sides of a heap's end. On the side all lanes go by one pointer, so
what one behind the heap reads and writes would be the host's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tmebox
from tmebox import _native, abi

WAYS = {
    "views": {},
    "without views": {"views": False},
    "dense": {"placement": "dense"},
    "model": {"backend": "model"},
    "model without views": {"backend": "model", "views": False},
}
PAGES = 16
SIZE = PAGES * abi.PAGE_SIZE
END = abi.SHARED_START + SIZE
VECTORS = {"epi32": "__m{}i", "epi64": "__m{}i", "ps": "__m{}", "pd": "__m{}d"}
"""By the ends of intrinsic functions' names."""


def functions() -> Iterator[str]:
    """A load and a store for each kind of lanes and bytes of a vector, as `load_ps_32`."""
    for suffix, vector in VECTORS.items():
        for bits, prefix in ((128, "_mm"), (256, "_mm256")):
            name, type_ = f"{suffix}_{bits // 8}", vector.format(bits)
            whole = f"__m{bits}i"
            yield (
                f"void load_{name}(char *at, const void *mask, void *out)"
                f" {{ *({type_} *)out = {prefix}_maskload_{suffix}((void *)at, *({whole} *)mask); }}"
                f"void store_{name}(char *at, const void *mask, const void *from)"
                f" {{ {prefix}_maskstore_{suffix}((void *)at, *({whole} *)mask, *({type_} *)from); }}"
            )


SOURCE = "#include <immintrin.h>\n#include <tmebox.h>\nint peek(const volatile char *at) { return *at; }\n"
SOURCE += "\n".join(functions())
FORMS = [(suffix, width) for suffix in VECTORS for width in (16, 32)]

pytestmark = pytest.mark.skipif(not _native.cpu_features()["avx2"], reason="the processor has no AVX2")


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-mavx2", "-w"))


def box_at_the_end(module: tmebox.Module, way: str) -> tuple[tmebox.Sandbox, list[object]]:
    """A sandbox that owns the last line of a heap, in a page of several owners where there can be one."""
    heap = tmebox.SharedHeap(SIZE, **WAYS[way])  # type: ignore[arg-type]
    boxes = [tmebox.Sandbox(module, heap=heap) for _ in range(2)]
    kept: list[object] = [heap, *boxes, heap.allocate(SIZE - abi.PAGE_SIZE, owner=boxes[0])]
    lines = [
        heap.allocate(64, owner=boxes[number % 2], placement="dense") for number in range(abi.PAGE_SIZE // 64)
    ]
    last = max(range(len(lines)), key=lambda number: lines[number].offset)
    assert lines[last].offset == END - 64
    return boxes[last % 2], [*kept, *lines]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("suffix", "width"), FORMS)
def test_no_lane_is_behind_the_heap(module: tmebox.Module, way: str, suffix: str, width: int) -> None:
    lane = 4 if suffix in ("epi32", "ps") else 8
    box, _kept = box_at_the_end(module, way)
    buffer = np.zeros(32, np.uint8)
    for lanes_before in range(1, width // lane):
        at = END - lanes_before * lane
        for chosen in range(1, 1 << width // lane):
            mask = np.zeros(32, np.uint8)
            for number in range(width // lane):
                if chosen >> number & 1:
                    mask[(number + 1) * lane - 1] = 0x80
            reaches = chosen >> lanes_before != 0
            for how in ("load", "store"):
                call = getattr(box, f"{how}_{suffix}_{width}")
                if not reaches:
                    call(at, mask, buffer)
                    continue
                with pytest.raises(tmebox.MemoryFault) as caught:
                    call(at, mask, buffer)
                offset = caught.value.offset
                assert offset is not None and at <= offset < at + width, (lanes_before, bin(chosen), how)
                box.reset()
    assert box.peek(END - 1) == 0


@pytest.mark.parametrize("way", WAYS)
def test_beside_a_heaps_memory_the_host_has_nothing(module: tmebox.Module, way: str) -> None:
    heap = tmebox.SharedHeap(SIZE, **WAYS[way])  # type: ignore[arg-type]
    with open("/proc/self/maps") as maps:
        rows = [line.split()[:2] for line in maps]
    for place in (heap.host_address - 1, heap.host_address + SIZE):
        (access,) = [how for ends, how in rows if is_between(place, *ends.split("-"))]
        assert access.startswith("---")


def is_between(place: int, low: str, high: str) -> bool:
    return int(low, 16) <= place < int(high, 16)
