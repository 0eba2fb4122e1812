"""The columns of the CPU benchmark: ways to run a program, each with the native column it is compared to."""

from __future__ import annotations

from dataclasses import dataclass

O2 = ("-O2",)
O3_V3 = ("-O3", "-march=x86-64-v3")


@dataclass(frozen=True)
class Column:
    """kind: "native", "sandbox", "wasm" or "wasm2c". options: of the compiler, first the -O level.
    baseline: key of the native column whose times and outputs this one's are compared to (its own, if it is
    native). base, isolation: as `tmebox cc` has them. compiler: of a native column, of COMPILERS.
    """

    key: str
    label: str
    kind: str
    options: tuple[str, ...]
    baseline: str
    base: str = ""
    isolation: str = ""
    compiler: str = "clang"


COLUMNS = (
    Column("native", "native -O2", "native", O2, "native"),
    Column("native-v3", "native -O3 v3", "native", O3_V3, "native-v3"),
    Column("native-gcc", "native gcc -O2", "native", O2, "native-gcc", compiler="gcc"),
    Column("gs-data", "gs data", "sandbox", O2, "native", "gs", "data"),
    Column("gs-code", "gs code+data", "sandbox", O2, "native", "gs", "code+data"),
    Column("gs-data-v3", "gs data -O3 v3", "sandbox", O3_V3, "native-v3", "gs", "data"),
    Column("gs-code-v3", "gs code+data -O3 v3", "sandbox", O3_V3, "native-v3", "gs", "code+data"),
    Column("r15-data", "r15 data", "sandbox", O2, "native-gcc", "r15", "data"),
    Column("r15-code", "r15 code+data", "sandbox", O2, "native-gcc", "r15", "code+data"),
    Column("wasmtime", "wasmtime", "wasm", O2, "native"),
    Column("wasm2c", "wasm2c", "wasm2c", O2, "native"),
)
"""v3 is -march=x86-64-v3. Each column is built by its baseline's compiler: clang, and for r15, where the
compiler must keep registers free, gcc."""

BY_KEY = {column.key: column for column in COLUMNS}


def choose(keys: str | None) -> tuple[Column, ...]:
    """Columns by comma-separated keys, and the native ones they need; None: all. Raises ValueError."""
    if keys is None:
        return COLUMNS
    wanted = {key.strip() for key in keys.split(",") if key.strip()}
    unknown = sorted(wanted - BY_KEY.keys())
    if unknown or not wanted:
        raise ValueError(f"no column {', '.join(unknown) or keys!r}: there are {', '.join(BY_KEY)}")
    wanted |= {BY_KEY[key].baseline for key in wanted}
    return tuple(column for column in COLUMNS if column.key in wanted)
