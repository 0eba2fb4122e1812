"""How the native core is compiled: setup.py, with a compiler that only writes down what it is told."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import ziglang

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "setup.py"
CORE = ROOT / "native"

ZIG = Path(ziglang.__file__).parent / "lib"
HEADERS = [
    "include",
    *(
        f"libc/include/{name}"
        for name in ("x86-linux-gnu", "generic-glibc", "x86-linux-any", "any-linux-any")
    ),
]
CLANG = [sys.executable, "-m", "ziglang", "clang", "--target=x86_64-linux-gnu", "-nostdinc", "-fsyntax-only"]
CLANG += [f"-isystem{ZIG / name}" for name in HEADERS]

COMPILER = """#!{python}
import sys
import sysconfig
from pathlib import Path
with open({log!r}, "a") as log:
    print(*sys.argv[1:], sep="\\t", file=log)
Path(sys.argv[sys.argv.index("-o") + 1]).touch()
"""


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    path = tmp_path / "compiler"
    path.write_text(COMPILER.format(python=sys.executable, log=str(tmp_path / "log")))
    path.chmod(0o755)
    return path


def compiled(compiler: Path, variable: str, flags: str) -> list[list[str]]:
    """The arguments with which each file of the core is compiled."""
    folder = compiler.parent
    command: list[str | Path] = [
        sys.executable,
        SETUP,
        "-q",
        "build_ext",
        "-f",
        f"-t{folder / 'temporary'}",
        f"-b{folder / 'library'}",
    ]
    environment = {**os.environ, variable: str(compiler), "CFLAGS": flags}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    commands = [line.split("\t") for line in (folder / "log").read_text().splitlines()]
    return [arguments for arguments in commands if "-c" in arguments]


@pytest.mark.parametrize("variable", ["CC", "TMEBOX_ZIG"])
def test_flags_that_are_given_win_over_the_build_s_own(compiler: Path, variable: str) -> None:
    for arguments in compiled(compiler, variable, "-O0 -g3 '-DNAME=two words'"):
        assert [argument for argument in arguments if argument.startswith("-O")][-1] == "-O0"
        assert [argument for argument in arguments if argument.startswith("-g")][-1] == "-g3"
        assert "-DNAME=two words" in arguments


@pytest.mark.parametrize("variable", ["CC", "TMEBOX_ZIG"])
def test_every_file_of_the_core_is_compiled(compiler: Path, variable: str) -> None:
    sources = [str(path.relative_to(ROOT)) for path in CORE.rglob("*") if path.suffix in {".c", ".S"}]
    commands = compiled(compiler, variable, "")
    assert sorted(arguments[arguments.index("-c") + 1] for arguments in commands) == sorted(sources)
    assert all("-O2" in arguments for arguments in commands)


def test_the_toolchain_s_compiler_has_nothing_to_say_about_the_core() -> None:
    """It builds the core where there is no other, and takes for errors what others only warn of."""
    sources = sorted(CORE.rglob("*.c"))
    include = sysconfig.get_path("include")
    done = subprocess.run(
        [*CLANG, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Inative", f"-I{include}", *sources],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
