"""Random C with vectors of 32 and 64 bytes in its frames: more of them than there are registers, in
arguments, arrays and structs by value; aligned objects whose addresses other functions get; beside them
arrays of variable size. `generate(seed)` gives two sources, which call each other; `whole(long)` is what they
compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Kind = Callable[[Random, int, list[str], list[str]], str]

SHARED = """\
typedef int v8 __attribute__((vector_size(32)));
typedef long w8 __attribute__((vector_size(64)));
typedef int v4 __attribute__((vector_size(16)));
struct pair { v8 a; w8 b; };
struct aligned { _Alignas(64) int x[20]; };
struct plain { long x[7]; };
#define NOINLINE __attribute__((noinline))
long escaped(const void *p, long alignment);
long pair_by_value(int i, struct pair p, v8 a, v8 b, v8 c, v8 d, v8 e,
                   v8 f, v8 g, v8 h, v8 i9, w8 j, struct aligned k);
long folded8(v8 x);
long foldedw(w8 x);
"""
OTHER = (
    SHARED
    + """
long escaped(const void *p, long alignment) {
    const volatile int *x = p;
    return ((long)p % alignment ? 1000003 : 0) + x[0] + 3L * x[1];
}
NOINLINE long folded8(v8 x) { long s = 0; for (int i = 0; i < 8; i++) s = s * 31 + x[i]; return s; }
NOINLINE long foldedw(w8 x) { long s = 0; for (int i = 0; i < 8; i++) s = s * 37 + x[i]; return s; }
NOINLINE static long aligned_by_value(int n, struct aligned k) { return escaped(&k, 64) + k.x[n & 15]; }
long pair_by_value(int i, struct pair p, v8 a, v8 b, v8 c, v8 d, v8 e,
                   v8 f, v8 g, v8 h, v8 i9, w8 j, struct aligned k) {
    return escaped(&p, 64) + folded8(p.a + a * b + c * d + e * f + g * h + i9) + foldedw(p.b - j) +
           escaped(&k, 64) + aligned_by_value(i, k) + p.a[i & 7];
}
"""
)


def _vector(random: Random, names: list[str]) -> str:
    one, two = random.choice(names), random.choice(names)
    constant = random.randrange(1, 99)
    return random.choice(
        (f"{one} + {two} * {constant}", f"{one} ^ ({two} - {constant})", f"({one} & {two}) - {one}",
         f"{one} * {two} + {constant}", f"-{one} | {two}")
    )  # fmt: skip


def _function(random: Random, number: int, kinds: Sequence[Kind]) -> str:
    """`long fN(long n, const v8 *p, const w8 *q, v8 …)`; p and q have 8 elements each."""
    arguments = [f"a{i}" for i in range(10)]
    lines = [
        f"NOINLINE long f{number}(long n, const v8 *p, const w8 *q,"
        f" {', '.join(f'v8 {a}' for a in arguments)}) {{"
    ]
    lines.append("    long s = n;")
    eights, wides = list(arguments), ["u0", "u1"]
    lines.append("    w8 u0 = q[n & 7], u1 = q[3];")
    for i in range(random.randrange(4, 40)):
        if random.random() < 0.6:
            lines.append(f"    v8 x{i} = {_vector(random, eights)} + p[{random.randrange(8)}];")
            eights.append(f"x{i}")
        else:
            lines.append(f"    w8 y{i} = {_vector(random, wides)} + q[{random.randrange(8)}];")
            wides.append(f"y{i}")
    whole: list[str] = []
    for kind in random.sample(kinds, random.randrange(2, 7)):
        whole.append(kind(random, number, eights, wides))
    lines += whole
    lines.append("    s += folded8(" + " + ".join(f"{x} * {i + 3}" for i, x in enumerate(eights)) + ");")
    lines.append("    s = s * 7 + foldedw(" + " - ".join(wides) + ");")
    lines.append("    return s;\n}")
    return "\n".join(lines)


def _call(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    if number == 0:
        return f"    s += folded8({random.choice(eights)});"
    names = ", ".join(random.choice(eights) for _ in range(10))
    return f"    if (n > 0) s += f{random.randrange(number)}(n - 1, p, q, {names});"


def _array(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    names = ", ".join(random.choice(eights) for _ in range(6))
    return (
        f"    {{ v8 t[6] = {{{names}}}; for (int i = 0; i < 6; i++) t[i] += t[(i + n) % 6] * i;"
        f" s += folded8(t[n % 6]) + t[2][n & 7]; }}"
    )


def _escaping(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    size = random.choice((32, 64, 128))
    return (
        f"    {{ _Alignas({size}) int o[{random.randrange(8, 40)}] = {{(int)n, 5}}; s += escaped(o, {size});"
        f" v8 z = {random.choice(eights)}; s += escaped(&z, 32); w8 y[2] = {{{random.choice(wides)}}};"
        f" s += escaped(y, 64); }}"
    )


def _by_value(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    names = ", ".join(random.choice(eights) for _ in range(9))
    return (
        f"    {{ struct pair t = {{{random.choice(eights)}, {random.choice(wides)}}};"
        f" struct aligned k = {{{{1, (int)n}}}};"
        f" s += pair_by_value((int)n, t, {names}, {random.choice(wides)}, k); }}"
    )


def _variable(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    return (
        f"    {{ v8 t[n % 5 + 1]; for (int i = 0; i < n % 5 + 1; i++) t[i] = {random.choice(eights)} * i;"
        f" s += folded8(t[n % 5]) + escaped(t, 32); char *b = __builtin_alloca(n % 9 + 8);"
        f" for (int i = 0; i < 8; i++) b[i] = i; s += escaped(b, 16); }}"
    )


def _element(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    return f"    s += {random.choice(eights)}[n & 7] + {random.choice(wides)}[(n + 1) & 7];"


def _written_element(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    name = random.choice(eights)
    return f"    {{ v8 t = {name}; t[(n * 3) & 7] = 77; s += folded8(t); }}"


def _assembly(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    return (
        f'    {{ v8 t = {random.choice(eights)}; __asm__ volatile("" : "+m"(t)); s += folded8(t);'
        ' long r = n; __asm__ volatile("pushq %0; incq (%%rsp); popq %0" : "+r"(r) : : "cc", "memory");'
        " s += r; }"
    )


def _struct(random: Random, number: int, eights: list[str], wides: list[str]) -> str:
    return (
        "    { struct plain t; for (int i = 0; i < 7; i++) t.x[i] = n * i;"
        " s += escaped(&t, 8); s += t.x[n % 7]; }"
    )


_KINDS = [
    _call,
    _call,
    _array,
    _escaping,
    _by_value,
    _variable,
    _element,
    _written_element,
    _assembly,
    _struct,
]


def generate(seed: int, *, variable: bool = True, escaping: bool = True) -> tuple[str, str]:
    """variable, escaping: whether any array has no constant size, and whether others get the address of what
    is aligned; without either, all of it stays in frames."""
    random = Random(seed)
    left_out = [*([] if variable else [_variable]), *([] if escaping else [_escaping, _by_value])]
    kinds = [kind for kind in _KINDS if kind not in left_out]
    functions = [_function(random, number, kinds) for number in range(6)]
    names = ", ".join(f"p[{random.randrange(8)}]" for _ in range(10))
    run = (
        "long whole(long n) {\n    static v8 p[8]; static w8 q[8];\n"
        "    for (int i = 0; i < 8; i++) for (int j = 0; j < 8; j++)"
        " p[i][j] = i * 11 + j * n, q[i][j] = i - j * n;\n"
        f"    return f5(n, p, q, {names}) + f4(n + 1, p, q, {names});\n}}\n"
    )
    return SHARED + "\n".join(functions) + "\n" + run, OTHER
