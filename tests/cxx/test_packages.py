"""C++ that people run: Debian's source packages, with as many of their own tests as run in one process.

Sources are compiled as they are, and linked into two programs for each row: one for this machine, one for a
sandbox. Both have to pass the same tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import tmebox
from tests.cxx import twice
from tests.cxx.documents import documents_of_simdjson
from tests.cxx.packages import GOOGLETEST, GOOGLETEST_DIRS, PROGRAMS, Program
from tests.cxx.printed import counts, unlike
from tests.programs.building import source_of
from tmebox.toolchain.build import link_program
from tmebox.toolchain.options import CompileOptions

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.cxx]

RUN_TIMEOUT_S = 900
UNICODE = Path("/usr/share/unicode")


def tables_of_re2(tree: Path, directory: Path) -> list[Path]:
    """Sources that Debian leaves out of re2 and makes again, of Unicode's files and by its own scripts."""
    if not (UNICODE / "UnicodeData.txt").exists() or not shutil.which("perl"):
        pytest.skip("re2's tables are made from Unicode's files: apt-get install unicode-data perl")
    for name in ("unicode.py", "make_unicode_casefold.py", "make_unicode_groups.py"):
        text = (tree / "re2" / name).read_text()
        text = re.sub(r'"https://[^"]*/ucd"', repr(str(UNICODE)), text)
        text = text.replace("from six.moves import urllib", "import urllib.request")
        (directory / name).write_text(text.replace("from re2 import unicode", "import unicode"))
    made = []
    for name in ("unicode_casefold", "unicode_groups", "perl_groups"):
        script = tree / "re2" / f"make_{name}.pl" if "perl" in name else directory / f"make_{name}.py"
        command = ["perl", str(script), "perl"] if "perl" in name else [sys.executable, str(script)]
        done = subprocess.run(command, capture_output=True, check=True, cwd=directory)
        made.append(directory / f"{name}.cc")
        made[-1].write_bytes(done.stdout)
    return made


MADE = {"re2": tables_of_re2}
"""Sources that are made."""
DATA = {"simdjson": documents_of_simdjson}
"""Where tests find their data: elsewhere it is the package's directory."""


def files(tree: Path, patterns: Sequence[str], left_out: str = r"(?!)") -> list[Path]:
    found = [path for pattern in patterns for path in sorted(tree.glob(pattern))]
    return [path for path in found if not re.search(left_out, str(path.relative_to(tree)))]


def one_of_all(tests: Sequence[Path], options: CompileOptions, directory: Path) -> list[twice.Twice]:
    """Tests for one program of all: each one's `main` is a function that nobody calls."""
    return [
        twice.compiled(test, directory, replace(options, defines=(f"main=main_of_test_{index}",)))
        for index, test in enumerate(tests)
    ]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_packages_own_tests_pass_as_they_do_natively(name: str, tmp_path: Path) -> None:
    program = PROGRAMS[name]
    tree = source_of(program.package)
    sources = files(tree, program.sources, program.left_out)
    includes = [tree / folder for folder in program.includes]
    if name in MADE:
        sources += MADE[name](tree, tmp_path)
    if program.own:
        (tmp_path / "own.cc").write_text(program.own)
        sources.append(tmp_path / "own.cc")
    if program.uses_googletest:
        google = source_of("googletest")
        sources += [google / path for path in GOOGLETEST]
        includes += [google / path for path in GOOGLETEST_DIRS]
    options = CompileOptions(
        optimize="-O1",
        flags=("-w", "-g1", *program.flags),
        include_dirs=tuple(includes),
        readable_dirs=(tree, tmp_path),
        undefined="linker",
        name=name,
        timeout_s=900,
    )
    shared = [twice.compiled(source, tmp_path / "made", options) for source in sources]
    tests = files(tree, program.tests)
    if program.together:
        programs = {name: one_of_all(tests, options, tmp_path / "made")}
    else:
        programs = {test.stem: [twice.compiled(test, tmp_path / "made", options)] for test in tests}
    data = DATA[name](tree, tmp_path / "data") if name in DATA else tree
    failed = {}
    for title, objects in programs.items():
        why = differs(title, [*shared, *objects], data, program, options, tmp_path)
        if why:
            failed[title] = why
    print(
        f"{name}: {len(programs) - len(failed)} of {len(programs)} programs end well, natively and sandboxed"
    )
    assert not failed, "\n".join(f"{title}: {why}" for title, why in failed.items())


def differs(
    title: str,
    objects: Sequence[twice.Twice],
    data: Path,
    program: Program,
    options: CompileOptions,
    directory: Path,
) -> str:
    """What is wrong with a program; nothing, if its tests pass in a sandbox, and as many as natively."""
    native = directory / title
    if why := twice.link_natively([item.native for item in objects], native):
        return why
    arguments = program.arguments_of.get(title, program.arguments)
    outside = twice.run_natively(native, arguments, data, RUN_TIMEOUT_S)
    native.unlink()
    module = tmebox.Module(link_program([item.sandboxed for item in objects], (), options))
    inside = twice.run_sandboxed(module, title, arguments, data, RUN_TIMEOUT_S)
    seen = {"natively": outside, "sandboxed": inside}
    for how, outcome in seen.items():
        print(f"{title}, {how}: exit {outcome.exit_code}", *counts(outcome.printed)[-3:], sep="\n    ")
    for how, outcome in seen.items():
        passed = outcome.exit_code == 0 and re.search(program.expected, outcome.printed)
        if not passed:
            return f"{how}: {outcome.trap or f'exit {outcome.exit_code}: {outcome.printed[-3000:]}'}"
    return unlike(inside.printed, outside.printed)
