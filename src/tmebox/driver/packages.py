"""Debian packages, fetched and unpacked in the user's cache directory, without being root.

Kernels are found through their metapackages, so that what is tested is what a user of Debian gets today.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tmebox import cache

UPDATE_TIMEOUT_S = 180
DOWNLOAD_TIMEOUT_S = 600
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")


class PackagesUnavailableError(Exception):
    """The message says what this machine lacks."""


def cache_directory() -> Path:
    """What is unpacked there runs here and in virtual machines. Raises PackagesUnavailableError where there
    is none that can be believed."""
    try:
        return cache.cache_directory("driver")
    except cache.NoCacheError as error:
        raise PackagesUnavailableError(str(error)) from error


def unpacked(metapackage: str, belongs: Callable[[str], bool]) -> Path:
    """Directory in which `metapackage` and all that it depends on is unpacked, as below `/`.

    Of what it depends on, only packages whose name `belongs` accepts. They are fetched at most once. The
    directory is named for the packages' versions: a newer one is another directory.
    Raises PackagesUnavailableError without apt, dpkg, a network, or such a package.
    """
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise PackagesUnavailableError(f"there is no {tool} here")
    try:
        names = _closure(metapackage, belongs)
        return _fetch(metapackage, names)
    except PackagesUnavailableError:
        _update()
    names = _closure(metapackage, belongs)
    return _fetch(metapackage, names)


def with_missing_dependencies(package: str) -> Path:
    """Directory with `package` and whatever it needs that is not installed here, unpacked."""
    command = ("apt-get", "install", "--simulate", "--no-install-recommends", package)
    if shutil.which(command[0]) is None:
        raise PackagesUnavailableError("there is no apt-get here")
    try:
        listed = _apt(*command)
    except PackagesUnavailableError:  # as on a fresh machine, whose lists are empty
        _update()
        listed = _apt(*command)
    names = re.findall(r"^Inst (\S+)", listed, re.MULTILINE)
    if not names:
        raise PackagesUnavailableError(f"apt would install nothing for {package}")
    return _fetch(package, [name.split(":")[0] for name in names])


def _closure(metapackage: str, belongs: Callable[[str], bool]) -> list[str]:
    """The packages to fetch, in the order in which they are found."""
    found, new = [metapackage], [metapackage]
    while new:
        output = _apt("apt-cache", "depends", "--important", *new)
        names = re.findall(r"^ +\|?(?:Pre)?Depends: (\S+)", output, re.MULTILINE)
        named = dict.fromkeys(name for name in names if NAME.fullmatch(name) and belongs(name))
        new = [name for name in named if name not in found]
        found += new
    return found


def _fetch(title: str, names: list[str]) -> Path:
    versions = _versions(names)
    tree = cache_directory() / f"{title}-{hashlib.sha256(repr(versions).encode()).hexdigest()[:12]}"
    if tree.is_dir():
        return tree
    scratch = Path(tempfile.mkdtemp(prefix=f"{title}.", dir=cache_directory()))
    try:
        _apt("apt-get", "download", *names, directory=scratch, timeout_s=DOWNLOAD_TIMEOUT_S)
        root = scratch / "root"
        root.mkdir()
        for archive in sorted(scratch.glob("*.deb")):
            _run(["dpkg-deb", "-x", str(archive), str(root)], scratch, DOWNLOAD_TIMEOUT_S)
        try:
            root.rename(tree)
        except OSError:  # another process was faster, and its copy is as good
            if not tree.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tree


def _versions(names: list[str]) -> list[tuple[str, str]]:
    policy = _apt("apt-cache", "policy", *names)
    found = re.findall(r"^(\S+):\n(?: .*\n)*? +Candidate: (\S+)", policy, re.MULTILINE)
    known = {name.split(":")[0]: version for name, version in found if version != "(none)"}
    for name in names:
        if name not in known:
            raise PackagesUnavailableError(f"no package {name} here")
    return [(name, known[name]) for name in names]


def _update() -> None:
    """Fresh lists of what there is, beside the machine's own, which only root may write."""
    lists = cache_directory() / "apt" / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (cache_directory() / "apt" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    _apt("apt-get", "update", timeout_s=UPDATE_TIMEOUT_S)


def _apt(*command: str, directory: Path | None = None, timeout_s: float = UPDATE_TIMEOUT_S) -> str:
    own = cache_directory() / "apt"
    options = ["-q", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]
    if own.is_dir():
        options += ["-o", f"Dir::State::Lists={own}/lists", "-o", f"Dir::Cache={own}"]
    return _run([command[0], *options, *command[1:]], directory or Path("/"), timeout_s)


def _run(command: list[str], directory: Path, timeout_s: float) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagesUnavailableError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or [done.stderr]
        raise PackagesUnavailableError(f"{command[0]}: {lines[0].strip()}")
    return done.stdout
