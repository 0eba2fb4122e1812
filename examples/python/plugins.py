"""python examples/python/plugins.py: plug-ins in a folder, each in a sandbox of its own, loaded again when
they change.

What to take from it: a plug-in cannot see others or the host, one that fails or hangs is reported and
replaced, and a new version takes over between two calls."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import tmebox
from tmebox.python import Python, PythonError


class Plugin:
    """A file with a function `handle(event)`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0
        self._python: Python | None = None

    def handle(self, event: dict[str, object]) -> object:
        version = self.path.stat().st_mtime_ns
        if self._python is None or version != self._seen:
            self._load()
            self._seen = version
        assert self._python is not None
        try:
            return self._python.call("handle", event)
        except tmebox.Trap as trap:
            self._python.close()
            self._python = None
            return f"stopped: {trap.kind}"
        except PythonError as error:
            return f"failed: {error}"

    def _load(self) -> None:
        if self._python is not None:
            self._python.close()
        self._python = Python(memory="4MiB", timeout=0.5)
        self._python.run(self.path.read_text(), filename=self.path.name)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        greet, broken = Path(folder, "greet.py"), Path(folder, "broken.py")
        greet.write_text("def handle(event): return 'Hello, ' + event['name']")
        broken.write_text("def handle(event):\n    while True: pass")
        plugins = [Plugin(greet), Plugin(broken)]

        def everybody() -> None:
            for plugin in plugins:
                print(f"{plugin.path.name}: {plugin.handle({'name': 'Ada'})}")

        everybody()
        print("-- both files change")
        greet.write_text("count = 0\ndef handle(event):\n    global count\n    count += 1\n    return count")
        broken.write_text("def handle(event): return 1 / 0")
        for path in (greet, broken):
            os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
        everybody()
        everybody()


if __name__ == "__main__":
    main()
