"""One function of C for everything that a compiler may turn into a call of its run-time library."""

from __future__ import annotations

from collections.abc import Iterator

FLOATS = ["_Float16", "__bf16", "float", "double", "long double", "__float128"]
SMALL = [
    "signed char",
    "unsigned char",
    "short",
    "unsigned short",
    "int",
    "unsigned",
    "long",
    "unsigned long",
]
WIDE = ["__int128", "unsigned __int128"]
BIT_INTEGERS = ["_BitInt(67)", "unsigned _BitInt(67)", "_BitInt(200)", "unsigned _BitInt(300)"]
INTEGERS = [*SMALL, *WIDE, *BIT_INTEGERS]
BY_CLANG_ITSELF = [("_Float16", "__bf16"), ("__bf16", "long double"), ("__bf16", "__float128")]
"""Conversions that clang 19's back end cannot do, to and from: it ends with an internal error."""
COMPLEX = {
    "_Complex float": "",
    "_Complex double": "",
    "_Complex long double": "",
    "quadc": "typedef _Complex float quadc __attribute__((mode(TC)));",
}
MATH = [
    "floor",
    "ceil",
    "trunc",
    "rint",
    "nearbyint",
    "round",
    "roundeven",
    "sqrt",
    "exp",
    "exp2",
    "log",
    "log2",
    "log10",
    "sin",
    "cos",
    "tan",
    "logb",
]
TWO = ["fmin", "fmax", "copysign", "pow", "fmod"]


def _templates() -> Iterator[str]:
    for to in FLOATS + INTEGERS + ["_Bool"]:
        for source in FLOATS + INTEGERS:
            if to != source and (to, source) not in BY_CLANG_ITSELF:
                yield f"void NAME({to} *r, {source} *x) {{ *r = ({to})*x; }}"
    for name in FLOATS:
        for operator in "+-*/":
            yield f"void NAME({name} *r, {name} *x, {name} *y) {{ *r = *x {operator} *y; }}"
        for operator in ["<", "<=", ">", ">=", "==", "!="]:
            yield f"int NAME({name} *x, {name} *y) {{ return *x {operator} *y; }}"
            yield f"{name} NAME({name} *x, {name} *y) {{ return *x {operator} *y ? *x : -*y; }}"
        yield f"void NAME({name} *x) {{ ++*x; }}"
        for builtin in ("isnan", "isinf", "isfinite", "signbit", "isnormal"):
            yield f"int NAME({name} *x) {{ return __builtin_{builtin}(*x); }}"
        for builtin in ("isunordered", "isless", "isgreaterequal", "islessgreater"):
            yield f"int NAME({name} *x, {name} *y) {{ return __builtin_{builtin}(*x, *y); }}"
    for name in INTEGERS:
        for operator in ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]:
            yield f"void NAME({name} *r, {name} *x, {name} *y) {{ *r = *x {operator} *y; }}"
        yield f"void NAME({name} *r, {name} *x) {{ *r = -*x; }}"
    for name in SMALL + WIDE:
        for other in SMALL + WIDE:
            for operation in ("add", "sub", "mul"):
                call = f"__builtin_{operation}_overflow(*x, *y, r)"
                yield f"int NAME({name} *r, {other} *x, {name} *y) {{ return {call}; }}"
    for name, declaration in COMPLEX.items():
        for operator in "+-*/":
            yield f"{declaration} void NAME({name} *r, {name} *x, {name} *y) {{ *r = *x {operator} *y; }}"
    yield from _atomics()
    yield from _builtins()


def _atomics() -> Iterator[str]:
    for name in ("char", "short", "int", "long", "__int128"):
        for operation in ("add", "sub", "and", "or", "xor", "nand"):
            yield f"void NAME({name} *x) {{ __atomic_fetch_{operation}(x, 3, 5); }}"
            yield f"{name} NAME({name} *x) {{ return __sync_fetch_and_{operation}(x, 3); }}"
        yield f"{name} NAME({name} *x) {{ __atomic_store_n(x, 3, 5); return __atomic_load_n(x, 5); }}"
        yield f"{name} NAME({name} *x) {{ return __atomic_exchange_n(x, 3, 5); }}"
        yield f"int NAME({name} *x, {name} *y) {{ return __atomic_compare_exchange_n(x, y, 3, 0, 5, 5); }}"
        yield f"{name} NAME({name} *x) {{ return __sync_val_compare_and_swap(x, 3, 4); }}"
        yield f"int NAME({name} *x) {{ return __sync_bool_compare_and_swap(x, 3, 4); }}"
        yield f"{name} NAME({name} *x) {{ return __sync_lock_test_and_set(x, 1); }}"
    yield "struct s { char c[40]; }; void NAME(_Atomic struct s *x, struct s *y) { *y = *x; *x = *y; }"


def _builtins() -> Iterator[str]:
    for suffix, name in (("", "unsigned"), ("l", "unsigned long"), ("ll", "unsigned long long")):
        for builtin in ("popcount", "parity", "clz", "ctz", "ffs"):
            yield f"int NAME({name} x) {{ return __builtin_{builtin}{suffix}(x); }}"
    yield "unsigned long NAME(unsigned long x) { return __builtin_bswap64(x) + __builtin_bswap32((int)x); }"
    yield 'int NAME(void) { __builtin_cpu_init(); return __builtin_cpu_supports("avx2"); }'
    yield 'int NAME(void) { return __builtin_cpu_supports("avx512f") + __builtin_cpu_is("intel"); }'
    yield 'int NAME(void) { return __builtin_cpu_supports("x86-64-v3"); }'
    yield "char *NAME(int n) { char *p = __builtin_alloca(n); p[0] = 1; return p[n - 1] ? 0 : p; }"
    for suffix, name in (("f", "float"), ("", "double"), ("l", "long double")):
        yield f"{name} NAME({name} x, int n) {{ return __builtin_powi{suffix}(x, n); }}"
        yield f"{name} NAME({name} x, int n) {{ return __builtin_ldexp{suffix}(x, n); }}"
        yield f"{name} NAME({name} x, {name} y) {{ return __builtin_fma{suffix}(x, y, x); }}"
        yield f"long NAME({name} x) {{ return __builtin_lrint{suffix}(x) + __builtin_llround{suffix}(x); }}"
        for builtin in MATH:
            yield f"{name} NAME({name} x) {{ return __builtin_{builtin}{suffix}(x); }}"
        for builtin in TWO:
            yield f"{name} NAME({name} x, {name} y) {{ return __builtin_{builtin}{suffix}(x, y); }}"


def snippets() -> list[str]:
    """C functions f0, f1, …, one a line."""
    return [text.replace("NAME", f"f{number}") for number, text in enumerate(_templates())]


def for_gcc(lines: list[str]) -> list[str]:
    """Those that every version of gcc that there is knows: some of the types and builtins are newer."""
    unknown = ("_BitInt", "__bf16", "roundeven", "x86-64-v3")
    return [line for line in lines if not any(word in line for word in unknown)]
