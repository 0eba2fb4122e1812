"""What `tmebox cc` lets sources include: their own tree, found by what lies at its top."""

from __future__ import annotations

from pathlib import Path

import pytest

from tmebox.toolchain.cc.driver import main_cc
from tmebox.toolchain.cc.tree import BUILT, REPOSITORY, source_tree


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """home/package with two folders of sources; home also has a secret."""
    write(tmp_path / "home" / "secret.h", "#define SECRET 1\n")
    write(tmp_path / "home" / "package" / "include" / "p.h", "int p(int);\n")
    write(
        tmp_path / "home" / "package" / "src" / "lib" / "p.c",
        '#include "../../include/p.h"\nint p(int x) { return x; }\n',
    )
    return tmp_path / "home" / "package"


@pytest.mark.parametrize("mark", [*REPOSITORY, *BUILT])
def test_a_tree_begins_where_what_builds_it_lies(package: Path, mark: str) -> None:
    write(package / mark)
    assert source_tree(package / "src" / "lib") == package
    assert source_tree(package) == package


def test_without_a_mark_a_directory_is_a_tree_of_its_own(package: Path) -> None:
    assert source_tree(package / "src") == package / "src"


def test_the_outermost_makefile_counts_up_to_a_repository(package: Path) -> None:
    write(package / "Makefile")
    write(package / "src" / "Makefile")
    write(package.parent / "Makefile")
    assert source_tree(package / "src" / "lib") == package.parent
    (package / ".git").mkdir()
    assert source_tree(package / "src" / "lib") == package


def test_a_home_directory_is_no_tree(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(package.parent))
    for place in (package.parent, package.parent.parent):
        write(place / "Makefile")
        (place / ".git").mkdir()
    assert source_tree(package / "src") == package / "src"
    write(package / "configure")
    assert source_tree(package / "src") == package


def test_a_source_includes_from_its_tree(
    package: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TMEBOX_CC_READABLE", raising=False)
    monkeypatch.setenv("HOME", str(package.parent))
    (package / "build").mkdir()
    monkeypatch.chdir(package / "build")
    assert main_cc(["-c", "../src/lib/p.c"]) == 1
    said = capfd.readouterr().err
    assert "../../include/p.h exists" in said and f"TMEBOX_CC_READABLE={package / 'include'}" in said
    monkeypatch.setenv("TMEBOX_CC_READABLE", str(package / "include"))
    assert main_cc(["-c", "../src/lib/p.c"]) == 0
    monkeypatch.delenv("TMEBOX_CC_READABLE")
    write(package / "configure")
    assert main_cc(["-c", "../src/lib/p.c"]) == 0


@pytest.mark.parametrize("include", ["../../../secret.h", "HOME/secret.h"])
def test_a_source_does_not_include_what_lies_beside_its_tree(
    package: Path, monkeypatch: pytest.MonkeyPatch, include: str
) -> None:
    monkeypatch.delenv("TMEBOX_CC_READABLE", raising=False)
    monkeypatch.setenv("HOME", str(package.parent))
    write(package / "configure")
    (package / "link").symlink_to(package.parent)
    for text in (include.replace("HOME", str(package.parent)), "../../link/secret.h"):
        write(package / "src" / "lib" / "q.c", f'#include "{text}"\nint q = SECRET;\n')
        monkeypatch.chdir(package / "src" / "lib")
        assert main_cc(["-c", "q.c"]) == 1
        assert not Path("q.o").exists()
