"""Host pointers and Python objects do not enter a sandbox, whatever has them and by whatever way."""

from __future__ import annotations

import ctypes
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tmebox

SOURCE = r"""
#include <unistd.h>
struct two { unsigned long a, b; };
void fill(void *p) { *(unsigned long *)p = 0x4141414141414140; }
int see(const void *p) { return *(const char *)p; }
long sum(struct two s) { return s.a + s.b; }
long sums(const struct two *s) { return s->a; }
long input(void) { char c[64]; return read(0, c, sizeof c); }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


pytestmark = pytest.mark.filterwarnings("ignore:A builtin ctypes object gave:RuntimeWarning")


class Place:
    """A box with a shared heap, and what may be written there."""

    def __init__(self, module: tmebox.Module) -> None:
        self.heap = tmebox.SharedHeap("64KiB")
        self.box = tmebox.Box(module, heap=self.heap)
        self.block = self.heap.allocate(256, owner=self.box)
        self.room = self.box.new("char[256]")

    def slice(self, value: Any) -> None:
        start = int(self.room)
        self.box.memory[start : start + memoryview(value).nbytes] = value


@pytest.fixture(scope="module")
def place(module: tmebox.Module) -> Iterator[Place]:
    made = Place(module)
    with made.heap, made.box:
        yield made


def read_by(module: tmebox.Module, stdin: Any) -> Any:
    with tmebox.Sandbox(module, stdin=stdin) as box:
        return box.input()


WAYS: dict[str, Callable[[Place, Any], Any]] = {
    "argument": lambda p, value: p.box.fill(value),
    "const argument": lambda p, value: p.box.see(value),
    "In": lambda p, value: p.box.fill(tmebox.In(value)),
    "Out": lambda p, value: p.box.fill(tmebox.Out(value)),
    "InOut": lambda p, value: p.box.fill(tmebox.InOut(value)),
    "a struct": lambda p, value: p.box.sum(value),
    "a struct in a list": lambda p, value: p.box.sums([value]),
    "memory.write": lambda p, value: p.box.memory.write(int(p.room), value),
    "memory[a:b]": lambda p, value: p.slice(value),
    "memory of a heap": lambda p, value: p.box.memory.write(p.block.offset, value),
    "Block.write": lambda p, value: p.block.write(value),
    "stdin": lambda p, value: read_by(p.box.module, memoryview(value)),
    "what stdin gives": lambda p, value: read_by(p.box.module, lambda size: memoryview(value)),
}


def made_of(base: Any, member: Any, **more: Any) -> Any:
    return type("Made", (base,), {**more, "_fields_": [("first", member), ("second", ctypes.c_ulong)]})


MEMBERS = {
    "void *": ctypes.c_void_p,
    "text": ctypes.c_char_p,
    "wide text": ctypes.c_wchar_p,
    "int *": ctypes.POINTER(ctypes.c_int),
    "function": ctypes.CFUNCTYPE(None),
    "object": ctypes.py_object,
    "array": ctypes.c_void_p * 1,
}
SHAPES: dict[str, Callable[[Any], Any]] = {
    "struct": lambda t: made_of(ctypes.Structure, t)(),
    "packed": lambda t: made_of(ctypes.Structure, t, _pack_=1)(),
    "union": lambda t: (made_of(ctypes.Union, t) * 2)(),
    "union in a struct": lambda t: made_of(ctypes.Structure, made_of(ctypes.Union, t))(),
    "inherited": lambda t: type("More", (made_of(ctypes.Structure, t, _pack_=1),), {"_fields_": []})(),
    "array": lambda t: (t * 2)(),
    "view": lambda t: memoryview((made_of(ctypes.Union, t) * 2)()),
    "view as bytes": lambda t: memoryview((made_of(ctypes.Union, t) * 2)()).cast("B"),
}


@pytest.mark.parametrize("way", WAYS)
def test_host_pointers_stay_where_they_are(place: Place, way: str) -> None:
    plain = memoryview((made_of(ctypes.Union, ctypes.c_ulong) * 2)())
    for shape, make in SHAPES.items():
        WAYS[way](place, plain)  # what looks alike, and has none, makes nobody believe the next
        for member, ctype in MEMBERS.items():
            value = make(ctype)
            before = bytes(value)
            with pytest.raises(TypeError, match="Python objects or host pointers"):
                WAYS[way](place, value)
            assert bytes(value) == before, (shape, member)
    for objects in (np.array([1, 2], object), np.array([(1, 2)], [("n", "u8"), ("o", object)])):
        with pytest.raises(TypeError, match="Python objects or host pointers"):
            WAYS[way](place, objects)


PLAIN: dict[str, Any] = {
    "union": (made_of(ctypes.Union, ctypes.c_double) * 2)(),
    "packed": made_of(ctypes.Structure, ctypes.c_ulong, _pack_=1)(),
    "names": type(
        "Zz", (ctypes.Structure,), {"_fields_": [("POzZ", ctypes.c_ulong), ("X", ctypes.c_double)]}
    )(),
    "complex": np.zeros(1, np.complex128),
    "record": np.zeros(1, [("Z", "c8"), ("P", "u8")]),
    "bytes": bytearray(16),
    "array in the sandbox": None,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", PLAIN)
def test_all_else_enters(place: Place, way: str, kind: str) -> None:
    WAYS[way](place, place.box.array(16) if PLAIN[kind] is None else PLAIN[kind])


def test_times_have_no_view_and_are_written(place: Place) -> None:
    times = np.array(["2026-11-30"], "datetime64[s]")
    place.block.write(times)
    assert place.block.read(0, 8) == times.tobytes()


def test_who_has_no_ctypes_has_none_of_its_objects(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ctypes")
    place.box.memory.write(int(place.room), memoryview(io.BytesIO(b"text").getbuffer()))
    assert place.room.string() == b"text"


HUGE = (2**31, 2**40, 2**63 - 1, 2**63, 2**64, 2**200)


@pytest.mark.parametrize("size", HUGE)
def test_huge_sizes_are_no_memory_wherever_they_start(place: Place, size: int) -> None:
    for start in (int(place.room), place.block.offset):
        for number in (size, -size, -1):
            with pytest.raises(tmebox.BadPointer):
                place.box.memory.read(start, number)
        with pytest.raises(tmebox.BadPointer):
            place.box.memory.read(start + size, 1)
    for arguments in ((0, size), (0, -size), (size, 1), (-size, 1), (1, 256), (size, size), (-size, -size)):
        with pytest.raises(IndexError, match="of a block of 256"):
            place.block.read(*arguments)
    for start in (size, -size, 256):
        with pytest.raises(IndexError, match="of a block of 256"):
            place.block.write(b"x", start)
    assert place.block.read(250, 6) == place.block.read(250) == bytes(6)
