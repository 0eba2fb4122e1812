"""What the command line promises before it does anything: help, usage errors, dispatch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import tmebox.__main__ as entry
from tests.cli.command_line import Run, environment
from tmebox.cli.commands import OWN

COMMANDS = ("demo", "cc", "ar", "run", "verify", "inspect", "stub", "tme", "doctor")
OWN_COMMANDS = ("demo", "run", "verify", "inspect", "stub", "tme", "doctor")


def test_help_names_every_command(tmebox: Run) -> None:
    shown = tmebox("--help")
    assert shown.code == 0
    for command in COMMANDS:
        assert f"│ {command} " in shown.out


@pytest.mark.parametrize("command", OWN_COMMANDS)
def test_the_help_of_each_command_teaches_by_example(tmebox: Run, command: str) -> None:
    shown = tmebox(command, "--help")
    assert shown.code == 0
    assert "Examples:" in shown.out
    assert f"tmebox {command}" in shown.out.split("Examples:")[1]


def test_without_arguments_the_help_is_shown(tmebox: Run) -> None:
    assert "Usage: tmebox" in "".join([(shown := tmebox()).out, shown.err])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "--nonsense", "x.c"],
        ["run", "--timeout", "soon", "x.c"],
        ["run", "--timeout", "-1", "x.c"],
        ["run", "--timeout", "inf", "x.c"],
        ["run", "--timeout", "nan", "x.c"],
        ["python", "--timeout", "nan", "-c", "1"],
        ["mcp", "--timeout", "inf"],
        ["bind", "x.h", "-s", "x.c", "-o", "x", "--timeout", "nan"],
        ["bind", "x.h", "-s", "x.c", "-o", "x", "--timeout", "1e300"],
        ["python", "/bin/true"],
        ["run", "--memory", "lots", "x.c"],
        ["run", "--stack", "-1", "x.c"],
        ["run", "--env", "=value", "x.c"],
        ["run", "--dir", "only-host", "x.c"],
        ["run", "--dir", "/does/not/exist:/data", "x.c"],
        ["run", "--dir", "/tmp:relative", "x.c"],
        ["verify"],
        ["verify", "one.tbx", "two.tbx"],
        ["inspect"],
        ["doctor", "extra"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_why(tmebox: Run, arguments: list[str]) -> None:
    refused = tmebox(*arguments)
    assert refused.code == 2
    assert refused.out == ""
    assert "Error" in refused.err


def test_the_version_is_the_packages(tmebox: Run) -> None:
    import tmebox as package

    assert tmebox("--version").out == f"tmebox {package.__version__}\n"


@pytest.mark.parametrize(("tool", "module"), [("cc", "driver"), ("ar", "archive")])
def test_compiler_arguments_are_passed_on_as_they_were_typed(
    tool: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    name = f"tmebox.toolchain.cc.{module}"
    command = ModuleType(name)

    def record(arguments: list[str], **_: bool) -> int:
        seen.append(arguments)
        return 7

    setattr(command, f"main_{tool}", record)
    monkeypatch.setitem(sys.modules, name, command)
    typed = ["--help", "-c", "-DX=[bold]", "--", "-o", "", "a b.c", "--version"]
    monkeypatch.setattr(sys, "argv", ["tmebox", tool, *typed])
    monkeypatch.setattr(entry, "_start_fast", lambda: None)  # what a process of its own may do
    assert entry.main() == 7
    assert seen == [typed]


@pytest.mark.parametrize("tool", ["cc", "ar"])
def test_the_compiler_driver_starts_without_the_command_lines_libraries(tool: str) -> None:
    script = (
        "import sys; from tmebox.__main__ import main\n"
        f"sys.argv = ['tmebox', {tool!r}, '--version']\n"
        "main()\n"
        "assert not {'typer', 'rich', 'numpy', 'iced_x86'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], env=environment({}), check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", sorted(OWN))
def test_a_command_imports_no_other(name: str) -> None:
    """Programs are started as `tmebox run` thousands of times by other people's tests."""
    files = {own.place.partition(":")[0] for own in OWN.values()}
    script = (
        "import sys; from tmebox.__main__ import main\n"
        f"sys.argv = ['tmebox', {name!r}, '--help']\n"
        "main(); print('modules', *sys.modules)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], env=environment({}), check=True, capture_output=True, text=True
    ).stdout
    imported = out[out.rindex("modules ") :].split()
    assert files & set(imported) <= {OWN[name].place.partition(":")[0]}


def test_help_is_coloured_on_a_terminal_unless_no_color_is_set(terminal: Callable[..., str]) -> None:
    assert "\x1b[" in terminal("--help")
    plain = terminal("--help", env={"NO_COLOR": "1"})
    assert "\x1b[3" not in plain and "\x1b[9" not in plain


def test_help_has_no_escape_sequences_in_a_pipe(tmebox: Run) -> None:
    assert "\x1b" not in tmebox("--help").out


def test_a_command_that_is_a_project_of_its_own_says_how_to_have_it(tmp_path: Path) -> None:
    program = "import sys; from importlib import metadata; metadata.entry_points = lambda group: ()\n"
    program += "from tmebox.__main__ import main; sys.argv = ['tmebox', *sys.argv[1:]]; sys.exit(main())"
    wanted, listed = (
        subprocess.run([sys.executable, "-c", program, word], capture_output=True, text=True, check=False)
        for word in ("bench", "--help")
    )
    assert wanted.returncode == 1 and "pip install ./bench" in wanted.stderr.replace("\n", " ")
    assert listed.returncode == 0 and "doctor" in listed.stdout and " bench " not in listed.stdout


def test_another_packages_command_is_one_of_ours(tmp_path: Path) -> None:
    info = tmp_path / "guest_book-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-book\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tmebox.commands]\nsign = guest_book:app\n")
    (tmp_path / "guest_book.py").write_text(
        "import typer\napp = typer.Typer()\n@app.command()\ndef sign(name: str): print('signed', name)\n"
    )
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "tmebox", "sign", "Ada"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert (done.returncode, done.stdout) == (0, "signed Ada\n"), done.stderr
