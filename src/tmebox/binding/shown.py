"""What `python -m PACKAGE` says of a boxed library: exports, verification, what it needs, how it was built.

Nothing here needs the toolchain, and nothing that a package says of itself is believed or shown raw.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from tmebox.errors import TmeboxError
from tmebox.modulefile import codec
from tmebox.runtime.box import HIDDEN, OF_THE_C_LIBRARY
from tmebox.runtime.module import INITIALIZER, Module
from tmebox.shown import printable
from tmebox.unread import quietly

RECORD = "build.json"
MOST_BYTES = 16 << 20


def show(package: str) -> int:
    """Print it; returns the exit code, 1 for a library that cannot be used here."""
    return quietly(lambda: _show(package))


def _show(package: str) -> int:
    found = importlib.import_module(package)
    try:
        module: Module = found.module()
    except (TmeboxError, OSError) as error:
        print(f"{package}: {_plain(str(error))}", file=sys.stderr)
        return 1
    directory = Path(str(found.__file__)).parent
    record = _record(directory / RECORD)
    own = {INITIALIZER, *OF_THE_C_LIBRARY}
    names = [name for name in module.exports if name not in own and not name.startswith(HIDDEN)]
    print(f"{package}: verified, {module.file.code_bytes:,} bytes of code, {len(names)} functions")
    needs = ", ".join(sorted(module.features)) or "no more than x86-64"
    print(f"isolation {module.file.isolation}; needs {needs}")
    for line in (*_built(record, codec.digest(module.file)), *_changed(directory, record)):
        print(line)
    for name in names:
        print(" ", _plain(str(module.exports[name] or name)))
    return 0


def _built(record: dict[str, Any], digest: str) -> list[str]:
    """What the record says, and whether it is this module's."""
    files, options = record.get("files"), record.get("options")
    if not isinstance(files, dict) or not isinstance(options, list):
        return [f"module {digest}; how it was built is not recorded"]
    said = [_plain(str(record.get(name, "?"))) for name in ("tmebox", "compiler")]
    same = "as recorded" if record.get("module") == digest else "NOT the one that the record is about"
    return [
        f"built by tmebox {said[0]} with {said[1]}: {_plain(' '.join(map(str, options)))}",
        f"made of {len(files)} files, whose digests are in {RECORD}",
        f"module {digest}, {same}",
    ]


def _changed(directory: Path, record: dict[str, Any]) -> list[str]:
    """Which of the package's own Python is not as it was written. Whoever changes both is not found so: only
    the same library, bound again, tells."""
    written = record.get("written")
    known = written if isinstance(written, dict) else {}
    names = ("__init__.py", "__main__.py")
    return [
        f"{name}: NOT as it was written" for name in names if known.get(name) != _digest(directory / name)
    ]


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(MOST_BYTES)).hexdigest()
    except OSError:
        return None


def _record(path: Path) -> dict[str, Any]:
    """Empty for one that cannot be read."""
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _plain(text: str) -> str:
    """Terminals get nothing else."""
    return printable(text, longest=4000)
