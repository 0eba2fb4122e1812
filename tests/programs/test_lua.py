"""Lua, built from Debian's source by its own makefile, runs scripts exactly as a native build does."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs.building import Ran, make, native_tools, run, run_sandboxed, sandboxed_tools, source_of

pytestmark = pytest.mark.network

SCRIPTS = sorted((Path(__file__).parent / "lua").glob("*.lua"))
STDIN = b"line one\n 12.5 rest\nmore\nlast"
ENVIRONMENT = {"TMEBOX_GREETING": "hello"}


@dataclass(frozen=True)
class Builds:
    native: Path
    sandboxed: Path


@pytest.fixture(scope="session")
def lua(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    source = source_of("lua5.4")
    directory = tmp_path_factory.mktemp("lua")
    copies = [
        make(source / "src", directory, tools, "posix") for tools in (native_tools(), sandboxed_tools())
    ]
    return Builds(*(copy / "lua" for copy in copies))


def both(lua: Builds, tmp_path: Path, script: Path, *arguments: str) -> tuple[Ran, Ran]:
    """Run in two fresh directories that hold the script; they must end with the same files, too."""
    results, files = [], []
    for name, runner, program in (("n", run, lua.native), ("s", run_sandboxed, lua.sandboxed)):
        directory = tmp_path / name
        directory.mkdir()
        shutil.copy(script, directory)
        results.append(
            runner(program, script.name, *arguments, directory=directory, stdin=STDIN, env=ENVIRONMENT)
        )
        files.append({path.name: path.read_bytes() for path in directory.iterdir()})
    assert files[0] == files[1]
    return results[0], results[1]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_prints_the_same_natively_and_sandboxed(script: Path, lua: Builds, tmp_path: Path) -> None:
    native, sandboxed = both(lua, tmp_path, script)
    assert native.stdout, f"the script does nothing: {native.stderr.decode()}"
    assert sandboxed.stdout.decode(errors="replace") == native.stdout.decode(errors="replace")
    assert sandboxed.exit_code == native.exit_code, sandboxed.stderr.decode()


@pytest.mark.parametrize(
    "text",
    ["error('uncaught', 0)", "local x = nil + 1", "return return", "os.exit(42)", "print(arg[1], ...)"],
)
def test_a_short_script_ends_the_same_natively_and_sandboxed(text: str, lua: Builds, tmp_path: Path) -> None:
    script = tmp_path / "short.lua"
    script.write_text(text)
    native, sandboxed = both(lua, tmp_path, script, "argument", "another one")
    assert (sandboxed.exit_code, sandboxed.stdout) == (native.exit_code, native.stdout)
    # The first word is the program's own path.
    assert sandboxed.stderr.split(b": ", 1)[1:] == native.stderr.split(b": ", 1)[1:]


def test_the_interpreter_itself_can_be_inspected(lua: Builds) -> None:
    contents = lua.sandboxed.read_bytes()
    assert contents.startswith(b"#!")  # a program starts itself: a launcher, then the module
    assert b"\x7fELF" in contents[:4096]
    assert b"tmebox" in contents


def test_compiled_scripts_are_the_same_bytes(lua: Builds, tmp_path: Path) -> None:
    script = SCRIPTS[0]
    shutil.copy(script, tmp_path)
    outputs = []
    for runner, program in ((run, lua.native), (run_sandboxed, lua.sandboxed)):
        compiler = program.with_name("luac")
        done = runner(compiler, "-o", "luac.out", script.name, directory=tmp_path)
        assert done.exit_code == 0, done.stderr.decode()
        outputs.append((tmp_path / "luac.out").read_bytes())
    assert outputs[0] == outputs[1]
