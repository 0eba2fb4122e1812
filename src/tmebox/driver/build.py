"""Compile the driver for a kernel, and the program that runs inside the virtual machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tmebox.driver.kernels import Kernel

TIMEOUT_S = 300
KERNEL_COMPILER = "gcc-12"
GUEST_FLAGS = ["-static", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]


class BuildError(Exception):
    """The message is what the compiler said."""


def sources() -> Path:
    """The driver's folder, in the repository that this package is used from."""
    folder = Path(__file__).parents[3] / "driver"
    if not (folder / "Kbuild").is_file():
        raise BuildError(f"the driver's sources are not in {folder}: use a checkout of the repository")
    return folder


def missing_tools() -> str:
    """What a build here lacks, "" if nothing."""
    if shutil.which("make") is None:
        return "there is no make here"
    if shutil.which("gcc") is None and shutil.which(KERNEL_COMPILER) is None:
        return "there is no gcc here"
    return ""


def copy(source: Path, directory: Path) -> Path:
    """`directory`, now with the driver's sources and nothing that was built from them."""
    shutil.copytree(source, directory, ignore=shutil.ignore_patterns("*.o", "*.ko", ".*", "guest"))
    return directory


def module(kernel: Kernel, tree: Path) -> Path:
    """The module, built in `tree`, a copy of the driver's sources."""
    command = ["make", "-s", "-j2", "-C", str(tree), f"KERNEL={kernel.headers}"]
    if shutil.which(KERNEL_COMPILER) is None:
        command.append("CC=gcc")
    if shutil.which("x86_64-linux-gnu-" + KERNEL_COMPILER) is None:
        command.append("CROSS_COMPILE=")
    _run(command)
    return tree / "tmebox.ko"


def guest(source: Path, output: Path) -> Path:
    """The static program made from `source`'s folder `guest`."""
    files = sorted(str(file) for file in (source / "guest").glob("*.c"))
    if importlib.util.find_spec("ziglang"):
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
    else:
        compiler = ["gcc"]
    _run([*compiler, *GUEST_FLAGS, "-o", str(output), *files])
    return output


def _run(command: list[str]) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    environment.pop("MAKEFLAGS", None)
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"{command[0]} failed:\n{done.stdout}{done.stderr}".strip())
