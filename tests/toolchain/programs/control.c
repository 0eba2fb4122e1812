/* Switches, computed gotos with all registers in use, function pointers, tail calls, recursion. */
#include "libc.h"

typedef u64 (*binary)(u64, u64);
static u64 add(u64 a, u64 b) { return a + b; }
static u64 sub(u64 a, u64 b) { return a - b; }
static u64 mul(u64 a, u64 b) { return a * b; }
binary operations[] = {add, sub, mul};

__attribute__((noinline)) static u64 through(binary f, u64 a, u64 b) { return f(a, b); }
__attribute__((noinline)) static u64 inner(int which, u64 a, u64 b) { return operations[which](a, b) + 1; }

__attribute__((noinline)) static u64 chosen(u64 n) {
    switch (n % 11) {
    case 0: return n + 3;
    case 1: return n * 5;
    case 2: return ~n;
    case 3: return n >> 3;
    case 4: return inner(1, n, 9);
    case 5: return n ^ 0x55;
    case 6: return through(mul, n, 7);
    case 7: return n << 7;
    case 8: return 1 + through(add, n, n);
    default: return 77;
    }
}

/* A small interpreter: r11 is usually needed across its jumps. */
__attribute__((noinline)) static u64 interpret(const u8 *code, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    static void *const labels[] = {&&add_, &&sub_, &&rot_, &&xor_, &&mul_, &&loop_, &&end_};
    u64 g = 1, h = 2, i = 3, j = 4, k = 5, n = 0;
    const u8 *p = code;
    goto *labels[*p++];
add_: a += b + i; g ^= a; goto *labels[*p++];
sub_: b -= c + j; h += b; goto *labels[*p++];
rot_: c = c << 7 | c >> 57; i += c ^ d; goto *labels[*p++];
xor_: d ^= e + k; j ^= d; goto *labels[*p++];
mul_: e *= f | 1; k += e + g; f ^= h; goto *labels[*p++];
loop_: if (++n < 1000) p = code; goto *labels[*p++];
end_: return mix(mix(mix(a, b), mix(c, d)), mix(mix(e, f), mix(mix(g, h), mix(i, mix(j, k)))));
}

__attribute__((noinline)) static u64 ackermann(u64 m, u64 n) {
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

u64 run(void) {
    static const u8 code[] = {0, 1, 2, 3, 4, 0, 2, 4, 1, 3, 5, 6};
    u64 hash = interpret(code, 1, 2, 3, 4, 5, 6);
    for (u64 i = 0; i < 200; i++) hash = mix(hash, chosen(hash + i));
    for (int i = 0; i < 30; i++) hash = mix(hash, inner(i % 3, hash, 11));
    return mix(hash, ackermann(2, 9));
}
