"""C++ that people run: Debian's source packages, with as many of their own tests as run in one process.

Sources are compiled as they are, and linked into one program for each row.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import tmebox
from tests.cxx.packages import GOOGLETEST, GOOGLETEST_DIRS, PROGRAMS, Program
from tests.programs.building import source_of
from tmebox.toolchain.build import compile_object, link_program
from tmebox.toolchain.options import CompileOptions

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.cxx]

UNICODE = Path("/usr/share/unicode")


def tables_of_re2(tree: Path, directory: Path) -> list[Path]:
    """Sources that Debian leaves out of re2 and makes again, of Unicode's files and by its own scripts."""
    if not (UNICODE / "UnicodeData.txt").exists() or not shutil.which("perl"):
        pytest.skip("re2's tables are made from Unicode's files: apt-get install unicode-data perl")
    for name in ("unicode.py", "make_unicode_casefold.py", "make_unicode_groups.py"):
        text = (tree / "re2" / name).read_text()
        text = re.sub(r'"https://[^"]*/ucd"', repr(str(UNICODE)), text)
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


def files(tree: Path, patterns: Sequence[str], left_out: str = r"(?!)") -> list[Path]:
    found = [path for pattern in patterns for path in sorted(tree.glob(pattern))]
    return [path for path in found if not re.search(left_out, str(path.relative_to(tree)))]


def compiled(sources: Sequence[Path], options: CompileOptions, directory: Path) -> list[Path]:
    """In the order of the sources."""
    directory.mkdir()
    objects = [directory / f"{index}-{source.stem}.o" for index, source in enumerate(sources)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda source, made: compile_object(source, made, options), sources, objects))
    return objects


def without_main(tests: Sequence[Path], options: CompileOptions, directory: Path) -> list[Path]:
    """Tests for one program of all: each one's `main` is a function that nobody calls."""
    directory.mkdir()

    def one(index: int, test: Path) -> Path:
        made = directory / f"{index}-{test.stem}.o"
        compile_object(test, made, replace(options, defines=(f"main=main_of_test_{index}",)))
        return made

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(len(tests)), tests))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_packages_own_tests_pass(name: str, tmp_path: Path) -> None:
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
        flags=("-w", *program.flags),
        include_dirs=tuple(includes),
        readable_dirs=(tree, tmp_path),
        undefined="linker",
        name=name,
        timeout_s=600,
    )
    shared = compiled(sources, options, tmp_path / "shared")
    tests = files(tree, program.tests)
    if program.together:
        programs = {name: without_main(tests, options, tmp_path / "tests")}
    else:
        made = compiled(tests, options, tmp_path / "tests")
        programs = {test.stem: [one] for test, one in zip(tests, made, strict=True)}
    failed = {}
    for title, objects in programs.items():
        module = tmebox.Module(link_program([*shared, *objects], (), options))
        why = ends_badly(title, module, tree, program)
        if why:
            failed[title] = why
    print(f"{name}: {len(programs) - len(failed)} of {len(programs)} programs end well")
    assert not failed, "\n".join(f"{title}: {why}" for title, why in failed.items())


def ends_badly(title: str, module: tmebox.Module, tree: Path, program: Program) -> str:
    """What is wrong; nothing, if its tests pass."""
    sandbox = tmebox.Sandbox(module, memory="512M", dirs=[f"{tree}:/:ro"])
    try:
        done = sandbox.run([title, *program.arguments], timeout=600)
    except tmebox.Trap as trap:
        return str(trap)
    printed = (done.stdout + done.stderr).decode(errors="replace")
    counts = re.findall(r"(?i).*\b(?:tests?|cases?|assertions)\b.*\d.*", printed)
    print(f"{title}:", *counts[-3:], sep="\n    ")
    passed = done.exit_code == 0 and re.search(program.expected, printed)
    return "" if passed else f"exit {done.exit_code}: {printed[-3000:]}"
