"""libc++'s and libc++abi's own tests, of the version that the compiler's package has: what passes natively
passes in a sandbox. `make cxx` runs them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.cxx import conformance, lit
from tests.programs.building import source_of

PACKAGE = "llvm-toolchain-19"
SHOWN = 4000


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.cxx
def test_libcxx_and_libcxxabi_pass_their_own_tests() -> None:
    tree = source_of(PACKAGE)
    chosen = conformance.chosen(tree)
    kept = os.environ.get("TMEBOX_CXX_KEPT")
    report = Path(kept) / "conformance.json" if kept else None
    found = list(conformance.outcomes(chosen, tree, "-O1", len(os.sched_getaffinity(0)), report))
    for verdict, count in Counter(item.verdict for item in found).items():
        print(f"{count} {verdict}")
    failed = [f"{item.name}: {item.sandboxed}" for item in found if item.verdict == "failed"]
    assert not failed, "\n".join(failed)[:SHOWN]
    assert sum(item.verdict == "passed" for item in found if item.name.startswith("libcxx/")) >= 200


CONDITIONS = [
    ("c++23", True),
    ("c++03", False),
    ("!c++03", True),
    ("linux && target=aarch64-{{.+}}-gnu", False),
    ("linux && target={{x86_64-.+}}", True),
    ("c++03 || (clang && !gcc)", True),
    ("*", True),
    ("{{c\\+\\+(23|26)}}", True),
]


@pytest.mark.parametrize(("text", "expected"), CONDITIONS)
def test_conditions_of_tests_are_read(text: str, expected: bool) -> None:
    assert lit.holds(text, conformance.FEATURES | {"c++23"}) is expected


@pytest.mark.parametrize("text", ["__import__('os')", "a b; c", "a @ b"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        lit.holds(text, frozenset())


def test_a_test_says_where_it_runs_and_how(tmp_path: Path) -> None:
    path = tmp_path / "it.pass.cpp"
    path.write_text(
        "// UNSUPPORTED: c++03, no-threads\n// REQUIRES: linux\n// XFAIL: gcc\n"
        "// ADDITIONAL_COMPILE_FLAGS: -DONE -DTWO\n// ADDITIONAL_COMPILE_FLAGS(gcc-style-warnings): -Wno-x\n"
        "// ADDITIONAL_COMPILE_FLAGS(msvc): /bad\n// FILE_DEPENDENCIES: a.dat, b.dat\nint main() {}\n"
    )
    features = frozenset({"linux", "gcc-style-warnings"})
    said = lit.conditions(path, features)
    assert said.fit(features) and not said.fit(features | {"c++03"}) and not said.fit(features | {"gcc"})
    assert not said.fit(features - {"linux"})
    assert said.flags == ("-DONE", "-DTWO", "-Wno-x")
    assert [file.name for file in said.files] == ["a.dat", "b.dat"]
