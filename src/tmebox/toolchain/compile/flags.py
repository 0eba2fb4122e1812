"""Which compiler flags a build may use: those of `option_table`, and macros."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tmebox.errors import CompileError
from tmebox.toolchain.compile.option_table import CHECKS, TABLE
from tmebox.toolchain.patterns import regex

_Row = tuple[str, str, str]
"""Pattern, effect, reason."""


def _rows() -> list[_Row]:
    lines = (line for line in TABLE.splitlines() if line and not line.startswith("# "))
    words = ([*line.split(maxsplit=2), ""] for line in lines)
    return [(pattern.replace("SAN", CHECKS), effect, why) for pattern, effect, why, *_ in words]


ROWS = _rows()
_HEAD = regex(r"(-[a-z])(\(no-\)\?)?([\w=-]*)(.?)")
"""The option's letter, whether there is a form with "no-", what it goes on with, and what follows that."""
_DEFINE = regex(r"[A-Za-z_$][\w$]*(\([\w$, .]*\))?(=[^\n\0]*)?")

SANDBOXED = (
    *("-fno-pic", "-mcmodel=small", "-fomit-frame-pointer", "-fno-stack-protector", "-fcf-protection=none"),
    *("-fno-addrsig", "-ftls-model=local-exec", "-mno-tls-direct-seg-refs"),
    # A large frame is touched on its way down, so that it meets the guard below the stack.
    *("-fstack-clash-protection", "-mstack-probe-size=32768"),
    "-fno-integrated-as",  # inline assembly must arrive as text: clang would expand .incbin in it
    *("-ffunction-sections", "-fdata-sections"),
)
"""What all code for sandboxes is compiled with. docs/design.md, section 4."""

NOT_AVAILABLE = (
    *("-mno-avx512f", "-mno-avx10.1-256", "-mno-apxf", "-mno-amx-tile", "-mno-avxvnni", "-mno-avxvnniint8"),
    *("-mno-avxvnniint16", "-mno-avxifma", "-mno-avxneconvert", "-mno-sha512", "-mno-sm3", "-mno-sm4"),
    *("-mno-xop", "-mno-fma4", "-mno-tbm", "-mno-lwp"),
)
"""What a processor that -march names may have, a compiler would use by itself, and the verifier refuses."""
_LEVELS = {"-march=x86-64-v4": "-march=x86-64-v3"}
_WITH_AVX512 = regex(
    r"-march=(native|x86-64-v4|knl|knm|skx|skylake-avx512|cannonlake|(cascade|cooper|tiger|rocket)lake"
    r"|icelake-\w+|sapphirerapids|emeraldrapids|graniterapids[\w-]*|znver[4-9])"
)


@lru_cache(maxsize=1024)
def _row(flag: str) -> tuple[str, str]:
    """Effect and reason; "" for what is not in the table."""
    for pattern, effect, why in ROWS:  # compiled one by one: all of them would take longer than a compiler
        if _may_match(pattern, flag) and regex(pattern).fullmatch(flag):
            return effect, why
    return "", ""


def _may_match(pattern: str, flag: str) -> bool:
    """Whether `flag` begins as the pattern does, which is soon told."""
    head = _HEAD.match(pattern)
    if head is None:
        return True
    letter, has_negation, literal, following = head.groups()
    if following in ("?", "*", "+", "{", "|"):
        literal = literal[:-1]
    return flag.startswith(letter + literal) or (
        bool(has_negation) and flag.startswith(f"{letter}no-{literal}")
    )


def passes(flag: str) -> bool:
    """Whether the compiler gets to see `flag`."""
    return _row(flag)[0] == "pass"


def ignored(flag: str) -> bool:
    """Whether `flag` is accepted without effect."""
    return _row(flag)[0] == "ignore"


def refusal(flag: str) -> str:
    """Why a flag is refused, as a message."""
    why = _row(flag)[1]
    return f"{flag!r} is not supported in a sandboxed build" + (f": {why}" if why else "")


def note(flag: str) -> str | None:
    """What the user of a flag that passes ought to know."""
    if _WITH_AVX512.fullmatch(flag):
        return f"{flag}: without AVX-512, which sandboxed code cannot use"
    return None


def vet(flags: Iterable[str]) -> list[str]:
    """The flags to give to the compiler. Raises CompileError for one that is not known to be harmless."""
    kept = []
    for flag in flags:
        is_macro = flag.startswith(("-D", "-U")) and _DEFINE.fullmatch(flag[2:])
        if passes(flag) or is_macro:
            kept.append(_LEVELS.get(flag, flag))
        elif not ignored(flag):
            raise CompileError(f"compiler flag {refusal(flag)}")
    if any(flag.startswith("-march=") for flag in kept):
        kept += NOT_AVAILABLE
    if any(flag.startswith("-fsanitize=") for flag in kept):
        # Checks of pointers to functions put data before each function, in the middle of the text.
        kept += ["-fsanitize-trap=all", "-fno-sanitize=function"]
    return kept


def vet_define(define: str) -> str:
    """A -D flag for "NAME" or "NAME=value". Raises CompileError for anything else."""
    if not _DEFINE.fullmatch(define):
        raise CompileError(f"not a macro definition: {define!r} (expected NAME or NAME=value)")
    return f"-D{define}"
