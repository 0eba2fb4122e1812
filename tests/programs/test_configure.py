"""What configure scripts find out with `tmebox cc` is what they find out of the same C library natively.

Each package is configured twice, with programs that run: for the sandbox, and natively against the same musl.
Where the two differ, a system call that a sandbox does not have is the reason, and stands here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.programs.building import source_of

pytestmark = [pytest.mark.network, pytest.mark.slow]

TIMEOUT_S = 3600
AUTOCONF = ("./configure", "--disable-shared", "--disable-dependency-tracking")
TRIPLES = ("--build=x86_64-linux-musl", "--host=x86_64-linux-musl")
"""Which C library there is, as both compilers have it. The machine's own one would be guessed else."""
PACKAGES = {
    "libevent": ((*AUTOCONF, "--disable-openssl"), "config.h"),
    "coreutils": (
        ("./configure", *TRIPLES, "--disable-dependency-tracking", "--disable-nls"),
        "lib/config.h",
    ),
    "nginx": (
        ("./configure", "--without-http_rewrite_module", "--without-http_gzip_module"),
        "objs/ngx_auto_config.h",
    ),
}
"""How to configure it, and where it writes what it has found."""

LONG = {"coreutils"}
"""A thousand checks, twice: `make packages`."""
GRANTED = {"coreutils": "--dir .:/"}
"""What programs that run are given: checks that make files find out nothing without."""

DIFFERENCES: dict[str, dict[str, str]] = {
    "libevent": {},
    "coreutils": {
        "HAVE_WORKING_FORK": "fork is ENOSYS",
        "PTHREAD_SIGMASK_UNBLOCK_BUG": "system() needs fork, so the check ends before it has asked",
        "LSEEK_PIPE_BROKEN": "standard input is a stream, and is never sought in",
        "HAVE_WORKING_O_NOATIME": "a link to /dev/null, which the check makes, is refused",
        "HAVE_WORKING_O_NOFOLLOW": "the same",
        "HAVE_MINIMALLY_WORKING_GETCWD": "a path has at most 4,096 bytes, wherever it is",
        "HAVE_PARTLY_WORKING_GETCWD": "the same",
        "FUNC_REALPATH_NEARLY_WORKS": "`a/..` is the directory of a, whatever a is",
        "HAVE_BUG_BIG_NANOSLEEP": "what is left of a sleep is exact, where kernels count 292 years",
    },
    "nginx": {
        "NGX_HAVE_MAP_DEVZERO": "/dev/zero cannot be mapped",
        "NGX_HAVE_PR_SET_DUMPABLE": "prctl is ENOSYS",
        "NGX_HAVE_PR_SET_KEEPCAPS": "prctl is ENOSYS",
        "NGX_HAVE_SYSVSHM": "shmget is ENOSYS",
    },
}
"""Macro → why it differs."""


def native_compiler() -> str:
    return f"{sys.executable} -m ziglang cc -target x86_64-linux-musl -static"


def sandboxing_compiler() -> str:
    return f"{sys.executable} -m tmebox cc"


def configured(package: str, compiler: str, archiver: str, directory: Path) -> dict[str, str]:
    """The macros that it defines, with their values, in a copy of its source."""
    command, header = PACKAGES[package]
    chosen = [f"--with-cc={compiler}"] if package == "nginx" else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TMEBOX_")}
    environment |= {"CC": compiler, "AR": archiver, "RANLIB": "true", "FORCE_UNSAFE_CONFIGURE": "1"}
    environment |= {"TMEBOX_RUN": GRANTED[package]} if package in GRANTED else {}
    done = subprocess.run(
        [*command, *chosen],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    text = re.sub(r"/\*.*?\*/", "", (directory / header).read_text(), flags=re.DOTALL)
    found = re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?:\([^)]*\))?[ \t]*(.*)$", text, flags=re.MULTILINE)
    return {
        name: value.strip() for name, value in found if "NGX_CONFIGURE" not in name and name != "NGX_COMPILER"
    }


@pytest.mark.parametrize(
    "package",
    [pytest.param(name, marks=pytest.mark.packages if name in LONG else ()) for name in PACKAGES],
)
def test_feature_checks_agree_with_a_native_build(package: str, tmp_path: Path) -> None:
    for kind in (
        "sandboxed",
        "native",
    ):  # before the threads: a child of one would have the other's script open
        shutil.copytree(source_of(package), tmp_path / kind)
    with ThreadPoolExecutor(2) as pool:  # their work is in child processes
        sandboxed = pool.submit(
            configured,
            package,
            sandboxing_compiler(),
            f"{sys.executable} -m tmebox ar",
            tmp_path / "sandboxed",
        )
        native = pool.submit(
            configured, package, native_compiler(), f"{sys.executable} -m ziglang ar", tmp_path / "native"
        )
        ours, theirs = sandboxed.result(), native.result()
    assert len(theirs) > 50
    different = {
        name: (theirs.get(name), ours.get(name))
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    }
    assert different.keys() == DIFFERENCES[package].keys(), different
