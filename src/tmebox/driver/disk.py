"""A disk image with this Python, NumPy and tmebox, for a virtual machine that runs Python programs."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

LIBRARIES = ("numpy", "numpy.libs", "iced_x86", "elftools", "tmebox")
"""What running a module needs. Nothing of the toolchain."""
LEFT_OUT = shutil.ignore_patterns(
    *("__pycache__", "tests", "test", "idlelib", "ensurepip", "tkinter", "lib2to3", "turtledemo"),
    *("site-packages", "dist-packages", "*.a", "config-*", "shipped", "guest", "programs", "pydoc_data"),
)
SPARE_BYTES = 64 << 20
TIMEOUT_S = 120


class DiskError(Exception):
    """The message says what is missing."""


def image(file: Path, scratch: Path, files: Mapping[str, bytes], libraries: tuple[str, ...] = ()) -> Path:
    """Write an ext4 image to `file`. `files`, by path without a leading slash, join what Python needs, and so
    do more `libraries`, by their names for `import`.

    Paths inside are those of this machine, so that the interpreter finds its parts.
    """
    tool = shutil.which("mke2fs") or shutil.which("mke2fs", path="/usr/sbin:/sbin")
    if tool is None:
        raise DiskError("there is no mke2fs here (e2fsprogs)")
    root = scratch / "disk"
    _fill(root, (*LIBRARIES, *libraries))
    for name, content in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755)
    for folder in ("dev", "proc", "sys", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    size = sum(
        each.stat().st_size + 4096 for each in root.rglob("*") if each.is_file() and not each.is_symlink()
    )
    blocks = (size + size // 8 + SPARE_BYTES) // 1024
    command = [tool, "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(file), str(blocks)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    shutil.rmtree(root)
    if done.returncode:
        raise DiskError(f"mke2fs: {done.stderr.strip()}")
    return file


def interpreter() -> str:
    """The path, outside and inside, of this Python without its virtual environment."""
    return str(Path(sys.executable).resolve())


def python_path() -> str:
    """The folder, inside, with the libraries."""
    return "/libraries"


def _fill(root: Path, libraries: tuple[str, ...]) -> None:
    executable = Path(interpreter())
    standard = Path(sysconfig.get_path("stdlib"))
    _copy(executable, root)
    shutil.copytree(standard, root / standard.relative_to("/"), ignore=LEFT_OUT, symlinks=True)
    for name in libraries:
        source = _source_of(name)
        target = root / python_path()[1:]
        if source and source.is_dir():
            shutil.copytree(source, target / name, ignore=LEFT_OUT)
        elif source:
            shutil.copy2(source, target)
    binaries = [
        executable,
        *(root / standard.relative_to("/")).rglob("*.so"),
        *(root / "libraries").rglob("*.so*"),
    ]
    for library in sorted(_needed(binaries)):
        _copy(library, root)


def _source_of(name: str) -> Path | None:
    """A library's folder, or its file if it is only one."""
    if name == "numpy.libs":
        numpy = _source_of("numpy")
        beside = numpy.parent / name if numpy else None
        return beside if beside and beside.is_dir() else None
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
    return {Path(path) for path in paths if "/libraries/" not in path}


def _copy(file: Path, root: Path) -> None:
    """To the same path inside; whatever links there are on the way."""
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, target, follow_symlinks=True)
