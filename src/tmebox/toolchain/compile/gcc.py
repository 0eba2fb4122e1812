"""C to assembly text with the machine's gcc, for modules with the window's base in r15: clang cannot keep its
hands off registers, gcc can (`-ffixed-r15 -ffixed-r14`).

What runs is gcc's compiler proper, `cc1`: one process, so that limits and being killed reach all of it.
Preprocessing is a run of its own. After it every file that was read is known, and checked, before anything is
compiled; and a precompiled header, which is an image of the compiler's memory, is never loaded.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.records import dataclass
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import SYSTEM, Reach
from tmebox.toolchain.patterns import regex

MACRO = "-D__tmebox_r15__=1"
"""For sources that must know, assembly above all: r14 and r15 are not theirs."""

CODE_FLAGS = (
    "-ffixed-r15",
    "-ffixed-r14",
    "-fno-ipa-ra",  # r11 is overwritten at returns, whatever the callee's own code leaves alone
    "-fno-pic",
    "-mcmodel=small",
    "-fomit-frame-pointer",
    "-fno-stack-protector",
    "-fno-stack-clash-protection",
    "-fcf-protection=none",
    "-ftls-model=local-exec",
    "-mno-tls-direct-seg-refs",
    "-ffunction-sections",
    "-fdata-sections",
)
_NO_GATHERS = "-mtune-ctrl=^use_gather,^use_gather_2parts,^use_gather_4parts"
"""As gcc spells it from version 12 on. Before, the rewriter refuses what gathers there are."""
DEBUG_FLAGS = (
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-gdwarf-4",  # version 5 has strings where clang's assembler puts those of its line table
    "-gno-variable-location-views",
    "-fno-diagnostics-color",
    "-fno-diagnostics-show-caret",  # gcc would print that line of any file that `#line` names
)
"""With -g, no unwind tables still leaves .debug_frame, as with clang."""
WITHOUT_LOCATIONS = ("-fno-var-tracking",)
"""See `compile.WITHOUT_LOCATIONS`."""

_UNKNOWN_TO_GCC = regex(
    r"-f(no-)?(bracket-depth|color-diagnostics|constant-cfstrings|diagnostics-|inline-hint-functions|fp-model"
    r"|macro-backtrace-limit|slp-vectorize|strict-return|template-depth|vectorize|wrapv-pointer|error-limit"
    r"|caret-diagnostics|spell-checking|approx-func|honor-|finite-loops|max-type-align|strict-enums)\S*"
    r"|-W[\w+-]*#\S*|--?no-warnings|-fno-sanitize=function"
    r"|-mno-(avxvnniint\d+|avxifma|avxneconvert|sha512|sm\d|avx10\S*|apxf|amx\S*)"
)
"""Of the flags that `flags.vet` lets through: what only clang has, and -fdiagnostics-…, some of which make
gcc write files."""
_LEVELS = {
    "x86-64-v3": frozenset(
        ["avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "popcnt", "sse4_2", "cx16"]
    ),
    "x86-64-v2": frozenset(["popcnt", "sse4_1", "sse4_2", "ssse3", "cx16"]),
}
"""By the kernel's names of what each adds."""
_LOADS_IMAGE = "pch_preprocess"


@dataclass(frozen=True)
class Gcc:
    """`compiler`: cc1. `include_dir`: gcc's own headers (stddef.h, immintrin.h, …)."""

    compiler: Path
    include_dir: Path
    version: str


@lru_cache(maxsize=1)
def gcc() -> Gcc:
    """The machine's gcc. Raises CompileError if there is none, or none for x86-64 Linux."""
    import shutil  # not for who compiles with clang

    driver = shutil.which("gcc")
    if driver is None:
        raise CompileError(
            "base r15 needs gcc, which can reserve registers, and there is none: install gcc, or use base gs"
        )

    def ask(flag: str) -> str:
        finished = subprocess.run([driver, flag], capture_output=True, text=True, check=False)
        return finished.stdout.strip()

    machine = ask("-dumpmachine")
    if not machine.startswith("x86_64") or "linux" not in machine:
        raise CompileError(f"base r15 needs gcc for x86-64 Linux; {driver} is for {machine or 'none'}")
    compiler, include_dir = Path(ask("-print-prog-name=cc1")), Path(ask("-print-file-name=include"))
    if not (compiler.is_absolute() and include_dir.is_absolute()):
        raise CompileError(f"base r15 needs gcc; {driver} has no C compiler of its own")
    return Gcc(compiler, include_dir, ask("-dumpfullversion") or ask("-dumpversion"))


def run(
    arguments: Sequence[str],
    reach: Reach,
    limits: clang.Limits = clang.DEFAULT_LIMITS,
    *,
    cwd: Path | None = None,
) -> clang.Finished:
    """Run cc1 to its end, within what it may reach, and its own libraries. Raises CompileError if it exceeds
    a limit or dies of a signal."""
    reach = reach.executing(*SYSTEM)
    return clang.run_command([str(gcc().compiler), "-quiet", *arguments], "gcc", reach, limits, cwd=cwd)


def code_flags() -> list[str]:
    """What makes gcc's code fit for the rewriter."""
    major = gcc().version.partition(".")[0]
    is_new = major.isdecimal() and int(major) >= 12
    return [*CODE_FLAGS, *([_NO_GATHERS] if is_new else [])]


def known_flags(flags: Sequence[str]) -> list[str]:
    """Those of the vetted flags that gcc should get, as it calls them."""
    names = {
        "-march=native": f"-march={_own_level()}",
        "-mtune=native": "-mtune=generic",
        "-fsanitize-trap=all": "-fsanitize-undefined-trap-on-error",
    }
    return [names.get(flag, flag) for flag in flags if not _UNKNOWN_TO_GCC.fullmatch(flag)]


def _own_level() -> str:
    """What cc1, which does not know `native`, may take this processor for."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "x86-64"
    has = set(text.partition("flags")[2].partition("\n")[0].split())
    levels = (level for level, features in _LEVELS.items() if features <= has)
    return next(levels, "x86-64")


def compile_preprocessed(
    source: Path,
    output: Path,
    flags: Sequence[str],
    limits: clang.Limits = clang.DEFAULT_LIMITS,
    *,
    cwd: Path | None = None,
) -> clang.Finished:
    """Compile what a run with -E wrote. Raises CompileError, also for source that asks for an image."""
    if _LOADS_IMAGE in source.read_text(encoding="utf-8", errors="surrogateescape"):
        raise CompileError("the source names `pch_preprocess`, which would load a precompiled header")
    reach = Reach(reads=(source,), writes=(output.parent,))
    return run(["-fpreprocessed", str(source), *flags, "-o", str(output)], reach, limits, cwd=cwd)
