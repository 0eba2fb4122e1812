"""What an interrupted run has measured already, so that the next one goes on from there.

One JSON file beside the report, replaced as a whole after each program and gone once the report is written.
It is for the same run only: same machine, versions, columns, size and rounds, and of each program the same
builds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tmebox
from tmebox_bench.columns import Column
from tmebox_bench.machine import WHEN
from tmebox_bench.results import ProgramResult, program_from, write_all

NAME = ".unfinished.json"


class Journal:
    """path: the file. key: what must be the same for a result to be taken over."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self._found: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads(path.read_text())
            if document["key"] == key:
                self._found = dict(document["programs"])

    def find(self, name: str, builds: str) -> ProgramResult | None:
        """The program's result from an earlier run of the same builds."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            entry = self._found[name]
            if entry["builds"] == builds:
                return program_from(entry["result"])
        return None

    def add(self, result: ProgramResult, builds: str) -> None:
        """Keep a result. A failure is not kept: the next run tries again."""
        if any(cell.failure for cell in result.cells.values()):
            return
        self._found[result.name] = {"builds": builds, "result": asdict(result)}
        write_all({self._path: json.dumps({"key": self._key, "programs": self._found})})


def run_key(machine: Mapping[str, str], columns: Sequence[Column], size: str, rounds: int) -> str:
    """Of everything but the builds; of our own code what a run depends on beside them is the native core."""
    package = Path(tmebox.__file__).parent
    facts = sorted((name, value) for name, value in machine.items() if name != WHEN)
    digest = hashlib.sha256(repr((facts, columns, size, rounds)).encode())
    for path in sorted(
        (*package.glob("*.so"), *package.glob("runtime/**/*.py"), *Path(__file__).parent.glob("*.py"))
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()
