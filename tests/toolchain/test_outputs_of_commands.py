"""Every output of `tmebox cc` and `tmebox ar`, to a device, a pipe and a link: never in the place of one."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tmebox.toolchain.cc.archive import main_ar
from tmebox.toolchain.cc.driver import main_cc

COMMANDS = {
    "object": ["cc", "-c", "a.c", "-o", "OUT"],
    "object of assembly": ["cc", "-c", "a.s", "-o", "OUT"],
    "assembly": ["cc", "-S", "a.c", "-o", "OUT"],
    "preprocessed": ["cc", "-E", "a.c", "-o", "OUT"],
    "module": ["cc", "-nostdlib", "a.c", "-o", "OUT"],
    "module of an object": ["cc", "-nostdlib", "ready.o", "-o", "OUT"],
    "rules, by -MF": ["cc", "-c", "a.c", "-MMD", "-MF", "OUT"],
    "rules alone": ["cc", "-MM", "a.c", "-MF", "OUT"],
    "rules alone, by -o": ["cc", "-M", "a.c", "-o", "OUT"],
    "new archive": ["ar", "rcs", "OUT", "ready.o"],
    "archive, quick": ["ar", "-cq", "OUT", "ready.o"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.c").write_text("int a(int x) { return x; }\n")
    Path("a.s").write_text(".globl a\n.type a,@function\na: movl %edi, %eax\n ret\n.size a, .-a\n")
    assert main_cc(["-c", "a.c", "-o", "ready.o"]) == 0
    Path("out").mkdir()
    return tmp_path


def run(name: str, output: str) -> int:
    tool, *arguments = [output if word == "OUT" else word for word in COMMANDS[name]]
    return (main_cc if tool == "cc" else main_ar)(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_device_is_written_to_also_by_a_command_that_fails(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        os.mknod("out/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        Path("out/null").write_bytes(b"x")
    except PermissionError:
        pytest.skip("device nodes cannot be made or used here")
    before = os.stat("out/null")
    assert run(name, "out/null") == 0
    for source in ("a.c", "a.s", "ready.o"):
        Path(source).write_text("nonsense")
    run(name, "out/null")
    for source in ("a.c", "a.s", "ready.o"):
        Path(source).unlink()
    assert run(name, "out/null") != 0
    after = os.stat("out/null")
    assert (after.st_ino, after.st_mode, after.st_rdev) == (before.st_ino, before.st_mode, before.st_rdev)
    assert [path.name for path in Path("out").iterdir()] == ["null"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_gets_what_a_file_would(name: str) -> None:
    os.mkfifo("out/pipe")
    Path("link").symlink_to("out/pipe")
    for place in ("out/pipe", "link"):
        arrived: list[bytes] = []
        reader = threading.Thread(target=lambda: arrived.append(Path("out/pipe").read_bytes()), daemon=True)  # noqa: B023
        reader.start()
        assert run(name, place) == 0
        reader.join(60)
        assert run(name, "file") == 0
        expected = Path("file").read_bytes()
        assert [data.replace(place.encode(), b"file") for data in arrived] == [expected]
        Path("file").unlink()
        assert stat.S_ISFIFO(os.stat("out/pipe").st_mode)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("before", [None, "", "full"])
def test_links_lead_where_they_do_for_gcc(name: str, before: str | None) -> None:
    Path("link").symlink_to("out/file")
    if before is not None and "archive" not in name:
        Path("out/file").write_text(before)
    assert run(name, "link") == 0
    is_replaced = before == "full" and name.split(maxsplit=1)[0] in ("object", "module")
    assert Path("link").is_symlink() != is_replaced
    assert Path("link").stat().st_size > 0
    assert Path("out/file").read_text(errors="replace") == "full" or not is_replaced


UNNAMED = {
    "a.o": ["-c", "a.c"],
    "a.s": ["-S", "b/a.c"],
    "a.d": ["-c", "a.c", "-MD", "-o", "a.o"],
    "ready.d": ["-c", "a.c", "-MMD", "-o", "ready.o"],
    "a.out": ["-nostdlib", "a.c"],
}


@pytest.mark.parametrize("name", UNNAMED)
@pytest.mark.parametrize("before", [None, "", "full"])
def test_outputs_that_nobody_named_follow_no_links(name: str, before: str | None) -> None:
    Path("b").mkdir()
    Path("a.c").rename("b/a.c") if name == "a.s" else None
    Path(name).unlink(missing_ok=True)
    Path(name).symlink_to("out/file")
    if before is not None:
        Path("out/file").write_text(before)
    assert main_cc(UNNAMED[name]) == 0
    assert not Path(name).is_symlink() and Path(name).stat().st_size > 0
    assert (Path("out/file").read_text() if Path("out/file").exists() else None) == before


def test_an_archive_is_only_rewritten_when_it_changes(capfd: pytest.CaptureFixture[str]) -> None:
    assert main_ar(["rcs", "lib.a", "ready.o"]) == 0
    before = os.stat("lib.a").st_ino
    assert main_ar(["s", "lib.a"]) == 0
    assert os.stat("lib.a").st_ino == before
    assert main_ar(["rb", "ready.o", "lib.a", "a.s"]) == 0
    assert main_ar(["t", "lib.a"]) == 0
    assert capfd.readouterr().out.split() == ["a.s", "ready.o"]
    assert main_ar(["r", "lib.a", "missing.o"]) != 0
    assert "tmebox-" not in capfd.readouterr().err
    assert main_ar(["r", "new.a", "ready.o"]) == 0
    assert "creating new.a" in capfd.readouterr().err


def test_a_thin_archive_is_not_copied(capfd: pytest.CaptureFixture[str]) -> None:
    Path("thin.a").write_bytes(b"!<thin>\n")
    assert main_ar(["rcs", "thin.a", "ready.o"]) == 1
    assert "thin archives are not supported" in capfd.readouterr().err
