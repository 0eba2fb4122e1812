"""What a virtual machine needs to run Python programs: a disk image with this Python and its libraries, made
once and kept; and tmebox itself with a program, which come in the machine's first file system.

The machine is slow, and compiling a module's source takes it longer than all else. So modules come compiled.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tmebox.driver.packages import cache_directory

LIBRARIES = ("numpy", "numpy.libs", "iced_x86", "elftools")
"""What running a module needs, beside tmebox. Nothing of the toolchain."""
LEFT_OUT = shutil.ignore_patterns(
    *("__pycache__", "tests", "test", "idlelib", "ensurepip", "tkinter", "lib2to3", "turtledemo"),
    *("site-packages", "dist-packages", "*.a", "*.pyi", "config-*", "shipped", "guest", "programs"),
    "pydoc_data",
)
LAYOUT = 1
"""Of images that are kept. To be raised when the same libraries give another image."""
SPARE_BYTES = 16 << 20
TIMEOUT_S = 120
EXTRA = "extra"
"""The folder, inside, with what comes in the first file system."""
UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH


class DiskError(Exception):
    """The message says what is missing."""


def image(libraries: tuple[str, ...] = ()) -> Path:
    """An ext4 image with this Python, what tmebox needs, and more `libraries` by their names for `import`.
    It is kept in the user's cache directory.

    Paths inside are those of this machine, so that the interpreter finds its parts.
    """
    tool = shutil.which("mke2fs") or shutil.which("mke2fs", path="/usr/sbin:/sbin")
    if tool is None:
        raise DiskError("there is no mke2fs here (e2fsprogs)")
    names = (*LIBRARIES, *libraries)
    kept = cache_directory() / f"python-{_identity(names)}.ext4"
    if kept.is_file():
        return kept
    with tempfile.TemporaryDirectory(prefix="python.", dir=kept.parent) as scratch:
        root, made = Path(scratch, "root"), Path(scratch, "image")
        _fill(root, names)
        for folder in ("dev", "proc", "sys", "tmp", EXTRA):
            (root / folder).mkdir(exist_ok=True)
        files = [each for each in root.rglob("*") if each.is_file() and not each.is_symlink()]
        size = sum(each.stat().st_size + 4096 for each in files)
        blocks = (size + size // 8 + SPARE_BYTES) // 1024
        command = [tool, "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(made), str(blocks)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode:
            raise DiskError(f"mke2fs: {done.stderr.strip()}")
        made.rename(kept)  # another process may have been faster: its image is as good
    return kept


def beside(program: str, files: Mapping[str, bytes], scratch: Path) -> dict[str, bytes]:
    """tmebox, the program and its `files`, by path, for the machine's first file system. Inside they are in
    the folder /extra, and the files in /extra/files."""
    start = (
        f"#!{interpreter()} -S\nimport sys\n"
        f"sys.path[:0] = ['/{EXTRA}/files', '/{EXTRA}/python', {python_path()!r}]\n"
    )
    folder = scratch / "beside"
    _copy_library("tmebox", folder / "python")
    for name, content in files.items():
        target = folder / "files" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    compileall.compile_dir(folder, quiet=2, stripdir=str(folder), invalidation_mode=UNCHECKED)
    (folder / "program").write_bytes((start + program).encode())
    found = {
        f"{EXTRA}/{each.relative_to(folder)}": each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }
    shutil.rmtree(folder)
    return found


def interpreter() -> str:
    """The path, outside and inside, of this Python without its virtual environment."""
    return str(Path(sys.executable).resolve())


def python_path() -> str:
    """The folder, inside, with the libraries."""
    return "/libraries"


def _identity(names: tuple[str, ...]) -> str:
    """Of what an image of these libraries has in it."""
    known = importlib.metadata.packages_distributions()
    versions = {}
    for name in names:
        for distribution in known.get(name.split(".")[0], []):
            versions[distribution] = importlib.metadata.version(distribution)
    executable = Path(interpreter()).stat()
    facts = [LAYOUT, sys.version, interpreter(), executable.st_mtime_ns, names, sorted(versions.items())]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _fill(root: Path, libraries: tuple[str, ...]) -> None:
    executable = Path(interpreter())
    standard = Path(sysconfig.get_path("stdlib"))
    _copy(executable, root)
    shutil.copytree(standard, root / standard.relative_to("/"), ignore=LEFT_OUT, symlinks=True)
    target = root / python_path()[1:]
    for name in libraries:
        _copy_library(name, target)
    _compile_used(root, libraries)
    binaries = [
        executable,
        *(root / standard.relative_to("/")).rglob("*.so"),
        *target.rglob("*.so*"),
    ]
    for library in sorted(_needed(binaries)):
        _copy(library, root)


def _copy_library(name: str, target: Path) -> None:
    source = _source_of(name)
    if source and source.is_dir():
        shutil.copytree(source, target / name, ignore=LEFT_OUT)
    elif source:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _compile_used(root: Path, libraries: tuple[str, ...]) -> None:
    """The modules that importing the libraries, and tmebox, imports."""
    names = ", ".join(name for name in libraries if "." not in name)
    ask = f"import sys, {names}, tmebox\nfor m in sys.modules.values(): print(getattr(m, '__file__', 0) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    places = {sysconfig.get_path("stdlib"): root / sysconfig.get_path("stdlib")[1:]}
    for name in libraries:
        source = _source_of(name)
        if source:
            places[str(source.parent)] = root / python_path()[1:]
    for file in filter(lambda file: file.endswith(".py"), done.stdout.split()):
        for place in sorted(places, key=len, reverse=True):
            copy = places[place] / os.path.relpath(file, place)
            if file.startswith(place + os.sep) and copy.is_file():
                py_compile.compile(
                    str(copy), dfile="/" + str(copy.relative_to(root)), quiet=2, invalidation_mode=UNCHECKED
                )
                break


def _source_of(name: str) -> Path | None:
    """A library's folder, or its file if it is only one."""
    if name == "numpy.libs":
        numpy = _source_of("numpy")
        libraries = numpy.parent / name if numpy else None
        return libraries if libraries and libraries.is_dir() else None
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise DiskError(f"{name} is not installed here")
    origin = Path(found.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _needed(binaries: Iterable[Path]) -> set[Path]:
    """Shared libraries of the system that the dynamic linker loads for them, itself included."""
    done = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    paths = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE)
    return {Path(path) for path in paths if f"{python_path()}/" not in path}


def _copy(file: Path, root: Path) -> None:
    """To the same path inside; whatever links there are on the way."""
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, target, follow_symlinks=True)
