"""`compile_commands.json`: each source with its own options, and nothing that a command line may not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tmebox.toolchain.cc.compile_commands import read_commands

ONE = '#include "shared.h"\n#include "one.h"\nint one(void) { return VALUE + SHARED + ONE; }\n'
TWO = """
#include "shared.h"
int two(void) { return VALUE + SHARED; }
#if __STDC_VERSION__ >= 201112
#error new
#endif
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A source tree that was configured, and built in a folder of its own."""
    for folder in ("src", "include", "build"):
        (tmp_path / folder).mkdir()
    (tmp_path / "configure").touch()
    (tmp_path / "src" / "one.c").write_text(ONE)
    (tmp_path / "src" / "two.c").write_text(TWO)
    (tmp_path / "src" / "one.h").write_text("#define ONE 100\n")
    (tmp_path / "include" / "shared.h").write_text("#define SHARED 1000\n")
    (tmp_path / "src" / "table.txt").write_text("not a source")
    rows: list[dict[str, Any]] = [
        {
            "directory": str(tmp_path / "build"),
            "command": "cc -DVALUE=1 -I../include -O3 -fPIC -o one.o -c '../src/one.c'",
            "file": "../src/one.c",
        },
        {
            "directory": "..",
            "arguments": ["cc", "-std=c99", "-DVALUE=2", "-Iinclude", "-c", "src/two.c", "-o", "build/two.o"],
            "file": "src/two.c",
            "output": "build/two.o",
        },
        {"directory": "..", "arguments": ["cc", "-DVALUE=9", "-c", "src/two.c"], "file": "src/two.c"},
    ]
    (tmp_path / "build" / "compile_commands.json").write_text(json.dumps(rows))
    return tmp_path


def test_each_source_is_compiled_as_its_command_says(project: Path) -> None:
    module = tmebox.compile(project / "build" / "compile_commands.json")
    with tmebox.Sandbox(module) as sandbox:
        assert (sandbox.one(), sandbox.two()) == (1101, 1002)


def test_other_sources_and_options_go_with_it(project: Path) -> None:
    (project / "three.c").write_text("int one(void); int three(void) { return one() + MORE; }")
    sources = [project / "build" / "compile_commands.json", project / "three.c"]
    with tmebox.Sandbox(tmebox.compile(sources, defines={"MORE": 5})) as sandbox:
        assert sandbox.three() == 1106


def test_paths_start_at_the_directory_that_is_named(project: Path) -> None:
    commands = read_commands(project / "build" / "compile_commands.json")
    assert list(commands) == [project / "src" / "one.c", project / "src" / "two.c"]
    assert commands[project / "src" / "one.c"].include_dirs == (project / "include",)
    assert "-DVALUE=2" in commands[project / "src" / "two.c"].flags


HOSTILE: dict[str, Any] = {
    "no list": {},
    "no entries": [],
    "entries that are none": [3],
    "no directory": [{"file": "a.c", "command": "cc -c a.c"}],
    "no command": [{"file": "a.c", "directory": "."}],
    "a command that ends within quotes": [{"file": "a.c", "directory": ".", "command": "cc -c 'a.c"}],
    "arguments that are a text": [{"file": "a.c", "directory": ".", "arguments": "cc -c a.c"}],
    "arguments that are numbers": [{"file": "a.c", "directory": ".", "arguments": ["cc", 3]}],
    "a name with a NUL": [{"file": "a\0.c", "directory": ".", "arguments": ["cc", "-c", "a.c"]}],
    "a plug-in": [{"file": "a.c", "directory": ".", "arguments": ["cc", "-fplugin=evil.so", "-c", "a.c"]}],
    "another assembler": [{"file": "a.c", "directory": ".", "arguments": ["cc", "-Wa,--x", "-c", "a.c"]}],
    "options from a file": [
        {"file": "a.c", "directory": ".", "arguments": ["cc", "@/etc/passwd", "-c", "a.c"]}
    ],
    "nothing of ours": [{"file": "a.rs", "directory": ".", "arguments": ["cc", "-c", "a.c"]}],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_makes_no_sense_or_asks_for_too_much_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a(void) { return 1; }")
    path = tmp_path / "compile_commands.json"
    path.write_text(json.dumps(HOSTILE[name]))
    with pytest.raises(tmebox.CompileError):
        tmebox.compile(path)


def test_what_nests_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "compile_commands.json"
    path.write_text("[" * 100_000)
    with pytest.raises(tmebox.CompileError, match="not a compilation database"):
        read_commands(path)


OUTSIDE = [
    {"file": "a.c", "directory": "TREE", "arguments": ["cc", "-I/", "-c", "a.c"]},
    {"file": "a.c", "directory": "TREE", "arguments": ["cc", "-isystem", "../secret", "-c", "a.c"]},
    {"file": "a.c", "directory": "TREE", "arguments": ["cc", "-include", "../secret/key.h", "-c", "a.c"]},
    {"file": "a.c", "directory": "TREE", "arguments": ["cc", "-Ilink", "-c", "a.c"]},
    {"file": "../secret/b.c", "directory": "TREE", "arguments": ["cc", "-c", "../secret/b.c"]},
    {"file": "b.c", "directory": "TREE/../secret", "arguments": ["cc", "-c", "b.c"]},
]


@pytest.mark.parametrize("row", OUTSIDE)
def test_the_database_names_nothing_outside_its_tree_but_what_the_user_names_too(
    row: dict[str, Any], tmp_path: Path
) -> None:
    for folder in ("tree", "secret"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secret" / "key.h").write_text("#define KEY 7\n")
    (tmp_path / "secret" / "b.c").write_text("int b(void) { return 1; }\n")
    (tmp_path / "tree" / "a.c").write_text('#include "key.h"\nint a(void) { return KEY; }\n')
    (tmp_path / "tree" / "link").symlink_to("../secret")
    row = {**row, "directory": row["directory"].replace("TREE", str(tmp_path / "tree"))}
    path = tmp_path / "tree" / "compile_commands.json"
    path.write_text(json.dumps([row]))
    with pytest.raises(tmebox.CompileError, match="outside the project"):
        tmebox.compile(path)
    if "-I/" not in row["arguments"]:
        assert tmebox.compile(path, include_dirs=[tmp_path / "secret"]).exports


def test_a_source_reads_no_file_outside_its_tree(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.h").write_text("#define KEY 7\n")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.c").write_text(f'#include "{secret}/key.h"\nint a(void) {{ return KEY; }}\n')
    row = {"file": "a.c", "directory": str(tree), "arguments": ["cc", "-c", "a.c"]}
    (tree / "compile_commands.json").write_text(json.dumps([row]))
    with pytest.raises(tmebox.CompileError, match="file not found"):
        tmebox.compile(tree / "compile_commands.json")
