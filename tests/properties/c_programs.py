"""Random C programs without undefined behaviour, as hypothesis strategies that shrink.

A program has global arrays, a struct type, and functions f0 … fN of two unsigned longs and a double; each may
call those before it, directly or through a table of function pointers. Loops are bounded, shifts and indexes
masked, divisors odd or guarded, conversions from double within range: what such a program returns depends
on nothing but its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

PROLOGUE = """
#include <setjmp.h>
#include <stddef.h>
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef struct { u8 a; u16 b; u32 c; u64 d; double e; u32 list[5]; } record;
typedef struct { u32 x; u32 y; } pair;
typedef struct { double x; u64 y; } mixed;
typedef u64 function(u64, u64, double);
static u8 bytes[64];
static u16 shorts[32];
static u32 words[32];
static u64 longs[16];
static double reals[16];
static record records[8];
static u64 clamp(double x) { return x > -1e15 && x < 1e15 ? (u64)(long)x : 77; }
static double finite(double x) { return x > -1e60 && x < 1e60 ? x : 1.25; }
static u64 divide(u64 a, u64 b) { return b ? a / b : a; }
static u64 rest(long a, long b) { return b > 0 ? (u64)(a % b) : (u64)a; }
static pair swap(pair p) { return (pair){p.y, p.x + 1}; }
static mixed blend(mixed m, u64 k) { return (mixed){finite(m.x * 0.5 + (double)(k & 1023)), m.y ^ k}; }
static record grow(record r, u64 k) { r.a += (u8)k; r.list[k % 5] ^= r.c; r.d += k; return r; }
static u64 sum_of(int count, ...) {
  __builtin_va_list list;
  __builtin_va_start(list, count);
  u64 sum = 0;
  for (int i = 0; i < count; i++) sum = sum * 31 + __builtin_va_arg(list, u64);
  __builtin_va_end(list);
  return sum;
}
static jmp_buf place;
static u64 leap(u64 depth, u64 value) {
  volatile u64 room[5] = {depth, value};
  if (depth == 0) longjmp(place, (int)(value & 127) + 1);
  return leap(depth - 1, room[1] * 3 + 1) + room[0];
}
static u64 guarded(u64 value) {
  volatile u64 kept = value * 7;
  int came = setjmp(place);
  return came ? kept + (u64)came : leap(value & 7, value);
}
static u64 spread(u64 count) {
  u64 size = (count & 511) + 1, sum = 0;
  u8 *room = __builtin_alloca(size), *other = __builtin_alloca(size / 3 + 1);
  for (u64 i = 0; i < size; i++) room[i] = (u8)(i * count);
  for (u64 i = 0; i < size; i++) sum = sum * 5 + (other[i / 3] = room[size - 1 - i]);
  return sum;
}
static u64 wide(u64 count) {
  volatile u8 room[70000];
  room[count % 70000] = (u8)count;
  room[69999] = 3;
  return (u64)room[count % 70000] + room[69999];
}
static u64 many(u64 a, u64 b, double c, u64 d, u64 e, u64 f, u64 g, u64 h, record r, long double i, u64 j) {
  r.list[1] += (u32)h;
  u64 sum = a + 3 * b + 5 * d + 7 * e + 11 * f + 13 * g + 17 * h;
  return sum + 19 * j + r.list[1] + r.d + clamp(c) + (u64)i;
}
"""

FUNCTION = """
u64 f%(number)d(u64 a, u64 b, double r) {
  %(pointers)s
  u64 x = a, y = b, z = %(number)d, array[16] = {1, 2, 3};
  double s = r = finite(r);
  %(body)s
  goto done;
done:
  return x + 3 * y + 5 * z + array[3] + clamp(s);
}
"""

EPILOGUE = """
u64 digest(void) {
  u64 sum = 17;
  for (int i = 0; i < 64; i++) sum = sum * 131 + bytes[i];
  for (int i = 0; i < 32; i++) sum = (sum * 131 + shorts[i]) * 131 + words[i];
  for (int i = 0; i < 16; i++) sum = (sum * 131 + longs[i]) * 131 + clamp(reals[i] * 1024);
  for (int i = 0; i < 8; i++) {
    record *r = &records[i];
    sum = sum * 131 + r->a + r->b + r->c + r->d + clamp(r->e * 64);
    for (int j = 0; j < 5; j++) sum = sum * 131 + r->list[j];
  }
  return sum;
}
"""

ARGUMENTS = ["a", "b"]
LOCALS = ["x", "y", "z"]
CASTS = ["u8", "u16", "u32", "u64", "signed char", "short", "int", "long"]
BINARY = ["+", "-", "*", "&", "|", "^"]
COMPARISONS = ["<", "<=", "==", "!=", ">", ">="]
CONSTANTS = st.one_of(
    st.integers(0, 300),
    st.sampled_from(
        [0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1]
    ),
    st.integers(0, (1 << 64) - 1),
)


@dataclass(frozen=True)
class Program:
    source: str
    functions: int


@st.composite
def integer(draw: st.DrawFn, depth: int, callees: int) -> str:
    """An expression of type u64."""
    if depth <= 0:
        return draw(st.one_of(st.sampled_from(ARGUMENTS + LOCALS), CONSTANTS.map(lambda value: f"{value}ul")))
    inner = integer(depth - 1, callees)
    kind = draw(st.integers(0, 17 if callees else 14))
    one, two = draw(inner), draw(inner)
    match kind:
        case 0 | 1 | 2:
            return f"({one} {draw(st.sampled_from(BINARY))} {two})"
        case 3:
            return f"({one} {draw(st.sampled_from(['<<', '>>']))} ({two} & 63))"
        case 4:
            return f"(u64)({draw(st.sampled_from(CASTS))})({one})"
        case 5:
            return f"(u64)({one} {draw(st.sampled_from(COMPARISONS))} {two})"
        case 6:
            return (
                f"((long)({one}) {draw(st.sampled_from(COMPARISONS))} (long)({two}) ? {draw(inner)} : {two})"
            )
        case 7:
            return f"divide({one}, {two})"
        case 8:
            return f"rest((long)({one}), (long)({two}))"
        case 9:
            return f"(u64){draw(load(one))}"
        case 10:
            return f"(u64)((__int128)(long)({one}) * (long)({two}) >> {draw(st.integers(1, 90))})"
        case 11:
            return f"clamp({draw(real(depth - 1, callees))})"
        case 12:
            return f"(u64)swap((pair){{(u32)({one}), (u32)({two})}}).{draw(st.sampled_from('xy'))}"
        case 13:
            return f"blend((mixed){{{draw(real(depth - 1, callees))}, {one}}}, {two}).y"
        case 14:
            last = draw(st.integers(0, 9))
            return draw(
                st.sampled_from(
                    [
                        f"sum_of(3, {one}, {two}, (u64){last})",
                        f"guarded({one})",
                        f"spread({two})",
                        f"wide({one})",
                        f"many({one}, {two}, 0.5, 1, 2, {one}, 4, {last}, records[{last & 7}], 7.25L, 9)",
                    ]
                )
            )
        case 15:
            return f"f{draw(st.integers(0, callees - 1))}({one}, {two}, {draw(real(0, 0))})"
        case 16:
            return f"table[({one}) % {callees}]({two}, {one}, r)"
        case _:
            return f"(u64)__builtin_popcountl({one}) + (u64)__builtin_bswap32((u32)({two}))"


@st.composite
def load(draw: st.DrawFn, index: str) -> str:
    """An integer lvalue that `index` (an expression) picks."""
    return draw(
        st.sampled_from(
            [
                f"bytes[({index}) & 63]",
                f"shorts[({index}) & 31]",
                f"words[({index}) & 31]",
                f"longs[({index}) & 15]",
                f"records[({index}) & 7].c",
                f"records[({index}) & 7].d",
                f"records[({index}) & 7].list[({index}) % 5]",
                f"array[({index}) & 15]",
                f"((volatile u8 *)array)[({index}) & 127]",
            ]
        )
    )


@st.composite
def real(draw: st.DrawFn, depth: int, callees: int) -> str:
    """An expression of type double, finite."""
    if depth <= 0:
        return draw(st.sampled_from(["r", "s", "1.5", "-0.25", "3e10", "1e-9", "(double)(int)a"]))
    one, two = draw(real(depth - 1, callees)), draw(real(depth - 1, callees))
    kind = draw(st.integers(0, 6))
    match kind:
        case 0 | 1:
            return f"finite({one} {draw(st.sampled_from('+-*'))} {two})"
        case 2:
            return f"finite({one} / ({two} != 0 ? {two} : 1.5))"
        case 3:
            return f"(double)(float)finite({one})"
        case 4:
            return f"reals[({draw(integer(depth - 1, callees))}) & 15]"
        case 5:
            return f"(double)(long double)({one})"
        case _:
            return f"({one} < {two} ? {one} : (double)(long)({draw(integer(0, 0))}))"


@st.composite
def statement(draw: st.DrawFn, depth: int, callees: int) -> str:
    value = integer(2, callees)
    local = draw(st.sampled_from(LOCALS))
    kind = draw(st.integers(0, 5 if depth <= 0 else 11))
    match kind:
        case 0 | 1:
            return f"{local} {draw(st.sampled_from(['=', '+=', '^=', '*=']))} {draw(value)};"
        case 2:
            return (
                f"{draw(load(draw(integer(1, 0))))} {draw(st.sampled_from(['=', '+=', '^=']))} {draw(value)};"
            )
        case 3:
            return f"s = {draw(real(2, callees))}; reals[{local} & 15] = finite(s + r);"
        case 4:
            index, amount = draw(integer(1, 0)), draw(integer(1, callees))
            return f"records[{local} & 7] = grow(records[({index}) & 7], {amount});"
        case 5:
            offset, size = draw(integer(0, 0)), draw(st.integers(0, 48))
            return f"__builtin_memmove(bytes + ({local} & 15), bytes + ({offset} & 15), {size});"
        case 6:
            yes, no = draw(block(depth - 1, callees)), draw(block(depth - 1, callees))
            return f"if ({draw(value)}) {{ {yes} }} else {{ {no} }}"
        case 7 | 8:
            count = draw(st.integers(1, 12))
            return f"for (u64 i = 0; i < {count}; i++) {{ {local} += i; {draw(block(depth - 1, 0))} }}"
        case 9:
            cases = [
                f"case {number}: {draw(statement(0, callees))} {draw(st.sampled_from(['break;', '']))}"
                for number in range(draw(st.integers(2, 9)))
            ]
            return f"switch (({draw(value)}) % 11) {{ {' '.join(cases)} default: {local}++; }}"
        case 10:
            declaration = f"u8 room[({local} & 63) + 1]; __builtin_memset(room, 5, sizeof room);"
            return f"{{ {declaration} {local} += room[sizeof room / 2] + sizeof room; }}"
        case _:
            return f"if ({local} & 1) goto done; {draw(statement(0, callees))}"


@st.composite
def block(draw: st.DrawFn, depth: int, callees: int) -> str:
    return " ".join(draw(st.lists(statement(depth, callees), min_size=1, max_size=3)))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    count = draw(st.integers(1, 4))
    functions = []
    for number in range(count):
        table = ", ".join(f"f{i}" for i in range(number))
        pointers = f"static function *const volatile table[] = {{{table}}};" if number else ""
        functions.append(FUNCTION % {"number": number, "pointers": pointers, "body": draw(block(2, number))})
    return Program(PROLOGUE + "\n".join(functions) + EPILOGUE, count)
