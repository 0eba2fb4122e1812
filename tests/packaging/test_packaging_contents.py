"""What is in the source distribution and in a wheel, compared with what git tracks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE_BY_SETUPTOOLS = {"PKG-INFO", "setup.cfg"}


def tracked() -> set[str]:
    """The repository's files; not what else lies about."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, with things lying about in it that are made from it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: nobody knows which files belong to it")
    copy = tmp_path_factory.mktemp("tree")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    made = (
        "native/abi.h",
        "src/tmebox/_native.so",
        "src/tmebox/toolchain/shipped/libc-1/libc.a",
        "tools/x.pyc",
    )
    for name in made:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(b"")
    return copy


def setuptools(tree: Path, code: str, *arguments: Path) -> None:
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=tree, capture_output=True, check=True)


def test_the_source_distribution_has_every_tracked_file_and_nothing_that_is_made(
    tree: Path, tmp_path: Path
) -> None:
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    setuptools(tree, code, tmp_path)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    names = {name for name in names if ".egg-info/" not in name} - MADE_BY_SETUPTOOLS
    assert sorted(names ^ tracked()) == []


def test_a_wheel_has_every_file_of_the_package_and_the_shipped_library(tree: Path, tmp_path: Path) -> None:
    code = "import runpy, sys; sys.argv[:1] = ['setup.py', 'build_py', '-d']; runpy.run_path('setup.py')"
    setuptools(tree, code, tmp_path)
    built = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    expected = {name.removeprefix("src/") for name in tracked() if name.startswith("src/")}
    assert sorted(built ^ expected) == ["tmebox/toolchain/shipped/libc-1/libc.a"]
