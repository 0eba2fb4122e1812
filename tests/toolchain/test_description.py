"""`tmebox toolchain`: what it says is what build systems understand, and leads to our tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tmebox.toolchain.cc import description
from tmebox.toolchain.cc.description import ToolchainError, main_toolchain

HELLO = '#include <stdio.h>\nint part(void);\nint main(void) { printf("hello %d\\n", part()); return 0; }\n'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "main.c").write_text(HELLO)
    (tmp_path / "part.c").write_text("int part(void) { return 42; }\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-ec", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def described(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main_toolchain(arguments) == 0
    return capsys.readouterr().out


def test_the_environment_makes_a_build_ours(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("env").write_text(described(capsys, "--env"))
    assert "tmebox-cc" in Path("env").read_text()
    built = shell(
        ". ./env; $CC -c main.c; $CC -c part.c; $AR rc libpart.a part.o; $RANLIB libpart.a;"
        "$CC main.o -L. -lpart -o hello; $STRIP hello; ./hello"
    )
    assert built == "hello 42\n"


def test_cmake_builds_and_runs_programs(package: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    Path("CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(hello C)\ninclude(CheckFunctionExists)\n"
        "check_function_exists(qsort HAS_QSORT)\ncheck_function_exists(nope HAS_NOPE)\n"
        'include(CheckCSourceRuns)\ncheck_c_source_runs("int main(void) { return 0; }" RUNS)\n'
        "if(HAS_NOPE OR NOT HAS_QSORT OR NOT RUNS)\n  message(FATAL_ERROR wrong)\nendif()\n"
        "add_library(part part.c)\nadd_executable(hello main.c)\ntarget_link_libraries(hello part)\n"
    )
    assert main_toolchain(["--cmake", "toolchain.cmake"]) == 0
    shell("cmake -S . -B build -DCMAKE_TOOLCHAIN_FILE=$PWD/toolchain.cmake && cmake --build build -j2")
    assert shell("./build/hello") == "hello 42\n"


def test_meson_builds_and_runs_programs(package: Path) -> None:
    if shutil.which("meson") is None or shutil.which("ninja") is None:
        pytest.skip("meson and ninja are not installed")
    Path("meson.build").write_text(
        "project('hello', 'c')\nc = meson.get_compiler('c')\n"
        "assert(c.has_function('qsort') and not c.has_function('nope'))\n"
        "assert(c.run('int main(void) { return 0; }').returncode() == 0)\n"
        "executable('hello', 'main.c', link_with: static_library('part', 'part.c'))\n"
    )
    assert main_toolchain(["--meson=native.ini"]) == 0
    shell("meson setup --native-file native.ini build && ninja -C build")
    assert shell("./build/hello") == "hello 42\n"


@pytest.mark.parametrize("arguments", [[], ["--env", "x"], ["--cmake"], ["--autotools", "x"]])
def test_other_wishes_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main_toolchain(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_a_missing_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ToolchainError, match="there is no command cc-of-nobody"):
        description._tool("cc-of-nobody")


def test_strings_are_quoted_as_those_systems_read_them() -> None:
    assert description._quoted('a "b" \\c') == '"a \\"b\\" \\\\c"'
    assert description._quoted("it's", mark="'") == "'it\\'s'"
