"""Packages are built by their own build systems, and their own tests, as many as start no other process, pass
sandboxed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.programs.test_packages import run, unpacked

pytestmark = pytest.mark.network

STATIC = ("--disable-shared", "--disable-dependency-tracking")


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
