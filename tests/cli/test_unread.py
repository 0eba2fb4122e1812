"""Output that nobody reads any more ends every command quietly, with what a shell reports for SIGPIPE."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.main import get_command

import tmebox
from tests.cli.command_line import TIME_LIMIT_S, environment
from tests.python.building import why_not
from tmebox.cli.app import app
from tmebox.modulefile import codec
from tmebox.unread import EXIT_UNREAD

ADD_C = "int add(int a, int b) { return a + b; }\n"
YES_C = """\
#include <signal.h>
#include <stdio.h>
static int broken;
static void count(int signal) { broken += signal == SIGPIPE; }
int main(int arguments, char **words)
{
	if (words[1][0] == 'i') signal(SIGPIPE, SIG_IGN);
	if (words[1][0] == 'h') signal(SIGPIPE, count);
	while (puts("y") >= 0 || words[1][0] == 'n') {}
	return 5 + broken;
}
"""


def start(arguments: Iterable[object], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python with arguments, whose standard output has a reader that is gone."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment({"PYTHONUNBUFFERED": "", **variables}),
            text=True,
            check=False,
            timeout=TIME_LIMIT_S,
        )
    finally:
        os.close(theirs)


def commands(group: object, *before: str) -> Iterator[list[str]]:
    """Every command, those of groups by both words."""
    yield [*before]
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *before, name)


ALL = sorted(commands(get_command(app)))
VERBATIM = {"cc": "--version", "c++": "--version", "ar": "--version", "toolchain": "--env"}
"""What those say that take no --help of ours."""
FINDINGS = [
    ["--version"],
    ["inspect", "add.tbx"],
    ["verify", "add.tbx"],
    ["stub", "add.tbx"],
    ["stub", "add.tbx", "-o", "-"],
    ["doctor"],
    ["tme", "explain", "0x1040", "--key-id", "3"],
    ["cc", "-E", "add.c"],
    ["cc", "-O2", "-S", "-o", "-", "add.c"],
    ["ar", "t", "a.a"],
]
EACH_IN_A_CHILD = """
import json, os, sys
import tmebox, tmebox.cli.app
from tmebox.__main__ import main
for words in json.load(open("words.json")):
    said = os.memfd_create("said")
    child = os.fork()
    if not child:
        os.dup2(said, 2)
        sys.argv = ["tmebox", *words]
        sys.exit(main())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = os.pread(said, 2000, 0).decode()
    if (status, text) != (141, ""):
        print(words, status, text, file=sys.stderr)
"""


def test_the_list_has_commands_of_groups() -> None:
    assert all(words in ALL for words in ([], ["cc"], ["inspect"], ["driver", "test"], ["memory", "show"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unread")
    (folder / "add.c").write_text(ADD_C)
    (folder / "yes.c").write_text(YES_C)
    for words in (["cc", "-O2", "-o", "add.tbx"], ["cc", "-c"]):
        command = [sys.executable, "-m", "tmebox", *words, "add.c"]
        subprocess.run(command, cwd=folder, env=environment({}), check=True)
    command = [sys.executable, "-m", "tmebox", "ar", "rcs", "a.a", "add.o"]
    subprocess.run(command, cwd=folder, env=environment({}), check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_what_commands_say_and_find(unbuffered: str, folder: Path) -> None:
    helps = [[*words, VERBATIM.get("".join(words), "--help")] for words in ALL]
    words = FINDINGS if unbuffered else [*helps, *FINDINGS]
    (folder / "words.json").write_text(json.dumps(words))
    done = start(["-c", EACH_IN_A_CHILD], folder, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_command_itself(folder: Path) -> None:
    done = start(["-m", "tmebox", "inspect", "add.tbx"], folder)
    assert (done.returncode, done.stderr) == (EXIT_UNREAD, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wish", "code"), [("never looks", EXIT_UNREAD), ("ignores it", 5), ("has a handler", 6)]
)
def test_a_program_gets_sigpipe_and_decides_itself(wish: str, code: int, folder: Path) -> None:
    done = start(["-m", "tmebox", "run", "yes.c", wish], folder)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.slow
def test_what_a_package_says_of_itself(folder: Path) -> None:
    bind = ["-m", "tmebox", "bind", "add.h", "--sources", "add.c", "-o", "add_box"]
    (folder / "add.h").write_text("int add(int a, int b);\n")
    subprocess.run([sys.executable, *bind], cwd=folder, env=environment({}), check=True, capture_output=True)
    done = start(["-m", "add_box"], folder)
    assert (done.returncode, done.stderr) == (EXIT_UNREAD, "")


SNIPPETS = {
    "a command that catches every error": (
        "def command():\n"
        "    try:\n"
        "        print('x', flush=True)\n"
        "    except Exception:\n"
        "        return 1\n"
        "    return 0\n",
        EXIT_UNREAD,
    ),
    "an error that has nothing to do with it": (
        "def command():\n    raise BrokenPipeError(32, 'of a connection')\n",
        1,
    ),
    "a command that says nothing": ("def command():\n    return 7\n", 7),
    "a command that goes on": (
        "def command():\n"
        "    try:\n"
        "        print('x' * 100_000, flush=True)\n"
        "    finally:\n"
        "        print('y' * 100_000, flush=True)\n",
        EXIT_UNREAD,
    ),
}


@pytest.mark.parametrize("name", SNIPPETS)
def test_only_standard_output_counts(name: str, tmp_path: Path) -> None:
    snippet, code = SNIPPETS[name]
    program = f"import sys\nfrom tmebox.unread import quietly\n{snippet}\nsys.exit(quietly(command))\n"
    done = start(["-c", program], tmp_path)
    assert done.returncode == code
    assert ("of a connection" in done.stderr) == (code == 1)
    if code != 1:
        assert done.stderr == ""


SHOWN = {"ascii": "\\u4e2d", "latin-1": "\xe9\\u4e2d", "ascii:replace": "?", "utf-8": "\xe4\xb8"}
"""Of what is printed, read as Latin-1."""


@pytest.mark.parametrize(
    ("tool", "encoding"),
    [
        *(("python", encoding) for encoding in SHOWN),
        *((tool, "ascii") for tool in ("prompt", "inspect", "function", "verify", "stub", "package")),
    ],
)
def test_no_character_that_an_encoding_lacks_ends_a_command(tool: str, encoding: str, named: Path) -> None:
    """Programs print them, and module files have them for names."""
    if tool in ("python", "prompt") and (reason := why_not()) is not None:
        pytest.skip(reason)
    commands: dict[str, list[object]] = {
        "python": ["-m", "tmebox", "python", "-c", "print('\u00e9\u4e2d', chr(0x1F600))"],
        "prompt": ["-m", "tmebox", "python", "-i"],
        "inspect": ["-m", "tmebox", "inspect", named / "library.tbx"],
        "function": ["-m", "tmebox", "inspect", named / "library.tbx", "-f", f"add{NAME}"],
        "verify": ["-m", "tmebox", "verify", named / "library.tbx"],
        "stub": ["-m", "tmebox", "stub", named / "library.tbx"],
        "package": ["-c", f"from tmebox.binding.shown import show; show({named.name!r})"],
    }
    done = subprocess.run(
        [sys.executable, *map(str, commands[tool])],
        input="print(chr(233), chr(0x4e2d), chr(0x1F600))\n\nraise ValueError(chr(0x1F600))\n",
        capture_output=True,
        text=True,
        encoding="latin-1",
        cwd=named.parent,
        env=environment({"PYTHONIOENCODING": encoding}),
        check=False,
        timeout=TIME_LIMIT_S,
    )
    assert done.returncode == 0 and "UnicodeEncodeError" not in done.stderr, done.stderr
    if tool in ("python", "prompt", "inspect"):
        assert SHOWN[encoding] in done.stdout


NAME = "_\u00e9\u4e2d"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose module has such names."""
    folder = tmp_path_factory.mktemp("named") / "letters"
    folder.mkdir()
    module = tmebox.compile(source_text=ADD_C + "int back(int a) { return add(a, 1); }\n")
    file = module.file
    exports = tuple(replace(export, name=export.name + NAME, prototype=None) for export in file.exports)
    symbols = tuple(replace(symbol, name=symbol.name + NAME) for symbol in file.symbols)
    codec.write(replace(file, exports=exports, symbols=symbols), folder / "library.tbx")
    (folder / "__init__.py").write_text(
        "import pathlib, tmebox\n"
        "def module(): return tmebox.Module.load(pathlib.Path(__file__).with_name('library.tbx'))\n"
    )
    return folder
