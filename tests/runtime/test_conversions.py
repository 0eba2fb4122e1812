"""What Python values become C arguments: buffers by their items, memory that is shared, numbers of NumPy, and
what is refused where C would not convert without a diagnostic."""

from __future__ import annotations

import array
import ctypes
import decimal
import mmap
from typing import Any

import numpy as np
import pytest

import tmebox

SOURCE = r"""
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>
struct point { double x, y; };
struct mixed { int n; float f; char name[4]; };
struct flags { unsigned a : 3; int b : 5; bool c : 1; unsigned d : 23; };
struct tv { union { double n; void *p; } v; int t; };
struct anonymous { struct { int deep; } inner; union { int u; float f; }; };
typedef char text; typedef const unsigned char byte; enum color { RED, GREEN };

int sum(const int *v, int n) { int s = 0; for (int i = 0; i < n; i++) s += v[i]; return s; }
unsigned usum(const unsigned *v, int n) { unsigned s = 0; for (int i = 0; i < n; i++) s += v[i]; return s; }
double mean(const double *v, int n) { return n ? v[0] : 0; }
int colors(const enum color *v) { return v[0]; }
int wide(const wchar_t *v) { return v[0]; }
int on(const bool *v) { return v[0]; }
long first(byte *v) { return v[0]; }
long any(const void *v) { return *(const unsigned char *)v; }
long pointers(void **v) { return (long)v[0]; }
double complex_sum(const double _Complex *v, int n)
{ double s = 0; while (n--) s += __real__ v[n] + __imag__ v[n]; return s; }
double xs(const struct point *p, int n) { double s = 0; for (int i = 0; i < n; i++) s += p[i].x; return s; }
double mixed(const struct mixed *p) { return p->n + p->f + p->name[0]; }
void nudge(struct point *p, struct point *q) { p->x += 1; q->y += p->x; }
const text *said(void) { return "said"; }
void addinto(double *to, double *from, int n) { for (int i = 0; i < n; i++) to[i] += from[i]; }
void blend(float *out, const float *a, const float *b, int n)
{ for (int i = 0; i < n; i++) out[i] = a[i] + b[i]; }
void shift(unsigned char *to, unsigned char *from, int n) { __builtin_memmove(to, from, n); }
long apart(const char *a, const char *b) { return b - a; }
double dsum(int n, ...)
{ va_list l; va_start(l, n); double s = 0; while (n--) s += va_arg(l, double); va_end(l); return s; }
int isum(int n, ...)
{ va_list l; va_start(l, n); int s = 0; while (n--) s += va_arg(l, int); va_end(l); return s; }
float half(float v) { return v / 2; }
long double add_long(long double a, int b);
double through(long double a) { return a + 1; }
struct flags pack(int a, int b) { return (struct flags){a, b, 1, a + 10}; }
int unpack(struct flags f) { return f.a + 10 * f.b + 1000 * f.c + 10000 * f.d; }
struct tv make(double d) { return (struct tv){{d}, 1}; }
double get(struct tv v) { return v.v.n; }
int members(struct anonymous a) { return a.inner.deep * 10 + a.u; }
struct anonymous named(int u) { return (struct anonymous){{1}, {u}}; }
int flag(bool b) { return b; }
void *same(void *p) { return p; }
int mutable(char *t) { return t[0]; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def box(module: tmebox.Module) -> Any:
    with tmebox.Sandbox(module) as sandbox:
        yield sandbox


# -- buffers by their items ------------------------------------------------------------------------------
def given_buffers() -> dict[str, tuple[str, Any]]:
    """Function and buffer that it must not take: as they are, and in the sandbox's own memory."""
    return {
        "byte order": ("sum", np.array([1, 2, 3], ">i4")),
        "byte order of fields": ("xs", np.zeros(2, [("x", ">f8"), ("y", ">f8")])),
        "array.array of floats": ("sum", array.array("f", [1, 2, 3])),
        "array.array of bytes": ("sum", array.array("B", bytes(12))),
        "floats for int": ("sum", np.ones(3, np.float32)),
        "unsigned for int": ("sum", np.ones(3, np.uint32)),
        "int for unsigned": ("usum", np.ones(3, np.int32)),
        "long for int": ("sum", np.ones(3, np.int64)),
        "float for double": ("mean", np.ones(3, np.float32)),
        "integers for double": ("mean", np.ones(3, np.int64)),
        "memoryview of long": ("mean", memoryview(np.ones(3, np.int64))),  # type: ignore[arg-type]
        "integers for bool": ("on", np.ones(3, np.uint8)),
        "bool for integers": ("colors", np.ones(4, bool)),
        "ctypes floats": ("sum", (ctypes.c_float * 3)(1, 2, 3)),
        "host pointers": ("pointers", (ctypes.c_void_p * 1)(1)),
        "host pointers for void *": ("any", (ctypes.c_void_p * 1)(1)),
        "objects": ("any", np.array([object()])),
        "other fields": ("xs", np.zeros(2, [("x", "f4"), ("y", "f4"), ("z", "f8")])),
        "half a struct": ("xs", np.zeros((2, 3), np.float32)),
        "doubles for a mixed struct": ("mixed", np.zeros(3, np.float32)),
        "floats for complex": ("complex_sum", np.zeros(4)),
        "32-bit offsets": ("pointers", np.zeros(2, np.uint32)),
    }


@pytest.mark.parametrize("name", given_buffers())
def test_buffers_of_other_items_are_refused_by_name(box: Any, name: str) -> None:
    function, value = given_buffers()[name]
    rest = [] if function in ("on", "colors", "any", "pointers", "mixed") else [1]
    with pytest.raises(
        TypeError, match=r"argument 1 \(.*\): (expected items of|the .* holds Python objects or)"
    ):
        getattr(box, function)(value, *rest)
    dtype = getattr(value, "dtype", None)
    if dtype is not None and not dtype.hasobject:
        inside = box.array(value.shape, dtype)  # the core must not let pass what lies in the sandbox
        with pytest.raises(TypeError, match="expected items of"):
            getattr(box, function)(inside, *rest)


def test_buffers_of_the_right_items_are_taken(box: Any) -> None:
    assert box.sum(np.array([1, 2, 3], np.int32), 3) == 6
    assert box.sum(array.array("i", [1, 2]), 2) == 3
    assert box.sum((ctypes.c_int * 2)(4, 5), 2) == 9
    assert box.sum(memoryview(array.array("i", [1, 2])), 2) == 3
    assert box.usum(np.array([1, 2], np.uint32), 2) == 3
    assert box.colors(np.array([1], np.int32)) == box.colors(np.array([1], np.uint32)) == 1
    assert box.wide(array.array("i", [97])) == 97
    assert box.on(np.array([True])) == 1
    assert box.complex_sum(np.array([1 + 2j, 3]), 2) == 6
    assert box.xs(np.ones((2, 2)), 2) == 2
    assert box.xs(np.array([(1, 2), (3, 4)], [("x", "f8"), ("y", "f8")]), 2) == 4
    assert box.mixed(np.array([(1, 2.5, b"a")], [("n", "i4"), ("f", "f4"), ("name", "S4")])) == 100.5
    assert box.pointers(np.array([7], np.uint64)) == 7
    inside = box.array(3, np.int32)
    inside[:] = 5
    assert box.sum(inside, 3) == 15


def test_bytes_pass_for_anything_of_which_they_hold_a_whole_number(box: Any) -> None:
    data = np.array([1, 2], np.int32).tobytes()
    with mmap.mmap(-1, mmap.PAGESIZE) as mapped:
        mapped[: len(data)] = data
        for raw in (data, bytearray(data), memoryview(data), mapped):
            assert box.sum(raw, 2) == 3
    with pytest.raises(ValueError, match="6 bytes are not a whole number of int"):
        box.sum(data[:6], 1)
    with pytest.raises(ValueError, match="not a whole number of struct point"):
        box.xs(b"short", 1)
    with pytest.raises(ValueError, match="no bytes"):
        box.xs(b"", 1)
    assert box.first(np.array([258], ">u2")) == 1
    assert box.first(b"a") == box.first("a") == box.any("a") == 97


@pytest.mark.parametrize("function", ["sum", "mean", "wide", "xs", "mixed", "on"])
def test_texts_are_for_characters_only(box: Any, function: str) -> None:
    with pytest.raises(
        TypeError, match=r"argument 1 \(const .*got str; texts are passed for pointers to char"
    ):
        getattr(box, function)("abcdefgh", *([1] if function in ("sum", "mean", "xs") else []))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (range(3), "got range; make an array"),
        ((1.0, 2.0), "got tuple; make an array"),
        (lambda: 0, "got function; a Python function cannot be called through a pointer"),
        (1.5, "got float; only buffers"),
        (np.float64(1), "got float64; one value is passed as an array of one"),
        (True, "got bool"),
        (np.bool_(True), "got bool"),
        (np.ones((4, 4)).T[1:], "expected a C-contiguous buffer.*ascontiguousarray"),
        (np.array(["2020"], "M8[D]"), "its items have no C type"),
    ],
)
def test_what_is_no_pointer_is_told_what_would_do(box: Any, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"argument 1 \(const double \*v\).*{message}"):
        box.mean(value, 1)


# -- memory that parameters share ------------------------------------------------------------------------
def test_the_same_memory_twice_is_one_memory(box: Any) -> None:
    x = np.array([1.0, 2, 3])
    box.addinto(x, x, 3)
    assert x.tolist() == [2, 4, 6]
    a, b = np.array([1, 2, 3], np.float32), np.array([10, 20, 30], np.float32)
    box.blend(a, a, b, 3)
    assert a.tolist() == [11, 22, 33]
    a[:] = [1, 2, 3]
    box.blend(tmebox.InOut(a), a, a, 3)
    assert a.tolist() == [2, 4, 6]


@pytest.mark.parametrize("to", range(4))
@pytest.mark.parametrize("start", range(4))
def test_overlapping_memory_overlaps_inside(box: Any, to: int, start: int) -> None:
    data, expected = np.arange(16, dtype=np.uint8), np.arange(16, dtype=np.uint8)
    box.shift(data[to : to + 8], data[start : start + 8], 8)
    expected[to : to + 8] = expected[start : start + 8].copy()
    assert data.tolist() == expected.tolist()
    assert box.apart(data[to:], data[start:]) == start - to


def test_copies_that_share_keep_the_alignment_of_the_host(box: Any) -> None:
    data = bytearray(256)
    raw = np.frombuffer(data, np.uint8)
    inside = [box.same(raw[start:]) % 8 for start in range(8)]
    assert set(inside) == {0}  # alone, each copy is aligned
    start = (-raw.ctypes.data) % 8 + 1
    assert box.apart(raw[start:], raw[start + 7 :]) == 7


def test_a_copy_that_was_asked_for_is_one(box: Any) -> None:
    x = np.array([1.0, 2, 3])
    box.addinto(x, tmebox.In(x), 3)
    assert x.tolist() == [2, 4, 6]
    x[:] = [1, 2, 3]
    with pytest.raises(
        ValueError, match=r"argument 1 .*Out\(\.\.\.\) is zeroed first, but shares memory with arg"
    ):
        box.addinto(tmebox.Out(x), x, 3)


def test_a_dict_that_is_passed_twice_is_one_struct(box: Any) -> None:
    point = {"x": 1.0, "y": 2.0}
    box.nudge(point, point)
    assert point == {"x": 2.0, "y": 4.0}


def test_a_buffer_cannot_be_resized_while_it_is_passed(box: Any) -> None:
    data = bytearray(8)

    class Shrinks:
        def __index__(self) -> int:
            data.clear()
            return 1

    with pytest.raises(BufferError):
        box.mean(data, Shrinks())
    data.append(1)  # and it is free again


# -- numbers ---------------------------------------------------------------------------------------------
def test_integers_of_numpy_are_offsets_and_sizes(box: Any) -> None:
    inside = box.array((np.uint32(480), np.uint32(1 << 10), np.int8(3)))
    assert inside.shape == (480, 1024, 3)
    assert box.array(np.int64(5)).shape == (5,)
    offset = box.same(inside)
    assert box.same(np.uint64(offset)) == box.same(np.int64(offset)) == offset
    box.memory.write(np.int64(offset), b"hello\0")
    assert box.memory.read(np.uint32(offset), np.int8(5)) == b"hello"
    assert box.memory.string(np.int64(offset)) == b"hello"
    assert bytes(box.memory.view(np.int64(offset), np.int16(5))) == b"hello"
    assert box.memory[np.int64(offset) : np.int64(offset + 5)] == b"hello"
    assert box.call_raw("same", np.int64(5)) == 5
    with pytest.raises(TypeError, match="a shape is"):
        box.array(2.5)
    with pytest.raises(TypeError):
        box.memory.read(float(offset), 5)
    with pytest.raises(ValueError, match="negative"):
        box.array((-2, -2))


def test_sizes_of_sandboxes_may_be_integers_of_numpy(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, memory=np.int32(1 << 24), stack=np.int64(1 << 20)) as sandbox:
        assert sandbox.flag(True) == 1


def test_numbers_behind_the_dots_are_promoted(box: Any) -> None:
    assert box.dsum(2, np.float32(1.5), np.float64(2.5)) == 4
    assert box.dsum(1, np.float16(0.5)) == 0.5
    assert box.isum(4, np.int32(1), np.int64(2), np.uint8(3), True) == 7
    for value in (1j, np.longdouble(1), {"x": 1}, np.complex64(1)):
        with pytest.raises(TypeError, match="argument 2"):
            box.dsum(1, value)


def test_floats_are_numbers_and_fit(box: Any) -> None:
    assert box.half(decimal.Decimal("1.5")) == 0.75
    assert box.half(v=np.float32(3)) == box.half(3) == 1.5
    assert box.half(float("inf")) == float("inf")
    for value in ("1", b"1", bytearray(b"1"), np.ones(1), 1j, None):
        with pytest.raises(TypeError, match=r"argument 1 \(float v\): expected a float"):
            box.half(value)
    for value in (1e300, 10**400):
        with pytest.raises(OverflowError, match=r"argument 1 \(float v\): .*does not fit float"):
            box.half(value)


def test_bools_are_bools(box: Any) -> None:
    assert [box.flag(v) for v in (True, False, 1, 0, np.bool_(True), np.int8(1))] == [1, 0, 1, 0, 1, 1]
    value: Any
    for value in (2, "yes", b"", None, [], 1.0):
        with pytest.raises(TypeError, match=r"argument 1 \(bool b\): expected a bool"):
            box.flag(value)


def test_a_long_double_keeps_what_a_double_has_not(box: Any) -> None:
    assert box.through(1.5) == 2.5
    assert box.through(np.longdouble(2) ** -64) == 1 + 2**-64
    with pytest.raises(TypeError, match=r"through\(\) takes|expected a float"):
        box.through("1")


# -- structs ---------------------------------------------------------------------------------------------
def test_bit_fields_have_names_and_ranges(box: Any) -> None:
    flags = box.pack(5, -3)
    assert (flags.a, flags.b, flags.c, flags.d) == (5, -3, True, 15)
    assert box.unpack(flags) == box.unpack((5, -3, True, 15)) == 5 - 30 + 1000 + 150000
    for value in ({"a": 8}, {"b": 16}, {"b": -17}, {"d": -1}):
        with pytest.raises(OverflowError, match=r"argument 1 \(struct flags f\)\.[abd]: .*does not fit"):
            box.unpack(value)
    with pytest.raises(TypeError, match=r"\.c: expected a bool"):
        box.unpack({"c": "x"})


def test_what_a_function_returns_can_be_passed_back(box: Any) -> None:
    made = box.make(2.5)
    assert box.get(made) == 2.5
    assert box.get(made._replace(t=3)) == 2.5
    assert box.get({"v": {"n": 1.5}, "t": 1}) == box.get(((1.5,), 1)) == 1.5
    with pytest.raises(TypeError, match="is a union: give one of its members"):
        box.get({"v": {"n": 1.5, "p": 1}, "t": 1})
    with pytest.raises(TypeError, match="is a union: give the member that is meant"):
        box.get(((1.5, 0), 1))


def test_members_of_anonymous_members_have_their_names(box: Any) -> None:
    assert box.members({"inner": (1,), "u": 2}) == box.members({"inner": {"deep": 1}, "u": 2}) == 12
    assert box.named(7).u == 7
    with pytest.raises(TypeError, match=r"no field 'v' \(fields: inner, u, f\)"):
        box.members({"inner": (1,), "v": 2})
    with pytest.raises(AttributeError, match="no attribute 'v'"):
        _ = box.named(7).v


def test_a_typedef_of_char_is_text_in_results(box: Any) -> None:
    assert box.said() == "said"


def test_a_typedef_of_const_takes_bytes(box: Any) -> None:
    assert box.first(b"abc") == 97
    with pytest.raises(TypeError, match="is not const"):
        box.mutable(b"abc")


def test_a_function_shows_its_name_and_address(box: Any) -> None:
    address = box.module.address_of("sum")
    assert repr(box.sum) == f"<sandboxed function sum at {address:#x}>"


V8 = "typedef float v8 __attribute__((vector_size(32)));"


# -- what cannot be passed -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("int f(_BitInt(37) a) { return a; }", "does not have its width"),
        ("_BitInt(9) f(int a) { return a; }", "does not have its width"),
        ("struct s { _BitInt(9) v; }; int f(struct s a) { return a.v; }", "does not have its width"),
        (f"{V8} float f(v8 a) {{ return a[0]; }}", "depends on the compiler's options"),
        (f"{V8} struct s {{ v8 v; }}; int f(struct s a) {{ return 0; }}", "depends on the compiler"),
        ("typedef long v1 __attribute__((vector_size(8))); int f(v1 a) { return 0; }", "compilers differ"),
        ("int f(__float128 a) { return 0; }", "__float128 is a type that"),
        ("int f(long double _Complex a) { return 0; }", "does not tell long double from __float128"),
        ("int f(_Complex int a) { return 0; }", "not converted to"),
        ("struct s { _Alignas(32) long v; }; int f(struct s a) { return 0; }", "aligned to 32"),
        ("struct s { char v[100000]; }; int f(struct s a) { return 0; }", "100,000 bytes"),
        ("__attribute__((ms_abi)) int f(int a) { return a; }", "calling convention ms_abi"),
        ("__attribute__((preserve_none)) int f(int a) { return a; }", "calling convention preserve_none"),
    ],
)  # fmt: skip
def test_what_cannot_be_passed_is_refused_with_the_reason(source: str, reason: str) -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=source, flags=("-w",))) as sandbox:
        function = sandbox.f  # that it exists can be seen
        with pytest.raises(TypeError, match=rf"f\(\) cannot be called from Python: .*{reason}"):
            function(1)


def test_a_hostile_prototype_takes_no_time() -> None:
    from tmebox.modulefile import prototypes as p
    from tmebox.runtime.calls.classes import Unpassable, argument, result
    from tmebox.runtime.calls.values import unpack

    empty = p.Struct("struct e", 0, 1)
    for _ in range(20):
        empty = p.Struct("struct e", 0, 1, (p.StructField("a", 0, p.Array(empty, (1 << 31) - 1)),))
    assert argument(empty).is_nothing
    assert len(unpack(empty, b"").a) <= 1024
    huge = p.Struct("struct h", 1 << 30, 1, (p.StructField("a", 0, p.Array(p.Bool(), 1 << 30)),))
    for way in (argument, result):
        with pytest.raises(Unpassable, match="bytes"):
            way(huge)
