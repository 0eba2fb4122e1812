"""One library, built several times by its recipe in examples/boxes: boxed, and natively by the same compiler.

A recipe calls `tmebox bind`. For the native build a `tmebox` that only writes down its arguments comes first
in PATH, and what they say is compiled to a shared library: the same sources, macros and optimization.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from typer.main import get_command

from tmebox.binding.header import read_headers
from tmebox.binding.sources import is_header, sources_in
from tmebox.cli.app import app
from tmebox_bench.debian import SourcesUnavailableError, fetch
from tmebox_bench.variants import MissingError

RECIPES = Path(__file__).parents[3] / "examples" / "boxes"
PACKAGES = {
    "zlib": ("zlib",),
    "lz4": ("lz4",),
    "expat": ("expat",),
    "libpng": ("libpng1.6", "zlib"),
    "libjpeg": ("libjpeg-turbo",),
}
"""Debian source packages by recipe."""
TIMEOUT_S = 900
_NO_CONFIG = re.compile(r"'([A-Za-z0-9_]*config\.h)' file not found")
_ASKED = """#!{python}
import json, os, sys
open(os.environ["TMEBOX_ASKED"], "w").write(json.dumps(sys.argv[1:]))
"""


def boxed(name: str, directory: Path) -> ModuleType:
    """The package that a recipe makes in `directory`, made unless it is there. Raises MissingError."""
    if not (directory / f"{name}_box" / "__init__.py").exists():
        _run(name, directory, Path(sys.executable).parent)
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    return importlib.import_module(f"{name}_box")


def native(name: str, directory: Path, *target: str) -> Path:
    """The shared library of the same sources, made unless it is there. target: further words for zig, which
    replace those for this machine. Raises MissingError."""
    suffix = "wasm" if target else "so"
    output = directory / f"lib{name}.{suffix}"
    if not output.exists():
        with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
            asked = _asked(name, directory, Path(scratch))
            _compile(asked, Path(scratch), output, target)
    return output


def _run(name: str, directory: Path, programs: Path, **variables: str) -> None:
    try:
        for package in PACKAGES[name]:
            fetch(package)
    except SourcesUnavailableError as error:
        raise MissingError(f"{name}: {error}") from None
    python = Path(sys.executable).parent
    path = os.pathsep.join([str(programs), str(python), os.environ["PATH"]])
    bench = str(Path(__file__).parents[2])
    done = subprocess.run(
        ["sh", "-e", str(RECIPES / f"{name}.sh"), str(directory)],
        env={**os.environ, "PATH": path, "PYTHONPATH": bench, **variables},
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise MissingError(f"{name}.sh: {(done.stderr or done.stdout).strip()[-300:]}")


def _asked(name: str, directory: Path, scratch: Path) -> dict[str, Any]:
    """What the recipe asks `tmebox bind` for, by parameter."""
    programs = scratch / "programs"
    programs.mkdir()
    (programs / "tmebox").write_text(_ASKED.format(python=sys.executable))
    (programs / "tmebox").chmod(0o755)
    _run(name, directory, programs, TMEBOX_ASKED=str(scratch / "asked"))
    words = json.loads((scratch / "asked").read_text())
    bind = get_command(app).commands["bind"]  # type: ignore[attr-defined]
    context = bind.make_context("bind", words[1:])
    found: dict[str, Any] = context.params
    return found


def _compile(asked: dict[str, Any], scratch: Path, output: Path, target: tuple[str, ...]) -> None:
    more = [Path(path) for path in asked["more"] or ()]
    headers = [Path(asked["header"]), *(path for path in more if is_header(path))]
    named = [*map(Path, asked["sources"]), *(path for path in more if path not in headers)]
    found = sources_in(named, asked["without"] or ())
    copied = scratch / "headers"
    copied.mkdir()
    for name, text in read_headers(headers).items():
        (copied / name).write_text(text)
    for pair in asked["generated"] or ():
        name, _, path = pair.partition("=")
        (copied / name).write_bytes(Path(path).read_bytes())
    directories = [*(asked["include"] or ()), *dict.fromkeys(path.parent for path in found.certain), copied]
    words = [sys.executable, "-m", "ziglang", "cc", asked["optimize"], "-w"]
    words += target or (
        "-shared",
        "-target",
        "x86_64-linux-gnu",
        "-fPIC",
        "-falign-functions=32",
        "-fomit-frame-pointer",
    )
    words += [f"-I{path}" for path in directories] + [f"-D{macro}" for macro in asked["define"] or ()]
    sources = [*found.certain, *_of_their_own(found.included)]
    while True:
        done = subprocess.run(
            [*words, *map(str, sources), "-o", str(output)],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        configs = {name for name in _NO_CONFIG.findall(done.stderr) if not (copied / name).exists()}
        if not done.returncode:
            return
        if not configs:
            raise MissingError(f"{output.name} does not build: {done.stderr.strip()[-300:]}")
        for name in configs:  # empty, as `tmebox bind` takes what `configure` would make
            (copied / name).touch()


def _of_their_own(included: tuple[Path, ...]) -> list[Path]:
    """Of sources that others include, LZ4's is one that is compiled, too."""
    return [path for path in included if path.name == "lz4.c"]
