"""`tmebox bench boxes`: calls, callbacks and throughput of boxed libraries, beside other ways to call."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tmebox.errors import TmeboxError
from tmebox_bench.boxes import builds, faces, pictures
from tmebox_bench.boxes.faces import Face, Timed
from tmebox_bench.machine import machine
from tmebox_bench.statistics import Spread, ratios, spread
from tmebox_bench.tables import Table
from tmebox_bench.variants import MissingError

ROUNDS = 9
ROUND_S = 0.05
"""A round of one way takes about that long, or one call."""
EVENTS = 2000
UNPACKED = 16 << 20
Progress = Callable[[str, int, int], None]
WASM = (
    "-target", "wasm32-wasi", "-mexec-model=reactor", "-Wl,--export=malloc", "-Wl,--import-table",
    "-D_WASI_EMULATED_GETPID", "-lwasi-emulated-getpid",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What is done and by whom. seconds: of one (a call, an event, a picture), round by round. ratio: to
    cffi's, side by side; None for cffi itself. lines: of the user's code."""

    task: str
    way: str
    lines: int
    seconds: Spread
    ratio: Spread | None


@dataclass
class BoxResults:
    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """data: made once, of the native library. each: how many of what is counted one run does."""

    name: str
    library: str
    ways: dict[str, Face]
    data: Callable[[Path], Any]
    each: int = 1
    wasm_exports: tuple[str, ...] = ()


def _document(_: Path) -> bytes:
    return b"<r>" + b"<item key='value'>text</item>" * (EVENTS - 1) + b"</r>"


def _packed(library: Path) -> tuple[bytes, int]:
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("int LZ4_compress_default(const char *src, char *dst, int srcSize, int dstCapacity);")
    words = np.random.default_rng(2).integers(0, 256, (500, 12), np.uint8)
    text = words[np.random.default_rng(3).integers(0, 500, UNPACKED // 12 + 1)].tobytes()[:UNPACKED]
    out = ffi.new("char[]", 2 * UNPACKED)
    size = ffi.dlopen(str(library)).LZ4_compress_default(text, out, UNPACKED, 2 * UNPACKED)
    return bytes(ffi.buffer(out, size)), UNPACKED


TASKS = {
    "call": Task(
        "a call without arguments", "zlib",
        {"cffi": faces.number_cffi, "tmebox": faces.number_boxed, "wasmtime-py": faces.number_wasmtime},
        lambda _: None, wasm_exports=("zlibCompileFlags",),
    ),
    "checksum": Task(
        "a call with 16 bytes", "zlib",
        {"cffi": faces.checksum_cffi, "tmebox": faces.checksum_boxed, "wasmtime-py": faces.checksum_wasmtime},
        lambda _: faces.TEXT, wasm_exports=("adler32",),
    ),
    "events": Task(
        "an event of expat, with its name", "expat",
        {
            "cffi": faces.events_cffi,
            "tmebox": faces.events_boxed,
            "pyexpat": faces.events_pyexpat,
            "wasmtime-py": faces.events_wasmtime,
        },
        _document, each=EVENTS,
        wasm_exports=(
            "XML_ParserCreate", "XML_SetStartElementHandler", "XML_Parse", "XML_ParserFree",
        ),
    ),
    "unpack": Task(
        "16 MiB of LZ4", "lz4",
        {
            "cffi": faces.unpack_cffi,
            "tmebox, no copies": faces.unpack_in_place,
            "tmebox, bytes": faces.unpack_copying,
            "wasmtime-py": faces.unpack_wasmtime,
        },
        _packed, wasm_exports=("LZ4_decompress_safe",),
    ),
    "png": Task(
        "a PNG of 12 MP", "libpng", {"cffi": faces.png_cffi, "tmebox": faces.png_boxed}, pictures.png
    ),
    "jpeg": Task(
        "a JPEG of 12 MP", "libjpeg", {"cffi": faces.jpeg_cffi, "tmebox": faces.jpeg_boxed}, pictures.jpeg
    ),
}  # fmt: skip


def bench_boxes(
    names: Sequence[str], directory: Path, *, rounds: int = ROUNDS, progress: Progress | None = None
) -> BoxResults:
    """directory: where libraries are built, and found again. What cannot be had here is missing."""
    show: Progress = progress or (lambda step, done, total: None)
    results = BoxResults(machine())
    for done, name in enumerate(names or TASKS):
        show(name, done, len(names or TASKS))
        try:
            _measure(TASKS[name], directory, rounds, results)
        except (MissingError, TmeboxError, ImportError, OSError) as error:
            results.missing.append(f"{name}: {error}")
    return results


def _measure(task: Task, directory: Path, rounds: int, results: BoxResults) -> None:
    library = builds.native(task.library, directory)
    data = task.data(library)
    ready: dict[str, Timed] = {}
    for way, face in task.ways.items():
        try:
            ready[way] = face(_library(task, way, directory), data)
        except (MissingError, ImportError) as error:
            results.missing.append(f"{task.name} by {way}: {error}")
    answers = {way: np.array(timed()) for way, timed in ready.items()}
    for way, answer in answers.items():
        if not np.array_equal(answer, answers["cffi"]):
            raise MissingError(f"{way} gives another result than cffi")
    calls = {way: _calls_of(timed) for way, timed in ready.items()}
    samples: dict[str, list[float]] = {way: [] for way in ready}
    for number in range(rounds):
        order = list(ready) if number % 2 else list(ready)[::-1]
        for way in order:
            samples[way].append(_seconds(ready[way], calls[way]) / task.each)
    for way in ready:
        ratio = None if way == "cffi" else ratios(samples[way], samples["cffi"])
        lines = _lines(task.ways[way])
        results.rows.append(Row(task.name, way, lines, spread(samples[way]), ratio))


def _library(task: Task, way: str, directory: Path) -> Any:
    if way.startswith("tmebox"):
        return builds.boxed(task.library, directory)
    if way == "wasmtime-py":
        exports = [f"-Wl,--export={name}" for name in task.wasm_exports]
        place = directory / "-".join(["wasm", *task.wasm_exports])
        place.mkdir(exist_ok=True)
        return builds.native(task.library, place, *WASM, *exports)
    return builds.native(task.library, directory)


def _calls_of(timed: Timed) -> int:
    return max(1, int(ROUND_S / max(_seconds(timed, 3), 1e-9)))


def _seconds(timed: Timed, calls: int) -> float:
    """Of one call."""
    turns = range(calls)
    start = time.perf_counter_ns()
    for _ in turns:
        timed()
    return (time.perf_counter_ns() - start) / 1e9 / calls


def _lines(face: Face) -> int:
    """Of the function's body, without what is empty."""
    return sum(1 for line in inspect.getsource(face).splitlines()[1:] if line.strip())


def boxes_table(results: BoxResults) -> Table:
    rows = [
        (row.task, row.way, str(row.lines), _time(row.seconds.median), _ratio(row.ratio))
        for row in results.rows
    ]
    return Table(("what", "by", "lines", "median", "of cffi's"), tuple(rows))


def _time(seconds: float) -> str:
    for unit, scale in (("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _ratio(ratio: Spread | None) -> str:
    return "1" if ratio is None else f"{ratio.median:.3g} ({ratio.min:.3g} to {ratio.max:.3g})"


def to_json(results: BoxResults) -> str:
    """The fields of BoxResults, with "schema": 1."""
    return json.dumps({"schema": 1, **asdict(results)}, indent=1) + "\n"
