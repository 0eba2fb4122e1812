"""What configure scripts find out with `tmebox cc` is what they find out of the same C library natively.

Each package is configured twice, with programs that run: for the sandbox, and natively against the same musl.
Where the two differ, a system call that a sandbox does not have is the reason, and stands here.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.programs.building import source_of
from tests.programs.configuring import Configuring, checked, macros, prepare, workplace

TIMEOUT_S = 14000
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

LONG = {"coreutils", "libevent"}
"""Over a minute; coreutils has a thousand checks, twice: `make packages`."""
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


def configuring(package: str, compiler: str, archiver: str) -> Configuring:
    command, header = PACKAGES[package]
    chosen = [f"--with-cc={compiler}"] if package == "nginx" else []
    variables = {"CC": compiler, "AR": archiver, "RANLIB": "true", "FORCE_UNSAFE_CONFIGURE": "1"}
    variables |= {"TMEBOX_RUN": GRANTED[package]} if package in GRANTED else {}
    return Configuring([*command, *chosen], header, variables, is_autoconf=package != "nginx")


def told(defined: dict[str, str]) -> dict[str, str]:
    """Without what names the compiler."""
    return {
        name: value
        for name, value in defined.items()
        if "NGX_CONFIGURE" not in name and name != "NGX_COMPILER"
    }


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(
    "package",
    [pytest.param(name, marks=pytest.mark.packages if name in LONG else ()) for name in PACKAGES],
)
def test_feature_checks_agree_with_a_native_build(package: str, tmp_path: Path) -> None:
    kinds = {
        "sandboxed": configuring(package, sandboxing_compiler(), f"{sys.executable} -m tmebox ar"),
        "native": configuring(package, native_compiler(), f"{sys.executable} -m ziglang ar"),
    }
    places = {kind: workplace(f"{package}-{kind}", tmp_path) for kind in kinds}
    for place in places.values():  # before the threads: a child of one would have the other's script open
        prepare(source_of(package), place)
    with ThreadPoolExecutor(2) as pool:  # their work is in child processes
        jobs = [pool.submit(macros, kinds[kind], places[kind], TIMEOUT_S) for kind in kinds]
        ours, theirs = (told(job.result()) for job in jobs)
    assert len(theirs) > 50
    different = {
        name: (theirs.get(name), ours.get(name))
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    }
    assert different.keys() == DIFFERENCES[package].keys(), different


INTERRUPTED = """\
#!/bin/sh
exec 5>config.log
test -r "${1#--cache-file=}" && . "./${1#--cache-file=}"
trap 'echo "## Cache variables. ##" >&5; (set) | sed -n "/^[a-z_]*_cv_[a-z_]*=/p" >&5
  echo "## Output variables. ##" >&5' 0
trap 'exit 1' 15
mkdir -p lib
if test -n "$ac_cv_first"; then echo "#define FIRST known" > config.h; exit 0; fi
ac_cv_first='a b'
sleep 60 & wait
"""


def test_a_run_that_was_cut_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMEBOX_PACKAGES_KEPT", str(tmp_path / "kept"))
    source = tmp_path / "source"
    source.mkdir()
    (source / "configure").write_text(INTERRUPTED)
    command = Configuring(["/bin/sh", "./configure"], "config.h", is_autoconf=True)
    place = workplace("package", tmp_path)
    prepare(source, place)
    with pytest.raises(subprocess.TimeoutExpired):
        macros(command, place, 2)
    assert checked(place / "tree" / "config.log") == ["ac_cv_first='a b'"]
    for _ in range(2):  # from what is known; and once more from what is finished
        prepare(source, place)
        assert macros(command, place, 60) == {"FIRST": "known"}
