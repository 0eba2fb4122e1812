"""The private copy of the apt configuration: every enabled entry, nothing else, no change to the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tmebox_bench import debian

ONE_LINE = """
# deb ftp://ftp.invalid/commented main
deb [arch=amd64 signed-by=/k.gpg] file:/mirror bookworm main contrib   # a comment
deb file:/mirror bookworm-updates main
  deb-src file:/mirror bookworm main
rpm file:/mirror no main
"""
DEB822 = """\
Types: deb
# a comment
URIs: file:/one
 file:/two
Suites: stable stable-updates
Components: main contrib
Signed-By: /usr/share/keyrings/key.gpg

Enabled: no
Types: deb
URIs: file:/disabled
Suites: stable
Components: main

Types: deb-src
URIs: file:/three
Suites: ./

Types: deb
URIs: file:/inline
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
"""


def test_entries_of_both_formats_become_source_entries(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (parts / "new.sources").write_text(DEB822)
    (parts / "old.list").write_text("deb file:/mirror bookworm-updates main\n")
    (parts / "off.list.disabled").write_text("deb file:/off bookworm main\n")
    signed = "[signed-by=/usr/share/keyrings/key.gpg]"
    assert list(debian.source_entries(tmp_path)) == [
        "deb-src [signed-by=/k.gpg] file:/mirror bookworm main contrib",
        "deb-src file:/mirror bookworm-updates main",
        "deb-src file:/mirror bookworm main",
        f"deb-src {signed} file:/one stable main contrib",
        f"deb-src {signed} file:/one stable-updates main contrib",
        f"deb-src {signed} file:/two stable main contrib",
        f"deb-src {signed} file:/two stable-updates main contrib",
        "deb-src file:/three ./",
    ]


ENTRIES = [
    "deb-src [signed-by=/k.gpg] file:/mirror bookworm main contrib",
    "deb-src file:/mirror bookworm-updates main",
    "deb-src file:/other bookworm main",
    "deb-src file:/three ./",
]


def test_the_next_release_is_on_the_mirrors_of_this_one() -> None:
    os_release = 'NAME="Debian GNU/Linux"\nVERSION_CODENAME=bookworm\nID=debian\n'
    assert list(debian.later_entries(ENTRIES, os_release)) == [
        "deb-src [signed-by=/k.gpg] file:/mirror unstable main contrib",
        "deb-src file:/other unstable main",
    ]


def test_a_distribution_that_is_not_known_has_no_next_release() -> None:
    for os_release in ("", "ID=other\nVERSION_CODENAME=bookworm\n", "ID=debian\n"):
        assert list(debian.later_entries(ENTRIES, os_release)) == []


def test_a_machine_without_apt_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(debian.SourcesUnavailableError, match="no apt-get"):
        debian.fetch("bzip2")
    assert [path.name for path in tmp_path.rglob("*download*")] == []


def test_a_machine_without_source_entries_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "_apt_etc", lambda: tmp_path)
    monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(debian.SourcesUnavailableError, match="no usable"):
        debian.fetch("bzip2")


@pytest.mark.network
def test_fetching_again_uses_the_cache(tmp_path: Path) -> None:
    try:
        tree = debian.fetch("bzip2")
    except debian.SourcesUnavailableError as error:
        pytest.skip(f"no source package bzip2: {error}")
    stamp = (tree / "bzip2.c").stat().st_mtime_ns
    assert debian.fetch("bzip2") == tree
    assert (tree / "bzip2.c").stat().st_mtime_ns == stamp


def test_the_script_explains_itself() -> None:
    done = subprocess.run([sys.executable, debian.__file__], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "PACKAGE" in done.stderr
