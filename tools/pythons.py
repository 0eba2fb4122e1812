"""Print the Pythons of this machine that tmebox supports, one path a line, one of each version and build.

Looked for on PATH and among pyenv's versions; PYTHONS in the environment says which instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

MINORS = range(10, 15)
VERSION = """
import platform, sys, sysconfig
free = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(platform.python_implementation() + free, sys.version_info[1], sys.version)
"""


def pythons() -> list[Path]:
    """Supported interpreters that start and have headers to compile against."""
    given = os.environ.get("PYTHONS", "").split()
    paths = [Path(path) for path in given] if given else [*_on_path(), *_of_pyenv()]
    found: dict[str, Path] = {}
    for path in paths:
        kind, minor, version = (*_ask(path, VERSION).split(maxsplit=2), "", "", "")[:3]
        if kind == "CPython" and minor.isdecimal() and int(minor) in MINORS and _has_headers(path):
            found.setdefault(version, path)
    return [
        found[version]
        for version in sorted(found, key=lambda version: [*map(int, version.split()[0].split("."))])
    ]


def _on_path() -> list[Path]:
    names = (f"python3.{minor}" for minor in MINORS)
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    found = (shutil.which(name, path=folder) for name in names for folder in folders)
    return [Path(name) for name in found if name and ".pyenv/shims" not in name]


def _of_pyenv() -> list[Path]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return sorted((root / "versions").glob("3.*/bin/python3"))


def _has_headers(python: Path) -> bool:
    place = _ask(python, "import sysconfig; print(sysconfig.get_path('include'))")
    return (Path(place) / "Python.h").exists()


def _ask(python: Path, code: str) -> str:
    try:
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError:
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    print(*pythons(), sep="\n")
