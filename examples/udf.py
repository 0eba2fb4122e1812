"""A user's function in C over columns of a table, beside NumPy, the same code unprotected, and WebAssembly.

python examples/udf.py [ROWS]: a million rows if none are given, at most 100,000,000, all at once: these take
7 GB and a minute.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tmebox

SOURCE = Path(__file__).with_name("udf.c")
ROUNDS = 5
MOST_ROWS = 100_000_000
"""Of three columns, 20 bytes a row: a window has 2 GiB for a shared heap."""
CHUNK = 1_000_000
COPIED = 10_000_000
Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int32]


def by_numpy(price: Numbers, quantity: Counts) -> Numbers:
    return price * quantity * (1 - np.where(quantity > 100, 0.2, quantity * 0.002))


def best_s(act: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)


def report(name: str, seconds: float, rows: int) -> None:
    print(f"{name:36} {seconds * 1000:9.2f} ms  {seconds / rows * 1e9:6.2f} ns a row", flush=True)


def main(rows: int) -> None:
    if not 1 <= rows <= MOST_ROWS:
        sys.exit(f"{rows:,} rows: write 1 to {MOST_ROWS:,}; more of them go in batches")
    module = tmebox.compile(SOURCE)
    size = 24 * rows + (64 << 20) if rows < 80_000_000 else "2046MiB"
    with tmebox.SharedHeap(size) as heap, tmebox.Sandbox(module, heap=heap, timeout=60) as box:
        price, result = (heap.array(rows, np.float64, owner=box) for _ in range(2))
        quantity = heap.array(rows, np.int32, owner=box)
        fill(price, quantity)
        report("NumPy", best_s(lambda: by_numpy(price, quantity)), rows)
        expected = by_numpy(price, quantity)
        by_tmebox(box, price, quantity, result)
        assert np.array_equal(result, expected)
        copied(box, price, quantity, expected)
        result[:] = 0
        by_cffi(price, quantity, result)
        assert np.array_equal(result, expected)
        by_wasmtime(price, quantity, expected)


def fill(price: Numbers, quantity: Counts) -> None:
    random = np.random.default_rng(1)
    for start in range(0, len(price), CHUNK):
        part = slice(start, start + CHUNK)
        size = len(price[part])
        price[part] = random.random(size) * 100
        quantity[part] = random.integers(1, 200, size, dtype=np.int32)


def by_tmebox(box: tmebox.Sandbox, price: Numbers, quantity: Counts, result: Numbers) -> None:
    """The columns arose in the shared heap, so nothing is copied."""
    prices, quantities, results = box.column(price), box.column(quantity), box.column(result)
    assert all(np.shares_memory(given.values, own) for given, own in ((prices, price), (results, result)))
    arguments = prices.values, quantities.values, prices.validity, results.values, len(price)
    report("tmebox, columns in the shared heap", best_s(lambda: box.cost(*arguments)), len(price))


def copied(box: tmebox.Sandbox, price: Numbers, quantity: Counts, expected: Numbers) -> None:
    """Columns that come from elsewhere are copied into the sandbox, once; some of Arrow's are missing."""
    price, quantity = np.array(price[:COPIED]), np.array(quantity[:COPIED])
    with tmebox.Sandbox(box.module, memory="900MiB", timeout=60) as other:
        start = time.perf_counter()
        prices, quantities = other.column(price), other.column(quantity)
        report("tmebox, two columns copied in", time.perf_counter() - start, len(price))
        result = other.empty_column(len(price), np.float64)
        other.cost(prices.values, quantities.values, prices.validity, result.values, len(price))
        assert np.array_equal(result.to_numpy(), expected[:COPIED])
        if find_spec("pyarrow") is not None:
            with_nulls = other.column(_arrow(price))
            other.cost(with_nulls.values, quantities.values, with_nulls.validity, result.values, len(price))
            assert result.to_numpy()[0] == 0 and result.to_arrow()[1].as_py() == expected[1]


def _arrow(price: Numbers) -> object:
    import pyarrow

    return pyarrow.array(price, mask=np.arange(len(price)) % 10 == 0)


def by_cffi(price: Numbers, quantity: Counts, result: Numbers) -> None:
    """The same code, by the same compiler, in the process itself: whatever it does, it may."""
    if find_spec("cffi") is None:
        print("cffi is not installed: no row for it")
        return
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("void cost(const double *, const int32_t *, const uint8_t *, double *, long);")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "udf.so")
        options = ["-target", "x86_64-linux-gnu", "-mcpu=x86_64", "-O2", "-shared", "-fPIC"]
        subprocess.run([*ZIG, *options, "-o", str(library), str(SOURCE)], check=True)
        native = ffi.dlopen(str(library))
    arguments = (
        ffi.from_buffer("double[]", price),
        ffi.from_buffer("int32_t[]", quantity),
        ffi.NULL,
        ffi.from_buffer("double[]", result),
        len(price),
    )
    report("cffi, unprotected", best_s(lambda: native.cost(*arguments)), len(price))


ZIG = (sys.executable, "-m", "ziglang", "cc")


def by_wasmtime(price: Numbers, quantity: Counts, expected: Numbers) -> None:
    """Its memory is its own: columns are copied into it, and out."""
    if find_spec("wasmtime") is None:
        print("wasmtime-py is not installed: no row for it")
        return
    import wasmtime

    rows = len(price)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "udf.wasm")
        options = ["-target", "wasm32-wasi", "-O2", "-msimd128", "-mexec-model=reactor", "-Wl,--export=cost"]
        subprocess.run([*ZIG, *options, "-o", str(code), str(SOURCE)], check=True)
        engine = wasmtime.Engine()
        store = wasmtime.Store(engine)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        store.set_wasi(wasmtime.WasiConfig())
        instance = linker.instantiate(store, wasmtime.Module.from_file(engine, str(code)))
    memory, cost = instance.exports(store)["memory"], instance.exports(store)["cost"]
    places, end = [], memory.data_len(store)
    parts: tuple[npt.NDArray[Any], ...] = (price, quantity, expected)
    for part in parts:
        places.append(end)
        end += -(-part.nbytes // 65536) * 65536
    memory.grow(store, (end - memory.data_len(store)) // 65536)
    start = time.perf_counter()
    for place, part in zip(places[:2], parts[:2], strict=True):
        memory.write(store, memoryview(part).cast("B"), place)
    report("wasmtime-py, two columns copied in", time.perf_counter() - start, rows)
    prices, quantities, results = (place - (place >> 31 << 32) for place in places)  # i32 has a sign
    report("wasmtime-py", best_s(lambda: cost(store, prices, quantities, 0, results, rows)), rows)
    begins = memory.data_ptr(store)
    result = np.ctypeslib.as_array(begins, (memory.data_len(store),))[places[2] : places[2] + 8 * rows]
    assert np.array_equal(result.view(np.float64), expected)


if __name__ == "__main__":
    main(int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000)
