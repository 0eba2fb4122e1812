"""Which compiler flags a build may use: an allow-list, because a flag can make a compiler read, write or run
anything.

`PASSED` flags reach clang. `IGNORED` flags are what existing build systems ask for that a sandbox decides
by itself (position independence, stack protectors, unwind tables) or that mean nothing here. All else is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tmebox.errors import CompileError

_F_PASSED = (
    "associative-math|bracket-depth=\\d+|builtin(-\\w+)?|color-diagnostics|common|constant-cfstrings|delete-null-pointer-checks|"
    "diagnostics-[\\w-]+(=\\w+)?|fast-math|finite-loops|finite-math-only|fp-contract=\\w+|freestanding|fp-model=\\w+|"
    "gnu89-inline|honor-infinities|honor-nans|hosted|inline|inline-functions|inline-hint-functions|inline-small-functions|"
    "inline-functions-called-once|jump-tables|lax-vector-conversions|macro-backtrace-limit=\\d+|math-errno|"
    "max-type-align=\\d+|merge-all-constants|merge-constants|message-length=\\d+|optimize-sibling-calls|"
    "reciprocal-math|rounding-math|short-enums|show-column|signed-char|signed-zeros|slp-vectorize|strict-aliasing(=\\d)?|"
    "strict-enums|strict-flex-arrays=\\d|strict-overflow|strict-return|template-depth=\\d+|trapping-math|trapv|"
    "tree-slp-vectorize|tree-vectorize|trivial-auto-var-init=\\w+|unroll-loops|unsafe-math-optimizations|unsigned-char|"
    "unsigned-bitfields|signed-bitfields|vectorize|visibility=\\w+|wrapv|wrapv-pointer|zero-call-used-regs=\\w+|"
    "zero-initialized-in-bss|error-limit=\\d+|tabstop=\\d+|caret-diagnostics|spell-checking|approx-func|ident|dollars-in-identifiers"
)
_F_IGNORED = (
    "pic|PIC|pie|PIE|plt|semantic-interposition|stack-protector(-\\w+)?|stack-clash-protection|stack-check|cf-protection(=\\w+)?|"
    "asynchronous-unwind-tables|unwind-tables|exceptions|omit-frame-pointer|function-sections|data-sections|unique-section-names|"
    "lto(=\\w+)?|fat-lto-objects|use-linker-plugin|addrsig|integrated-as|keep-inline-functions|reorder-functions|tls-model=[\\w-]+|"
    "verbose-asm|stack-reuse=\\w+|var-tracking(-\\w+)?|gcse|tree-[\\w-]+|ipa-[\\w-]+|schedule-[\\w-]+|crossjumping|peephole2?|"
    "align-(functions|loops|jumps|labels)(=\\d+)?|no-line-tables|debug-types-section|eliminate-unused-debug-types|"
    "eliminate-unused-debug-symbols|excess-precision=\\w+|allow-store-data-races|prefetch-loop-arrays|rename-registers|web|"
    "code-hoisting|section-anchors|move-loop-invariants|cse-follow-jumps|rerun-cse-after-loop|expensive-optimizations|"
    "caller-saves|defer-pop|forward-propagate|if-conversion2?|split-stack|use-ld=\\w+|openmp-simd|working-directory"
)
_FEATURES = (
    "sse|sse2|sse3|ssse3|sse4|sse4\\.1|sse4\\.2|avx|avx2|fma|bmi|bmi2|lzcnt|popcnt|movbe|aes|vaes|pclmul|vpclmulqdq|sha|f16c|adx|"
    "avxvnni|gfni|cx16|sahf|avx512\\w*|prefer-vector-width=\\w+|fpmath=sse|red-zone|80387|recip(=\\w+)?|vzeroupper|"
    "fast-\\w+|tune=[\\w.-]+|arch=[\\w.-]+"
)

PASSED = re.compile(
    f"-f(no-)?({_F_PASSED})|-m(no-)?({_FEATURES})|-W[\\w+#-]*(=[\\w+-]*)?|-std=[\\w:]+|-ansi|-w|-pedantic(-errors)?|"
    "-O[0-3sgz]?|-Ofast|-trigraphs|-fdiagnostics-color(=\\w+)?|--?no-warnings"
)
IGNORED = re.compile(
    f"-f(no-)?({_F_IGNORED})|-g\\w*(=\\w+)?|-g(no-)?[\\w-]+|-pipe|-pthread|-m64|-mcmodel=small|-mstackrealign|"
    "-m(no-)?omit-leaf-frame-pointer|-m(no-)?(gather|scatter)|-mpreferred-stack-boundary=\\d+|-mindirect-branch=\\w+|"
    "-mfunction-return=\\w+|-m(no-)?(tls-direct-seg-refs|avx256-split-unaligned-\\w+|shstk)|-no-pie|-nopie|-pie|-static-pie|"
    "-Qunused-arguments|-no-canonical-prefixes|--param(=.*)?"
)
_DEFINE = re.compile(r"[A-Za-z_$][\w$]*(\([\w$, .]*\))?(=[^\n\0]*)?")


def passes(flag: str) -> bool:
    """Whether clang gets to see `flag`."""
    return PASSED.fullmatch(flag) is not None


def ignored(flag: str) -> bool:
    """Whether `flag` is accepted without effect."""
    return IGNORED.fullmatch(flag) is not None


def vet(flags: Iterable[str]) -> list[str]:
    """The flags to give to clang. Raises CompileError for one that is not known to be harmless."""
    kept = []
    for flag in flags:
        is_macro = flag.startswith(("-D", "-U")) and _DEFINE.fullmatch(flag[2:])
        if passes(flag) or is_macro:
            kept.append(flag)
        elif not ignored(flag):
            raise CompileError(f"compiler flag {flag!r} is not supported in a sandboxed build")
    return kept


def vet_define(define: str) -> str:
    """A -D flag for "NAME" or "NAME=value". Raises CompileError for anything else."""
    if not _DEFINE.fullmatch(define):
        raise CompileError(f"not a macro definition: {define!r} (expected NAME or NAME=value)")
    return f"-D{define}"
