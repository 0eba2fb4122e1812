"""A user's function in C over columns of a table, beside NumPy, the same code unprotected, and WebAssembly.

python examples/udf.py [ROWS]: a million rows if none are given; 100,000,000 take 8 GB and a minute.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import tmebox

SOURCE = Path(__file__).with_name("udf.c")
ROUNDS = 5
BATCH = 10_000_000
"""Rows."""
Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]


def by_numpy(price: Numbers, quantity: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Numbers:
    return price * quantity * (1 - np.where(quantity > 100, 0.2, quantity * 0.002))


def best_s(act: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)


def unprotected(folder: str) -> ctypes.CDLL:
    library = Path(folder, "udf.so")
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-mcpu=x86_64",
        "-O2",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(SOURCE),
    ]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def report(name: str, seconds: float, rows: int) -> None:
    print(f"{name:34} {seconds * 1000:9.2f} ms  {seconds / rows * 1e9:6.2f} ns a row")


def main(rows: int) -> None:
    random = np.random.default_rng(1)
    price, quantity = random.random(rows) * 100, random.integers(1, 200, rows, dtype=np.int32)
    expected = by_numpy(price, quantity)
    report("NumPy", best_s(lambda: by_numpy(price, quantity)), rows)

    with tmebox.Sandbox(tmebox.compile(SOURCE), memory="1GiB", timeout=60) as box:
        by_tmebox(box, price, quantity, expected)

    out = np.zeros(rows)
    with tempfile.TemporaryDirectory() as folder:
        library = unprotected(folder)
        pointers = [ctypes.c_void_p(part.ctypes.data) for part in (price, quantity, out)]
        call = lambda: library.cost(pointers[0], pointers[1], None, pointers[2], ctypes.c_long(rows))  # noqa: E731
        report("the same code, unprotected", best_s(call), rows)
    assert np.allclose(out, expected)
    if find_spec("wasmtime") is None:
        print("wasmtime-py is not installed: no row for it")
    else:
        by_wasmtime(price, quantity, expected)


def by_tmebox(
    box: tmebox.Sandbox,
    price: Numbers,
    quantity: np.ndarray[tuple[int], np.dtype[np.int32]],
    expected: Numbers,
) -> None:
    """A sandbox has room for some columns at a time, as a database has for a batch."""
    rows = len(price)
    copying = calling = 0.0
    for start in range(0, rows, BATCH):
        part = slice(start, start + BATCH)
        begun = time.perf_counter()
        prices, quantities = box.column(price[part]), box.column(quantity[part])
        copying += time.perf_counter() - begun
        result = box.empty_column(len(prices), np.float64)
        arguments = prices.values, quantities.values, prices.validity, result.values, len(prices)
        calling += best_s(lambda arguments=arguments: box.cost(*arguments))  # type: ignore[misc]
        assert np.allclose(result.to_numpy(), expected[part])
        if start == 0 and find_spec("pyarrow") is not None:
            with_nulls = box.column(_arrow(price[part]))
            box.cost(with_nulls.values, quantities.values, with_nulls.validity, result.values, len(prices))
            assert result.to_numpy()[0] == 0 and result.to_arrow()[1].as_py() == expected[1]
            del with_nulls
        del prices, quantities, result, arguments
    report("tmebox, columns into the sandbox", copying, rows)
    report("tmebox", calling, rows)


def _arrow(price: Numbers) -> object:
    import pyarrow

    return pyarrow.array(price, mask=np.arange(len(price)) % 10 == 0)


def by_wasmtime(
    price: Numbers, quantity: np.ndarray[tuple[int], np.dtype[np.int32]], expected: Numbers
) -> None:
    """Its memory is its own, and columns are copied in and out, too."""
    import wasmtime

    price, quantity, expected = price[:BATCH], quantity[:BATCH], expected[:BATCH]
    rows = len(price)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "udf.wasm")
        options = ["-target", "wasm32-wasi", "-O2", "-msimd128", "-mexec-model=reactor", "-Wl,--export=cost"]
        subprocess.run(
            [sys.executable, "-m", "ziglang", "cc", *options, "-o", str(code), str(SOURCE)], check=True
        )
        engine = wasmtime.Engine()
        store = wasmtime.Store(engine)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        store.set_wasi(wasmtime.WasiConfig())
        instance = linker.instantiate(store, wasmtime.Module.from_file(engine, str(code)))
    memory, cost = instance.exports(store)["memory"], instance.exports(store)["cost"]
    places, end = [], memory.data_len(store)
    for part in (price, quantity, expected):
        places.append(end)
        end += -(-part.nbytes // 65536) * 65536
    memory.grow(store, (end - memory.data_len(store)) // 65536)
    start = time.perf_counter()
    for place, part in zip(places[:2], (price, quantity), strict=True):
        memory.write(store, memoryview(part).cast("B"), place)
    report("wasmtime-py, columns into it", time.perf_counter() - start, rows)
    report("wasmtime-py", best_s(lambda: cost(store, places[0], places[1], 0, places[2], rows)), rows)
    result = np.frombuffer(memory.read(store, places[2], places[2] + 8 * rows), np.float64)
    assert np.allclose(result, expected)


if __name__ == "__main__":
    main(int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000)
