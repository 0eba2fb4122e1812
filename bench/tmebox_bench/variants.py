"""Builds of a program for a column, kept in the user's cache until something they were made from changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import tmebox
from tmebox.errors import CompileError
from tmebox.modulefile import codec
from tmebox.toolchain.build import CompileOptions, compile_object, link_program
from tmebox.toolchain.libc.libc import cache_directory
from tmebox.toolchain.link.linked import Elf
from tmebox_bench import native, native_cxx, wasm, wasm2c
from tmebox_bench.columns import Column
from tmebox_bench.native_compilers import MODES
from tmebox_bench.suite import PROGRAMS_DIR, Program, Sources

Progress = Callable[[str, int, int], None]
ARTIFACT = "program"
PLACEMENTS = 5
"""Orders of its functions in which a program is linked: what it takes hangs on where its code lies (ADR 16).
The first is the linker's own."""
COMPILE_TIMEOUT_S = 600.0


class MissingError(Exception):
    """A column or program that this machine cannot run; the message says what is missing."""


@dataclass(frozen=True)
class Variant:
    """One build. label: how it differs from the column's other builds ("PIE"; "" for the only one). kind: the
    column's. paths: the same code in several placements, or one file where there are none. text_bytes: of its
    machine code, libc included; 0 where that is not known."""

    label: str
    kind: str
    paths: tuple[Path, ...]
    text_bytes: int

    @property
    def path(self) -> Path:
        """The first placement's."""
        return self.paths[0]

    def placed(self, number: int) -> Path:
        """The file for this round: another placement in each."""
        return self.paths[number % len(self.paths)]


def variants(
    program: Program, column: Column, sources: Sources, progress: Progress | None = None
) -> list[Variant]:
    """Every build of the program for a column: two for a native one (non-PIE and PIE), else one.

    Raises MissingError, and CompileError for a program that should build and does not.
    """
    if program.is_cxx and (column.compiler == "gcc" or column.base == "r15" or "wasm" in column.kind):
        raise MissingError(f"{column.label}: C++ is compiled by clang, with the base in gs")
    inputs = _Inputs(program, column, sources.files, sources.include_dirs)
    labels = tuple(MODES) if column.kind == "native" else ("",)
    return [_cached(inputs, label, progress) for label in labels]


@dataclass(frozen=True)
class _Inputs:
    program: Program
    column: Column
    sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...]

    @property
    def defines(self) -> list[str]:
        """Of a native build or a WebAssembly one."""
        more = self.program.wasm_defines if self.column.kind in ("wasm", "wasm2c") else ()
        return [f"-D{define}" for define in (*self.program.defines, *more)]

    def digest(self) -> str:
        """Changes with anything that shapes the build."""
        column = self.column
        build = (column.options, column.base, column.isolation, column.compiler, tuple(self.defines))
        options = (*build, tmebox.__version__)
        digest = hashlib.sha256(f"{options}{_toolchain_digest()}".encode())
        files = {*self.sources, *PROGRAMS_DIR.rglob("*.h")}
        files |= {path for directory in self.include_dirs for path in directory.glob("*.h")}
        for path in sorted(files):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:16]


@cache
def _toolchain_digest() -> str:
    """Of everything that compiles, and that is compiled in."""
    package, here = Path(tmebox.__file__).parent, Path(__file__).parent
    paths = [
        *package.glob("toolchain/**/*.py"),
        *package.glob("guest/**/*.[chsS]"),
        *package.glob("guest/cxx/*"),
        package / "abi.py",
    ]
    paths += [*here.glob("native/*"), *here.glob("native*.py"), *here.glob("wasm*.py")]
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cached(inputs: _Inputs, label: str, progress: Progress | None) -> Variant:
    folder = cache_directory() / "bench"
    folder.mkdir(mode=0o700, exist_ok=True)
    stem = f"{inputs.program.name}--{inputs.column.key}--{label or 'only'}--"
    directory = folder / f"{stem}{inputs.digest()}"
    if not directory.is_dir():
        scratch = Path(tempfile.mkdtemp(prefix="building.", dir=folder))
        try:
            text_bytes = _BUILDERS[inputs.column.kind](inputs, label, scratch, progress)
            (scratch / "facts.json").write_text(json.dumps({"text_bytes": text_bytes}))
            for old in folder.glob(f"{stem}*"):
                shutil.rmtree(old, ignore_errors=True)
            native.publish(scratch, directory)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    facts = json.loads((directory / "facts.json").read_text())
    paths = tuple(path for path in _artifacts(directory) if path.exists())
    return Variant(label, inputs.column.kind, paths, facts["text_bytes"])


def _artifacts(directory: Path) -> list[Path]:
    """By placement."""
    return [directory / f"{ARTIFACT}-{number}" for number in range(PLACEMENTS)]


def _build_native(inputs: _Inputs, mode: str, directory: Path, progress: Progress | None) -> int:
    options = [*inputs.column.options, *inputs.defines, *_includes(inputs)]
    return _native(inputs, inputs.sources, options, mode, directory, progress)


def _native(
    inputs: _Inputs,
    sources: Sequence[Path],
    options: Sequence[str],
    mode: str,
    directory: Path,
    progress: Progress | None,
) -> int:
    library = native.native_libc(mode, inputs.column.compiler, progress)
    is_cxx = inputs.program.is_cxx
    libcxx = native_cxx.libraries(mode, progress) / "libc++.a" if is_cxx else None
    objects = [directory / f"{index}.o" for index in range(len(sources))]
    for source, compiled in zip(sources, objects, strict=True):
        native.compile_native(source, compiled, mode, options, inputs.column.compiler)
    outputs = _artifacts(directory)
    for placement, output in enumerate(outputs):
        native.link_native(objects, output, mode, library, placement, libcxx)
    _remove(objects)
    text = Elf(outputs[0].read_bytes(), inputs.program.name).section(".text")
    return 0 if text is None else text.size_bytes


def _build_sandbox(inputs: _Inputs, _label: str, directory: Path, progress: Progress | None) -> int:
    column = inputs.column
    options = CompileOptions(
        optimize=column.options[0],
        flags=column.options[1:],
        include_dirs=inputs.include_dirs,
        readable_dirs=(PROGRAMS_DIR,),
        defines=inputs.program.defines,
        isolation=column.isolation,
        base=column.base,
        exports=("main",),
        name=inputs.program.name,
        timeout_s=COMPILE_TIMEOUT_S,
    )
    objects = [directory / f"{index}.o" for index in range(len(inputs.sources))]
    for source, compiled in zip(inputs.sources, objects, strict=True):
        compile_object(source, compiled, options)
    for placement, output in enumerate(_artifacts(directory)):
        module = link_program(objects, (), replace(options, placement=placement), progress=progress)
        codec.write(module, output)
    _remove(objects)
    return module.code_bytes


def _build_wasm(inputs: _Inputs, _label: str, directory: Path, _progress: Progress | None) -> int:
    _link_wasm(inputs, _artifacts(directory)[0])
    return 0


def _build_wasm2c(inputs: _Inputs, _label: str, directory: Path, progress: Progress | None) -> int:
    """WebAssembly, turned into C, compiled as the native build is."""
    module = directory / "program.wasm"
    _link_wasm(inputs, module)
    try:
        sources, options = wasm2c.to_c(module)
    except CompileError as error:
        raise MissingError(f"wasm2c: {error}") from None
    return _native(inputs, sources, [*inputs.column.options, *options], wasm2c.MODE, directory, progress)


def _link_wasm(inputs: _Inputs, output: Path) -> None:
    """Raises MissingError."""
    features = ["-msimd128"] if inputs.column.kind == "wasm" else []
    options = [*inputs.column.options, *features, *inputs.defines, *_includes(inputs)]
    objects = [output.with_name(f"{index}.o") for index in range(len(inputs.sources))]
    for source, compiled in zip(inputs.sources, objects, strict=True):
        try:
            wasm.compile_wasm(source, compiled, options)
        except CompileError as error:
            raise MissingError(f"{source.name} does not compile to WebAssembly: {error}") from None
    try:
        wasm.link_wasm(objects, output)
    except CompileError as error:
        raise MissingError(f"does not link as WebAssembly: {error}") from None
    _remove(objects)


_BUILDERS = {
    "native": _build_native,
    "sandbox": _build_sandbox,
    "wasm": _build_wasm,
    "wasm2c": _build_wasm2c,
}


def _includes(inputs: _Inputs) -> list[str]:
    return [f"-I{directory}" for directory in inputs.include_dirs]


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        os.unlink(path)
