"""Packages are built by their own build systems, and their own tests, as many as start no other process, pass
sandboxed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.programs.building import native_tools, source_of
from tests.programs.building import run as run_natively
from tests.programs.test_packages import NO_AUTOTOOLS, run, unpacked

pytestmark = pytest.mark.network

STATIC = ("--disable-shared", "--disable-dependency-tracking")


SQL = """
create table item (id integer primary key, name text collate nocase, price real, tags blob);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000)
insert into item select i, printf('item-%05x', i * 7919 % 5000), i / 7.0, zeroblob(i % 9) from n;
create index by_name on item (name, price desc);
create virtual table words using fts5 (text);
create virtual table boxes using rtree (id, x0, x1, y0, y1);
insert into words select 'row ' || name || ' ' || group_concat(id, ' ') from item group by name;
insert into boxes select id, price, price + 1, -price, 1 - price from item;
begin; update item set price = price + 1 where id % 3 = 0;
savepoint before; delete from item; rollback to before; commit;
select count(*), round(sum(price), 3), min(name), max(length(tags)) from item;
select name, row_number() over (order by price desc), lag(id) over (order by price) from item limit 5;
select count(*) from words where words match 'item AND 00a*';
select count(*) from boxes where x1 > 100 and y0 < -200;
select json_group_array(json_object('id', id, 'p', round(price, 2))) from (select * from item where id < 6);
select name from item where name like '%FF_' order by name desc limit 4;
select id from missing;
vacuum; pragma integrity_check;
explain query plan select * from item where name = 'ITEM-00001' order by price;
"""
"""All kinds of statements, a wrong one too."""


def configured_by_cmake(package: str, folder: str, place: Path, *options: str) -> Path:
    """The build's directory, as `tmebox toolchain` tells CMake to make it."""
    if not shutil.which("cmake"):
        pytest.skip("cmake is not installed")
    source = unpacked(package, place)
    run(place, sys.executable, "-m", "tmebox", "toolchain", "--cmake", "tools.cmake")
    words = ["-B", "build", f"-DCMAKE_TOOLCHAIN_FILE={place}/tools.cmake", "-DCMAKE_BUILD_TYPE=Release"]
    run(place, "cmake", "-S", str(source / folder), *words, *options)
    return place / "build"


def run_ctest(build: Path, place: Path, *, only: str) -> int:
    """How many of its tests CTest has run; all have passed. They have the directory `place`, and begin in the
    one in which CTest starts them."""
    said = run(build, "ctest", "-j2", "-R", only, TMEBOX_RUN=f"--dir .:/ --dir {place}:{place}")
    found = re.search(r"100% tests passed, 0 tests failed out of (\d+)", said)
    assert found, said[-3000:]
    print(found[0])
    return int(found[1])


def made(directory: Path, *targets: str) -> None:
    run(directory, "make", "-j2", *targets)


@pytest.mark.slow
def test_lz4_passes_its_fuzzers(tmp_path: Path) -> None:
    tests = unpacked("lz4", tmp_path) / "tests"
    made(tests, "fuzzer", "frametest")
    for program in ("fuzzer", "frametest"):
        run(tests, f"./{program}", "-i20", "-s3")


@pytest.mark.slow
def test_libyaml_passes_its_unit_tests(tmp_path: Path) -> None:
    build = configured_by_cmake("libyaml", ".", tmp_path)
    made(build)
    assert run_ctest(build, tmp_path, only=".") == 2


@pytest.mark.packages
def test_jansson_passes_its_unit_tests(tmp_path: Path) -> None:
    options = ["-DJANSSON_BUILD_DOCS=OFF", "-DJANSSON_EXAMPLES=OFF"]
    build = configured_by_cmake("jansson", ".", tmp_path, *options)
    made(build)
    assert run_ctest(build, tmp_path, only="^test_") > 15


@pytest.mark.packages
def test_expat_passes_its_unit_tests(tmp_path: Path) -> None:
    options = [f"-DEXPAT_BUILD_{name}=OFF" for name in ("TOOLS", "EXAMPLES", "DOCS")]
    build = configured_by_cmake("expat", "expat", tmp_path, *options)
    made(build, "runtests")
    said = run(build, "tests/runtests")
    print(said.splitlines()[-1])
    assert re.search(r"100%: Checks: \d{3}, Failed: 0", said), said[-2000:]


@pytest.mark.packages
def test_brotli_compresses_and_decompresses_as_its_tests_want(tmp_path: Path) -> None:
    build = configured_by_cmake("brotli", ".", tmp_path)
    made(build)
    assert run_ctest(build, tmp_path, only="compatibility|roundtrip") > 10


@pytest.mark.packages
def test_pcre2_passes_its_own_tests(tmp_path: Path) -> None:
    source = unpacked("pcre2", tmp_path)
    run(source, "./configure", *STATIC)
    made(source, "pcre2test", "pcre2posix_test")
    said = run(source, "./RunTest", TMEBOX_RUN="--dir .:/ --stack 64MiB")
    print(said.count("OK"), "parts OK")
    assert said.count("OK") > 15 and "FAILED" not in said, said[-3000:]
    run(source, "./pcre2posix_test")


@pytest.mark.packages
def test_libpng_passes_its_own_tests(tmp_path: Path) -> None:
    zlib = unpacked("zlib", tmp_path)
    run(zlib, "./configure", "--static")
    made(zlib, "libz.a")
    source = unpacked("libpng1.6", tmp_path)
    run(source, "./configure", *STATIC, f"CPPFLAGS=-I{zlib}", f"LDFLAGS=-L{zlib}")
    made(source, "pngtest", "pngunknown", "pngvalid")
    scripts = ["pngtest-all", *(path.name for path in sorted((source / "tests").glob("pngunknown-*")))]
    for name in (*scripts, "pngvalid-standard", "pngvalid-transform", "pngvalid-progressive-standard"):
        run(source, "sh", "-e", f"tests/{name}", srcdir=".", TMEBOX_RUN="--dir .:/")


@pytest.mark.packages
def test_libjpeg_turbo_passes_its_unit_tests(tmp_path: Path) -> None:
    build = configured_by_cmake("libjpeg-turbo", ".", tmp_path, "-DENABLE_SHARED=OFF", "-DWITH_SIMD=OFF")
    programs = ("tjunittest", "cjpeg", "djpeg", "jpegtran", "tjbench")
    made(build, "md5cmp", *(f"{name}-static" for name in programs))
    assert run_ctest(build, tmp_path, only=r"^(tjunittest|cjpeg|djpeg|jpegtran)-static") > 100


@pytest.mark.packages
def test_libevent_passes_its_regression_tests(tmp_path: Path) -> None:
    """In one process, and without those groups of tests that listen, resolve names or fork."""
    source = unpacked("libevent", tmp_path)
    run(source, "./configure", *STATIC, "--disable-openssl")
    made(source, *NO_AUTOTOOLS, "include/event2/event-config.h")
    made(source, *NO_AUTOTOOLS, "test/regress")
    groups = ("heap/..", "evbuffer/..", "util/..", "evtag/..", "finalize/..")
    forking = (":finalize/debug_use_after_free", ":util/log")
    (source / "tmp").mkdir()
    said = run(source, "test/regress", "--no-fork", *groups, *forking, TMEBOX_RUN="--dir .:/")
    print(said.splitlines()[-1])
    assert re.search(r"\d{2} tests ok", said) and "FAILED" not in said, said[-3000:]


@pytest.mark.packages
def test_sqlite_answers_as_it_does_natively(tmp_path: Path) -> None:
    sources = source_of("fossil") / "extsrc"
    options = [
        "-O1",
        "-w",
        *(f"-DSQLITE_ENABLE_{name}" for name in ("FTS5", "RTREE")),
        "-DSQLITE_THREADSAFE=0",
    ]

    def built(name: str, compiler: Sequence[str]) -> Path:
        words = ["-DSQLITE_OMIT_LOAD_EXTENSION", str(sources / "shell.c"), str(sources / "sqlite3.c"), "-lm"]
        run(tmp_path, *compiler, *options, *words, "-o", name)
        return tmp_path / name

    native = built("native", native_tools().cc.split())
    sandboxed = built("sandboxed", [sys.executable, "-m", "tmebox", "cc"])
    (tmp_path / "script").write_text(SQL)
    given = {"TMEBOX_RUN": "--dir .:/ --memory 256MiB"}
    ends = [
        run_natively(program, "-batch", f"{program.name}.db", ".read script", directory=tmp_path, env=given)
        for program in (native, sandboxed)
    ]
    assert ends[0] == ends[1] and ends[0].stdout.count(b"\n") > 15 and b"no such table" in ends[0].stderr
    files = [(tmp_path / f"{program.name}.db").read_bytes() for program in (native, sandboxed)]
    assert files[0] == files[1]
