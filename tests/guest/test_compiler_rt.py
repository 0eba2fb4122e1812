"""The compiler's run-time functions, built for the host under other names, against the host's own."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tmebox.toolchain.libc.sources import GUEST

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SOURCES = sorted((GUEST / "compiler_rt").glob("*.c"))


def host_compiler() -> list[str]:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    return [found] if found else [sys.executable, "-m", "ziglang", "cc"]


def renames(source: Path) -> list[str]:
    """-D options that give every function the file defines a name of ours."""
    names = set(re.findall(r"\b__(?!builtin|asm|attribute|real|imag|int128)[a-z]+\d?\b", source.read_text()))
    return [f"-D{name}=our{name}" for name in sorted(names)]


@pytest.fixture(scope="module")
def compile_ours(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    directory = tmp_path_factory.mktemp("compiler_rt")

    def compile_one(source: Path) -> Path:
        output = directory / f"{source.stem}.o"
        flags = ["-O2", "-ffreestanding", "-frounding-math", "-fPIC", "-c", *renames(source)]
        subprocess.run([*host_compiler(), *flags, str(source), "-o", str(output)], check=True)
        return output

    return compile_one


def test_results_are_those_of_the_host_compilers_operators(
    compile_ours: Callable[[Path], Path], tmp_path: Path
) -> None:
    chosen = [
        source for source in SOURCES if source.stem in {"int128", "int128_float", "complex", "powi", "bits"}
    ]
    assert len(chosen) == 5
    program = tmp_path / "harness"
    objects = [str(compile_ours(source)) for source in chosen]
    harness = str(HERE / "compiler_rt_harness.c")
    command = [*host_compiler(), "-O1", "-frounding-math", harness, *objects, "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_quad_precision_is_the_host_librarys_in_every_direction(
    compile_ours: Callable[[Path], Path], tmp_path: Path
) -> None:
    names = ("quad", "quad_convert", "half", "complex")
    objects = [str(compile_ours(GUEST / "compiler_rt" / f"{name}.c")) for name in names]
    program = tmp_path / "quads"
    harness = str(HERE / "quad_harness.c")
    command = [*host_compiler(), "-O1", "-frounding-math", harness, *objects, "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_trapping_arithmetic_traps_at_the_limits_and_not_before(
    compile_ours: Callable[[Path], Path], tmp_path: Path
) -> None:
    compiled = [str(compile_ours(GUEST / "compiler_rt" / f"{name}.c")) for name in ("trapping", "int128")]
    program, harness = tmp_path / "trapping", str(HERE / "trapping_harness.c")
    subprocess.run([*host_compiler(), "-w", harness, *compiled, "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "")


HALVES = """
#include <stdio.h>
#include <stdint.h>
#include <string.h>
float our__extendhfsf2(_Float16);
_Float16 our__truncsfhf2(float), our__truncdfhf2(double);
int main(void)
{
    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t narrow = (uint16_t)bits;
        _Float16 value;
        memcpy(&value, &narrow, 2);
        float wide = our__extendhfsf2(value);
        fwrite(&wide, 4, 1, stdout);
    }
    double number;
    while (fread(&number, 8, 1, stdin) == 1) {
        _Float16 value = our__truncdfhf2(number);
        fwrite(&value, 2, 1, stdout);
        value = our__truncsfhf2((float)number);
        fwrite(&value, 2, 1, stdout);
    }
}
"""


def test_half_precision_conversions_are_numpys(compile_ours: Callable[[Path], Path], tmp_path: Path) -> None:
    compiled = compile_ours(GUEST / "compiler_rt" / "half.c")
    program, text = tmp_path / "halves", tmp_path / "halves.c"
    text.write_text(HALVES)
    subprocess.run([*host_compiler(), str(text), str(compiled), "-o", str(program)], check=True)
    random = np.random.default_rng(1)
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].astype(np.float64)
    between = (finite[:-1] + finite[1:]) / 2  # ties
    spread = random.normal(size=20000) * 2.0 ** random.integers(-40, 40, 20000)
    edges = np.array([0.0, -0.0, np.inf, -np.inf, 65519.99, 65520.0, 1e300, 5e-324, 2.0**-25, 2.0**-24])
    numbers = np.concatenate([finite, between, np.nextafter(between, 0), spread, edges])
    output = subprocess.run([program], input=numbers.tobytes(), capture_output=True, check=True).stdout
    widened = np.frombuffer(output, np.float32, 65536)
    np.testing.assert_array_equal(widened, every.astype(np.float32))
    assert struct.pack("<f", widened[0x8000]) == struct.pack("<f", -0.0)
    with np.errstate(over="ignore"):
        expected = np.stack(
            [numbers.astype(np.float16), numbers.astype(np.float32).astype(np.float16)], axis=1
        )
    rounded = np.frombuffer(output, np.float16, offset=4 * 65536).reshape(-1, 2)
    np.testing.assert_array_equal(rounded, expected)
