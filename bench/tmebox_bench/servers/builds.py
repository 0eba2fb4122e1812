"""A server's sources, configured and built by their own build system: natively, and with `tmebox cc`.

Both builds start from the same upstream sources, use the same compiler (the `ziglang` wheel's clang) and the
same options. The native one uses the machine's glibc, as Debian's packages do: musl's own allocator maps and
unmaps memory for each request, and would make the sandbox look good. Builds are kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tmebox
from tmebox.toolchain.libc.libc import cache_directory, libc
from tmebox_bench import debian
from tmebox_bench.native import publish

BUILD_TIMEOUT_S = 3600.0
KINDS = ("native", "sandboxed")
SAME_LIBC = "same libc"
"""A third kind, for programs that compute: native, with the sandbox's C library, not the machine's."""
COMMANDS = {
    "native": [sys.executable, "-m", "ziglang", "cc", "-mcpu=x86_64", "-fno-sanitize=undefined"],
    "sandboxed": [sys.executable, "-m", "tmebox", "cc"],
    SAME_LIBC: [sys.executable, "-m", "tmebox_bench.native_cc"],
}
"""`zig cc` would check for undefined behaviour if nobody says otherwise; the sandbox's compiler does not."""


class BuildError(Exception):
    """The message has the end of what the build said."""


@dataclass(frozen=True)
class Sources:
    """A program's sources, and how they are built.

    steps(tree, compiler, kind): directories and commands to run there, in turn. program: what they make.
    extra: files of ours that go into the tree, beside its own. beside: files and folders of the tree that are
    kept with the program. own: all of it is ours.
    """

    package: str
    program: str
    steps: Callable[[Path, str, str], Sequence[tuple[Path, Sequence[str]]]]
    extra: tuple[tuple[Path, str], ...] = ()
    beside: tuple[str, ...] = ()
    own: bool = False


def built(sources: Sources, kind: str) -> Path:
    """The program, built at first use. kind: of COMMANDS. Raises SourcesUnavailableError, BuildError."""
    folder = cache_directory() / "servers"
    directory = folder / f"{sources.package}-{kind}-{_key(sources, kind)}"
    if not directory.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=folder))
        try:
            (scratch / "empty").mkdir()
            upstream = scratch / "empty" if sources.own else debian.fetch(sources.package)
            build(sources, kind, upstream, scratch)
            publish(scratch / "kept", directory)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return directory / Path(sources.program).name


def _key(sources: Sources, kind: str) -> str:
    """Of all that the program is made from; the sandbox's C library stands for its toolchain, too."""
    made_from = [" ".join(COMMANDS[kind]), tmebox.__version__]
    made_from += [] if kind == "native" else [libc().archive.parent.name]
    made_from += [path.read_text() for path, _ in sources.extra]
    made_from += [repr(sources.steps(Path("tree"), "cc", kind)), *sources.beside]
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:16]


def build(sources: Sources, kind: str, upstream: Path, scratch: Path) -> None:
    """Build a copy of `upstream` in the folder `scratch`; its `kept` gets the program. Raises BuildError."""
    tree = scratch / "tree"
    shutil.copytree(upstream, tree, symlinks=True)
    for path, name in sources.extra:
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, tree / name)
    compiler = scratch / "cc"
    compiler.write_text(f'#!/bin/sh\nexec {shlex.join(COMMANDS[kind])} "$@"\n')
    compiler.chmod(0o755)
    for directory, command in sources.steps(tree, str(compiler), kind):
        _run(command, directory)
    kept = scratch / "kept"
    kept.mkdir()
    for name in (sources.program, *sources.beside):
        path = tree / name
        if path.is_dir():
            shutil.copytree(path, kept / path.name)
        else:
            shutil.copy(path, kept)


def _run(command: Sequence[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise BuildError(f"{shlex.join(command)[:300]} ended with {done.returncode}: {done.stdout[-2000:]}")
