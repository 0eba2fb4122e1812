"""What a build of the C library leaves for the next one: assembly and objects, by hashes of their origin.
So a changed source or header costs what reads it, and a changed rewriter costs no compilation.

Whatever goes wrong here is a miss: the cache is an owner's directory that fills, is cleaned and breaks.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

KEPT_S = 30 * 24 * 3600
"""What nothing has used for so long is deleted."""


def digest(*parts: str | bytes) -> str:
    """A hash of the parts and of where each ends."""
    found = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()[:40]


class Kept:
    """Bytes by key in a directory, compressed, so that a damaged file is noticed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: str) -> bytes | None:
        try:
            path = self._directory / key
            data = zlib.decompress(path.read_bytes())
            os.utime(path)
        except (OSError, zlib.error):
            return None
        return data

    def put(self, key: str, data: bytes) -> None:
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._directory)
        except OSError:
            return
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(zlib.compress(data, 6))
            os.replace(name, self._directory / key)
        except OSError:
            Path(name).unlink(missing_ok=True)

    def forget_unused(self) -> None:
        """Delete what is older than KEPT_S."""
        oldest = time.time() - KEPT_S
        for path in self._directory.glob("*"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except OSError:
                continue  # someone else was faster

    def assembly(
        self, key: str, headers: Mapping[str, Path], make: Callable[[], tuple[str, frozenset[str]]]
    ) -> str:
        """The assembly that `make` returned for this key with the names of the `headers` it read, while
        none of those has changed."""
        found = self.get(key)
        if found is not None:
            try:
                entry = json.loads(found)
                if all(_of_file(headers.get(name)) == seen for name, seen in entry["headers"].items()):
                    return str(entry["text"])
            except (ValueError, KeyError, TypeError, AttributeError):
                pass
        text, read = make()
        seen = {name: _of_file(headers.get(name)) for name in sorted(read)}
        self.put(key, json.dumps({"headers": seen, "text": text}).encode())
        return text


def _of_file(path: Path | None) -> str:
    return digest(path.read_bytes()) if path is not None and path.exists() else ""
