/* Variable-length arrays, alloca, frames beyond STACK_REACH, aligned frames, pointers into the stack. */
#include "libc.h"

#ifdef __tmebox_twin__
static u8 below[1 << 20] __attribute__((aligned(16)));
_Thread_local u8 *__safestack_unsafe_stack_ptr = below + sizeof below;
#endif

static u64 sum(const u8 *bytes, u64 n) {
    u64 hash = n;
    for (u64 i = 0; i < n; i++) hash = mix(hash, bytes[i]);
    return hash;
}

__attribute__((noinline)) static u64 variable(int n) {
    u64 hash = 0;
    for (int i = 1; i < n; i++) {
        u8 array[i * 7];
        for (int j = 0; j < i * 7; j++) array[j] = (u8)(j * i);
        hash = mix(hash, sum(array, (u64)i * 7));
        if (hash % 97 == 3) break;
    }
    return hash;
}

__attribute__((noinline)) static u64 allocated(int n) {
    u8 *pieces[16];
    for (int i = 0; i < 16; i++) {
        pieces[i] = __builtin_alloca((u64)(n + i));
        for (int j = 0; j < n + i; j++) pieces[i][j] = (u8)(i ^ j);
    }
    u64 hash = 1;
    for (int i = 0; i < 16; i++) hash = mix(hash, sum(pieces[i], (u64)(n + i)));
    return mix(hash, (u64)(pieces[0] - pieces[15]) > 0);
}

__attribute__((noinline)) static u64 large(int n) {
    volatile u8 bytes[700000];
    for (int i = 0; i < 700000; i += 4096) bytes[i] = (u8)(i >> 12);
    u64 hash = 2;
    for (int i = 0; i < 700000; i += 4096) hash = mix(hash, bytes[i]);
    return n ? mix(hash, large(n - 1)) : hash;
}

__attribute__((noinline)) static u64 aligned(int n) {
    _Alignas(256) volatile u8 bytes[512];
    for (int i = 0; i < 512; i++) bytes[i] = (u8)(i * n);
    return sum((const u8 *)bytes, 512) + ((u64)bytes & 255);
}

struct wide { u64 words[40]; };
__attribute__((noinline)) static struct wide by_value(struct wide a, struct wide b) {
    for (int i = 0; i < 40; i++) a.words[i] += b.words[39 - i];
    return a;
}

__attribute__((noinline)) static u64 varied(int count, ...) {
    __builtin_va_list list;
    __builtin_va_start(list, count);
    u64 hash = 3;
    for (int i = 0; i < count; i++) {
        hash = mix(hash, __builtin_va_arg(list, u64));
        hash = mix(hash, (u64)(__builtin_va_arg(list, double) * 1000));
    }
    __builtin_va_end(list);
    return hash;
}

u64 run(void) {
    struct wide a, b;
    for (int i = 0; i < 40; i++) a.words[i] = (u64)i * 3, b.words[i] = (u64)i * 5;
    a = by_value(a, b);
    u64 hash = sum((const u8 *)&a, sizeof a);
    hash = mix(hash, variable(40));
    hash = mix(hash, allocated(33));
    hash = mix(hash, large(3));
    hash = mix(hash, aligned(7));
    return mix(hash, varied(6, 1ul, 1.5, 2ul, 2.5, 3ul, 3.5, 4ul, 4.5, 5ul, 5.5, 6ul, 6.5));
}
