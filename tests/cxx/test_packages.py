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
from dataclasses import dataclass
from pathlib import Path

import pytest

import tmebox
from tests.programs.building import source_of
from tmebox.toolchain.build import compile_object, link_program
from tmebox.toolchain.options import CompileOptions

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.cxx]
GOOGLETEST = ("googletest/src/gtest-all.cc", "googlemock/src/gmock-all.cc")
GOOGLETEST_DIRS = ("googletest", "googletest/include", "googlemock", "googlemock/include")
FOR_GOOGLETEST = ("-DGTEST_HAS_PTHREAD=0", "-DGTEST_HAS_DEATH_TEST=0")


@dataclass(frozen=True)
class Program:
    """sources: patterns of files of the package; `own`: more text to compile with them. includes: directories
    of the package. expected: what it prints if its tests pass. arguments: of the program."""

    package: str
    sources: tuple[str, ...]
    expected: str
    flags: tuple[str, ...] = ()
    includes: tuple[str, ...] = (".",)
    own: str = ""
    arguments: tuple[str, ...] = ()
    uses_googletest: bool = False
    options: tuple[str, ...] = ("-O1", "-w")


def named(folder: str, suffix: str, words: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{word}{suffix}" for word in words.split())


PROGRAMS = {
    "pugixml": Program(
        "pugixml",
        ("src/pugixml.cpp", *named("tests", ".cpp", "main test allocator writer_string test_*")),
        r"Success: \d+ tests passed",
        ("-U__x86_64",),  # its allocator wants pages without access at the end of each block
        ("src",),
    ),
    "fmt": Program(
        "fmtlib",
        (
            *("src/format.cc", "src/os.cc"),
            *named("test", ".cc", "test-main util gtest-extra"),
            *named("test", "-test.cc", "args color compile core ostream printf ranges unicode xchar"),
        ),
        r"\[  PASSED  \] \d+ tests",
        FOR_GOOGLETEST,
        ("include", "test"),
        uses_googletest=True,
    ),
    "re2": Program(
        "re2",
        (
            *("re2/*.cc", "util/rune.cc", "util/strutil.cc", "util/pcre.cc", "util/test.cc"),
            *named(
                "re2/testing",
                ".cc",
                "backtrack dump exhaustive_tester null_walker regexp_generator string_generator tester",
            ),
            *named(
                "re2/testing",
                "_test.cc",
                "charclass compile filtered_re2 mimics_pcre parse possible_match re2_arg regexp "
                "required_prefix search set simplify string_generator",
            ),
        ),
        "PASS",
    ),
    "json": Program(
        "nlohmann-json3",
        named(
            "tests/src/unit-",
            ".cpp",
            "algorithms alt-string capacity comparison element_access1 iterators1 json_pointer merge_patch "
            "modifiers pointer_access user_defined_input items",
        ),
        r"Status: SUCCESS!",
        ("-DJSON_TEST_KEEP_MACROS", "-DJSON_TEST_USING_MULTIPLE_HEADERS=0"),
        ("single_include", "tests/thirdparty/doctest", "tests/src"),
        "#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest.h>\n",
    ),
    "simdjson": Program(
        "simdjson",
        ("src/simdjson.cpp", "tests/dom/basictests.cpp"),
        "Basic tests are ok",
        ("-DSIMDJSON_IMPLEMENTATION_ICELAKE=0", '-DSIMDJSON_BENCHMARK_DATA_DIR="/jsonexamples/"'),
        ("include", "src", "tests", "tests/dom"),
    ),
    "leveldb": Program(
        "leveldb",
        (
            *("table/*.cc", "util/*.cc", "helpers/memenv/memenv*.cc"),
            *named(
                "db",
                ".cc",
                "builder db_impl db_iter dbformat filename log_reader log_writer memtable repair table_cache "
                "version_edit version_set write_batch dbformat_test filename_test log_test version_edit_test "
                "version_set_test write_batch_test",
            ),
        ),
        r"\[  PASSED  \] \d+ tests",
        (*FOR_GOOGLETEST, "-DLEVELDB_PLATFORM_POSIX=1", "-DHAVE_FDATASYNC=1"),
        ("include", "."),
        "#include <gtest/gtest.h>\nint main(int c, char **v)"
        "{ testing::InitGoogleTest(&c, v); return RUN_ALL_TESTS(); }\n",
        uses_googletest=True,
    ),
}
LEFT_OUT = {
    "leveldb": r"(env_(posix_|windows_)?|no_destructor_|cache_)test|_windows|table_test|testharness",
    "re2": r"re2/(fuzz)",
}
"""Files that need threads, child processes or another system."""


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


def compiled(sources: Sequence[Path], options: CompileOptions, directory: Path) -> list[Path]:
    objects = [directory / f"{index}-{source.stem}.o" for index, source in enumerate(sources)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(compile_object, *pair, options) for pair in zip(sources, objects, strict=True)]
        for job in jobs:
            job.result()
    return objects


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_packages_own_tests_pass(name: str, tmp_path: Path) -> None:
    program = PROGRAMS[name]
    tree = source_of(program.package)
    left_out = re.compile(LEFT_OUT.get(name, r"(?!)"))
    sources = [
        path
        for pattern in program.sources
        for path in sorted(tree.glob(pattern))
        if not left_out.search(str(path.relative_to(tree)))
    ]
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
    optimize, *flags = (*program.options, *program.flags)
    options = CompileOptions(
        optimize=optimize,
        flags=tuple(flags),
        include_dirs=tuple(includes),
        readable_dirs=(tree, tmp_path),
        undefined="linker",
        name=name,
    )
    module = link_program(compiled(sources, options, tmp_path), (), options)
    sandbox = tmebox.Sandbox(tmebox.Module(module), memory="512M", dirs=[f"{tree}:/:ro"])
    done = sandbox.run([name, *program.arguments], timeout=300)
    printed = (done.stdout + done.stderr).decode(errors="replace")
    assert done.exit_code == 0, printed[-4000:]
    assert re.search(program.expected, printed), printed[-4000:]
