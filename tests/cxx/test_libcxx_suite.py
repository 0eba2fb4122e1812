"""libc++'s and libc++abi's own tests that throw and catch, of the version that the compiler's package has.

All of libc++abi's, and a sample of libc++'s. `make cxx` runs them: they take half an hour.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import tmebox
from tests.programs.building import source_of
from tmebox.errors import CompileError
from tmebox.toolchain.build import build
from tmebox.toolchain.compile import clang
from tmebox.toolchain.options import CompileOptions

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.cxx]
PACKAGE = "llvm-toolchain-19"
SAMPLE = 230
_THROWS = re.compile(r"\bcatch \(|\bthrow\b|TEST_DOES_NOT_THROW|throw_")
_FLAGS = re.compile(r"^// ADDITIONAL_COMPILE_FLAGS: (.*)", re.MULTILINE)
NOT_HERE = re.compile(
    r"std::(thread|jthread|async)\b|make_test_thread|support::thread|<fstream>|filesystem_test_helper"
    r"|REQUIRES: .*(aarch64|powerpc|aix|no-exceptions|c\+\+03|has-unix-headers|locale\.)"
    r"|UNSUPPORTED: .*(c\+\+23|linux)|atomic_support\.h|cxa_exception\.h|vendor/ibm"
)
"""What asks for threads, files, other processors, languages before C++23 or private headers."""
MACROS = (
    "-D_LIBCPP_ENABLE_EXPERIMENTAL",
    "-D_LIBCPP_DISABLE_DEPRECATION_WARNINGS",
    "-D_LIBCPP_ENABLE_CXX17_REMOVED_FEATURES",
    "-D_LIBCPP_ENABLE_CXX20_REMOVED_FEATURES",
)


def files(tree: Path) -> list[Path]:
    """The tests to run, the same ones each time."""
    abi = sorted((tree / "libcxxabi" / "test").rglob("*.pass.cpp"))
    std = sorted((tree / "libcxx" / "test" / "std").rglob("*.pass.cpp"))
    chosen = [path for path in std if _THROWS.search(path.read_text(errors="replace"))]
    random.Random(1).shuffle(chosen)
    suitable = (path for path in (*abi, *chosen) if not NOT_HERE.search(path.read_text(errors="replace")))
    return list(suitable)[: len(abi) + SAMPLE]


def ends_well(path: Path, tree: Path) -> str:
    """Nothing, or what went wrong."""
    text = path.read_text(errors="replace")
    flags = [word for line in _FLAGS.findall(text) for word in line.split()]
    options = CompileOptions(
        optimize="-O1",
        flags=("-std=c++23", "-w", *MACROS, *flags),
        include_dirs=(
            tree / "libcxx" / "test" / "support",
            tree / "libcxxabi" / "test" / "support",
            clang.toolchain_dir() / "lib" / "libcxxabi" / "src",
        ),
        readable_dirs=(tree / "libcxx" / "test", tree / "libcxxabi" / "test"),
        undefined="linker",
    )
    try:
        sandbox = tmebox.Sandbox(tmebox.Module(build([path], options)))
        done = sandbox.run(timeout=60)
    except (CompileError, tmebox.TmeboxError) as error:
        return str(error)[:300]
    return "" if done.exit_code == 0 else f"exit {done.exit_code}"


def test_libcxx_and_libcxxabi_pass_their_own_tests() -> None:
    tree = source_of(PACKAGE)
    chosen = files(tree)
    failed = {str(path.relative_to(tree)): why for path in chosen if (why := ends_well(path, tree))}
    for name, why in failed.items():
        print(f"{name}: {why}")
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    assert len(chosen) > 200
    assert not failed
