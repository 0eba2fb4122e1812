/* Globals, thread-local variables, string instructions, atomics, bit tests, vectors, long double, 128 bits. */
#include "libc.h"

_Thread_local int counter = 5;
static _Thread_local u64 zeroed[4];
u32 bits[64];
static u64 table[256] = {1, 2, 3};
u8 *cursor = (u8 *)&table[7];

__attribute__((noinline)) static u64 thread_local_(int n) {
    int *p = &counter;
    *p += n;
    zeroed[n & 3] += (u64)counter;
    return zeroed[0] ^ zeroed[1] ^ zeroed[2] ^ zeroed[3];
}

__attribute__((noinline)) static void fill(void *to, u64 value, u64 words) {
    __asm__ volatile("rep\n\tstosq" : "+D"(to), "+c"(words) : "a"(value) : "memory");
}
__attribute__((noinline)) static u8 *move(u8 *to, const u8 *from, u64 n) {
    __asm__ volatile("rep; movsb; movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return to;
}

/* Around the operand as far as the register says, negative too. */
__attribute__((noinline)) static u64 bit_tests(long bit) {
    u64 result = 0;
    u8 was;
    __asm__ volatile("btsl %k2, %0\n\tsetc %1" : "+m"(bits[32]), "=r"(was) : "r"(bit) : "memory", "cc");
    result = mix(result, was);
    __asm__ volatile("lock; btcq %2, %0\n\tsetc %1" : "+m"(bits[32]), "=r"(was) : "r"(bit + 3) : "memory", "cc");
    result = mix(result, was);
    __asm__ volatile("btq %2, %0\n\tsetc %1" : "+m"(bits[32]), "=r"(was) : "r"(bit) : "memory", "cc");
    result = mix(result, was);
    __asm__ volatile("lock btrl %k2, %0\n\tsetc %1" : "+m"(bits[32]), "=r"(was) : "r"(bit) : "memory", "cc");
    return mix(result, was);
}

typedef double v4 __attribute__((vector_size(32)));
__attribute__((noinline)) static u64 vectors(int n) {
    v4 a = {1, 2, 3, 4}, b = {0.5, 0.25, n, 1};
    for (int i = 0; i < n; i++) a = a * b + a, b = b - a / 1024;
    return (u64)(long)(a[0] + a[1] * 3 + b[2] - b[3]);
}

__attribute__((noinline)) static u64 wide(u64 a, u64 b) {
    unsigned __int128 product = (unsigned __int128)a * b + (u64)cursor[3];
    long double quotient = (long double)a / 7 + (long double)(b >> 40);
    return (u64)(product >> 64) ^ (u64)product ^ (u64)quotient;
}

__attribute__((noinline)) static u64 atomics(u64 n) {
    static u64 word;
    u64 before = __atomic_fetch_or(&word, 1ul << (n & 63), 5) & 1ul << (n & 63);
    before += __atomic_fetch_add(&word, n, 5) + __atomic_exchange_n(&table[n & 255], before, 5);
    __atomic_compare_exchange_n(&word, &before, n, 0, 5, 5);
    return before ^ word;
}

u64 run(void) {
    u64 hash = 4;
    for (int i = 0; i < 50; i++) {
        hash = mix(hash, thread_local_(i));
        hash = mix(hash, bit_tests(i * 23 - 500));
        hash = mix(hash, atomics((u64)i * 13));
        hash = mix(hash, wide(hash, (u64)i << 33));
    }
    fill(table, hash, 100);
    move((u8 *)table + 3, (const u8 *)table + 50, 300);
    for (int i = 0; i < 256; i++) hash = mix(hash, table[i]);
    for (int i = 0; i < 64; i++) hash = mix(hash, bits[i]);
    return mix(hash, vectors(9));
}
