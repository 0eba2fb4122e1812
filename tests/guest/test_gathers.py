"""AVX2's gathers, which the sandbox's headers make of single loads, load what the processor's would."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tmebox
import tmebox.toolchain

HEADER = Path(tmebox.toolchain.__file__).with_name("include") / "avx2intrin.h"
ROW = re.compile(r"^TMEBOX_GATHER\((\w+), (\w+), (\w+), (\w+), \w+, (\d), (\w+), (\w+)\)$", re.MULTILINE)
GATHERS = ROW.findall(HEADER.read_text())
TYPES = {"double": "f8", "float": "f4", "long": "i8", "int": "i4"}


def function(row: tuple[str, ...]) -> str:
    plain, masked, result, item, _, index, _ = row
    given = f"{index} i; __builtin_memcpy(&i, index, sizeof i); {result} r"
    take = "__builtin_memcpy(out, &r, sizeof r);"
    return (
        f'__attribute__((target("avx2"))) void {plain[1:]}(void *out, const {item} *t, const void *index)'
        f"{{ {given} = {plain}((void *)t, i, sizeof *t); {take} }}\n"
        f'__attribute__((target("avx2"))) void {masked[1:]}(void *out, const {item} *t, const void *index,'
        f"const void *from, const void *mask) {{ {given}, s, m; __builtin_memcpy(&s, from, sizeof s);"
        f"__builtin_memcpy(&m, mask, sizeof m); r = {masked}(s, (void *)t, i, m, sizeof *t); {take} }}\n"
    )


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def module(request: pytest.FixtureRequest) -> tmebox.Module:
    return tmebox.compile(
        source_text="#include <immintrin.h>\n" + "".join(map(function, GATHERS)), optimize=request.param
    )


def test_there_are_all_of_them() -> None:
    assert len({row[0] for row in GATHERS}) == len({row[1] for row in GATHERS}) == 16


def test_gathers_load_what_their_indices_and_masks_say(module: tmebox.Module) -> None:
    random = np.random.default_rng(20)
    with tmebox.Sandbox(module) as sandbox:
        for plain, masked, result, item, count, index, offset in GATHERS:
            size = 32 if "256" in result else 16
            dtype, places_type = np.dtype(TYPES[item]), np.dtype(TYPES[offset])
            table = random.integers(-1000, 1000, 100).astype(dtype)
            places = random.integers(-50, 50, (32 if "256" in index else 16) // places_type.itemsize)
            places = places.astype(places_type)
            lanes, used = size // dtype.itemsize, int(count)
            source = random.integers(-9, 9, lanes).astype(dtype)
            mask = np.where(random.integers(0, 2, lanes) == 1, -1, 1).astype(dtype)
            middle = sandbox.array(100, dtype)
            middle[:] = table
            out = sandbox.array(lanes, dtype)
            expected = np.zeros(lanes, dtype)
            expected[:used] = table[50 + places[:used]]
            begin = middle[50:]
            sandbox.call(plain[1:], out, begin, places)
            assert out.tolist() == expected.tolist(), plain
            expected[:used] = np.where(mask[:used] < 0, expected[:used], source[:used])
            sandbox.call(masked[1:], out, begin, places, source, mask)
            assert out.tolist() == expected.tolist(), masked
