"""Packages that `tmebox bind` makes tell type checkers what is right, and what is not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.test_typing import checked

CORRECT = """
import numpy as np
import tmebox
import shapes_box
from tmebox import hints
from typing import Any

def typed(user: Any, point: tmebox.Pointer, index: int) -> int:
    return index

def visit(user: Any, point: tmebox.Pointer, index: hints.Untrusted) -> int:
    return index < 2

with shapes_box.open(memory="16MiB", timeout=1.0) as box:
    shapes = box.shapes_new(3)
    box.shapes_set(shapes, 1, (1, 2.0))
    box.shapes_visit(shapes, visit, None)
    box.shapes_visit(shapes, box.callback(visit, "shapes_visitor"), box.handle(object()))
    name: str | None = box.shapes_name(shapes_box.SHAPES_LINE)
    area: float = box.shapes_area([(1, 2)], 1) + box.shapes_area(np.zeros((3, 2)), 3)
    limit: int = shapes_box.SHAPES_MOST
    buffer = bytearray(8)
    found = box.shapes_visit(shapes, visit, None)
    if found != -1 and found + 1 < 8:
        buffer[box.checked.index(found, buffer)] = 1
    piece = buffer[box.checked.span(0, box.checked.length(found, 8), buffer)]
    box.shapes_new(found)
    print(f"{found} of {limit}")
    point = box.new("struct point", x=1)
    point.x = 3
    half: float = point.x / 2
    part = box.new("shapes_part[2]")
    one = box.new("shapes_part", offset=2)
    one.offset = found
    buffer[box.checked.index(one.offset, buffer)] = 2
    text = one.text
    print(text.string() if text else "none", one.counts[1], one.type, box.shapes_area(point, 1))
"""
MISTAKES = [
    'box.shapes_new("three")',
    "box.shapes_new()",
    "box.shapes_set(shapes, 1, (1, 2, 3))",
    'box.shapes_set("shapes", 1, (1, 2))',
    "box.shapes_visit(shapes, lambda user: 1, None)",
    "box.shapes_visit(shapes, 1.5, None)",
    "wrong: int = box.shapes_name(3)",
    "length = len(box.shapes_name(3))",
    "shapes.count.x",
    "box.shapes_vist(shapes, visit, None)",
    "box.nothing",
    "box.nothing = 1",
    "buffer[found]",
    "buffer[:found]",
    "buffer[found + 1] = 0",
    "bytes(found)",
    "range(found)",
    "exact: int = found",
    "place = box.checked.index(found)",
    'place = box.checked.length("3", 8)',
    "box.checked.nothing(found)",
    "point.z",
    "point.z = 3",
    'point.x + "text"',
    "buffer[one.offset]",
    "buffer[: one.offset]",
    "one.text.string()",
    "box.shapes_visit(shapes, typed, None)",
    "shapes_box.SHAPES_MOST = 4",
    'shapes_box.open(memory="1MiB", tiemout=1)',
    "import_error = shapes_box.SHAPES_NOTHING",
]


@pytest.mark.slow
def test_type_checkers_accept_what_is_right_and_find_planted_mistakes(
    library: Path, package: ModuleType
) -> None:
    correct = checked(library, program=CORRECT)
    assert correct.returncode == 0, correct.stdout
    own = [sys.executable, "-m", "mypy", "--no-incremental", "-p", "shapes_box"]
    said = subprocess.run(own, cwd=library, capture_output=True, text=True, check=False)
    assert said.returncode == 0, "the package itself: " + said.stdout
    start = CORRECT.count("\n") + 1
    said = checked(library, program=CORRECT + "".join(f"    {mistake}\n" for mistake in MISTAKES))
    found = {int(line) for line in re.findall(r"^program\.py:(\d+): error", said.stdout, re.MULTILINE)}
    missed = [mistake for line, mistake in enumerate(MISTAKES, start) if line not in found]
    assert missed == []


def pyright(directory: Path, program: str) -> str:
    """What pyright says in its strictest mode, or what is built of it and installs from PyPI alone."""
    there = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    command = shutil.which("basedpyright", path=there) or shutil.which("pyright", path=there)
    if command is None:
        pytest.skip("neither basedpyright (make .venv/.extra-checkers) nor pyright is installed")
    (directory / "program.py").write_text(program)
    # Packages of tmebox's own dependencies may have no types: what those are is not looked at here.
    settings = {"typeCheckingMode": "strict", "include": ["program.py"], "pythonPath": sys.executable}
    unknown = [
        f"reportUnknown{what}Type" for what in ("Member", "Variable", "Argument", "Parameter", "Lambda")
    ]
    unknown += ["reportUnusedExpression", "reportMissingTypeStubs", "reportUnusedCallResult"]
    unknown += ["reportAny", "reportExplicitAny"]
    settings |= dict.fromkeys(unknown, "none")
    (directory / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [command, "--pythonpath", sys.executable, "--outputjson", "--project", str(directory)],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_pyright_finds_the_same_mistakes(library: Path, package: ModuleType) -> None:
    def errors(program: str) -> dict[int, str]:
        said = json.loads(pyright(library, program))["generalDiagnostics"]
        return {
            entry["range"]["start"]["line"] + 1: entry["message"]
            for entry in said
            if entry["severity"] == "error"
        }

    assert errors(CORRECT) == {}
    start = CORRECT.count("\n") + 1
    found = errors(CORRECT + "".join(f"    {mistake}\n" for mistake in MISTAKES))
    missed = [mistake for line, mistake in enumerate(MISTAKES, start) if line not in found]
    assert missed == ["shapes_box.SHAPES_MOST = 4"], "which pyright does not say of a module's constants"
    assert min(found) >= start
