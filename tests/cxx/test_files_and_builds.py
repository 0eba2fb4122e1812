"""What C++ programs do with files, regular expressions and locales; and builds of projects in C++."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import tmebox
from tmebox.toolchain.cc.description import main_toolchain

PROGRAMS = Path(__file__).parent / "programs"


def test_the_filesystem_library_keeps_to_what_was_granted(tmp_path: Path) -> None:
    for name in ("rw", "ro"):
        (tmp_path / name).mkdir()
    (tmp_path / "ro" / "given").write_text("given")
    module = tmebox.compile(PROGRAMS / "files.cpp", flags=("-std=c++23",))
    done = tmebox.Sandbox(module, dirs=[f"{tmp_path}/rw:/rw", f"{tmp_path}/ro:/ro:ro"], timeout=60.0).run()
    assert done.stdout.decode().splitlines() == (PROGRAMS / "files.txt").read_text().splitlines()
    assert (tmp_path / "rw" / "given").read_text() == "given"


# -- builds ------------------------------------------------------------------------------------------------
MAIN = """
#include <iostream>
#include "shape.hpp"
int main(int argc, char **) {
    try {
        std::cout << make(argc)->area() << std::endl;
        std::cout << make(-1)->area() << std::endl;
    } catch (const std::exception &error) {
        std::cout << error.what() << std::endl;
        return 0;
    }
    return 1;
}
"""
HEADER = """
#pragma once
#include <memory>
struct Shape { virtual ~Shape() = default; virtual double area() const = 0; };
std::unique_ptr<Shape> make(int sides);
"""
SHAPE = """
#include "shape.hpp"
#include <stdexcept>
#include <string>
struct Square final : Shape {
    double side;
    Square(double s) : side(s) {}
    double area() const override { return side * side; }
};
std::unique_ptr<Shape> make(int sides) {
    if (sides < 0) throw std::invalid_argument("no shape has " + std::to_string(sides) + " sides");
    return std::make_unique<Square>(sides + 0.5);
}
"""
EXPECTED = "2.25\nno shape has -1 sides\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("main.cpp", MAIN), ("shape.hpp", HEADER), ("shape.cpp", SHAPE)):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-ec", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def test_cmake_builds_projects_in_cxx(project: Path) -> None:
    needs("cmake", "make")
    Path("CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(shapes CXX)\nset(CMAKE_CXX_STANDARD 20)\n"
        "find_package(Threads REQUIRED)\ninclude(CheckCXXSourceCompiles)\ninclude(CheckIncludeFileCXX)\n"
        'check_include_file_cxx("filesystem" HAS_FILESYSTEM)\n'
        'check_cxx_source_compiles("int nope(); int main() { return nope(); }" HAS_NOPE)\n'
        "if(NOT HAS_FILESYSTEM OR HAS_NOPE)\n  message(FATAL_ERROR wrong)\nendif()\n"
        "add_library(shape shape.cpp)\nadd_executable(shapes main.cpp)\n"
        "target_link_libraries(shapes shape Threads::Threads)\n"
    )
    assert main_toolchain(["--cmake", "toolchain.cmake"]) == 0
    shell("cmake -S . -B build -DCMAKE_TOOLCHAIN_FILE=$PWD/toolchain.cmake && cmake --build build")
    assert shell("./build/shapes") == EXPECTED


@pytest.mark.cxx
def test_meson_builds_projects_in_cxx(project: Path) -> None:
    needs("meson", "ninja")
    Path("meson.build").write_text(
        "project('shapes', 'cpp', default_options: ['cpp_std=c++20'])\nc = meson.get_compiler('cpp')\n"
        "assert(c.has_header('filesystem') and not c.has_header('nope'))\n"
        "assert(c.run('#include <vector>\\nint main() { return std::vector<int>(3).size() - 3; }')"
        ".returncode() == 0)\n"
        "executable('shapes', 'main.cpp', link_with: static_library('shape', 'shape.cpp'),\n"
        "           dependencies: dependency('threads'))\n"
    )
    assert main_toolchain(["--meson=native.ini"]) == 0
    shell("meson setup --native-file native.ini build && ninja -C build -j1")
    assert shell("./build/shapes") == EXPECTED


@pytest.mark.cxx
def test_autoconf_builds_projects_in_cxx(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs("autoconf", "make")
    Path("configure.ac").write_text(
        "AC_INIT([shapes], [1])\nAC_PROG_CXX\nAC_LANG([C++])\nAC_CHECK_HEADERS([filesystem nope])\n"
        "AC_CHECK_FUNCS([qsort nope])\nAC_RUN_IFELSE([AC_LANG_PROGRAM([[#include <string>]],\n"
        "  [[return std::string(3, 'x').size() == 3 ? 0 : 1;]])], [runs=yes], [runs=no])\n"
        "AC_SUBST([found],\n"
        '  ["$ac_cv_header_filesystem $ac_cv_header_nope $ac_cv_func_qsort $ac_cv_func_nope $runs"])\n'
        "AC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n"
    )
    Path("Makefile.in").write_text(
        "shapes: main.o shape.o\n\t@CXX@ @CXXFLAGS@ @LDFLAGS@ main.o shape.o -o shapes @LIBS@\n"
        ".cpp.o:\n\t@CXX@ @CPPFLAGS@ @CXXFLAGS@ -c $<\n.SUFFIXES: .cpp .o\nfound:\n\t@echo @found@\n"
    )
    assert main_toolchain(["--env"]) == 0
    Path("env").write_text(capsys.readouterr().out)
    shell("autoconf && . ./env && ./configure && make shapes")
    assert shell("make -s found") == "yes no yes no yes\n"
    assert shell("./shapes") == EXPECTED
