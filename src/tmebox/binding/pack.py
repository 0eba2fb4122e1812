"""A package that `tmebox bind` made, as a wheel: the same bytes for the same package, wherever and whenever.

Whoever installs it needs no compiler: the wheel has the module, which is verified where it is loaded. Files
are stored and not packed, since each version of zlib packs otherwise. All dates are the format's first day.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tmebox._version import __version__
from tmebox.binding.package import BUILD, MODULE, PYTHON, WRITTEN, written_digest
from tmebox.binding.untrusted_files import read_in
from tmebox.errors import ModuleError
from tmebox.modulefile import codec
from tmebox.outputs import write_output
from tmebox.runtime.module import Module

FIRST_DAY = (1980, 1, 1, 0, 0, 0)
MOST_BYTES = 1 << 30
_VERSION = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+(\.[a-z0-9]+)*)?")
"""Versions in the form that they are compared in."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""What is a name to every installer, and says nothing else in lists of names."""
_LEFT_OUT = "__pycache__"


def pack(directory: Path, output: Path, version: str, licenses: Sequence[Path] = ()) -> Path:
    """Write the wheel of a package into the directory `output`; returns where it is. licenses: files that go
    with it. Raises ModuleError for what is no package of `tmebox bind`, or is not what its record says;
    VerificationError, OSError."""
    name, wheel = wheel_of(directory, version, licenses)
    output.mkdir(parents=True, exist_ok=True)
    write_output(output / name, wheel)
    return output / name


def wheel_of(directory: Path, version: str, licenses: Sequence[Path] = ()) -> tuple[str, bytes]:
    """The wheel's name and bytes. Raises as `pack`."""
    package = Path(os.path.abspath(directory)).name
    if not _VERSION.fullmatch(version):
        raise ModuleError(f"{version!r} is no version of a Python package: 1.2.3 is one")
    if not _PLAIN_NAME.fullmatch(package):
        raise ModuleError(f"{package!r} is no name of a package that `tmebox bind` made")
    files = _files(directory)
    _require_recorded(directory, files)
    distribution = re.sub(r"[-_.]+", "_", package).lower()
    about = f"{distribution}-{version}.dist-info"
    contents = {f"{package}/{name}": data for name, data in files.items()}
    names = [path.name for path in licenses]
    for number, path in enumerate(licenses):
        if not _PLAIN_NAME.fullmatch(path.name) or path.name in names[:number]:
            raise ModuleError(f"{str(path)!r}: licenses have plain names, no two the same")
        contents[f"{about}/licenses/{path.name}"] = path.read_bytes()
    contents[f"{about}/METADATA"] = _metadata(package, version, names).encode()
    contents[f"{about}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tmebox {__version__}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    ).encode()
    contents[f"{about}/RECORD"] = _record(contents, f"{about}/RECORD").encode()
    return f"{distribution}-{version}-py3-none-any.whl", _zipped(contents)


def _files(directory: Path) -> dict[str, bytes]:
    """The package's, by their names in it, in order. Links are refused: what they lead to is not in it."""
    found: dict[str, bytes] = {}
    left = MOST_BYTES
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent, folders, names, opened in os.fwalk(".", onerror=_raise, dir_fd=top):
            folders[:] = sorted(folder for folder in folders if folder != _LEFT_OUT)
            for name in sorted([*names, *folders]):
                path = directory / parent / name
                if not _PLAIN_NAME.fullmatch(name):
                    raise ModuleError(f"{str(path)!r}: files of a package have plain names")
                if name in folders and stat.S_ISDIR(os.lstat(name, dir_fd=opened).st_mode):
                    continue
                data = _read(opened, name, left, path)
                left -= len(data)
                found[Path(parent, name).as_posix()] = data
    finally:
        os.close(top)
    return dict(sorted(found.items()))


def _read(folder: int, name: str, most_bytes: int, path: Path) -> bytes:
    """A file of an open folder. path: what it is called in messages. Raises ModuleError, OSError."""
    try:
        data = read_in(folder, name, most_bytes)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ModuleError(f"{path}: with it the package has more than {MOST_BYTES >> 20} MiB") from None
        raise OSError(error.errno, error.strerror, str(path)) from None
    if data is None:
        raise ModuleError(f"{path} is no file: a wheel takes files and folders")
    return data


def _raise(error: OSError) -> None:
    raise error


def _require_recorded(directory: Path, files: Mapping[str, bytes]) -> None:
    """That the module verifies, and is the one whose build is recorded."""
    missing = sorted({"__init__.py", "__main__.py", MODULE, BUILD} - files.keys())
    if missing:
        raise ModuleError(
            f"{directory} is no package that `tmebox bind` made: it has no {', '.join(missing)}"
        )
    module = Module.from_bytes(files[MODULE])
    try:
        record = json.loads(files[BUILD])
        recorded, written = record["module"], dict(record[WRITTEN])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ModuleError(f"{directory / BUILD}: not a record of `tmebox bind`") from None
    if recorded != codec.digest(module.file):
        raise ModuleError(f"{directory / MODULE} is not the module that {BUILD} is about: bind it again")
    for name in PYTHON:
        if written.get(name) != written_digest(files[name]):
            raise ModuleError(f"{directory / name} is not as `tmebox bind` wrote it: bind it again")


def _metadata(package: str, version: str, licenses: Sequence[str]) -> str:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {package}",
        f"Version: {version}",
        "Summary: A C library whose calls run in a sandbox, boxed by tmebox",
        *(f"License-File: {name}" for name in licenses),
        "Requires-Python: >=3.10",
        f"Requires-Dist: tmebox>={__version__}",
    ]
    return "\n".join(lines) + "\n"


def _record(contents: Mapping[str, bytes], own: str) -> str:
    """Of each file its digest and size, as installers check them."""
    lines = []
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        shown = f'"{name}"' if "," in name else name
        lines.append(f"{shown},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{own},,"]) + "\n"


def _zipped(contents: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, FIRST_DAY)
            entry.create_system = 3  # Unix, whose rights follow
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    return whole.getvalue()
