"""The user's cache directory is nobody else's, or there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tmebox.cache import NoCacheError, cache_directory, locked
from tmebox.cli.program import read_program
from tmebox.driver import packages
from tmebox.toolchain.libc import libc as libc_module

ROOT = Path(__file__).parents[1]
NOBODY = 54321


def somebody_elses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "tmebox").mkdir(0o755)
    if os.geteuid():
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    else:
        os.chown(place / "tmebox", NOBODY, NOBODY)


def link(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "there").mkdir()
    (place / "tmebox").symlink_to("there")


def writable_by(mode: int) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def make(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "tmebox").mkdir()
        (place / "tmebox").chmod(mode)

    return make


def exchangeable(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "tmebox").mkdir(0o700)
    place.chmod(0o777)


def below_what_is_exchangeable(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "tmebox").mkdir(0o700)
    place.parent.chmod(0o777)


def no_directory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "tmebox").write_text("")


HOSTILE = {
    "belongs to somebody else": somebody_elses,
    "is a link": link,
    r"others may write to the cache .*mode 775": writable_by(0o775),
    r"others may write to the cache .*mode 1777": writable_by(0o1777),
    r"everybody may put something else .*/shared/cache has": exchangeable,
    r"everybody may put something else .*/shared has": below_what_is_exchangeable,
    "cannot be written": no_directory,
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "shared" / "cache"
    place.mkdir(parents=True, mode=0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    return place


@pytest.mark.parametrize("told", HOSTILE)
def test_what_others_may_write_to_is_no_cache(
    place: Path, monkeypatch: pytest.MonkeyPatch, told: str, tmp_path: Path
) -> None:
    HOSTILE[told](place, monkeypatch)
    with pytest.raises(NoCacheError, match=f"{told}.*set XDG_CACHE_HOME"):
        cache_directory()
    monkeypatch.setattr(libc_module, "SHIPPED", tmp_path / "shipped")
    libc_module._key.cache_clear()
    with pytest.raises(tmebox.CompileError, match=told):
        libc_module.libc()
    with pytest.raises(packages.PackagesUnavailableError, match=told):
        packages.cache_directory()
    source = tmp_path / "f.c"
    source.write_text("int f(void) { return 1; }\n")
    assert [export.name for export in read_program(source).exports] == ["f"]


def test_a_part_of_it_that_others_may_write_to_is_none(place: Path) -> None:
    cache_directory("driver").chmod(0o777)
    with pytest.raises(NoCacheError, match=r"others may write to the cache .*/driver"):
        cache_directory("driver")
    assert cache_directory() == place / "tmebox"


def test_it_is_made_for_its_owner_alone(place: Path) -> None:
    before = os.umask(0)
    try:
        directory = cache_directory("driver")
    finally:
        os.umask(before)
    assert directory == place / "tmebox" / "driver"
    assert directory.stat().st_mode & 0o777 == directory.parent.stat().st_mode & 0o777 == 0o700
    place.chmod(0o1777)  # as /tmp: others may make something here, and cannot touch what is there
    assert cache_directory("driver") == directory


def test_roots_is_everybodys(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        pytest.skip("only root can make what is root's")
    cache_directory()
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert cache_directory() == place / "tmebox"


def test_without_a_home_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(NoCacheError, match="set XDG_CACHE_HOME"):
        cache_directory()


def test_a_lock_follows_no_link_and_empties_no_file(tmp_path: Path) -> None:
    victim, lock = tmp_path / "victim", tmp_path / "lock"
    victim.write_text("precious")
    lock.symlink_to(victim)
    with pytest.raises(OSError), locked(lock):
        pass
    assert victim.read_text() == "precious"
    with locked(victim):
        tries = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        other = subprocess.run([sys.executable, "-c", tries, victim], capture_output=True, check=False)
        assert b"BlockingIOError" in other.stderr
    assert victim.read_text() == "precious"


def test_nothing_else_looks_for_the_cache_by_itself() -> None:
    folders = (ROOT / name for name in ("src", "bench", "tools"))
    users = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in folder.rglob("*.py")
        if 'environ.get("XDG_CACHE_HOME")' in path.read_text() or '/ ".cache"' in path.read_text()
    ]
    assert users == ["src/tmebox/cache.py"]
