"""The native core's build; everything else about the package is in pyproject.toml.

Where there is no C compiler, the clang in the `ziglang` package builds it, against that package's own C
library headers. With TMEBOX_ZIG, the path of a `zig` command, that one does: the result runs wherever the C
library is ZIG_TARGET's or a later one, which wheels need.

CFLAGS win over the flags below, with each compiler.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
NATIVE = ROOT / "native"
GENERATED_HEADER = NATIVE / "abi.h"
COMPILERS = ("cc", "gcc", "clang")
ZIG = re.findall(r'"(ziglang==[\d.]+)"', (ROOT / "pyproject.toml").read_text())[0]
"""The compiler's package, at the version that the extra `cc` pins."""
ZIG_TARGET = "x86_64-linux-gnu.2.17"
GIVEN_ZIG = os.environ.get("TMEBOX_ZIG", "")
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-ftls-model=initial-exec"]
FLAGS += [
    f"-Werror={name}"
    for name in (
        "implicit-function-declaration",
        "incompatible-pointer-types",
        "int-conversion",
        "sign-compare",
    )
]
"""Wrong, and errors to some compilers (clang 16, gcc 14) though warnings to others: so to all. Signs: a -1
that became unsigned on its way was a number like any other."""

GIVEN_FLAGS = shlex.split(os.environ.get("CFLAGS", ""))
"""Setuptools puts them before an extension's own, which would win. Once more, they come last."""


def system_compiler() -> str | None:
    if GIVEN_ZIG:
        return None
    return next((name for name in COMPILERS if shutil.which(name)), None)


class BuildNative(build_ext):
    """Generates abi.h, knows .S files, and finds a compiler."""

    def build_extensions(self) -> None:
        if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 1 << 32:
            raise SystemExit("tmebox's native core needs 64-bit Linux on x86-64")
        arguments, sys.argv = sys.argv, ["abi.py", str(GENERATED_HEADER)]
        try:
            runpy.run_path(str(ROOT / "src/tmebox/abi.py"), run_name="__main__")
        finally:
            sys.argv = arguments
        self.compiler.src_extensions.append(".S")
        configured = self.compiler.compiler_so[0]
        if system_compiler() is None or not shutil.which(configured):
            self._choose_compiler()
        super().build_extensions()

    def _choose_compiler(self) -> None:
        """Replace the compiler that Python was built with, which this machine does not have."""
        name = system_compiler()
        if name is None and not GIVEN_ZIG and importlib.util.find_spec("ziglang") is None:
            raise SystemExit(f"no C compiler: install one, or `pip install {ZIG}`")
        zig = [GIVEN_ZIG] if GIVEN_ZIG else [sys.executable, "-m", "ziglang"]
        command = [name] if name else [*zig, "cc", "-target", ZIG_TARGET]
        optimise, link = ["-DNDEBUG", "-fwrapv", "-fPIC"], ["-shared"]
        if GIVEN_ZIG:
            # Debugging information would tell where on this machine it was built, also that of what zig adds
            # where the old C library lacks a function.
            optimise.append("-g0")
            link.append("-Wl,--strip-debug")
        if not name:
            # Without optimisation zig's clang would put traps into the core, which are for sandboxed code.
            optimise.append("-fno-sanitize=undefined")
            # Debian's pyconfig.h includes another by its path below here. Last, so that the package's own C
            # library headers are found first.
            optimise += ["-idirafter", "/usr/include"]
        self.compiler.set_executables(
            compiler=[*command, *optimise],
            compiler_so=[*command, *optimise],
            linker_so=[*command, *link],
        )


setup(
    # Only asked for when nothing else can compile: it is large.
    setup_requires=[] if GIVEN_ZIG or system_compiler() else [ZIG],
    cmdclass={"build_ext": BuildNative},
    ext_modules=[
        Extension(
            "tmebox._native",
            sources=sorted(str(path.relative_to(ROOT)) for path in NATIVE.rglob("*.[cS]")),
            depends=sorted(str(path.relative_to(ROOT)) for path in NATIVE.rglob("*.h")),
            include_dirs=[NATIVE.name],
            extra_compile_args=[*FLAGS, *GIVEN_FLAGS],
            extra_link_args=["-pthread"],
        )
    ],
)
