"""Fetch the upstream sources of Debian source packages, for the benchmarks and the tests of real programs.

`python -m tmebox_bench.debian PACKAGE…` prints where each one is.

`apt-get source` does the work, over a private copy of the machine's apt configuration in which source
packages are enabled: its own lists, caches and source entries, all in the user's cache directory. For a
package that the machine's release does not have there is a second copy, with the next release. The machine's
configuration is read, never written, and no privileges are needed. What comes out is the pristine upstream
tree (the `.orig` archive, which apt checked against the signed index): Debian's patches adapt the build to
Debian's packaging, which is not what we are after.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tmebox import cache

UPDATE_TIMEOUT_S = 180
DOWNLOAD_TIMEOUT_S = 300

PRIVATE_CONFIGURATION = """\
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "-";
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Log "{root}";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Sandbox::User "{user}";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb;
"""
"""The cleared hooks belong to the machine (they may delete its caches); binary indexes are not needed."""


class SourcesUnavailableError(Exception):
    """The message says what this machine lacks."""


def cache_directory() -> Path:
    try:
        return cache.cache_directory("sources")
    except cache.NoCacheError as error:
        raise SourcesUnavailableError(str(error)) from error


def fetch(package: str) -> Path:
    """Directory with the upstream source of `package`, downloaded at most once.

    Raises SourcesUnavailableError where there is no apt, no source entry, no network, or no such package.
    """
    tree = cache_directory() / package
    if not tree.is_dir():
        downloads = Path(tempfile.mkdtemp(prefix=f"{package}.download-", dir=cache_directory()))
        try:
            unpacked = downloads / "tree"
            _unpack(_download(package, downloads), unpacked)
            _publish(unpacked, tree)
        finally:
            shutil.rmtree(downloads, ignore_errors=True)
    return tree


def _publish(unpacked: Path, tree: Path) -> None:
    """Rename into place; when another process was faster its copy is as good."""
    try:
        unpacked.rename(tree)
    except OSError:
        if not tree.is_dir():
            raise


def _download(package: str, directory: Path) -> Path:
    """The package's `.orig` archive, in `directory`: of the machine's release, else of the next one."""
    apt = shutil.which("apt-get")
    if apt is None:
        raise SourcesUnavailableError("there is no apt-get here")
    entries = list(source_entries(_apt_etc()))
    if not entries:
        raise SourcesUnavailableError(f"no usable `deb` entry in {_apt_etc()}")
    try:
        _download_from(entries, cache_directory() / "apt", apt, package, directory)
    except SourcesUnavailableError:
        later = list(later_entries(entries, _os_release()))
        if not later:
            raise
        with_later = [*entries, *later]
        _download_from(with_later, cache_directory() / "apt-later", apt, package, directory)
    archives = sorted(directory.glob("*.orig.tar.*"))
    archives = [archive for archive in archives if archive.suffix != ".asc"]
    if len(archives) != 1:
        raise SourcesUnavailableError(f"{package} has {len(archives)} upstream archives, not one")
    return archives[0]


def _download_from(entries: list[str], root: Path, apt: str, package: str, directory: Path) -> None:
    configuration = _private_configuration(root, entries)
    download = [apt, "-c", str(configuration), "-q", "source", "--download-only", "--tar-only", package]
    if not _index(configuration).exists():
        _run([apt, "-c", str(configuration), "-q", "update"], directory, UPDATE_TIMEOUT_S)
        _index(configuration).touch()
    try:
        _run(download, directory, DOWNLOAD_TIMEOUT_S)
    except SourcesUnavailableError:  # the index may be older than the archive
        _run([apt, "-c", str(configuration), "-q", "update"], directory, UPDATE_TIMEOUT_S)
        _run(download, directory, DOWNLOAD_TIMEOUT_S)


def _index(configuration: Path) -> Path:
    """Exists once `apt-get update` succeeded."""
    return configuration.with_name("updated")


def _run(command: list[str], directory: Path, timeout_s: float) -> None:
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
    except subprocess.TimeoutExpired:
        raise SourcesUnavailableError(f"{' '.join(command)}: no answer in {timeout_s:.0f} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise SourcesUnavailableError(f"{' '.join(command)}: {lines[-1]}")


def _private_configuration(root: Path, entries: list[str]) -> Path:
    """Write an apt configuration with these source entries under `root` and return its path."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    sources = root / "sources.list"
    sources.write_text("\n".join(entries) + "\n")
    configuration = root / "apt.conf"
    configuration.write_text(PRIVATE_CONFIGURATION.format(root=root, sources=sources, user=_user_name()))
    return configuration


def _user_name() -> str:
    """Downloads run as the caller: apt's own user could not enter the caller's cache directory."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _apt_etc() -> Path:
    return Path("/etc/apt")


def source_entries(etc: Path) -> Iterator[str]:
    """`deb-src` lines for each enabled `deb` entry below `etc`, in either format, without repeats."""
    seen: dict[str, None] = {}
    one_line = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    for file in filter(Path.is_file, one_line):
        seen.update(dict.fromkeys(_from_one_line_format(file.read_text(errors="replace"))))
    for file in sorted((etc / "sources.list.d").glob("*.sources")):
        seen.update(dict.fromkeys(_from_deb822_format(file.read_text(errors="replace"))))
    yield from seen


IN_THE_MAKING = {"debian": "unstable", "ubuntu": "devel"}
"""The suite of the next release, by the distribution's ID."""


def later_entries(entries: list[str], os_release: str) -> Iterator[str]:
    """The entries of the release that /etc/os-release describes, for the next one."""
    facts = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', os_release, re.MULTILINE))
    present, later = facts.get("VERSION_CODENAME", ""), IN_THE_MAKING.get(facts.get("ID", ""))
    for entry in entries:
        parts = re.fullmatch(r"(deb-src (?:\[[^\]]*\] )?\S+ )(\S+)(.*)", entry)
        if later and parts is not None and parts[2] == present:
            yield f"{parts[1]}{later}{parts[3]}"


def _os_release() -> str:
    try:
        return Path("/etc/os-release").read_text(errors="replace")
    except OSError:
        return ""


def _from_one_line_format(text: str) -> Iterator[str]:
    for line in text.splitlines():
        match = re.match(r"\s*deb(?:-src)?\s+(\[[^\]]*\]\s+)?(\S.*)", line.partition("#")[0])
        if match:
            yield f"deb-src {_options(match[1] or '')}{match[2].strip()}"


def _options(bracketed: str) -> str:
    """`[arch=amd64 signed-by=…] ` without the parts that only binary packages have."""
    kept = [item for item in bracketed.strip().strip("[]").split() if not item.startswith(("arch", "lang"))]
    return f"[{' '.join(kept)}] " if kept else ""


def _from_deb822_format(text: str) -> Iterator[str]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off", "disable")
        if not (enabled and "uris" in fields and "suites" in fields and "deb" in fields.get("types", "")):
            continue
        key = fields.get("signed-by", "")
        if "\n" in key or key.startswith("-----"):
            continue  # an inline key does not fit on one line
        options = f"[signed-by={','.join(key.split())}] " if key else ""
        for uri in fields["uris"].split():
            for suite in fields["suites"].split():
                components = " ".join(fields.get("components", "").split())
                yield f"deb-src {options}{uri} {suite} {components}".rstrip()


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _unpack(archive: Path, directory: Path) -> None:
    """Contents of the archive's single top folder into `directory`."""
    staging = directory.with_name("staging")
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(staging, filter="data")
        else:  # an interpreter from before June 2023
            members = [
                m for m in tar.getmembers() if not (m.name.startswith("/") or ".." in Path(m.name).parts)
            ]
            tar.extractall(staging, members=members)
    top = list(staging.iterdir())
    (top[0] if len(top) == 1 and top[0].is_dir() else staging).rename(directory)


def main(packages: list[str]) -> int:
    if not packages:
        print(f"usage: {Path(sys.argv[0]).name} PACKAGE…", file=sys.stderr)
        return 2
    try:
        for package in packages:
            print(fetch(package))
    except SourcesUnavailableError as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
