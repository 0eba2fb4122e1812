"""What each extra is needed for: the Python interface and the compiler work without the shell's packages."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tmebox import __version__
from tmebox.__main__ import SHELL_PACKAGES
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tmebox"
WITHOUT_SHELL = f"import sys; sys.modules.update(dict.fromkeys({sorted(SHELL_PACKAGES)}))\n"
"""Importing a module whose entry is None fails as if it were not installed."""


def run_without_shell(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_SHELL + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


OUTSIDE = {"adapters", "library", "ray"}


def modules_of_the_interface() -> list[str]:
    """All but the shell, and what connects to libraries that users bring."""
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py")]
    kept = [path for path in paths if path.parts[1] != "cli" and not OUTSIDE & {*path.parts}]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in kept)


def test_everything_but_the_shell_imports_without_the_shells_packages() -> None:
    names = modules_of_the_interface()
    assert "tmebox.runtime.pool.pool" in names and "tmebox.toolchain.cc.driver" in names
    done = run_without_shell(
        "import importlib\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "import tmebox\n"
        "for name in tmebox.__all__: getattr(tmebox, name)\n"
    )
    assert done.returncode == 0, done.stderr


def test_compiling_calling_and_showing_progress_work_without_the_shells_packages() -> None:
    done = run_without_shell(
        "import tmebox\n"
        "module = tmebox.compile(source_text='int add(int a, int b) { return a + b; }')\n"
        "with tmebox.SandboxPool(module, threads=1) as pool:\n"
        "    print(list(pool.map('add', [1, 2], [3, 4], progress=True)))\n"
    )
    assert (done.returncode, done.stdout) == (0, "[4, 6]\n"), done.stderr


@pytest.mark.parametrize("arguments", [["doctor"], ["run", "hello.c"], ["--help"], []])
def test_the_shell_says_in_one_line_which_extra_it_needs(arguments: list[str]) -> None:
    done = run_without_shell("from tmebox.__main__ import main; sys.exit(main())", *arguments)
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(
        r"tmebox: error: this command needs \w+, .*: pip install 'tmebox\[cli\]' .*\n", done.stderr
    )


@pytest.mark.parametrize("arguments", [["--version"], ["cc", "--version"], ["ar", "--version"]])
def test_the_version_and_the_compiler_need_no_extra_of_the_shells(arguments: list[str]) -> None:
    done = run_without_shell("from tmebox.__main__ import main; sys.exit(main())", *arguments)
    assert done.returncode == 0, done.stderr
    assert arguments[0] == "ar" or __version__ in done.stdout


def test_an_import_that_fails_for_another_reason_is_not_blamed_on_the_extra() -> None:
    code = "sys.modules['tmebox.cli.app'] = None; from tmebox.__main__ import main; main()"
    done = run_without_shell(code, "doctor")
    assert "ModuleNotFoundError" in done.stderr and "tmebox[cli]" not in done.stderr


def test_the_version_has_one_home() -> None:
    literal = re.compile(rf"""["'][^"']*\b{re.escape(__version__)}\b""")
    places = [path for path in PACKAGE.rglob("*.py") if literal.search(path.read_text())]
    assert [path.name for path in places] == ["_version.py"]
    assert __version__ not in (ROOT / "pyproject.toml").read_text()


def test_the_compilers_package_is_pinned_in_one_place() -> None:
    from tmebox.cli import doctor

    installed = importlib.metadata.version("ziglang")
    files = ["setup.py", "pyproject.toml", "Makefile", "bench/pyproject.toml"]
    paths = [*(ROOT / name for name in files), *PACKAGE.rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    pins = [path.name for path in paths if installed in path.read_text()]
    assert pins == ["pyproject.toml"] and doctor._pinned_compiler() == installed


def test_clangs_version_is_what_the_compiler_says() -> None:
    done = clang.run("clang", ["--version"], ANYWHERE)
    assert f"clang version {clang.VERSION}" in done.output
